//! Deploys a Helm release, follows it until it is ready, and says why when it does not become so.
//!
//! [Helm](helm) renders and applies; what it is asked to do is decided by [`plan`] from what
//! [`observe`] saw, and everything after the objects are applied (following, diagnosis, going back)
//! is done here. Helm's history stays as Helm writes it.

mod access;
mod apply;
mod chart;
pub mod drift;
mod error;
pub mod foresee;
mod helm;
pub mod inputs;
mod manifest;
mod observe;
pub mod plan;
pub mod platform;
pub mod pods;
mod revert;
mod review;
mod session;
pub mod split;
mod steps;
mod traffic;

pub use error::DeployError;
pub use helm::Revision;
pub use inputs::{Inputs, Mode, Subject};
pub use manifest::{ObjectId, Objects, changed_fields, difference, objects};
pub use traffic::{FailedRequest, Tally};

use std::sync::Arc;

use action_kit::{Context, Failed, Metadata, Report};

/// What the action is.
pub const METADATA: Metadata = Metadata {
    name: "helm-deploy",
    title: "Deploy with Helm",
    description: "Installs or upgrades a Helm release, follows it until it is ready, says within seconds why it does not become ready, and goes back.",
    outputs: &[
        ("release", "The release"),
        ("namespace", "The release's namespace"),
        ("revision", "The revision that is deployed now"),
        (
            "previous-revision",
            "The revision that was deployed before; empty for a first installation",
        ),
        ("image", "The image that was given, by its digest"),
        (
            "drifted",
            "How many objects are not what the release says, found by `drift`",
        ),
        (
            "outcomes",
            "The outcome of each release of a `platform`: a JSON object, by the releases' names",
        ),
    ],
    icon: "anchor",
    color: "blue",
};

/// Runs the action.
pub async fn run(inputs: Inputs, context: Context) -> Result<Report, Failed> {
    let release = match inputs.subject().map_err(DeployError::from)? {
        Subject::Release(release) => release,
        Subject::Platform(file) => return platform::run(&file, inputs, context).await,
    };
    let mode = inputs.mode;
    inputs.agree()?;
    let access = Arc::new(access::Access::open(&inputs, &context).await?);
    let session = session::Session::open(access, release, inputs, context)?;
    Ok(match mode {
        Mode::Plan => return review::show(&session).await,
        Mode::Drift => return drift::show(&session).await,
        Mode::Apply => apply::apply(&session).await?,
        Mode::Rollback => revert::rollback(&session).await?,
        Mode::Uninstall => revert::uninstall(&session).await?,
        Mode::Pin => return Err(DeployError::from(inputs::SubjectError::Pin).into()),
    })
}
