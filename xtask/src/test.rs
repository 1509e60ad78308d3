//! `cargo xtask test`: every check there is, cheapest first.

use anyhow::Result;

use crate::shell::{part, run as sh};
use crate::{application, codegen, tidy, workflows};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the parts whose name contains this
    #[arg(long)]
    only: Option<String>,
}

/// A named part of the checks.
type Part = (&'static str, fn() -> Result<()>);

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let parts: [Part; 7] = [
        ("format", || sh("cargo", &["fmt", "--all", "--check"])),
        ("lints", || {
            sh(
                "cargo",
                &[
                    "clippy",
                    "--release",
                    "--workspace",
                    "--all-targets",
                    "--locked",
                    "--",
                    "-D",
                    "warnings",
                ],
            )
        }),
        ("boundaries", tidy::run),
        ("generated files", || {
            codegen::run(&codegen::Arguments {
                check: true,
                no_build: false,
            })
        }),
        ("workflows", workflows::run),
        ("application", application::run),
        ("tests", || {
            sh("cargo", &["test", "--release", "--workspace", "--locked"])
        }),
    ];
    for (name, work) in parts {
        if arguments
            .only
            .as_deref()
            .is_none_or(|only| name.contains(only))
        {
            part(name, work)?;
        }
    }
    println!("all is well");
    Ok(())
}
