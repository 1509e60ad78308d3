//! The reference application's own checks: its lints, and its tests on a real PostgreSQL. So
//! for the program that migrates it.

use std::path::Path;

use anyhow::Result;

use crate::{programs, shell, workspace};

const APPLICATION: &str = "tests/app";
/// The program that `db-migrate` runs beside the application; its tests need the same packages.
const MIGRATION: &str = "../../actions/db-migrate";
/// What the application and its tests run on; a newer one is as good.
const PYTHON: &str = ">=3.11";

pub(crate) fn run() -> Result<()> {
    let uv = programs::from_wheel("uv", "musllinux_1_1_x86_64")?;
    let uv = uv.to_string_lossy();
    let folder = workspace::root().join(APPLICATION);
    let target = workspace::metadata()?.target_directory;
    let environment = Path::new(&target).join("application");
    let environment = environment.to_string_lossy();
    let set = format!("UV_PROJECT_ENVIRONMENT={environment}");
    for call in [
        &["ruff", "check", ".", "../app-variants", MIGRATION][..],
        &[
            "ruff",
            "format",
            "--check",
            ".",
            "../app-variants",
            MIGRATION,
        ],
        &["pytest", "--quiet", "-p", "no:cacheprovider"],
        &["pytest", "--quiet", "-p", "no:cacheprovider", MIGRATION],
    ] {
        let mut arguments = vec![
            &*set,
            "UV_PYTHON_DOWNLOADS=never",
            &*uv,
            "run",
            "--quiet",
            "--python",
            PYTHON,
        ];
        arguments.extend(call);
        shell::run_in(&folder, "env", &arguments)?;
    }
    Ok(())
}
