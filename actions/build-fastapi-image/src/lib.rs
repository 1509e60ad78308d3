//! Builds a FastAPI application into an OCI image, from its lock file, without Docker.
//!
//! The packages that `uv.lock` names are installed by `uv` as one layer, the application is a
//! second one, both on top of a base image with Python. Equal input gives an equal digest.

mod app;
mod apply;
mod base;
mod bytecode;
mod error;
mod exclude;
mod inputs;
mod lock;
mod observe;
mod plan;
mod project;
mod python;
mod root;
mod uv;
mod venv;

use action_kit::{Context, Failed, Metadata, Outcome, Report};
use oci_registry::Registry;

pub use error::BuildError;
pub use inputs::{Inputs, Mode};
pub use root::{IN_ROOT, in_root};

/// The action, as its `action.yml` describes it.
pub const METADATA: Metadata = Metadata {
    name: "build-fastapi-image",
    title: "Build a FastAPI image",
    description: "Builds a FastAPI application into an OCI image from its uv.lock: no Docker daemon, no Dockerfile, the same digest on any machine.",
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
    let request = inputs.check(&context)?;
    let observed = observe::observe(&request, &registry).await?;
    let plan = plan::plan(&request, &observed)?;
    tracing::info!(
        "base image {} with Python {}",
        observed.base.name,
        plan.python
    );
    tracing::info!("application {} of {} files", plan.app, plan.files.len());
    if inputs.mode == Mode::Plan {
        return Ok(plan.report(Outcome::Planned));
    }
    let built = apply::apply(&request, &plan, &observed, &registry, &context).await?;
    Ok(built.report(&plan))
}
