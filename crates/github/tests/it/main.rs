//! Comments on a GitHub of the tests' own.

#![allow(clippy::unwrap_used, reason = "a test ends with the reason")]

mod comments;
mod described;
mod reviews;
mod steps;
mod troubles;

use action_kit::Secret;
use github::{Comment, GitHub, GitHubError, PullRequest, Shown};
use plan::{Change, Digest, Operation, Plan};
use test_kit::FakeGitHub;

/// A plan, with the target that tells it from others.
pub(crate) fn comment(subject: &str, target: &str) -> Comment {
    let changes = vec![Change::new(Operation::Create, "Deployment", target)];
    let plan = Plan::new("helm-deploy", subject, Digest::of(target), changes, "now");
    Comment::new(&plan, None, &plan.to_markdown(), None)
}

/// Writes a comment as a step of a workflow would.
pub(crate) fn write(github: &FakeGitHub, comment: &Comment) -> Result<Shown, GitHubError> {
    write_as(FakeGitHub::TOKEN, github, comment)
}

pub(crate) fn write_as(
    token: &str,
    github: &FakeGitHub,
    comment: &Comment,
) -> Result<Shown, GitHubError> {
    let pull_request = PullRequest {
        api: github.api.clone(),
        repository: "acme/orders".into(),
        number: 7,
    };
    block_on(async {
        GitHub::new(pull_request, &Secret::new(token))?
            .write(comment)
            .await
    })
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}
