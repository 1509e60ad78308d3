//! What can be wrong with `platform.yaml`, and what to do about it.

use std::path::{Path, PathBuf};

use action_kit::{Failure, Position, Reason};
use plan::{Digest, DigestError};
use thiserror::Error;

use crate::inputs::Name;

/// What is wrong with the file.
#[derive(Debug, Error)]
pub enum Wrong {
    /// It is not what it should be.
    #[error("{0}")]
    Form(String),
    /// Two releases have one name.
    #[error("release `{0}` is there twice")]
    Twice(Name),
    /// A release is an add-on as well.
    #[error("`{0}` stands below `add-ons`, which provision-infra owns, and is a release as well")]
    AddOn(Name),
    /// A chart from outside may change.
    #[error("chart `{chart}` comes from outside and has no `{missing}`")]
    Unpinned {
        /// The chart.
        chart: String,
        /// What it lacks.
        missing: &'static str,
    },
    /// What stands where the digest belongs is none.
    #[error("{0}")]
    NoDigest(DigestError),
    /// A release that is to be pinned cannot be.
    #[error("no release `{0}` has a chart from outside")]
    NothingToPin(Name),
    /// A chart of the repository is what is checked out.
    #[error("chart `{0}` is not from outside: it has no `version` and no `digest`")]
    NeedlessPin(String),
    /// A release needs what is not there.
    #[error("release `{release}` needs `{need}`, which is no release of this file")]
    UnknownNeed {
        /// The release.
        release: Name,
        /// What it needs.
        need: Name,
    },
    /// Releases need each other.
    #[error("releases need each other: {}", path(.0))]
    Circle(Vec<Name>),
    /// Values depend on an environment, and none is named.
    #[error("no `environment` is given, and releases have values for {}", names(.0))]
    NoEnvironment(Vec<String>),
    /// An environment is named that the file does not have.
    #[error("no release has an environment `{wanted}`{}", choices(.known))]
    UnknownEnvironment {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A chart of the repository is not there.
    #[error("`{}` is no chart", .0.display())]
    NoChart(PathBuf),
    /// A file with values is not there.
    #[error("`{}` is no file", .0.display())]
    NoFile(PathBuf),
    /// The chart is another one.
    #[error("the archive of chart `{chart}` {version} has the digest {found}, pinned is {pinned}")]
    OtherChart {
        /// The chart.
        chart: String,
        /// Its version.
        version: String,
        /// The digest of what was fetched.
        found: Digest,
        /// The digest that the file says.
        pinned: Digest,
    },
}

/// The file of the platform cannot be used.
#[derive(Debug, Error)]
pub enum PlatformError {
    /// It cannot be read.
    #[error("read `{}`", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{}: {wrong}", file.display())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line.
        line: Option<u64>,
        /// What is wrong.
        wrong: Box<Wrong>,
    },
}

impl Wrong {
    fn hint(&self) -> &'static str {
        match self {
            Self::Form(_) => "the README of helm-deploy shows a complete file",
            Self::Twice(_) => "give each release of the file a name of its own",
            Self::AddOn(_) => {
                "one side owns it: take it out of `releases`, or out of `add-ons` and infrastructure.yaml"
            }
            Self::Unpinned { .. } | Self::NoDigest(_) => {
                "what is reviewed must stay what is installed: write the version and `digest: unknown`, and `mode: pin` finds the digest"
            }
            Self::NothingToPin(_) => {
                "name one whose `chart` is an `oci://` reference, or that has a `repository`"
            }
            Self::NeedlessPin(_) => "the commit pins it: leave both out",
            Self::UnknownNeed { .. } => "`needs` names releases of this file",
            Self::Circle(_) => "take one of these out of the other's `needs`",
            Self::NoEnvironment(_) | Self::UnknownEnvironment { .. } => {
                "set the input `environment` to one of these"
            }
            Self::NoChart(_) => {
                "name a folder with a Chart.yaml or a .tgz, from the file's own folder on, a built-in chart, or one from outside: an oci:// reference, or a name with `repository`"
            }
            Self::NoFile(_) => "paths in the file start at the file's own folder",
            Self::OtherChart { .. } => {
                "somebody put another chart in its place: find out who and why before the digest is changed"
            }
        }
    }
}

impl Failure for PlatformError {
    fn reason(&self) -> Reason {
        match self {
            Self::Wrong { wrong, .. } if matches!(**wrong, Wrong::OtherChart { .. }) => {
                Reason::Refused
            }
            _ => Reason::InvalidInput,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Unreadable { .. } => {
                "`platform` names a file; check out the repository before this step"
            }
            Self::Wrong { wrong, .. } => wrong.hint(),
        };
        vec![hint.into()]
    }

    fn position(&self) -> Option<Position> {
        match self {
            Self::Wrong { file, line, .. } => Some(Position {
                file: file.clone(),
                line: *line,
            }),
            Self::Unreadable { .. } => None,
        }
    }
}

fn names(names: &[String]) -> String {
    format!("`{}`", names.join("`, `"))
}

fn choices(known: &[String]) -> String {
    match known {
        [] => String::new(),
        known => format!("; there are {}", names(known)),
    }
}

fn path(circle: &[Name]) -> String {
    let names = circle.iter().chain(circle.first());
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" needs ")
}

/// Says what is wrong with a file, and in which line.
pub(super) fn wrong(file: &Path, line: Option<u64>, wrong: Wrong) -> PlatformError {
    PlatformError::Wrong {
        file: file.into(),
        line,
        wrong: Box::new(wrong),
    }
}
