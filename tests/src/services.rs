//! What integration tests call: started for them, and ended after them unless it ran before.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Subcommand;
use serde_json::json;

use crate::context::Context;
use crate::state;
use crate::step::Step;
use crate::steps::{doctor, localstack, tools};

#[derive(Subcommand)]
pub enum Arguments {
    /// Install and start what the tests need; prints where it is, as JSON
    Start,
    /// End what `start` has started
    Stop,
}

/// Starts or ends the services.
pub fn run(arguments: &Arguments) -> Result<()> {
    let cx = Context::open(None)?;
    let Some(_lock) = state::lock(&cx.folder)? else {
        bail!("a run of this checkout is under way\nhint: wait for it, or end it");
    };
    match arguments {
        Arguments::Start => start(&cx),
        Arguments::Stop => stop(&cx),
    }
}

fn start(cx: &Context) -> Result<()> {
    let ran_before = localstack::answers(cx);
    for Step {
        name, about, run, ..
    } in [doctor::step(), tools::step(), localstack::step()]
    {
        eprintln!("{name}: {about}");
        cx.enter(name);
        let outcome = run(cx)?;
        cx.progress(format!("done: {}", outcome.real));
        cx.update(|state| {
            let done = state.steps.entry(name.into()).or_default();
            done.ok = true;
            done.real = outcome.real;
            done.facts = outcome.facts;
        })?;
    }
    if !ran_before {
        fs_err::write(note(cx), "localstack\n")?;
    }
    println!(
        "{}",
        json!({ "endpoint": localstack::endpoint(), "python": localstack::python(cx)? })
    );
    Ok(())
}

fn stop(cx: &Context) -> Result<()> {
    cx.enter("services");
    if note(cx).exists() {
        localstack::stop(cx)?;
        fs_err::remove_file(note(cx))?;
    }
    Ok(())
}

fn note(cx: &Context) -> PathBuf {
    cx.folder.join("services-started")
}
