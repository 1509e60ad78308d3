//! Builds a FastAPI application into an OCI image, from its lock file, without Docker.
//!
//! The packages that the lock file names are installed by `uv` into layers that are known by their
//! inputs before they are made, the application is one more, all on top of a base image with
//! Python. What an earlier image has is neither downloaded, made nor sent again. Equal input gives
//! an equal digest.

mod ahead;
mod app;
mod apply;
mod base;
mod bytecode;
mod enter;
mod error;
mod exclude;
mod git;
mod inputs;
mod interpreter;
mod kept;
mod labels;
mod layers;
mod locked;
mod make;
mod observe;
mod openapi;
mod places;
mod plan;
mod previous;
mod project;
mod provenance;
mod purl;
mod python;
mod report;
mod root;
mod sbom;
mod server;
mod sign;
mod sources;
mod uv;
mod venv;
mod verify;

use std::time::Instant;

use action_kit::{Context, Failed, Metadata, Outcome, Report};
use oci_registry::Registry;

use report::Phases;

pub use enter::{IN_ROOT, in_root};
pub use error::BuildError;
pub use inputs::{Inputs, Mode};
pub use interpreter::as_python;
pub use sign::Sign;

/// The action, as its `action.yml` describes it.
pub const METADATA: Metadata = Metadata {
    name: "build-fastapi-image",
    title: "Build a FastAPI image",
    description: "Builds a FastAPI application into an OCI image from its lock file: no Docker daemon, no Dockerfile, the same digest on any machine.",
    outputs: &[
        (
            "image",
            "The image by digest, as `registry/repository@sha256:…`; empty when it was not pushed",
        ),
        ("digest", "Digest of the image"),
        ("layers", "The layers as JSON: digest, size, what they hold"),
        ("size", "Bytes that a first pull takes"),
    ],
    icon: "package",
    color: "green",
};

/// Builds the image, and pushes or writes it.
pub async fn run(inputs: Inputs, context: Context) -> Result<Report, Failed> {
    let access = inputs.access(&context)?;
    let indexes = uv::index_passwords(&context.environment);
    for secret in access.secrets().chain(&indexes) {
        context.console.hide(secret);
    }
    let registry = Registry::connect(access)?;
    if inputs.mode == Mode::Verify {
        return verify::verify(&inputs, &context, &registry).await;
    }
    let request = inputs.check(&context)?;
    let mut phases = Phases::default();
    let mut since = Instant::now();
    let observed = observe::observe(&request, &registry).await?;
    phases.end("observe", &mut since);
    let plan = plan::plan(&request, &observed)?;
    let changes = plan.images.iter();
    let changes = changes
        .map(|image| report::change(image, &observed))
        .collect::<Vec<_>>();
    tracing::info!(
        "base image {} with Python {}",
        observed.base.name,
        plan.python
    );
    tracing::info!("application {} of {} files", plan.app, plan.sources.len());
    if inputs.mode == Mode::Plan {
        return Ok(plan.report(Outcome::Planned, &changes));
    }
    let built = apply::apply(
        &request, &plan, &observed, &registry, &context, changes, phases,
    )
    .await?;
    Ok(built.report(&plan))
}
