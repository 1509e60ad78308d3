//! GitHub, where a plan is shown: one comment on its pull request, posted once and updated after.
//!
//! A [comment](Comment) is a value: its hidden [header](Header) says whose plan it is and gives the
//! plan's digest, its [text](text::text) fits into what GitHub takes. [`CommentInputs::show`] has
//! the effects: it finds the comment that an earlier run left, and changes that one.

mod client;
pub mod cut;
mod error;
mod header;
mod inputs;
mod pull_request;
mod retry;
pub mod text;

pub use client::{GitHub, Shown, Written};
pub use error::GitHubError;
pub use header::Header;
pub use inputs::CommentInputs;
pub use pull_request::PullRequest;
pub use text::Comment;
