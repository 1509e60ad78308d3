//! The second release, with a new migration and in steps, while traffic goes on.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::context::Context;
use crate::release;
use crate::step::{Outcome, Step};
use crate::steps::application;
use crate::traffic::Traffic;

/// Requests a second.
const RATE: u32 = 50;

pub fn step() -> Step {
    Step {
        name: "second-release",
        about: "release the next version in steps with a migration, under traffic",
        cold: Duration::from_secs(165),
        warm: Duration::from_secs(145),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    application::ensure(cx)?;
    let checkout = release::checkout(cx, "orders-2", Some("release-2"))?;
    let built = release::build(cx, &checkout, "build-second")?;
    let image = built.output("image")?.to_owned();
    let ingress = format!("http://{}", release::ingress(cx)?);
    cx.progress(format!("{RATE} requests a second go through {ingress}"));
    let traffic = Traffic::start(&ingress, release::HOST, RATE);
    let released = release::roll_out(cx, &checkout, &image, "second");
    // The traffic ends whatever came of the release.
    let tally = traffic.finish();
    let (released, tally) = (released?, tally?);
    cx.progress(format!(
        "{} requests sent, {} failed",
        tally.sent, tally.failed
    ));
    if tally.failed > 0 {
        bail!(
            "{} of {} requests failed during the release: {:?}",
            tally.failed,
            tally.sent,
            tally.reasons
        );
    }
    if tally.versions.len() < 2 {
        bail!(
            "the traffic saw only the version {:?}: nothing was released under it",
            tally.versions.keys()
        );
    }
    Ok(Outcome::new(format!(
        "{} requests during migration and rollout, {} failed, no acknowledged order of {} lost",
        tally.sent, tally.failed, tally.orders
    ))
    .fact("release", released)
    .fact("layers", &built.report["layers"])
    .fact("traffic", tally))
}
