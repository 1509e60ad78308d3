//! Removes everything that the run has started, from whatever state it is in.

use std::time::Duration;

use anyhow::Result;

use crate::context::Context;
use crate::programs;
use crate::step::{Outcome, Step};
use crate::steps::{cluster, localstack, registry};

/// What a run writes into its folder besides logs, reports and state, which stay to be read.
const FILES: [&str; 8] = [
    "action-images.json",
    "kind.kubeconfig",
    "kind.yaml",
    "kubeconfig",
    "manifests",
    "node",
    "processes",
    "registry.yml",
];

pub fn step() -> Step {
    Step {
        name: "teardown",
        about: "remove everything that the run has started",
        cold: Duration::from_secs(15),
        warm: Duration::from_secs(15),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    // With a daemon of ours, ending it ends the nodes and the registry; else each by its name.
    if !cx.docker.ours {
        cluster::delete(cx)?;
    }
    localstack::stop(cx)?;
    let ended = programs::stop_all(cx)?;
    cx.docker.down(cx)?;
    registry::remove(cx)?;
    cx.docker.remove_data()?;
    for file in FILES {
        let file = cx.folder.join(file);
        if file.is_dir() {
            fs_err::remove_dir_all(file)?;
        } else if file.exists() {
            fs_err::remove_file(file)?;
        }
    }
    Ok(Outcome::new("cluster, registry and daemon are gone").fact("ended", ended))
}
