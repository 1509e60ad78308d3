//! Migrates a database with Alembic, as a Kubernetes Job from the very image that is to be deployed.
//!
//! [`observe`] asks the database, by a Job, where it stands and what is pending; [`plan`] turns the
//! answer into a plan without any input or output; [`apply`] runs the migrations by another Job,
//! which takes a lock in the database and refuses when the database has moved since. A run that is
//! killed leaves its Job at work, and the next run finds and follows it.

mod access;
mod apply;
mod database;
mod error;
mod inputs;
mod job;
mod observe;
mod plan;
mod report;

use std::time::{Duration, Instant};

use ::plan::Plan;
use action_kit::{Context, Failed, Metadata, Mode, Report};
use cluster::Cluster;

pub use error::MigrateError;
pub use inputs::Inputs;

use database::Database;

/// Describes the action.
pub const METADATA: Metadata = Metadata {
    name: "db-migrate",
    title: "Migrate a database",
    description: "Plans and runs Alembic migrations as a Kubernetes Job from the image that is to be deployed.",
    outputs: &[
        (
            "revision-before",
            "Revision of the database when the run began; `base` when it had none",
        ),
        (
            "revision-after",
            "Revision of the database when the run ended",
        ),
        ("applied", "Revisions that were applied, one a line"),
        (
            "pending",
            "Revisions that the image has and the database has not, one a line",
        ),
    ],
    icon: "database",
    color: "purple",
};

/// A run: what is asked for, where, and until when.
struct Run {
    inputs: Inputs,
    context: Context,
    database: Database,
    cluster: Cluster,
    deadline: Instant,
}

/// Runs the action.
pub async fn run(inputs: Inputs, context: Context) -> Result<Report, Failed> {
    let deadline = Instant::now() + Duration::from_secs(inputs.timeout_seconds.into());
    let database = Database::of(&inputs)?;
    let cluster = access::connect(&inputs, &context).await?;
    let run = Run {
        inputs,
        context,
        database,
        cluster,
        deadline,
    };
    match run.inputs.mode {
        Mode::Plan => run.plan().await,
        Mode::Apply => run.apply().await,
    }
}

impl Run {
    async fn plan(&self) -> Result<Report, Failed> {
        let observed = self.observe().await?;
        let plan = self.plan_of(&observed);
        if let Some(file) = &self.inputs.plan_file {
            report::save(&plan, &self.context.path(file)).map_err(|source| {
                MigrateError::PlanFile {
                    doing: "write the plan to",
                    file: file.clone(),
                    source,
                }
            })?;
        }
        let report = report::planned(&observed, &plan);
        let place = self.inputs.cluster.as_deref();
        let comment = &self.inputs.pull_request;
        Ok(comment.show(&self.context, &plan, place, report).await)
    }

    fn plan_of(&self, observed: &observe::Observed) -> Plan {
        let question = plan::Question {
            namespace: self.inputs.namespace.as_str(),
            database: &self.database.to_string(),
            image: self.inputs.image.digest(),
            target: &self.inputs.target,
        };
        plan::plan(&question, observed, &jiff::Timestamp::now().to_string())
    }

    /// Gives the time that is left.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}
