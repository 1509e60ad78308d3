//! The workspace's own commands: `cargo xtask` alone prints them.
//!
//! This file only dispatches. No action is linked here: commands run the actions' programs and
//! parse what they say, so that `xtask` compiles in seconds.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a developer's tool talks to a terminal and starts programs with nothing in between"
)]

mod action;
mod application;
mod bench;
mod codegen;
mod e2e;
mod gallery;
mod images;
mod new_action;
mod programs;
mod services;
mod shell;
mod test;
mod tidy;
mod workflows;
mod workspace;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The workspace's own commands"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole deployment: source to verified release, on kind and `LocalStack`
    E2e(e2e::Arguments),
    /// Check everything: format, lints, boundaries, generated files, workflows, tests
    Test(test::Arguments),
    /// Write `action.yml`, and the tables and diagrams of every README, from what they describe
    Codegen(codegen::Arguments),
    /// Prove the boundaries between crates and the shape of files
    Tidy,
    /// Check the workflows: what GitHub accepts, inputs that exist, no rights given away
    Workflows,
    /// Make the room of a new action
    NewAction(new_action::Arguments),
    /// Run an action as a command-line program
    Action(action::Arguments),
    /// Assemble the actions' images and push them to a registry
    Images(images::Arguments),
    /// Compare an action with the tools that people use instead
    Bench(bench::Arguments),
    /// Let deployments fail on the end-to-end run's cluster and read what helm-deploy says
    Gallery(gallery::Arguments),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        None => Cli::command()
            .print_long_help()
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into),
        Some(Command::E2e(arguments)) => e2e::run(&arguments),
        Some(Command::Test(arguments)) => test::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Codegen(arguments)) => codegen::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Tidy) => tidy::run().map(|()| ExitCode::SUCCESS),
        Some(Command::Workflows) => workflows::run().map(|()| ExitCode::SUCCESS),
        Some(Command::NewAction(arguments)) => {
            new_action::run(&arguments).map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Action(arguments)) => action::run(&arguments),
        Some(Command::Images(arguments)) => images::run(&arguments),
        Some(Command::Bench(arguments)) => bench::run(&arguments),
        Some(Command::Gallery(arguments)) => gallery::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
