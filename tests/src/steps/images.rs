//! Assembles the images of the actions, and of the platform's components, and pushes them.

use std::collections::BTreeMap;
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result, bail};
use oci_registry::{Access, Registry, reference};
use serde_json::{Value, json};

use crate::context::{Context, Source};
use crate::state::write_whole;
use crate::step::{Outcome, Step};
use crate::steps::registry;
use crate::{components, packaging};

/// The owner part of the actions' repositories in the run's registry.
const REPOSITORY: &str = "fastapi-eks-actions";

pub fn step() -> Step {
    Step {
        name: "images",
        about: "assemble the actions' and the platform's images and push them",
        cold: Duration::from_secs(600),
        warm: Duration::from_secs(25),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    let names = packaging::actions(&cx.root)?;
    cx.progress(format!("compiling {} actions", names.len()));
    packaging::compile(cx, &names)?;
    let mut actions = BTreeMap::new();
    for name in &names {
        let fact = push(cx, name).with_context(|| format!("the image of `{name}`"))?;
        actions.insert(name.clone(), fact);
    }
    write_whole(
        &cx.action_images(),
        serde_json::to_string_pretty(&actions)?.as_bytes(),
    )?;
    let components = match cx.source()? {
        Source::Packages => components::publish(cx)?,
        Source::Upstream => BTreeMap::new(),
    };
    let silent: Vec<String> = names
        .iter()
        .filter_map(|name| Some(format!("{name}: {:#}", describes(cx, name).err()?)))
        .collect();
    if !silent.is_empty() {
        bail!(
            "these images do not run as `docker run IMAGE describe`:\n{}",
            silent.join("\n")
        );
    }
    let real = format!(
        "{} images of actions, each run once; {} images of components",
        actions.len(),
        components.len()
    );
    Ok(Outcome::new(real)
        .fact("actions", actions)
        .fact("components", components))
}

/// Assembles an action's image and pushes it; gives what the report tells.
fn push(cx: &Context, name: &str) -> Result<Value> {
    let address = registry::address(cx);
    let packaged = packaging::package(cx, name)?;
    let registry = Registry::connect(Access::default().plain_http([address.clone()]))?;
    let target = reference(&format!("{address}/{REPOSITORY}/{name}:e2e"))?;
    let pushed = cx.block_on(registry.push(&packaged.image, &packaged.blobs, &target))?;
    let digest = packaged.image.digest();
    let reference = format!("{}/{REPOSITORY}/{name}@{digest}", registry::name());
    cx.progress(format!(
        "{name} {digest}, {:.1} MB",
        megabytes(packaged.image.size())
    ));
    Ok(json!({
        "reference": reference,
        "digest": digest.to_string(),
        "bytes": packaged.image.size(),
        "sent": pushed.sent,
    }))
}

/// Runs an action's image for the description of itself.
fn describes(cx: &Context, name: &str) -> Result<()> {
    let image = cx.action_image(name)?;
    let run: Command =
        cx.docker
            .command()
            .args(["run", "--rm", "--network", "none", &image, "describe"]);
    let text = cx.output(&run)?;
    let description: Value = serde_json::from_str(&text)
        .with_context(|| format!("it printed no description: `{text}`"))?;
    if description["name"] != name {
        bail!("it describes `{}`", description["name"]);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
