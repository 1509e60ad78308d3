//! Inputs that mean the same in every action.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What is printed to standard output at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines for people
    #[default]
    Text,
    /// The report as one JSON document
    Json,
}

/// Whether to show what would be done, or to do it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Show what would change, and change nothing
    #[default]
    Plan,
    /// Make the change
    Apply,
}

/// The inputs that every action has: flatten them into an action's struct.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// What is printed at the end: `text` for people or `json` for machines
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// Where the JSON report is written, relative to the workspace; in a workflow it is always
    /// written (by default to `.fastapi-eks-actions/<action>.json`), elsewhere only when asked for
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}
