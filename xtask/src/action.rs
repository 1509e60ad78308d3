//! `cargo xtask action NAME …`: an action as a command-line program.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::{shell, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The action: a folder of `actions/`
    name: String,
    /// Its inputs as flags; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
    inputs: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let known = workspace::actions()?;
    if !known.contains(&arguments.name) {
        bail!(
            "no action is called `{}`\nhint: the actions are {}",
            arguments.name,
            known.join(", ")
        );
    }
    // The features of the whole workspace, so that nothing is compiled a second time.
    let build = [
        "build",
        "--release",
        "--workspace",
        "--bin",
        &arguments.name,
    ];
    shell::run("cargo", &build)?;
    let program = workspace::program_folder()?.join(&arguments.name);
    shell::pass(&program.to_string_lossy(), &arguments.inputs)
}
