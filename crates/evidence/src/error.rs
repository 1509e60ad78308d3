//! Why a statement cannot be signed or verified, and what to do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use action_kit::{Failure, Reason};
use thiserror::Error;

type Cause = Box<dyn Error + Send + Sync>;

/// A statement cannot be signed, or it cannot be said who signed it.
#[derive(Debug, Error)]
pub enum EvidenceError {
    /// The client cannot be made.
    #[error("make the client for Sigstore")]
    Client(#[source] Cause),
    /// The job may not ask for a token.
    #[error("nobody vouches for this run: it has no token of identity")]
    NoIdentity,
    /// GitHub gave no token.
    #[error("ask `{url}` for a token of identity")]
    Token {
        /// The address, without its query.
        url: String,
        /// Why.
        source: Cause,
    },
    /// The token is none.
    #[error("the token of identity cannot be read")]
    UnreadableToken(#[source] Cause),
    /// Only one of two inputs is set.
    #[error("`tuf-mirror` and `tuf-root` are one setting: {0} is missing")]
    HalfInstance(&'static str),
    /// The first root of a repository of trust cannot be read.
    #[error("read `{}`", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The repository of trust does not answer, or is not what its root says.
    #[error("read whom Sigstore trusts from `{repository}`")]
    Trust {
        /// Its address.
        repository: String,
        /// Why.
        source: Cause,
    },
    /// Sigstore's services refuse, or break.
    #[error("sign with `{authority}`")]
    Sign {
        /// The certificate authority.
        authority: String,
        /// Why.
        source: Cause,
    },
    /// A pattern of what a certificate must say cannot be one.
    #[error("`{input}` is `{pattern}`, which is no pattern")]
    Pattern {
        /// The input.
        input: &'static str,
        /// The pattern.
        pattern: String,
        /// Why.
        source: glob::PatternError,
    },
}

impl Failure for EvidenceError {
    fn reason(&self) -> Reason {
        match self {
            Self::Client(_)
            | Self::Token { .. }
            | Self::UnreadableToken(_)
            | Self::Trust { .. }
            | Self::Sign { .. } => Reason::RemoteFailed,
            Self::NoIdentity | Self::HalfInstance(_) | Self::Root { .. } | Self::Pattern { .. } => {
                Reason::InvalidInput
            }
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Client(_) => {
                "HTTPS needs a CA bundle: install `ca-certificates`, or name one in SSL_CERT_FILE"
            }
            Self::NoIdentity => {
                "give the job `permissions: id-token: write`; nothing can be signed outside of a workflow"
            }
            Self::Token { .. } | Self::UnreadableToken(_) => {
                "run the job again; on a GitHub Enterprise Server, see whether it issues tokens"
            }
            Self::HalfInstance(_) => {
                "name both for a Sigstore of your own, as `cosign initialize` takes them, or none for the public one"
            }
            Self::Root { .. } => "`tuf-root` is the first `root.json` of the repository of trust",
            Self::Trust { .. } => {
                "is it reachable from here? `tuf-mirror` names another, with its `tuf-root`"
            }
            Self::Sign { .. } => {
                "run the job again; set `sign` to false to go on without a signature"
            }
            Self::Pattern { .. } => {
                "`*` stands for anything but a slash, `**` for whole parts between slashes, and `[` must be written as `[[]`"
            }
        };
        vec![hint.into()]
    }
}
