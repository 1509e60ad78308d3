//! The `db-migrate` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    action_kit::main(&db_migrate::METADATA, db_migrate::run)
}
