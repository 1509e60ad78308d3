//! The program of the action.

use std::process::ExitCode;

fn main() -> ExitCode {
    action_kit::main(&helm_deploy::METADATA, helm_deploy::run)
}
