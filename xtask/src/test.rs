//! `cargo xtask test`: every check there is, cheapest first.

use anyhow::Result;

use crate::services::Services;
use crate::shell::{part, run as sh};
use crate::{application, codegen, tidy, workflows};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the parts whose name contains this
    #[arg(long)]
    only: Option<String>,
}

/// A named part of the checks.
type Part<T> = (&'static str, fn(&T) -> Result<()>);

/// What needs no server, and nothing installed but the toolchains.
const ALONE: [Part<()>; 4] = [
    ("format", |()| sh("cargo", &["fmt", "--all", "--check"])),
    ("boundaries", |()| tidy::run()),
    ("workflows", |()| workflows::run()),
    ("application", |()| application::run()),
];

/// What needs the servers, or the libraries that are installed with them.
const SERVED: [Part<Services>; 4] = [
    ("lints", |_| sh("cargo", &CLIPPY)),
    ("generated files", |_| {
        codegen::run(&codegen::Arguments {
            check: true,
            no_build: false,
        })
    }),
    ("tests in Python", Services::python_tests),
    ("tests in Rust", Services::rust_tests),
];

const CLIPPY: [&str; 8] = [
    "clippy",
    "--release",
    "--workspace",
    "--all-targets",
    "--locked",
    "--",
    "-D",
    "warnings",
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let chosen = |name: &str| {
        arguments
            .only
            .as_deref()
            .is_none_or(|only| name.contains(only))
    };
    for (name, work) in ALONE.iter().filter(|(name, _)| chosen(name)) {
        part(name, || work(&()))?;
    }
    let served: Vec<_> = SERVED.iter().filter(|(name, _)| chosen(name)).collect();
    if !served.is_empty() {
        let services = Services::start()?;
        for (name, work) in served {
            part(name, || work(&services))?;
        }
    }
    println!("all is well");
    Ok(())
}
