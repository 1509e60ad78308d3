//! Assembles the images of the actions.

use std::time::Duration;

use anyhow::Result;

use crate::context::Context;
use crate::step::{Outcome, Step};

pub fn step() -> Step {
    Step {
        name: "images",
        about: "assemble the actions' images and push them",
        cold: Duration::from_secs(400),
        warm: Duration::from_secs(20),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    cx.log("");
    Ok(Outcome::new(""))
}
