//! What goes wrong with a place, and what to do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use action_kit::{Failure, Reason};
use aws_account::AccountError;
use oci_distribution::ParseError;
use oci_distribution::errors::OciDistributionError;
use oci_image::{DigestError, DocumentError, ImageError, Invalid, LayerError, Platform};
use thiserror::Error;

/// A place cannot give or take an image.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// A text names no image.
    #[error("`{text}` is no image reference")]
    Reference {
        /// The text.
        text: String,
        /// Why.
        source: ParseError,
    },
    /// The client cannot be made.
    #[error("make the client for registries")]
    Client(#[source] Box<dyn Error + Send + Sync>),
    /// There is no such image.
    #[error("`{0}` does not exist")]
    NotFound(String),
    /// The registry wants other credentials.
    #[error("{doing}: the registry `{registry}` wants credentials, or others")]
    Unauthorised {
        /// What was being done.
        doing: String,
        /// The registry.
        registry: String,
    },
    /// The registry cannot be reached, refuses, or breaks.
    #[error("{doing}")]
    Remote {
        /// What was being done.
        doing: String,
        /// The registry.
        registry: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The registry gave other bytes than were asked for.
    #[error("{doing}: the bytes that came are others than the digest says")]
    Corrupt {
        /// What was being done.
        doing: String,
    },
    /// The image does not exist for a platform.
    #[error("`{reference}` does not exist for `{wanted}`: it does for {found}")]
    NoPlatform {
        /// The image.
        reference: String,
        /// The platform.
        wanted: String,
        /// The platforms that it exists for.
        found: String,
    },
    /// An artifact has no content, or several.
    #[error("`{reference}` is no artifact of one content: its manifest has {layers} layers")]
    NoArtifact {
        /// The artifact.
        reference: String,
        /// The layers of its manifest.
        layers: usize,
    },
    /// An artifact was pushed, but is not listed.
    #[error("`{artifact}` was pushed, but is not listed among the referrers of `{subject}`")]
    Unlisted {
        /// The artifact.
        artifact: String,
        /// What it is attached to.
        subject: String,
    },
    /// A document is not what it should be.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A digest is none.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// Documents do not make an image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// An image breaks its promises.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A layer cannot be written.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// Nobody knows where the bytes of a layer are.
    #[error("the bytes of layer `{0}` are nowhere")]
    NoBytes(String),
    /// A folder is no layout.
    #[error("`{0}` is no OCI layout: it has no `oci-layout` file")]
    NoLayout(PathBuf),
    /// A layout does not hold an image.
    #[error("the layout `{path}` does not hold `{wanted}`: it holds {found}")]
    NotInLayout {
        /// The layout.
        path: PathBuf,
        /// The tag or digest.
        wanted: String,
        /// What it holds.
        found: String,
    },
    /// An AWS account's registry cannot be used.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// ECR gives no login.
    #[error("log in at `{registry}` with AWS credentials")]
    EcrLogin {
        /// The registry.
        registry: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Docker's configuration cannot be read.
    #[error("read the credentials in `{path}`")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Docker's configuration leaves the credentials to another program.
    #[error("`{path}` leaves the credentials for `{registry}` to the program `{helper}`")]
    CredentialHelper {
        /// The file.
        path: PathBuf,
        /// The registry.
        registry: String,
        /// The program.
        helper: String,
    },
    /// A file cannot be read or written.
    #[error("{doing}")]
    File {
        /// What was being done.
        doing: String,
        /// Why.
        source: io::Error,
    },
}

impl RegistryError {
    pub(crate) fn file(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::File { doing, source }
    }

    pub(crate) fn no_platform<'a>(
        reference: String,
        wanted: &Platform,
        found: impl IntoIterator<Item = &'a String>,
    ) -> Self {
        let found = found.into_iter().map(|platform| format!("`{platform}`"));
        let found: Vec<String> = found.collect();
        Self::NoPlatform {
            reference,
            wanted: wanted.to_string(),
            found: found.join(", "),
        }
    }

    /// Says whether the registry understood what was sent, and does not want it.
    pub(crate) fn is_refusal(&self) -> bool {
        let Self::Remote { source, .. } = self else {
            return false;
        };
        matches!(
            source.downcast_ref(),
            Some(OciDistributionError::ServerError {
                code: 400..=499,
                ..
            })
        )
    }
}

impl Failure for RegistryError {
    fn reason(&self) -> Reason {
        match self {
            Self::Remote { .. }
            | Self::Unauthorised { .. }
            | Self::Corrupt { .. }
            | Self::NoArtifact { .. }
            | Self::Unlisted { .. }
            | Self::EcrLogin { .. }
            | Self::Invalid(_) => Reason::RemoteFailed,
            Self::NoBytes(_) => Reason::Bug,
            Self::Account(error) => error.reason(),
            _ => Reason::InvalidInput,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Reference { .. } => {
                "write HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:DIGEST, in lower case".into()
            }
            Self::Client(_) => {
                "HTTPS needs a CA bundle: install `ca-certificates`, or name one in SSL_CERT_FILE"
                    .into()
            }
            Self::NotFound(_) => {
                "check the name and the tag; registries also say this of private images when no credentials are given".into()
            }
            Self::Unauthorised { registry, .. } => format!(
                "run `docker login {registry}`, or set `registry-username` and `registry-password`"
            ),
            Self::Remote { registry, .. } => format!(
                "is `{registry}` reachable from here? A registry without HTTPS is named in `plain-http`"
            ),
            Self::Corrupt { .. } | Self::Invalid(_) => {
                "a proxy or a full disk may be in the way: run it again, then look at the registry"
                    .into()
            }
            Self::Unlisted { .. } => {
                "others attach to the same image, or the registry is slow: run it again, nothing is sent twice".into()
            }
            Self::EcrLogin { .. } => "the role needs `ecr:GetAuthorizationToken`".into(),
            Self::Account(error) => return error.hints(),
            Self::NoPlatform { .. } => "name an image that exists for the platform".into(),
            Self::NoLayout(_) => "name a folder that a build wrote with `oci-layout`".into(),
            Self::NotInLayout { .. } => "name one of them after a colon, or its digest after `@`".into(),
            Self::CredentialHelper { .. } => {
                "no other program is run for credentials: set `registry-username` and `registry-password`".into()
            }
            _ => return Vec::new(),
        };
        vec![hint]
    }
}
