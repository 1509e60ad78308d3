//! `cargo xtask e2e`: builds the package `e2e` and runs it; the steps live there.

use std::process::ExitCode;

use anyhow::Result;

use crate::{shell, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on; `cargo xtask e2e --help` lists what there is
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    forward("run", &arguments.arguments)
}

/// Runs a command of the end-to-end program.
pub(crate) fn forward(command: &str, arguments: &[String]) -> Result<ExitCode> {
    shell::run(
        "cargo",
        &["build", "--release", "--workspace", "--bin", "e2e"],
    )?;
    let program = workspace::program_folder()?.join("e2e");
    let mut all = vec![command.to_owned()];
    all.extend_from_slice(arguments);
    shell::pass(&program.to_string_lossy(), &all)
}
