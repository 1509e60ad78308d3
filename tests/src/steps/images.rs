//! Assembles the images of the actions.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::components;
use crate::context::{Context, Source};
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
    let components = match cx.source()? {
        Source::Packages => components::publish(cx)?,
        Source::Upstream => BTreeMap::new(),
    };
    Ok(Outcome::new(format!("{} images of components", components.len())).fact("components", components))
}
