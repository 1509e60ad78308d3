//! `cargo xtask gallery`: the failure gallery, run by the package `e2e`.

use std::process::ExitCode;

use anyhow::Result;

use crate::e2e;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on; `cargo xtask gallery --help` tells what there is
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    e2e::forward("gallery", &arguments.arguments)
}
