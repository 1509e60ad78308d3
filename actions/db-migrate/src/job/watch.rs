//! A Job's life: created or found, followed, and asked for its result.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use action_kit::Console;
use cluster::{Cluster, ClusterError, ErrorKind, JobEnd};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, LogParams, PostParams};
use serde_json::Value;

use crate::error::MigrateError;
use crate::job::event::{Event, Told, parse};

/// How many lines of the log an error repeats.
const TAIL: usize = 15;
/// How long a deleted Job may take to be gone.
const DELETION: Duration = Duration::from_mins(1);

/// The Jobs of a namespace.
pub(crate) struct Jobs<'a> {
    cluster: &'a Cluster,
    console: &'a Console,
    namespace: &'a str,
    api: Api<Job>,
}

/// A Job that is at work.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) name: String,
    /// Whether another run made it.
    pub(crate) found: bool,
    pub(crate) annotations: BTreeMap<String, String>,
}

impl<'a> Jobs<'a> {
    pub(crate) fn new(cluster: &'a Cluster, console: &'a Console, namespace: &'a str) -> Self {
        Self {
            cluster,
            console,
            namespace,
            api: Api::namespaced(cluster.client(), namespace),
        }
    }

    /// Finds a Job that is still at work; one that has ended is deleted.
    pub(crate) async fn at_work(&self, name: &str) -> Result<Option<Begun>, MigrateError> {
        let Some(job) = self.get(name).await? else {
            return Ok(None);
        };
        if has_ended(&job) || job.metadata.deletion_timestamp.is_some() {
            self.delete(name).await?;
            self.wait_until_gone(name).await?;
            return Ok(None);
        }
        Ok(Some(Begun::new(job, true)))
    }

    /// Creates a Job; one of the same name that another run has just made is taken for it. A name
    /// that ends with `-` is completed by the API server.
    pub(crate) async fn create(&self, name: &str, mut job: Value) -> Result<Begun, MigrateError> {
        let field = if name.ends_with('-') {
            "generateName"
        } else {
            "name"
        };
        job["metadata"][field] = name.into();
        let job: Job = serde_json::from_value(job).map_err(MigrateError::Manifest)?;
        match self.api.create(&PostParams::default(), &job).await {
            Ok(job) => Ok(Begun::new(job, false)),
            Err(kube::Error::Api(status)) if status.code == 409 => match self.get(name).await? {
                Some(job) => Ok(Begun::new(job, true)),
                None => Err(self.refused("create", name, kube::Error::Api(status))),
            },
            Err(error) => Err(self.refused("create", name, error)),
        }
    }

    /// Follows a Job to its end and gives what its program told. `loud` shows its log as it comes.
    /// A Job whose pod cannot start is deleted: nothing of it ran, and the next run would find it
    /// as it is.
    pub(crate) async fn follow(
        &self,
        name: &str,
        left: Duration,
        loud: bool,
    ) -> Result<Told, MigrateError> {
        let told = self.listen(name, left, loud).await;
        if let Err(MigrateError::Cluster(error)) = &told
            && error.kind() == ErrorKind::NotReady
        {
            self.delete(name).await?;
        }
        told
    }

    async fn listen(&self, name: &str, left: Duration, loud: bool) -> Result<Told, MigrateError> {
        let mut told = None;
        let mut tail = VecDeque::new();
        let end = self
            .cluster
            .follow_job(self.namespace, name, left, |line| {
                told = told.take().or_else(|| self.hear(line, loud, &mut tail));
            })
            .await?;
        if told.is_none() {
            // The stream of a log can end before the log does.
            told = self.read_again(&end).await?;
        }
        told.ok_or_else(|| MigrateError::NoResult {
            job: name.into(),
            namespace: self.namespace.into(),
            exit_code: end.exit_code,
            reason: end.reason,
            tail: Vec::from(tail).join("\n"),
        })
    }

    fn hear(&self, line: &str, loud: bool, tail: &mut VecDeque<String>) -> Option<Told> {
        match parse(line) {
            Some(Event::Result(told)) => return Some(told),
            Some(Event::Waiting { error }) => {
                self.console
                    .progress(format!("waiting for the database: {error}"));
            }
            Some(Event::Running { revision, message }) => {
                self.console.progress(format!("{revision} runs: {message}"));
            }
            Some(Event::Ran {
                revision,
                milliseconds,
            }) => self
                .console
                .progress(format!("{revision} is through after {milliseconds} ms")),
            Some(Event::Note { text }) => self.console.progress(text),
            None => {
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(line.to_owned());
                // What a migration prints must not be a command to the runner, which wants those
                // at the start of a line.
                if loud {
                    self.console.line(format!("│ {line}"));
                } else {
                    tracing::debug!("log: {line}");
                }
            }
        }
        None
    }

    async fn read_again(&self, end: &JobEnd) -> Result<Option<Told>, MigrateError> {
        let Some(pod) = end.pods.last() else {
            return Ok(None);
        };
        let pods: Api<Pod> = Api::namespaced(self.cluster.client(), self.namespace);
        let log = pods
            .logs(pod, &LogParams::default())
            .await
            .map_err(|error| ClusterError::of(format!("read the log of pod `{pod}`"), error))?;
        Ok(log.lines().find_map(|line| match parse(line) {
            Some(Event::Result(told)) => Some(told),
            _ => None,
        }))
    }

    /// Deletes a Job and, in the background, its pods.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), MigrateError> {
        match self.api.delete(name, &DeleteParams::background()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(self.refused("delete", name, error)),
        }
    }

    async fn wait_until_gone(&self, name: &str) -> Result<(), MigrateError> {
        let started = Instant::now();
        while self.get(name).await?.is_some() {
            if started.elapsed() > DELETION {
                return Err(MigrateError::StillThere {
                    job: name.into(),
                    seconds: DELETION.as_secs(),
                });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<Option<Job>, MigrateError> {
        let found = self.api.get_opt(name).await;
        found.map_err(|error| self.refused("read", name, error))
    }

    fn refused(&self, doing: &str, name: &str, error: kube::Error) -> MigrateError {
        ClusterError::of(
            format!("{doing} Job `{name}` in `{}`", self.namespace),
            error,
        )
        .into()
    }
}

impl Begun {
    fn new(job: Job, found: bool) -> Self {
        Self {
            name: job.name_any(),
            found,
            annotations: job.metadata.annotations.unwrap_or_default(),
        }
    }
}

fn has_ended(job: &Job) -> bool {
    let conditions = job
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| {
        matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True"
    })
}
