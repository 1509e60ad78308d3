//! Runs what is pending, by a Job that a killed run leaves at work and the next run finds.

use std::collections::BTreeMap;

use action_kit::{Failed, Outcome, Report};
use plan::{Digest, Plan};
use serde_json::json;

use crate::error::MigrateError;
use crate::job::{Begun, Jobs, Kind, Operation, Told};
use crate::{Run, report};

/// Annotation that holds the digest of the plan that a Job carries out.
const PLAN_DIGEST: &str = "fastapi-eks-actions/plan-digest";
/// Annotations for people.
const IMAGE: &str = "fastapi-eks-actions/image";
const TARGET: &str = "fastapi-eks-actions/target";
const RUN: &str = "fastapi-eks-actions/run";

impl Run {
    pub(crate) async fn apply(&self) -> Result<Report, Failed> {
        let jobs = Jobs::new(
            &self.cluster,
            &self.context.console,
            self.inputs.namespace.as_str(),
        );
        let name = self.job_name();
        if let Some(begun) = jobs.at_work(&name).await? {
            return self.finish(&jobs, begun).await;
        }
        let observed = self.observe().await?;
        let plan = self.plan_of(&observed);
        self.compare(&plan)?;
        if plan.is_empty() {
            return Ok(report::unchanged(&observed, &plan));
        }
        tracing::info!("{}", plan.to_text());
        let job = self.pod().job(
            &self.order(Operation::Apply, &observed.before),
            self.left().as_secs(),
            &self.annotations(&plan),
        );
        let begun = jobs.create(&name, job).await?;
        self.finish(&jobs, begun).await
    }

    async fn finish(&self, jobs: &Jobs<'_>, begun: Begun) -> Result<Report, Failed> {
        let digest = begun.annotations.get(PLAN_DIGEST).cloned();
        if begun.found {
            tracing::info!("job {}: another run began it, following it", begun.name);
            self.compare_found(digest.as_deref())?;
        } else {
            tracing::info!("job {}: migrates", begun.name);
        }
        let told = match jobs.follow(&begun.name, self.left(), true).await {
            Ok(told) => told,
            Err(error @ MigrateError::NoResult { .. }) => return Err(self.ask(error).await),
            Err(error) => return Err(error.into()),
        };
        let report = report::applied(&told, digest.as_deref());
        match told.kind {
            Kind::Ok => Ok(report),
            _ => Err(Failed::from(MigrateError::told(told, &self.inputs.target)).with(report)),
        }
    }

    /// Asks the database where it stands after a Job that could not say so itself.
    async fn ask(&self, error: MigrateError) -> Failed {
        let failed = Failed::from(error);
        match self.observe().await {
            Ok(observed) => {
                let now = revision(&observed.before);
                tracing::info!("the database is at {now}");
                failed.with(Report::new(Outcome::Failed).output("revision-after", now))
            }
            Err(unknown) => {
                tracing::warn!("where the database stands cannot be told: {unknown}");
                failed
            }
        }
    }

    /// Gives the same name to the same work, so that it is not done twice at once.
    fn job_name(&self) -> String {
        let work = Digest::of_json(&json!({
            "image": self.inputs.image.to_string(),
            "target": self.inputs.target,
            "database": self.database.to_string(),
        }));
        format!("db-migrate-{}", work.short())
    }

    fn annotations(&self, plan: &Plan) -> BTreeMap<&'static str, String> {
        let mut annotations = BTreeMap::from([
            (PLAN_DIGEST, plan.digest().to_string()),
            (IMAGE, self.inputs.image.to_string()),
            (TARGET, self.inputs.target.clone()),
        ]);
        if let Some(run) = self.context.environment.run_url() {
            annotations.insert(RUN, run);
        }
        annotations
    }

    /// Refuses a plan that is not the reviewed one.
    fn compare(&self, plan: &Plan) -> Result<(), MigrateError> {
        let now = plan.digest();
        if let Some(file) = &self.inputs.plan_file {
            let path = self.context.path(file);
            let reviewed = report::load(&path, file)?;
            if reviewed.digest() != now {
                return Err(MigrateError::PlanChanged {
                    reviewed: reviewed.digest().to_string(),
                    now: now.to_string(),
                    differences: plan.differences(&reviewed),
                });
            }
        }
        match &self.inputs.plan_digest {
            Some(reviewed) if *reviewed != now => Err(MigrateError::PlanChanged {
                reviewed: reviewed.to_string(),
                now: now.to_string(),
                differences: vec![plan.to_text()],
            }),
            _ => Ok(()),
        }
    }

    /// Refuses to answer for a Job that carries out another plan than the reviewed one.
    fn compare_found(&self, digest: Option<&str>) -> Result<(), MigrateError> {
        match (&self.inputs.plan_digest, digest) {
            (Some(reviewed), Some(now)) if reviewed.as_str() != now => {
                Err(MigrateError::PlanChanged {
                    reviewed: reviewed.to_string(),
                    now: now.into(),
                    differences: vec!["another run carries out its own plan right now".into()],
                })
            }
            _ => Ok(()),
        }
    }
}

/// Gives a revision's name, or Alembic's word for a database that has none.
pub(crate) fn revision(heads: &[String]) -> String {
    if heads.is_empty() {
        "base".into()
    } else {
        heads.join(", ")
    }
}

/// Gives where the database stands at the end, as far as it is known.
pub(crate) fn after(told: &Told) -> Option<String> {
    told.after.as_deref().map(revision)
}
