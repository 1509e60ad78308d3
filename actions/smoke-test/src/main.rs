//! The `smoke-test` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    action_kit::main(&smoke_test::METADATA, smoke_test::run)
}
