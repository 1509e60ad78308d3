//! Where the database stands and what is pending, asked by a Job that changes nothing.

use std::collections::BTreeMap;

use crate::Run;
use crate::error::MigrateError;
use crate::job::{Jobs, Kind, Operation, Order, Pending, Pod, Told};

/// What the database and the image say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Revisions of the database: none when it was never migrated, several when it has branches.
    pub(crate) before: Vec<String>,
    /// What is to run, in its order.
    pub(crate) pending: Vec<Pending>,
}

/// A database may take this long to answer.
const PATIENCE_SECONDS: u64 = 120;

impl Run {
    /// Asks by a Job, and deletes it when it has answered.
    pub(crate) async fn observe(&self) -> Result<Observed, MigrateError> {
        let jobs = Jobs::new(
            &self.cluster,
            &self.context.console,
            self.inputs.namespace.as_str(),
        );
        let job = self.pod().job(
            &self.order(Operation::Observe, &[]),
            self.left().as_secs(),
            &BTreeMap::new(),
        );
        let begun = jobs.create("db-migrate-plan-", job).await?;
        tracing::info!("job {}: asks the database where it stands", begun.name);
        let told = jobs.follow(&begun.name, self.left(), false).await?;
        jobs.delete(&begun.name).await?;
        match told {
            Told {
                kind: Kind::Ok,
                before: Some(before),
                pending,
                ..
            } => Ok(Observed { before, pending }),
            told => Err(MigrateError::told(told, &self.inputs.target)),
        }
    }

    pub(crate) fn pod(&self) -> Pod<'_> {
        Pod {
            inputs: &self.inputs,
            database: &self.database,
        }
    }

    pub(crate) fn order<'a>(&'a self, operation: Operation, expected: &'a [String]) -> Order<'a> {
        Order {
            operation,
            target: &self.inputs.target,
            config: &self.inputs.alembic_config,
            wait: PATIENCE_SECONDS.min(self.left().as_secs() / 2),
            expected,
        }
    }
}
