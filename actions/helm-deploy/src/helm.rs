//! The `helm` program: each call in its own scratch folder, its answers as values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use action_kit::{Command, CommandError, Context};
use cluster::Cluster;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::chart::Chart;
use crate::error::DeployError;
use crate::inputs::{Image, Inputs};

/// How many revisions Helm keeps.
const HISTORY: u32 = 10;

/// What Helm reads of the environment.
const VARIABLES: [&str; 5] = [
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "DOCKER_CONFIG",
    "HELM_REGISTRY_CONFIG",
];
/// What a program that gets a token for the cluster reads of it.
const AWS_VARIABLES: [&str; 6] = [
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
];

/// Helm, pointed to a cluster, a release and its namespace.
#[derive(Debug)]
pub(crate) struct Helm {
    scratch: TempDir,
    release: String,
    namespace: String,
    variables: BTreeMap<&'static str, String>,
}

/// What is to be deployed, as Helm takes it.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The chart's name for people.
    pub name: String,
    /// How Helm is pointed to the chart.
    chart: Vec<String>,
    /// The values' arguments.
    values: Vec<String>,
    /// The last values file, where messages about values point to.
    pub file: Option<PathBuf>,
}

/// A revision of a release.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Revision {
    /// Its number.
    pub revision: u32,
    /// Helm's word for how it is: `deployed`, `superseded`, `failed`, `pending-upgrade` …
    pub status: String,
}

/// A release as Helm renders or keeps it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Rendered {
    /// The objects, as YAML documents; a chart of hooks alone has none.
    #[serde(default)]
    pub manifest: String,
    /// The values that the user gave.
    #[serde(default)]
    pub config: Option<Value>,
    /// The hooks.
    #[serde(default)]
    hooks: Vec<Hook>,
    /// The revision.
    pub version: u32,
    /// How its objects are applied: `ssa` on the server, else by Helm's own patches.
    #[serde(default)]
    pub apply_method: String,
}

/// How a release is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rendering {
    /// The API server checks every object.
    Checked,
    /// Nobody checks: the kinds of some objects are not known yet.
    Unchecked,
    /// As a first installation, since Helm upgrades nothing while a revision is pending.
    BesidePending,
}

/// An object that runs before or after the others.
#[derive(Clone, Debug, Deserialize)]
struct Hook {
    manifest: String,
}

impl Rendered {
    /// Gives the hooks as YAML documents.
    pub(crate) fn hooks(&self) -> String {
        let hooks: Vec<&str> = self
            .hooks
            .iter()
            .map(|hook| hook.manifest.as_str())
            .collect();
        hooks.join("\n---\n")
    }
}

impl Wanted {
    /// Takes chart and values from the inputs; `archive` is the chart, when it was fetched already.
    pub(crate) fn new(
        inputs: &Inputs,
        archive: Option<&Path>,
        context: &Context,
        scratch: &Path,
    ) -> Result<Self, DeployError> {
        let mut values = Vec::new();
        for file in &inputs.values {
            let path = context.path(file);
            if !path.is_file() {
                return Err(DeployError::NoValuesFile { file: file.clone() });
            }
            values.extend(["--values".into(), path.display().to_string()]);
        }
        for assignment in &inputs.set {
            values.extend(["--set".into(), assignment.as_str().into()]);
        }
        if let Some(Image { repository, digest }) = &inputs.image {
            values.extend([
                "--set-string".into(),
                format!("image.repository={repository},image.digest={digest}"),
            ]);
        }
        Ok(Self {
            name: inputs.chart.clone(),
            chart: match archive {
                Some(archive) => vec![archive.display().to_string()],
                None => chart(inputs, context, scratch)?,
            },
            values,
            file: inputs.values.last().cloned(),
        })
    }
}

/// Gives the words by which `helm` is pointed to the chart of the inputs.
fn chart(inputs: &Inputs, context: &Context, scratch: &Path) -> Result<Vec<String>, DeployError> {
    let repository = inputs.chart_repository.as_deref();
    let workspace = context.environment.workspace();
    let mut words = Chart::find(&inputs.chart, repository, &workspace)?.arguments(scratch)?;
    if let Some(version) = &inputs.chart_version {
        words.extend(["--version".into(), version.clone()]);
    }
    Ok(words)
}

impl Helm {
    /// Points Helm to a cluster. The kubeconfig that it reads lies in a folder that only this user
    /// can open and that goes away with the value.
    pub(crate) fn new(
        cluster: &Cluster,
        release: &str,
        namespace: &str,
        context: &Context,
    ) -> Result<Self, DeployError> {
        let mut helm = Self::without_cluster(context)?;
        fs_err::write(helm.scratch().join("kubeconfig"), cluster.kubeconfig())
            .map_err(DeployError::Scratch)?;
        if cluster.runs_a_program() {
            helm.pass(context, &AWS_VARIABLES);
        }
        Ok(Self {
            release: release.into(),
            namespace: namespace.into(),
            ..helm
        })
    }

    /// Prepares Helm for what needs no cluster.
    pub(crate) fn without_cluster(context: &Context) -> Result<Self, DeployError> {
        let mut helm = Self {
            scratch: TempDir::with_prefix("helm-deploy-").map_err(DeployError::Scratch)?,
            release: String::new(),
            namespace: String::new(),
            variables: BTreeMap::new(),
        };
        helm.pass(context, &VARIABLES);
        Ok(helm)
    }

    fn pass(&mut self, context: &Context, names: &[&'static str]) {
        for name in names {
            if let Some(value) = context.environment.get(name) {
                self.variables.insert(*name, value.to_owned());
            }
        }
    }

    /// Gives the folder for what lives as long as the run.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Fetches a chart from a registry or a repository; gives its archive, which stays as long as
    /// the run.
    pub(crate) async fn pull(
        &self,
        chart: &str,
        repository: Option<&str>,
        version: &str,
    ) -> Result<PathBuf, DeployError> {
        let folder = TempDir::new_in(self.scratch()).map_err(DeployError::Scratch)?;
        let folder = folder.keep();
        let place = folder.display().to_string();
        let mut arguments = vec!["pull", chart, "--version", version, "--destination", &place];
        if let Some(url) = repository {
            arguments.extend(["--repo", url]);
        }
        let answer = self.run(&arguments).await;
        answer.map_err(|error| unloaded(error, chart))?;
        let mut files = fs_err::read_dir(&folder).map_err(DeployError::Scratch)?;
        let archive = files.find_map(|entry| Some(entry.ok()?.path()));
        archive.ok_or_else(|| DeployError::Chart {
            chart: chart.into(),
            message: "`helm pull` wrote no archive".into(),
        })
    }

    /// Renders what an upgrade would apply.
    pub(crate) async fn render(
        &self,
        wanted: &Wanted,
        how: Rendering,
    ) -> Result<Rendered, DeployError> {
        let release = self.release.as_str();
        let (verb, dry_run): (&[&str], &str) = match how {
            Rendering::Checked => (&["upgrade", release, "--install"], "--dry-run=server"),
            Rendering::Unchecked => (&["upgrade", release, "--install"], "--dry-run=client"),
            Rendering::BesidePending => (&["install", release], "--dry-run=server"),
        };
        let arguments = [
            verb,
            strings(&wanted.chart).as_slice(),
            &["--skip-crds", "--output", "json", dry_run],
            strings(&wanted.values).as_slice(),
        ]
        .concat();
        let answer = self.run(&arguments).await;
        let answer = answer.map_err(|error| refused(error, wanted, "render the release"))?;
        parse("the rendered release", &answer)
    }

    /// Gives the manifests of the CRDs that the chart brings.
    pub(crate) async fn crds(&self, wanted: &Wanted) -> Result<String, DeployError> {
        let arguments = [&["show", "crds"], strings(&wanted.chart).as_slice()].concat();
        let answer = self.run(&arguments).await;
        answer.map_err(|error| unloaded(error, &wanted.name))
    }

    /// Installs or upgrades, and returns as soon as the objects are applied and the hooks are done.
    pub(crate) async fn upgrade(
        &self,
        wanted: &Wanted,
        timeout: Duration,
    ) -> Result<Rendered, DeployError> {
        let timeout = format!("{}s", timeout.as_secs());
        let history = HISTORY.to_string();
        let arguments = [
            &["upgrade", &self.release],
            strings(&wanted.chart).as_slice(),
            &[
                "--install",
                "--skip-crds",
                "--output",
                "json",
                "--timeout",
                &timeout,
                "--history-max",
                &history,
            ],
            strings(&wanted.values).as_slice(),
        ]
        .concat();
        let answer = self.run(&arguments).await;
        let answer = answer.map_err(|error| refused(error, wanted, "apply the release"))?;
        parse("the applied release", &answer)
    }

    /// Goes back to a revision's manifests, as a new revision.
    pub(crate) async fn rollback(
        &self,
        revision: u32,
        timeout: Duration,
    ) -> Result<(), DeployError> {
        let timeout = format!("{}s", timeout.as_secs());
        let revision = revision.to_string();
        let answer = self
            .run(&["rollback", &self.release, &revision, "--timeout", &timeout])
            .await;
        answer.map_err(|error| ended(error, &format!("go back to revision {revision}")))?;
        Ok(())
    }

    /// Takes the release out of the cluster and waits until its objects are gone.
    pub(crate) async fn uninstall(&self, timeout: Duration) -> Result<(), DeployError> {
        let timeout = format!("{}s", timeout.as_secs());
        let answer = self
            .run(&[
                "uninstall",
                &self.release,
                "--ignore-not-found",
                "--wait",
                "--timeout",
                &timeout,
            ])
            .await;
        answer.map_err(|error| ended(error, "uninstall the release"))?;
        Ok(())
    }

    /// Lists the revisions that are kept, the oldest first; none when there is no such release.
    pub(crate) async fn history(&self) -> Result<Vec<Revision>, DeployError> {
        match self
            .run(&["history", &self.release, "--output", "json"])
            .await
        {
            Ok(answer) => {
                let mut revisions: Vec<Revision> = parse("the history", &answer)?;
                revisions.sort_by_key(|revision| revision.revision);
                Ok(revisions)
            }
            Err(CommandError::Status { tail, .. }) if tail.contains("not found") => Ok(Vec::new()),
            Err(error) => Err(ended(error, "read the release's history")),
        }
    }

    /// Reads a revision: its objects, hooks and values.
    pub(crate) async fn get(&self, revision: u32) -> Result<Rendered, DeployError> {
        let number = revision.to_string();
        let answer = self
            .run(&[
                "status",
                &self.release,
                "--revision",
                &number,
                "--output",
                "json",
            ])
            .await;
        let answer = answer.map_err(|error| ended(error, &format!("read revision {number}")))?;
        parse("a revision", &answer)
    }

    async fn run(&self, arguments: &[&str]) -> Result<String, CommandError> {
        let folder = self.scratch.path();
        let mut command = Command::new("helm")
            .args(arguments)
            .arg("--namespace")
            .arg(&self.namespace)
            .arg("--kubeconfig")
            .arg(folder.join("kubeconfig"))
            .env("HELM_CACHE_HOME", folder.join("cache"))
            .env("HELM_DATA_HOME", folder.join("data"));
        for (name, value) in &self.variables {
            command = command.env(name, value);
        }
        Ok(command.output_async().await?.stdout)
    }
}

fn strings(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn parse<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, DeployError> {
    serde_json::from_str(text).map_err(|source| DeployError::Answer { what, source })
}

fn ended(error: CommandError, doing: &str) -> DeployError {
    match error {
        CommandError::Status { tail, .. } => DeployError::Helm {
            doing: doing.into(),
            message: plain(&tail),
        },
        error @ CommandError::Start { .. } => DeployError::Program(error),
    }
}

fn unloaded(error: CommandError, chart: &str) -> DeployError {
    match error {
        CommandError::Status { tail, .. } => DeployError::Chart {
            chart: chart.into(),
            message: plain(&tail),
        },
        error @ CommandError::Start { .. } => DeployError::Program(error),
    }
}

/// Tells values that a chart refuses from a chart that cannot be had and from a cluster that
/// refuses.
fn refused(error: CommandError, wanted: &Wanted, doing: &str) -> DeployError {
    let CommandError::Status { tail, .. } = error else {
        return DeployError::Program(error);
    };
    let message = plain(&tail);
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let chart = wanted.name.clone();
    if says(&[
        "values don't meet the specifications",
        "execution error at",
        "parse error at",
        "failed parsing --set",
        "YAML parse error",
        "error calling",
        "failed to parse",
    ]) {
        return DeployError::Values {
            chart,
            message: told(&message),
            file: wanted.file.clone(),
        };
    }
    if says(&[
        "Chart.yaml",
        "failed to download",
        "chart not found",
        "failed to fetch",
        "pull access denied",
        "failed to authorize",
        "improper constraint",
        "no chart version found",
        "failed to perform",
        "chart requires kubeVersion",
    ]) {
        return DeployError::Chart { chart, message };
    }
    DeployError::Helm {
        doing: doing.into(),
        message,
    }
}

/// Takes away the prefix and the lines that only log.
fn plain(tail: &str) -> String {
    let lines: Vec<&str> = tail
        .lines()
        .filter(|line| !line.starts_with("level=") && !line.trim().is_empty())
        .map(|line| {
            let line = line.trim_start_matches("Error: ").trim();
            line.trim_start_matches("UPGRADE FAILED: ")
                .trim_start_matches("INSTALLATION FAILED: ")
        })
        .collect();
    lines.join(" ")
}

/// Gives the words of a template's own `fail`, or of the schema, without Helm's around them.
fn told(message: &str) -> String {
    let inner = message
        .rsplit_once("error calling fail: ")
        .or_else(|| message.rsplit_once("error calling required: "))
        .map_or(message, |(_, inner)| inner);
    let inner = inner
        .split_once("in the following chart(s): ")
        .map_or(inner, |(_, inner)| inner);
    // `execution error at (chart/templates/x.yaml:3:4): words`
    match inner.split_once("execution error at (") {
        Some((_, rest)) => rest
            .split_once("): ")
            .map_or(inner, |(_, words)| words)
            .into(),
        None => inner.into(),
    }
}
