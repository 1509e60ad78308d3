//! The inputs of the action, and what they are turned into at the door.

mod steps;
mod traffic;

pub use steps::{StepInputs, Steps, StepsError};
pub use traffic::{TrafficInputs, TrafficUrl, TrafficUrlError};

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use action_kit::Common;
use clap::{ArgAction, ValueEnum};
use github::CommentInputs;
use plan::Digest;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::DeployError;

/// What to do with the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Show what would change, and change nothing
    Plan,
    /// Install or upgrade, and follow the rollout until it is ready
    Apply,
    /// Look for what was changed beside the release, and change nothing
    Drift,
    /// Look up the digests of charts from outside, and write them into the file of the platform
    Pin,
    /// Go back to an earlier revision
    Rollback,
    /// Take the release out of the cluster
    Uninstall,
}

/// What is done about a release that breaks the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// Say nothing
    Off,
    /// Say it
    Warn,
    /// End before anything is done
    Refuse,
}

/// The chart of a release for which none is named.
const DEFAULT_CHART: &str = "fastapi-app";

/// What the action takes.
#[derive(clap::Args, Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an input that a workflow sets by its name"
)]
pub struct Inputs {
    /// What to do
    #[arg(long, value_enum, default_value = "plan")]
    pub mode: Mode,

    /// The release's name; one of `release` and `platform` is needed
    #[arg(long, value_name = "NAME")]
    pub release: Option<Name>,

    /// File that says which releases run below the application: all of them in one run, each after
    /// those that it needs
    #[arg(long, value_name = "FILE")]
    pub platform: Option<PathBuf>,

    /// Environment whose values the releases of `platform` take
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,

    /// Namespace of the release; by default the kubeconfig's
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<Name>,

    /// The chart: `fastapi-app` or `fastapi-database` (built in), a folder or archive, an
    /// `oci://` reference, or a chart's name in `chart-repository`
    #[arg(long, value_name = "CHART", default_value = DEFAULT_CHART)]
    pub chart: String,

    /// Address of the repository that holds the chart
    #[arg(long, value_name = "URL")]
    pub chart_repository: Option<String>,

    /// Version of a chart from a registry or repository
    #[arg(long, value_name = "VERSION")]
    pub chart_version: Option<String>,

    /// Files with values, the later ones win
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub values: Vec<PathBuf>,

    /// Single values (`key=value`), which win over files; never secrets: they are kept in the
    /// release and shown in the plan
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append)]
    pub set: Vec<Assignment>,

    /// Image of the application with its digest (`repository@sha256:…`): becomes the values
    /// `image.repository` and `image.digest`
    #[arg(long, value_name = "REFERENCE")]
    pub image: Option<Image>,

    /// Path of a kubeconfig, or its content
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<String>,

    /// Context in the kubeconfig, when not its current one
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Name of an EKS cluster, instead of a kubeconfig
    #[arg(long, value_name = "NAME", conflicts_with = "kubeconfig")]
    pub cluster: Option<String>,

    /// AWS region of the EKS cluster
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// How long the rollout may take, and going back once more
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout_seconds: u64,

    /// Whether to follow the rollout until it is ready
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub wait: bool,

    /// Whether to go back to the last good revision when the rollout fails
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub rollback_on_failure: bool,

    /// Whether to uninstall a release whose first installation fails, rather than to leave it for
    /// inspection
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub uninstall_failed_install: bool,

    /// Whether `drift` fails (`checks-failed`) when it finds some
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub fail_on_drift: bool,

    /// Whether to create the namespace when it does not exist
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub create_namespace: bool,

    /// Revision that `rollback` goes back to; by default the last good one before the current
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub revision: Option<u32>,

    /// What happens when the release has images without a digest, containers without requests, or
    /// pods that reach into the node
    #[arg(long, value_enum, default_value = "warn")]
    pub policy: Policy,

    /// File that the plan is written to by `plan`, and compared with by `apply`
    #[arg(long, value_name = "FILE")]
    pub plan_file: Option<PathBuf>,

    /// Digest of the reviewed plan: `apply` refuses to do anything else
    #[arg(long, value_name = "DIGEST")]
    pub plan_digest: Option<Digest>,

    /// What is sent while the release is rolled out.
    #[command(flatten)]
    pub traffic: TrafficInputs,

    /// What is done in steps.
    #[command(flatten)]
    pub steps: StepInputs,

    /// How the plan is shown on a pull request.
    #[command(flatten)]
    pub pull_request: CommentInputs,

    /// What every action takes.
    #[command(flatten)]
    pub common: Common,
}

impl Inputs {
    /// Refuses inputs that contradict each other.
    pub(crate) fn agree(&self) -> Result<(), DeployError> {
        if self.traffic.traffic_url.is_some() && !self.wait {
            return Err(DeployError::Contradiction {
                message: "`traffic-url` is set and `wait` is false: requests are sent while the rollout is followed",
                hint: "leave one of the two out",
            });
        }
        Ok(())
    }
}

impl AsRef<Common> for Inputs {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

/// What a run is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One release.
    Release(Name),
    /// The releases of a file.
    Platform(PathBuf),
}

/// The inputs do not say what the run is about.
#[derive(Debug, Error)]
pub enum SubjectError {
    /// There is nothing to deploy.
    #[error("neither `release` nor `platform` is given")]
    Nothing,
    /// The file says what these inputs say of one release.
    #[error("`platform` does not go with `{}`", inputs.join("`, `"))]
    Unfit {
        /// The inputs.
        inputs: Vec<&'static str>,
    },
    /// The mode is for one release.
    #[error("`platform` goes with the modes plan, apply, drift and pin only")]
    Mode,
    /// The mode is for a platform.
    #[error("`mode: pin` writes into the file of a `platform`, and none is given")]
    Pin,
    /// A version is given, and several charts could take it.
    #[error("`chart-version` is given, and no `release` whose chart it is a version of")]
    WhichRelease,
    /// There is no file in which an environment could stand.
    #[error("`environment` is `{0}`, and there is no `platform` with values for it")]
    NoPlatform(String),
}

impl SubjectError {
    /// Says what to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Nothing => {
                "name one `release`, or the file with the releases of a platform in `platform`"
            }
            Self::Unfit { .. } => {
                "leave them out: the file says which releases there are, and what each is made of"
            }
            Self::Mode => "name one `release` to go back with it or to take it out",
            Self::Pin => "name the file in `platform`",
            Self::WhichRelease => "name one `release` of the file, or leave `chart-version` out",
            Self::NoPlatform(_) => {
                "leave it out, and name the values files of a `release` in `values`"
            }
        }
    }
}

impl Inputs {
    /// Tells what the run is about, and refuses inputs that say something else as well.
    pub fn subject(&self) -> Result<Subject, SubjectError> {
        let Some(file) = &self.platform else {
            if let Some(environment) = &self.environment {
                return Err(SubjectError::NoPlatform(environment.clone()));
            }
            if self.mode == Mode::Pin {
                return Err(SubjectError::Pin);
            }
            let release = self.release.clone().ok_or(SubjectError::Nothing)?;
            return Ok(Subject::Release(release));
        };
        let pins = self.mode == Mode::Pin;
        let inputs = [
            ("release", self.release.is_some() && !pins),
            ("namespace", self.namespace.is_some()),
            ("chart", self.chart != DEFAULT_CHART),
            ("chart-repository", self.chart_repository.is_some()),
            ("chart-version", self.chart_version.is_some() && !pins),
            ("values", !self.values.is_empty()),
            ("set", !self.set.is_empty()),
            ("image", self.image.is_some()),
            ("revision", self.revision.is_some()),
            ("steps", self.steps.steps.is_some()),
            ("traffic-url", self.traffic.traffic_url.is_some()),
        ];
        let given = inputs.into_iter().filter(|(_, given)| *given);
        let inputs: Vec<&str> = given.map(|(name, _)| name).collect();
        if inputs.is_empty() {
            Ok(Subject::Platform(file.clone()))
        } else {
            Err(SubjectError::Unfit { inputs })
        }
    }
}

/// A name that Kubernetes takes for namespaces and Helm for releases.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

/// A text is no name.
#[derive(Debug, Error)]
#[error(
    "`{0}` is no name: up to 53 lower-case letters, digits and hyphens, a letter or digit at both ends"
)]
pub struct NameError(String);

impl Name {
    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let ends =
            bytes.first().copied().is_some_and(plain) && bytes.last().copied().is_some_and(plain);
        if ends && bytes.len() <= 53 && bytes.iter().all(|byte| plain(*byte) || *byte == b'-') {
            Ok(Self(text.into()))
        } else {
            Err(NameError(text.into()))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `key=value`, as Helm's own `--set` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment(String);

/// A text assigns nothing.
#[derive(Debug, Error)]
#[error("`{0}` assigns nothing: write `key=value`")]
pub struct AssignmentError(String);

impl Assignment {
    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Assignment {
    type Err = AssignmentError;

    fn from_str(text: &str) -> Result<Self, AssignmentError> {
        match text.split_once('=') {
            Some((key, _)) if !key.trim().is_empty() => Ok(Self(text.into())),
            _ => Err(AssignmentError(text.into())),
        }
    }
}

/// An image by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Registry and repository.
    pub repository: String,
    /// The digest of its manifest or index.
    pub digest: Digest,
}

/// A text names no image by its digest.
#[derive(Debug, Error)]
pub enum ImageError {
    /// It has a tag only.
    #[error(
        "`{0}` names no digest: a tag can point to another image tomorrow, write `repository@sha256:…` (output `image` of build-fastapi-image)"
    )]
    NoDigest(String),
    /// Its repository cannot be one.
    #[error("`{0}` has no repository before `@`")]
    NoRepository(String),
    /// Its digest is none.
    #[error("{0}")]
    Digest(#[from] plan::DigestError),
}

impl FromStr for Image {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (name, digest) = text
            .split_once('@')
            .ok_or_else(|| ImageError::NoDigest(text.into()))?;
        // A tag beside a digest says nothing; a colon before the last slash is a port's.
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let repository = name[last..]
            .find(':')
            .map_or(name, |colon| &name[..last + colon]);
        if repository.is_empty() || repository.contains([' ', ',', '=']) {
            return Err(ImageError::NoRepository(text.into()));
        }
        Ok(Self {
            repository: repository.into(),
            digest: digest.parse()?,
        })
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}
