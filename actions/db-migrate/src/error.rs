//! Everything that ends a migration badly.

use std::path::PathBuf;

use action_kit::{Failure, Position, Reason};
use cluster::{ClusterError, ErrorKind};
use plan::PlanError;
use thiserror::Error;

use crate::apply::revision;
use crate::job::{Kind, Told};

/// A migration cannot start, or did not work.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// No cluster is named.
    #[error("no cluster: neither `kubeconfig` nor `cluster` is given")]
    NoCluster,
    /// Two clusters are named.
    #[error("two clusters: both `kubeconfig` and `cluster` are given")]
    TwoClusters,
    /// No database is named.
    #[error("no database: neither `database-secret` nor `postgresql` is given")]
    NoDatabase,
    /// Two databases are named.
    #[error("two databases: both `database-secret` and `postgresql` are given")]
    TwoDatabases,
    /// The operator's cluster is not enough.
    #[error("`postgresql` names the cluster `{cluster}`, but `database` or `role` is missing")]
    OperatorIncomplete {
        /// The cluster.
        cluster: String,
    },
    /// The cluster refused or broke.
    #[error(transparent)]
    Cluster(#[from] Box<ClusterError>),
    /// The Job's manifest is wrong.
    #[error("write the Job's manifest")]
    Manifest(#[source] serde_json::Error),
    /// A Job does not go away.
    #[error("the ended Job `{job}` is still there {seconds} s after its deletion")]
    StillThere {
        /// The Job.
        job: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The Job ended without a word.
    #[error("the Job `{job}` ended without a result{}{}", status(*exit_code, reason), said(tail))]
    NoResult {
        /// The Job.
        job: String,
        /// Its namespace.
        namespace: String,
        /// The exit status of its container.
        exit_code: Option<i32>,
        /// Why, in the API server's words.
        reason: String,
        /// The end of its log.
        tail: String,
    },
    /// The plan cannot be read or written.
    #[error("{doing} `{}`", file.display())]
    PlanFile {
        /// What was being done.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds no plan.
    #[error("read the plan in `{}`", file.display())]
    NoPlan {
        /// The file.
        file: PathBuf,
        /// Why.
        source: PlanError,
    },
    /// What would be done is not what was reviewed.
    #[error("the plan has changed: {now} would be applied, reviewed was {reviewed}\n{}", differences.join("\n"))]
    PlanChanged {
        /// The reviewed digest.
        reviewed: String,
        /// The digest of what would be done.
        now: String,
        /// What moved.
        differences: Vec<String>,
    },
    /// The database moved between the plan and the lock.
    #[error("the database has moved since the plan was made: it is at `{now}`")]
    Moved {
        /// Where it stands.
        now: String,
    },
    /// Another session migrates.
    #[error("another run migrates this database right now")]
    Locked,
    /// The database does not answer.
    #[error("the database cannot be reached: {error}")]
    Unreachable {
        /// What came last.
        error: String,
    },
    /// The database is ahead of the image.
    #[error("the database is at `{revision}`, which the image does not have")]
    Ahead {
        /// Where the database stands.
        revision: String,
    },
    /// The target cannot be used.
    #[error("go up to `{target}`: {error}")]
    Target {
        /// The target.
        target: String,
        /// Alembic's words.
        error: String,
    },
    /// The image cannot run migrations.
    #[error("{what}: {error}")]
    Image {
        /// What it lacks.
        what: &'static str,
        /// The program's words.
        error: String,
        /// The next step.
        hint: &'static str,
    },
    /// A migration failed.
    #[error(transparent)]
    Migration(#[from] Box<MigrationFailed>),
}

/// A migration that failed, and what came of it.
#[derive(Debug, Error)]
#[error("revision `{revision}` failed: {error}")]
pub struct MigrationFailed {
    /// The revision.
    revision: String,
    /// The database's words.
    error: String,
    /// The statement, where the error has one.
    statement: Option<String>,
    /// Where in the migrations.
    place: Option<Position>,
    /// Where the database stood.
    before: String,
    /// Where it stands, read from it.
    after: Option<String>,
    /// What has stayed.
    applied: Vec<String>,
}

impl From<ClusterError> for MigrateError {
    fn from(error: ClusterError) -> Self {
        Self::Cluster(Box::new(error))
    }
}

impl MigrateError {
    /// Says what a Job told that did not do what it should.
    pub(crate) fn told(told: Told, target: &str) -> Self {
        let before = revision(told.before.as_deref().unwrap_or_default());
        let error = told.error;
        match told.kind {
            Kind::Locked => Self::Locked,
            Kind::Changed => Self::Moved { now: before },
            Kind::Unreachable => Self::Unreachable { error },
            Kind::Unknown => Self::Ahead { revision: before },
            Kind::Target => Self::Target {
                target: target.into(),
                error,
            },
            Kind::Migration => Self::Migration(Box::new(MigrationFailed {
                revision: told.revision.unwrap_or_default(),
                error,
                statement: told.statement,
                place: told.file.map(|file| Position {
                    file: file.into(),
                    line: told.line,
                }),
                before,
                after: told.after.as_deref().map(revision),
                applied: told.applied,
            })),
            Kind::NoAlembic => Self::Image {
                what: "the image has no Alembic",
                error,
                hint: "add `alembic` to the application's dependencies and build the image again",
            },
            Kind::NoConfig => Self::Image {
                what: "the image has no Alembic configuration",
                error,
                hint: "set `alembic-config` to its path in the image, relative to the working directory",
            },
            Kind::Environment | Kind::Ok => Self::Image {
                what: "the application's `env.py` cannot be run",
                error,
                hint: "run `alembic current` in the image with the same variables; give further ones in `env`",
            },
        }
    }
}

impl Failure for MigrateError {
    fn reason(&self) -> Reason {
        match self {
            Self::NoCluster
            | Self::TwoClusters
            | Self::NoDatabase
            | Self::TwoDatabases
            | Self::OperatorIncomplete { .. }
            | Self::PlanFile { .. }
            | Self::NoPlan { .. }
            | Self::Target { .. }
            | Self::Image { .. } => Reason::InvalidInput,
            Self::Cluster(error) => match error.kind() {
                ErrorKind::Input => Reason::InvalidInput,
                ErrorKind::Remote | ErrorKind::NotReady => Reason::RemoteFailed,
                ErrorKind::Locked => Reason::Locked,
                ErrorKind::TimedOut => Reason::TimedOut,
            },
            Self::StillThere { .. } | Self::NoResult { .. } | Self::Migration(_) => {
                Reason::RemoteFailed
            }
            Self::PlanChanged { .. } | Self::Moved { .. } => Reason::PlanChanged,
            Self::Locked => Reason::Locked,
            Self::Unreachable { .. } => Reason::TimedOut,
            Self::Ahead { .. } => Reason::Refused,
            Self::Manifest(_) => Reason::Bug,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoCluster | Self::TwoClusters => {
                "give `kubeconfig` for any cluster, or `cluster` and `region` for one of EKS"
            }
            Self::NoDatabase | Self::TwoDatabases => {
                "name a secret with the database's address in `database-secret`, or a cluster of the postgres-operator in `postgresql`, `database` and `role`"
            }
            Self::OperatorIncomplete { .. } => {
                "give all three: `postgresql`, `database` and `role`"
            }
            Self::Cluster(error) => match &**error {
                ClusterError::Refused { code: 404, .. } => {
                    "the namespace is made by what is deployed there first: the database, or the one that owns its secret"
                }
                error => return error.hints(),
            },
            Self::StillThere { .. } => "look for finalizers on the Job and its pods",
            Self::NoResult {
                job,
                namespace,
                exit_code,
                ..
            } => return no_result(job, namespace, *exit_code),
            Self::PlanFile { .. } | Self::NoPlan { .. } => {
                "`plan-file` is written by `mode: plan` and compared with by `mode: apply`"
            }
            Self::PlanChanged { .. } | Self::Moved { .. } => {
                "nothing was changed: make a new plan, review it, and apply that one"
            }
            Self::Locked => {
                "wait until that run is over and run again; the lock ends with the session that holds it"
            }
            Self::Unreachable { .. } => {
                "look at the database, its secret and network policies between it and the namespace"
            }
            Self::Ahead { .. } => {
                "the image is older than the database: migrations are not taken back, so deploy an image that has this revision, or one that works with the newer schema without migrating"
            }
            Self::Target { .. } => {
                "`alembic heads` lists what there is; several heads are joined by `alembic merge`, or run together by `heads`"
            }
            Self::Image { hint, .. } => hint,
            Self::Migration(failed) => return failed.hints(),
            Self::Manifest(_) => return Vec::new(),
        };
        vec![hint.into()]
    }

    fn position(&self) -> Option<Position> {
        match self {
            Self::Migration(failed) => failed.place.clone(),
            _ => None,
        }
    }
}

impl MigrationFailed {
    fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        if let Some(statement) = &self.statement {
            hints.push(format!("the statement was: {statement}"));
        }
        hints.push(match &self.after {
            Some(after) if *after == self.before => {
                format!("the database is still at `{after}`: nothing of this run has stayed")
            }
            Some(after) => format!(
                "the database is at `{after}`: {} stayed",
                self.applied.join(", ")
            ),
            None => "the database cannot be asked any more where it stands".into(),
        });
        hints.push(
            "correct the migration, build the image and run again: the run starts where the database stands"
                .into(),
        );
        hints
    }
}

fn no_result(job: &str, namespace: &str, exit_code: Option<i32>) -> Vec<String> {
    let mut hints = Vec::new();
    match exit_code {
        Some(137) => hints.push("137 is a kill: raise `memory`, or look at the node".to_owned()),
        Some(127 | 128) => hints.push("the image has no `python` on its PATH".to_owned()),
        _ => {}
    }
    hints.push(format!(
        "`kubectl logs --namespace {namespace} job/{job}` shows the whole log for an hour; `mode: plan` tells where the database stands"
    ));
    hints
}

fn status(exit_code: Option<i32>, reason: &str) -> String {
    let code = exit_code.map(|code| format!("exit status {code}"));
    let reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
    let parts: Vec<String> = code.into_iter().chain(reason).collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(" ({})", parts.join(", "))
    }
}

fn said(tail: &str) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!(":\n{tail}")
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use action_kit::{Failed, Failure as _};
    use cluster::ClusterError;
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::MigrateError;

    fn told(result: Value) -> MigrateError {
        MigrateError::told(serde_json::from_value(result).unwrap(), "head")
    }

    fn shown(errors: impl IntoIterator<Item = MigrateError>) -> String {
        let mut text = String::new();
        for error in errors {
            let reason = error.reason();
            let failed = Failed::from(error);
            let _ = writeln!(
                text,
                "{reason} {}: {}",
                reason.exit_status(),
                failed.chain().join(": ")
            );
            if let Some(position) = failed.failure().position() {
                let line = position.line.unwrap_or_default();
                let _ = writeln!(text, "  at {}:{line}", position.file.display());
            }
            for hint in failed.failure().hints() {
                let _ = writeln!(text, "  hint: {hint}");
            }
        }
        text
    }

    #[test]
    fn what_a_job_tells_is_said_with_the_next_step() {
        let failed = |after: Value, applied: Value| {
            json!({
                "kind": "migration", "error": "UndefinedColumnError: column \"a\" does not exist",
                "revision": "0006", "statement": "CREATE INDEX …", "file": "migrations/0006.py",
                "line": 19, "before": ["0004"], "after": after, "applied": applied,
            })
        };
        let of = |kind: &str, error: &str, before: Value| {
            told(json!({"kind": kind, "error": error, "before": before}))
        };
        assert_snapshot!(shown([
            told(failed(json!(["0004"]), json!([]))),
            told(failed(json!(["0005"]), json!(["0005"]))),
            told(failed(Value::Null, json!([]))),
            of("locked", "", json!([])),
            of("changed", "", json!(["0005"])),
            of("unreachable", "ConnectionRefusedError: no", Value::Null),
            of("unknown", "", json!(["0042"])),
            of("target", "CommandError: Multiple head revisions", json!([])),
            of("no-alembic", "ModuleNotFoundError: No module named 'alembic'", Value::Null),
            of("no-config", "/app/alembic.ini", Value::Null),
            of("environment", "KeyError: 'DATABASE_URL'", Value::Null),
        ]), @r#"
    remote-failed 1: revision `0006` failed: UndefinedColumnError: column "a" does not exist
      at migrations/0006.py:19
      hint: the statement was: CREATE INDEX …
      hint: the database is still at `0004`: nothing of this run has stayed
      hint: correct the migration, build the image and run again: the run starts where the database stands
    remote-failed 1: revision `0006` failed: UndefinedColumnError: column "a" does not exist
      at migrations/0006.py:19
      hint: the statement was: CREATE INDEX …
      hint: the database is at `0005`: 0005 stayed
      hint: correct the migration, build the image and run again: the run starts where the database stands
    remote-failed 1: revision `0006` failed: UndefinedColumnError: column "a" does not exist
      at migrations/0006.py:19
      hint: the statement was: CREATE INDEX …
      hint: the database cannot be asked any more where it stands
      hint: correct the migration, build the image and run again: the run starts where the database stands
    locked 4: another run migrates this database right now
      hint: wait until that run is over and run again; the lock ends with the session that holds it
    plan-changed 3: the database has moved since the plan was made: it is at `0005`
      hint: nothing was changed: make a new plan, review it, and apply that one
    timed-out 1: the database cannot be reached: ConnectionRefusedError: no
      hint: look at the database, its secret and network policies between it and the namespace
    refused 3: the database is at `0042`, which the image does not have
      hint: the image is older than the database: migrations are not taken back, so deploy an image that has this revision, or one that works with the newer schema without migrating
    invalid-input 2: go up to `head`: CommandError: Multiple head revisions
      hint: `alembic heads` lists what there is; several heads are joined by `alembic merge`, or run together by `heads`
    invalid-input 2: the image has no Alembic: ModuleNotFoundError: No module named 'alembic'
      hint: add `alembic` to the application's dependencies and build the image again
    invalid-input 2: the image has no Alembic configuration: /app/alembic.ini
      hint: set `alembic-config` to its path in the image, relative to the working directory
    invalid-input 2: the application's `env.py` cannot be run: KeyError: 'DATABASE_URL'
      hint: run `alembic current` in the image with the same variables; give further ones in `env`
    "#);
    }

    #[test]
    fn what_keeps_a_job_from_telling_is_said_with_the_next_step() {
        let none = |exit_code: Option<i32>| MigrateError::NoResult {
            job: "db-migrate-1".into(),
            namespace: "orders".into(),
            exit_code,
            reason: "BackoffLimitExceeded".into(),
            tail: "the last line".into(),
        };
        let held = ClusterError::Held {
            namespace: "orders".into(),
            name: "a".into(),
            holder: "b".into(),
        };
        let plan = || std::path::PathBuf::from("plan.json");
        assert_snapshot!(shown([
            none(Some(137)),
            none(Some(127)),
            none(None),
            MigrateError::from(held),
            MigrateError::StillThere { job: "db-migrate-1".into(), seconds: 60 },
            MigrateError::PlanChanged {
                reviewed: "sha256:1".into(),
                now: "sha256:2".into(),
                differences: vec!["new: > run 0006".into()],
            },
            MigrateError::PlanFile {
                doing: "read the plan in",
                file: plan(),
                source: std::io::Error::other("no"),
            },
            MigrateError::NoPlan {
                file: plan(),
                source: plan::Plan::parse("{").unwrap_err(),
            },
            MigrateError::Manifest(serde_json::from_str::<u8>("x").unwrap_err()),
        ]), @r#"
    remote-failed 1: the Job `db-migrate-1` ended without a result (exit status 137, BackoffLimitExceeded):
    the last line
      hint: 137 is a kill: raise `memory`, or look at the node
      hint: `kubectl logs --namespace orders job/db-migrate-1` shows the whole log for an hour; `mode: plan` tells where the database stands
    remote-failed 1: the Job `db-migrate-1` ended without a result (exit status 127, BackoffLimitExceeded):
    the last line
      hint: the image has no `python` on its PATH
      hint: `kubectl logs --namespace orders job/db-migrate-1` shows the whole log for an hour; `mode: plan` tells where the database stands
    remote-failed 1: the Job `db-migrate-1` ended without a result (BackoffLimitExceeded):
    the last line
      hint: `kubectl logs --namespace orders job/db-migrate-1` shows the whole log for an hour; `mode: plan` tells where the database stands
    locked 4: the lease `orders/a` is held by `b`
      hint: wait until that run is over and run again; a run that died loses its lease by itself after a few seconds
    remote-failed 1: the ended Job `db-migrate-1` is still there 60 s after its deletion
      hint: look for finalizers on the Job and its pods
    plan-changed 3: the plan has changed: sha256:2 would be applied, reviewed was sha256:1
    new: > run 0006
      hint: nothing was changed: make a new plan, review it, and apply that one
    invalid-input 2: read the plan in `plan.json`: no
      hint: `plan-file` is written by `mode: plan` and compared with by `mode: apply`
    invalid-input 2: read the plan in `plan.json`: read a plan: EOF while parsing an object at line 1 column 1
      hint: `plan-file` is written by `mode: plan` and compared with by `mode: apply`
    bug 70: write the Job's manifest: expected value at line 1 column 1
    "#);
    }
}
