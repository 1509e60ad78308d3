//! The end-to-end run: a FastAPI application from source to a verified release, on kind and
//! LocalStack, by the images that the actions ship.
//!
//! `cargo xtask e2e` builds and runs this program. Steps are in [`steps`], one file each; what
//! runs them, and picks up where a killed run stopped, is in [`run`].

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::duration_suboptimal_units,
    reason = "a program for people at a terminal; it is not shipped"
)]
#![allow(
    unreachable_pub,
    missing_docs,
    reason = "one program: nothing outside can reach its items"
)]

mod alone;
mod bench;
mod canary;
mod cfn_guard;
mod components;
mod context;
mod docker;
mod gallery;
mod http;
mod packaging;
mod programs;
mod proxy;
mod python_packages;
mod release;
mod report;
mod run;
mod runner;
mod services;
mod state;
mod step;
mod steps;
mod tools;
mod traffic;
mod uv;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::context::Context;

#[derive(Parser)]
#[command(name = "e2e", bin_name = "cargo xtask", about = "The end-to-end run")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole deployment, step by step
    #[command(name = "e2e", alias = "run")]
    Run(run::Arguments),
    /// Assemble the actions' images and push them to the run's own registry
    Images,
    /// Compare an action with the tools that people use instead
    #[command(subcommand)]
    Bench(bench::Arguments),
    /// Let deployments fail, each in its own way, and read what helm-deploy says
    Gallery(gallery::Arguments),
    /// What the integration tests call
    #[command(subcommand)]
    Services(services::Arguments),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Gallery(arguments) => gallery::run(&arguments),
        Command::Services(arguments) => services::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Images => Context::open(None).and_then(|cx| {
            cx.enter("images");
            let outcome = (steps::images::step().run)(&cx)?;
            println!("{}", serde_json::to_string_pretty(&outcome.facts)?);
            Ok(ExitCode::SUCCESS)
        }),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
