//! GitHub, where a plan is shown and reviewed: one comment on its pull request, posted once and
//! updated after.
//!
//! A [comment](Comment) is a value: its hidden [header](Header) says whose plan it is and gives the
//! plan's digest, its [text](text::text) fits into what GitHub takes. [`CommentInputs::show`] has
//! the effects: it finds the comment that an earlier run left, and changes that one. After the merge
//! [`Reviews`] tells which plan that comment showed, and who let the run go on.

mod client;
mod comments;
pub mod cut;
mod error;
mod header;
mod inputs;
mod pull_request;
mod retry;
mod review;
pub mod text;

pub use comments::{GitHub, Shown, Written};
pub use error::GitHubError;
pub use header::Header;
pub use inputs::CommentInputs;
pub use pull_request::PullRequest;
pub use review::{Reviewed, Reviews, Run};
pub use text::Comment;
