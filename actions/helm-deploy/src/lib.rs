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
pub mod pods;
mod revert;
mod review;
mod session;

pub use error::DeployError;
pub use helm::Revision;
pub use inputs::{Inputs, Mode};
pub use manifest::{ObjectId, Objects, changed_fields, difference, objects};

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
    ],
    icon: "anchor",
    color: "blue",
};

/// Runs the action.
pub async fn run(inputs: Inputs, context: Context) -> Result<Report, Failed> {
    let mode = inputs.mode;
    let session = session::Session::open(inputs, context).await?;
    Ok(match mode {
        Mode::Plan => return review::show(&session).await,
        Mode::Drift => return drift::show(&session).await,
        Mode::Apply => apply::apply(&session).await?,
        Mode::Rollback => revert::rollback(&session).await?,
        Mode::Uninstall => revert::uninstall(&session).await?,
    })
}
