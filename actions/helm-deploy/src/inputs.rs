//! The inputs of the action, and what they are turned into at the door.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use action_kit::Common;
use clap::{ArgAction, ValueEnum};
use github::CommentInputs;
use plan::Digest;
use serde::Serialize;
use thiserror::Error;

/// What to do with the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Show what would change, and change nothing
    Plan,
    /// Install or upgrade, and follow the rollout until it is ready
    Apply,
    /// Look for what was changed beside the release, and change nothing
    Drift,
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

    /// The release's name
    #[arg(long, value_name = "NAME")]
    pub release: Name,

    /// Namespace of the release; by default the kubeconfig's
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<Name>,

    /// The chart: `fastapi-app` or `fastapi-database` (built in), a folder or archive, an
    /// `oci://` reference, or a chart's name in `chart-repository`
    #[arg(long, value_name = "CHART", default_value = "fastapi-app")]
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

    /// How the plan is shown on a pull request.
    #[command(flatten)]
    pub pull_request: CommentInputs,

    /// What every action takes.
    #[command(flatten)]
    pub common: Common,
}

impl AsRef<Common> for Inputs {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

/// A name that Kubernetes takes for namespaces and Helm for releases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
