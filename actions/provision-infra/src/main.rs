//! The program of the action `provision-infra`.

use std::process::ExitCode;

fn main() -> ExitCode {
    action_kit::main(&provision_infra::METADATA, provision_infra::run)
}
