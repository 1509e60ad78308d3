//! Why GitHub could not be asked or told.

use std::path::PathBuf;

use thiserror::Error;

/// GitHub could not be asked or told. Where that is about a comment, nobody's plan is wrong for it:
/// it is told as a warning.
#[derive(Debug, Error)]
pub enum GitHubError {
    /// The step gives no token.
    #[error("the input `github-token` is empty")]
    NoToken,
    /// The event cannot be read.
    #[error("read the event that started the run: {0}")]
    Event(std::io::Error),
    /// The event is no event.
    #[error("read the event in `{}`: {source}", file.display())]
    NoEvent {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// There is no client to be had.
    #[error("prepare the client of `{api}`: {source}")]
    Client {
        /// Address of the API.
        api: String,
        /// Why not.
        source: Box<octocrab::Error>,
    },
    /// The token may not do it, or not here.
    #[error("{doing}: GitHub answered {status}, {message}")]
    Refused {
        /// What was being done.
        doing: String,
        /// Status of the answer.
        status: u16,
        /// What it said.
        message: String,
        /// The permissions that the token needs.
        rights: &'static str,
    },
    /// GitHub, or the way to it, broke, and did so again.
    #[error("{doing}: {message}")]
    Remote {
        /// What was being done.
        doing: String,
        /// What came of it.
        message: String,
    },
}

impl GitHubError {
    /// Says what to do.
    #[must_use]
    pub fn hint(&self) -> String {
        let hint = match self {
            Self::NoToken => "give `github-token: ${{ github.token }}`",
            Self::Event(_) | Self::NoEvent { .. } => {
                "GITHUB_EVENT_PATH names the file in which the runner keeps the event"
            }
            Self::Client { .. } => {
                "GITHUB_API_URL is an address, and the machine has a bundle of certificates"
            }
            Self::Refused { status: 401, .. } => {
                "the token has expired or is none: give `github-token: ${{ github.token }}`"
            }
            Self::Refused {
                status: 403 | 404,
                rights,
                ..
            } => {
                return format!(
                    "the job needs `permissions: {rights}`; a pull request from a fork has a token \
                     that can only read"
                );
            }
            Self::Refused { .. } => "the message is GitHub's own",
            Self::Remote { .. } => "run the job again",
        };
        hint.into()
    }
}
