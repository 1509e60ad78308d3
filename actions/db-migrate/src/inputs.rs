//! The inputs, checked at the door.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use action_kit::{Common, Mode};
use github::CommentInputs;
use plan::Digest;
use thiserror::Error;

/// What a step or a command line asks for.
#[derive(clap::Args, Debug)]
pub struct Inputs {
    /// Whether to show what is pending, or to run it
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,

    /// The application's image, by digest: `REPOSITORY@sha256:…`
    #[arg(long, value_name = "IMAGE")]
    pub image: Image,

    /// Namespace that the Job runs in; the database's secret is there
    #[arg(long, value_name = "NAME")]
    pub namespace: Name,

    /// Path of a kubeconfig, or its content
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<String>,

    /// EKS cluster, instead of a kubeconfig
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,

    /// AWS region of `cluster`
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// Secret that holds the database's whole address
    #[arg(long, value_name = "NAME")]
    pub database_secret: Option<Name>,

    /// Key of the address in `database-secret`
    #[arg(long, value_name = "KEY", default_value = "DATABASE_URL")]
    pub database_secret_key: String,

    /// Database cluster of Zalando's postgres-operator, instead of `database-secret`
    #[arg(long, value_name = "NAME")]
    pub postgresql: Option<Name>,

    /// Database in `postgresql`
    #[arg(long, value_name = "NAME")]
    pub database: Option<Identifier>,

    /// Role in `postgresql` that owns the schema
    #[arg(long, value_name = "NAME")]
    pub role: Option<Identifier>,

    /// Start of the address that is composed for `postgresql`: dialect and driver
    #[arg(long, value_name = "SCHEME", default_value = "postgresql+asyncpg")]
    pub database_scheme: String,

    /// Variable that the application reads the address from
    #[arg(long, value_name = "NAME", default_value = "DATABASE_URL")]
    pub database_variable: Variable,

    /// Further variables of the Job, `NAME=VALUE`; nothing secret
    #[arg(long, value_name = "NAME=VALUE", action = clap::ArgAction::Append)]
    pub env: Vec<Assignment>,

    /// Revision to go up to
    #[arg(long, value_name = "REVISION", default_value = "head")]
    pub target: String,

    /// Alembic's configuration in the image, relative to its working directory
    #[arg(long, value_name = "FILE", default_value = "alembic.ini")]
    pub alembic_config: String,

    /// Service account of the Job's pod; its token is not mounted
    #[arg(long, value_name = "NAME")]
    pub service_account: Option<Name>,

    /// Memory that the Job's pod may use
    #[arg(long, value_name = "QUANTITY", default_value = "512Mi")]
    pub memory: String,

    /// File that the plan is written to by `plan`, and compared with by `apply`
    #[arg(long, value_name = "FILE")]
    pub plan_file: Option<PathBuf>,

    /// Digest of the reviewed plan: `apply` refuses to do anything else
    #[arg(long, value_name = "DIGEST")]
    pub plan_digest: Option<Digest>,

    /// How long the whole run may take
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u32).range(10..))]
    pub timeout_seconds: u32,

    /// How the plan is shown on a pull request.
    #[command(flatten)]
    pub pull_request: CommentInputs,

    /// Inputs of every action.
    #[command(flatten)]
    pub common: Common,
}

impl AsRef<Common> for Inputs {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

/// A text does not have the form that an input demands.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FormError {
    /// An image has no digest.
    #[error(
        "name the image by digest, `REPOSITORY@sha256:…`: a tag may move between plan and deployment"
    )]
    NoDigest,
    /// A digest is none.
    #[error("the digest has `sha256:` and 64 lower-case hexadecimal digits")]
    Digest,
    /// A repository is none.
    #[error("the repository has lower-case letters, digits, `.`, `-`, `_`, `/` and a port")]
    Repository,
    /// A name of Kubernetes is none.
    #[error(
        "a name has lower-case letters, digits, `-` and `.`, and starts and ends with a letter or digit"
    )]
    Name,
    /// A name of PostgreSQL would need quotes.
    #[error("a name has letters, digits, `_` and `-`, and starts with a letter or `_`")]
    Identifier,
    /// A variable's name cannot be used.
    #[error("write NAME=VALUE; a name has letters, digits and `_`, and starts with no digit")]
    Variable,
}

/// An image by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    text: String,
    digest: Digest,
}

impl Image {
    /// Gives the digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Image {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let (repository, digest) = text.split_once('@').ok_or(FormError::NoDigest)?;
        let digest = digest.parse().map_err(|_| FormError::Digest)?;
        let good = |one: char| one.is_ascii_alphanumeric() || "._-/:".contains(one);
        let edge = |one: char| one.is_ascii_alphanumeric();
        if repository.starts_with(edge)
            && repository.ends_with(edge)
            && repository.chars().all(good)
        {
            Ok(Self {
                text: text.into(),
                digest,
            })
        } else {
            Err(FormError::Repository)
        }
    }
}

/// A name of an object of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let edge = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit();
        let good = |one: char| edge(one) || one == '-' || one == '.';
        let short = text.len() <= 253;
        if short && text.starts_with(edge) && text.ends_with(edge) && text.chars().all(good) {
            Ok(Self(text.into()))
        } else {
            Err(FormError::Name)
        }
    }
}

/// A name of PostgreSQL that needs no quotes in an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier(String);

impl Identifier {
    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Identifier {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let first = |one: char| one.is_ascii_alphabetic() || one == '_';
        let good = |one: char| one.is_ascii_alphanumeric() || one == '_' || one == '-';
        if text.starts_with(first) && text.chars().all(good) {
            Ok(Self(text.into()))
        } else {
            Err(FormError::Identifier)
        }
    }
}

/// A name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable(String);

impl Variable {
    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Variable {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let first = |one: char| one.is_ascii_alphabetic() || one == '_';
        let good = |one: char| one.is_ascii_alphanumeric() || one == '_';
        if text.starts_with(first) && text.chars().all(good) {
            Ok(Self(text.into()))
        } else {
            Err(FormError::Variable)
        }
    }
}

/// A variable and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The name.
    pub name: Variable,
    /// The value.
    pub value: String,
}

impl FromStr for Assignment {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let (name, value) = text.split_once('=').ok_or(FormError::Variable)?;
        Ok(Self {
            name: name.parse()?,
            value: value.into(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::{Assignment, FormError, Identifier, Image, Inputs, Name};

    /// Inputs for the tests of this crate: an image, a namespace and what else is given.
    pub(crate) fn inputs(arguments: &[&str]) -> Inputs {
        let image = format!(
            "--image=registry.example.com/orders@sha256:{}",
            "0a".repeat(32)
        );
        let all = ["db-migrate", &image, "--namespace=orders"];
        let command = Inputs::augment_args(clap::Command::new("db-migrate"));
        let matches = command.get_matches_from(all.iter().chain(arguments));
        Inputs::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn an_image_has_a_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for repository in ["a", "localhost:5000/a/b", "ghcr.io/acme/orders:1.2"] {
            let image: Image = format!("{repository}@{digest}").parse().unwrap();
            assert_eq!(image.digest().as_str(), digest);
        }
        let error = |text: &str| text.parse::<Image>().unwrap_err();
        assert_eq!(error("orders:latest"), FormError::NoDigest);
        assert_eq!(error("orders@sha256:12"), FormError::Digest);
        assert_eq!(error(&format!("@{digest}")), FormError::Repository);
        assert_eq!(error(&format!("a b@{digest}")), FormError::Repository);
    }

    #[test]
    fn names_need_no_quotes() {
        assert!("orders-db.v1".parse::<Name>().is_ok());
        for bad in ["", "-a", "a-", "A", "a_b"] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
        assert!("orders_owner".parse::<Identifier>().is_ok());
        for bad in ["", "1a", "a b", "a/b", "a@b", "a\"b"] {
            assert!(bad.parse::<Identifier>().is_err(), "{bad}");
        }
        assert!("A=b=c".parse::<Assignment>().is_ok());
        for bad in ["A", "=b", "1A=b", "A B=c"] {
            assert!(bad.parse::<Assignment>().is_err(), "{bad}");
        }
    }
}
