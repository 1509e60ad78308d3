//! What can go wrong, and what to do about it.

use std::path::PathBuf;

use action_kit::{CommandError, Failed, Failure, Reason};
use cluster::{ClusterError, ErrorKind};
use thiserror::Error;

use crate::foresee::Warning;
use crate::inputs::{Name, SubjectError};
use crate::platform::PlatformError;
use crate::split::Unsplittable;
use crate::traffic::Tally;

/// What Helm says when an object is of a kind that is not there.
const UNKNOWN_KIND: &str = "no matches for kind";

/// The action does not succeed.
#[derive(Debug, Error)]
pub enum DeployError {
    /// The inputs do not say what to deploy.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The file of the platform cannot be used.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The file of the platform cannot be written.
    #[error("write the pins")]
    PinFile(#[source] std::io::Error),
    /// Releases of the platform failed.
    #[error("{}", failures(failed, skipped))]
    Releases {
        /// The releases, and why.
        failed: Vec<(Name, Failed)>,
        /// Those that were not begun, and what each of them needs.
        skipped: Vec<(Name, Name)>,
    },
    /// Neither a kubeconfig nor a cluster is given.
    #[error("no cluster is named: `kubeconfig` and `cluster` are both empty")]
    NoCluster,
    /// The kubeconfig names a namespace that cannot be one.
    #[error("the kubeconfig's namespace cannot be used")]
    Namespace(#[source] crate::inputs::NameError),
    /// No chart is where the input points to.
    #[error(
        "`chart` is `{chart}`: no built-in chart has this name, and the workspace has no chart at this path"
    )]
    UnknownChart {
        /// The input.
        chart: String,
        /// The built-in charts.
        built_in: String,
    },
    /// A values file is not there.
    #[error("`values` names `{}`, which is no file", file.display())]
    NoValuesFile {
        /// The file.
        file: PathBuf,
    },
    /// A temporary file cannot be written.
    #[error("write a temporary file")]
    Scratch(#[source] std::io::Error),
    /// The plan file cannot be read or written.
    #[error("use the plan file")]
    PlanFile(#[source] std::io::Error),
    /// The plan file holds no plan.
    #[error("use the plan file `{}`", file.display())]
    Plan {
        /// The file.
        file: PathBuf,
        /// Why.
        source: plan::PlanError,
    },
    /// What would be done is not what was reviewed.
    #[error("the plan is not the reviewed one: {}", differences.join("; "))]
    PlanChanged {
        /// In which points.
        differences: Vec<String>,
    },
    /// The chart's templates or its schema refuse the values.
    #[error("chart `{chart}` refuses the values: {message}")]
    Values {
        /// The chart.
        chart: String,
        /// What Helm said.
        message: String,
        /// The values file of the user, if there is one.
        file: Option<PathBuf>,
    },
    /// The chart cannot be fetched or read.
    #[error("load chart `{chart}`: {message}")]
    Chart {
        /// The chart.
        chart: String,
        /// What Helm said.
        message: String,
    },
    /// The namespace does not exist and may not be created.
    #[error("namespace `{namespace}` does not exist, and `create-namespace` is false")]
    NoNamespace {
        /// The namespace.
        namespace: String,
    },
    /// There is no such release, or revision of it.
    #[error("{doing}: {what} does not exist")]
    NotFound {
        /// What was being done.
        doing: String,
        /// What is missing.
        what: String,
    },
    /// Helm ended badly.
    #[error("{doing}: {message}")]
    Helm {
        /// What was being done.
        doing: String,
        /// What Helm said.
        message: String,
    },
    /// Helm's answer cannot be read.
    #[error("read what `helm` said about {what}")]
    Answer {
        /// What was asked for.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// Helm cannot be started.
    #[error(transparent)]
    Program(CommandError),
    /// The rollout failed.
    #[error("release `{release}` revision {revision} does not become ready: {cause}; {afterwards}")]
    Rollout {
        /// The release.
        release: String,
        /// The revision.
        revision: u32,
        /// Why.
        cause: Box<ClusterError>,
        /// What was done about it.
        afterwards: String,
    },
    /// Inputs do not go together.
    #[error("{message}")]
    Contradiction {
        /// Which, and why.
        message: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// What requests are sent to does not answer before anything is changed.
    #[error("`traffic-url` is `{url}`, which fails already: {reason}; nothing was changed")]
    NoAnswer {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// Requests failed while the release was rolled out.
    #[error("release `{release}` revision {revision} loses requests: {tally}; {afterwards}")]
    LosesRequests {
        /// The release.
        release: String,
        /// The revision.
        revision: u32,
        /// What came of the requests.
        tally: Tally,
        /// What was done about it.
        afterwards: String,
    },
    /// The release cannot be rolled out in steps.
    #[error("release `{release}` cannot be rolled out in steps")]
    NoSteps {
        /// The release.
        release: String,
        /// Why.
        source: Unsplittable,
    },
    /// A step failed.
    #[error("release `{release}` fails at step {percent} %: {cause}; {afterwards}")]
    Step {
        /// The release.
        release: String,
        /// The share of the requests that the new version had, or was about to get.
        percent: u32,
        /// Why.
        cause: Box<StepCause>,
        /// What was done about it.
        afterwards: String,
    },
    /// Helm could not apply the release.
    #[error("release `{release}` cannot be applied: {message}; {afterwards}")]
    Apply {
        /// The release.
        release: String,
        /// What Helm said.
        message: String,
        /// What was done about it.
        afterwards: String,
    },
    /// What is seen before anything is done would stop Helm half-way.
    #[error(
        "release `{release}` cannot be applied: {}; nothing was changed",
        told(warnings)
    )]
    Foreseen {
        /// The release.
        release: String,
        /// What stops it.
        warnings: Vec<Warning>,
    },
    /// The release breaks the policy, and `policy` says to refuse that.
    #[error("release `{release}` breaks the policy: {}", told(warnings))]
    Policy {
        /// The release.
        release: String,
        /// In which points.
        warnings: Vec<Warning>,
    },
    /// Something was changed beside the release.
    #[error("{count} objects of `{subject}` are not what the release says")]
    Drifted {
        /// Namespace and release.
        subject: String,
        /// How many.
        count: usize,
    },
    /// The cluster refused or broke.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// AWS refused or broke.
    #[error(transparent)]
    Account(#[from] aws_account::AccountError),
}

impl DeployError {
    /// Says whether the API server does not know a kind.
    pub(crate) fn is_unknown_kind(&self) -> bool {
        matches!(self, Self::Helm { message, .. } if message.contains(UNKNOWN_KIND))
    }
}

/// A step is not passed.
#[derive(Debug, Error)]
pub enum StepCause {
    /// The new version does not become ready, or does not stay so.
    #[error("the new version is not ready: {0}")]
    NotReady(#[from] ClusterError),
    /// Too many of the requests to it failed.
    #[error("to the new version {tally}, and {percent} % may")]
    Fails {
        /// What came of them.
        tally: Tally,
        /// How many may fail, of a whole step's requests.
        percent: u32,
    },
    /// Too many of all requests failed.
    #[error("of all users' {tally}, and {allowed} may")]
    Loses {
        /// What came of them.
        tally: Tally,
        /// How many may fail.
        allowed: u64,
    },
}

impl Failure for DeployError {
    fn reason(&self) -> Reason {
        match self {
            Self::Platform(error) => error.reason(),
            Self::Releases { failed, .. } => {
                let first = failed.first();
                first.map_or(Reason::Bug, |(_, failed)| failed.reason())
            }
            Self::Subject(_)
            | Self::PinFile(_)
            | Self::NoCluster
            | Self::Namespace(_)
            | Self::UnknownChart { .. }
            | Self::NoValuesFile { .. }
            | Self::PlanFile(_)
            | Self::Plan { .. }
            | Self::Values { .. }
            | Self::Chart { .. }
            | Self::NoNamespace { .. }
            | Self::NotFound { .. }
            | Self::Contradiction { .. }
            | Self::NoSteps { .. } => Reason::InvalidInput,
            Self::PlanChanged { .. } => Reason::PlanChanged,
            Self::Policy { .. } => Reason::Refused,
            Self::Drifted { .. } | Self::NoAnswer { .. } | Self::LosesRequests { .. } => {
                Reason::ChecksFailed
            }
            Self::Scratch(_) | Self::Helm { .. } | Self::Apply { .. } | Self::Foreseen { .. } => {
                Reason::RemoteFailed
            }
            Self::Answer { .. } => Reason::Bug,
            Self::Program(error) => error.reason(),
            Self::Rollout { cause, .. } => reason_of(cause),
            Self::Step { cause, .. } => match cause.as_ref() {
                StepCause::NotReady(cause) => reason_of(cause),
                StepCause::Fails { .. } | StepCause::Loses { .. } => Reason::ChecksFailed,
            },
            Self::Cluster(cause) => reason_of(cause),
            Self::Account(error) => error.reason(),
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Subject(error) => error.hint(),
            Self::Platform(error) => return error.hints(),
            Self::PinFile(_) => "`mode: pin` writes the file that `platform` names",
            Self::Releases { failed, .. } => {
                return distinct(failed.iter().flat_map(|(_, failed)| failed.hints()));
            }
            Self::NoCluster => {
                "give `kubeconfig` (a path, or the content from a secret), or `cluster` and `region` for EKS"
            }
            Self::Namespace(_) => "set `namespace`",
            Self::UnknownChart { built_in, .. } => {
                return vec![format!(
                    "built in are `{built_in}`; else give a folder with a Chart.yaml, a .tgz, an oci:// reference, or `chart-repository`"
                )];
            }
            Self::NoValuesFile { .. } => {
                "paths start at the workspace; check out the repository before this step"
            }
            Self::Scratch(_) => "the temporary folder must be writable",
            Self::PlanFile(_) => {
                "`plan-file` names a file that `mode: plan` may write, and that is there for `apply`"
            }
            Self::Plan { source, .. } => source.hint(),
            Self::PlanChanged { .. } => "run `mode: plan` again and have the new plan reviewed",
            Self::Values { .. } => {
                "correct the value that the message names; the chart's values.yaml explains each"
            }
            Self::Chart { .. } => {
                "check the reference, `chart-version`, and the login to the registry (docker/login-action)"
            }
            Self::NoNamespace { .. } => "create it first, or set `create-namespace: true`",
            Self::NotFound { .. } => "`helm list` and `helm history` show what is there",
            Self::Helm { message, .. } | Self::Apply { message, .. } => {
                return helm_hint(message).map(String::from).into_iter().collect();
            }
            Self::Foreseen { warnings, .. } | Self::Policy { warnings, .. } => {
                return distinct(warnings.iter().map(|warning| warning.hint.clone()));
            }
            Self::Drifted { .. } => {
                "the summary names them; undo by hand what was done by hand, or write it into the values and apply them"
            }
            Self::Contradiction { hint, .. } => hint,
            Self::NoAnswer { .. } => {
                "correct `traffic-url` or `traffic-connect-to`; to mend an application that is down, leave them out"
            }
            Self::LosesRequests { .. } => {
                "a pod must go on answering until every proxy knows that it ends (`shutdown`), and take requests only when it can (`probes.readiness`): the chart's values.yaml explains both"
            }
            Self::NoSteps { source, .. } => source.hint(),
            Self::Step { cause, .. } => match cause.as_ref() {
                StepCause::NotReady(cause) => return cause.hints(),
                StepCause::Fails { .. } | StepCause::Loses { .. } => {
                    "`traffic-url` says what was asked for, and `step-failures-percent` and `traffic-failures` how many answers may be bad"
                }
            },
            Self::Answer { .. } => "the action is made for the Helm in its image: `helm version`",
            Self::Program(error) => return error.hints(),
            Self::Rollout { cause, .. } => return cause.hints(),
            Self::Cluster(cause) => return cause.hints(),
            Self::Account(error) => return error.hints(),
        };
        vec![hint.into()]
    }

    fn position(&self) -> Option<action_kit::Position> {
        match self {
            Self::Values {
                file: Some(file), ..
            } => Some(action_kit::Position {
                file: file.clone(),
                line: None,
            }),
            Self::Platform(error) => error.position(),
            Self::Releases { failed, .. } => {
                let mut places = failed.iter();
                places.find_map(|(_, failed)| failed.failure().position())
            }
            _ => None,
        }
    }
}

fn reason_of(error: &ClusterError) -> Reason {
    match error.kind() {
        ErrorKind::Input => Reason::InvalidInput,
        ErrorKind::Remote => Reason::RemoteFailed,
        ErrorKind::Locked => Reason::Locked,
        ErrorKind::NotReady => Reason::ChecksFailed,
        ErrorKind::TimedOut => Reason::TimedOut,
    }
}

fn told(warnings: &[Warning]) -> String {
    let told: Vec<String> = warnings
        .iter()
        .map(|warning| format!("{}: {}", warning.object, warning.text))
        .collect();
    told.join("; ")
}

fn failures(failed: &[(Name, Failed)], skipped: &[(Name, Name)]) -> String {
    let failed = failed
        .iter()
        .map(|(name, failed)| format!("`{name}`: {}", failed.chain().join(": ")));
    let skipped = skipped
        .iter()
        .map(|(name, need)| format!("`{name}` is skipped: it needs `{need}`"));
    failed.chain(skipped).collect::<Vec<_>>().join("; ")
}

fn distinct(hints: impl Iterator<Item = String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for hint in hints {
        if !distinct.contains(&hint) {
            distinct.push(hint);
        }
    }
    distinct
}

/// Says what to do about a refusal, when its words tell.
pub(crate) fn helm_hint(message: &str) -> Option<&'static str> {
    Some(if message.contains(UNKNOWN_KIND) {
        "install the operator or the CRDs that define this kind first"
    } else if message.contains("conflict") {
        "another field manager owns the field (an autoscaler owns replicas): take the field out of the chart's values, or out of the other manager's hands"
    } else if message.contains("cannot be imported into the current release")
        || message.contains("invalid ownership metadata")
    {
        "an object of that name belongs to somebody else: choose another release name, or delete the object"
    } else if message.contains("exceeded quota") {
        "raise the ResourceQuota, or lower requests and replicas in the values"
    } else if message.contains("failed calling webhook") {
        "bring the webhook's own workload up, or take its configuration away when it is a leftover"
    } else if message.contains("denied the request") {
        "change the values so that the object keeps the policy that the message names"
    } else if message.contains("forbidden") {
        "grant the permission that the message names to this user"
    } else if message.contains("hook") {
        "look at the hook's Job: `kubectl get jobs` in the namespace, then its log"
    } else if message.contains("field is immutable")
        || message.contains("updates to statefulset spec")
    {
        "this field cannot be changed on a living object: delete the object first, when it can be missed"
    } else if message.contains("is invalid: ") {
        "correct the value from which the chart makes the field that the message names"
    } else {
        return None;
    })
}
