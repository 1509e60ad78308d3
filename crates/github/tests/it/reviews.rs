//! What a merged pull request showed, and who let the run go on.

use action_kit::{Environment, Secret};
use github::{GitHubError, Reviewed, Reviews, Run};
use test_kit::{FakeGitHub, Trouble};

use crate::{block_on, comment, write};

const SUBJECT: &str = "orders-staging";

fn run(github: &FakeGitHub, commit: &str) -> Run {
    let environment = Environment::from_iter([
        ("GITHUB_API_URL", github.api.as_str()),
        ("GITHUB_REPOSITORY", "acme/orders"),
        ("GITHUB_SHA", commit),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_RUN_ID", "1"),
    ]);
    Run::of(&environment).unwrap()
}

fn reviews(github: &FakeGitHub, commit: &str) -> Reviews {
    Reviews::new(run(github, commit), &Secret::new(FakeGitHub::TOKEN)).unwrap()
}

pub(crate) fn merged_plan(
    github: &FakeGitHub,
    subject: &str,
) -> Result<Option<Reviewed>, GitHubError> {
    let header = comment(subject, "whatever it is now").header;
    block_on(async {
        let reviews = reviews(github, FakeGitHub::COMMIT);
        reviews.merged_plan(&header).await
    })
}

pub(crate) fn approver(
    github: &FakeGitHub,
    environment: &str,
) -> Result<Option<String>, GitHubError> {
    block_on(async {
        let reviews = reviews(github, FakeGitHub::COMMIT);
        reviews.approver(environment).await
    })
}

/// A pull request with a comment of ours, which is number 1.
fn commented() -> FakeGitHub {
    let github = FakeGitHub::start();
    write(&github, &comment(SUBJECT, "one")).unwrap();
    github
}

#[test]
fn the_merged_pull_requests_comment_is_what_was_reviewed() {
    let github = commented();
    let last = comment(SUBJECT, "two");
    write(&github, &last).unwrap();
    assert_eq!(
        merged_plan(&github, SUBJECT).unwrap(),
        None,
        "not merged yet"
    );
    github.merge("main");
    let reviewed = merged_plan(&github, SUBJECT).unwrap().unwrap();
    assert_eq!(reviewed.digest, last.header.digest);
    assert!(reviewed.url.ends_with("/pull/7#issuecomment-1"));
    assert_eq!(merged_plan(&github, "orders-production").unwrap(), None);
    let direct = block_on(async {
        let reviews = reviews(&github, &"0".repeat(40));
        reviews.merged_plan(&last.header).await
    });
    assert_eq!(direct.unwrap(), None, "a commit without a pull request");
}

#[test]
fn a_pull_request_for_another_branch_was_not_reviewed_for_this_one() {
    let github = commented();
    github.merge("experiment");
    assert_eq!(merged_plan(&github, SUBJECT).unwrap(), None);
}

#[test]
fn nobody_elses_comment_is_believed() {
    let github = FakeGitHub::start();
    let forged = comment(SUBJECT, "forged").text;
    for author in [Some("mallory"), Some("other-app[bot]"), None] {
        github.comment(author, &forged);
    }
    github.merge("main");
    assert_eq!(merged_plan(&github, SUBJECT).unwrap(), None);
    let github = FakeGitHub::start();
    github.comment(Some("mallory"), &forged);
    let own = comment(SUBJECT, "one");
    write(&github, &own).unwrap();
    github.merge("main");
    let reviewed = merged_plan(&github, SUBJECT).unwrap().unwrap();
    assert_eq!(reviewed.digest, own.header.digest);
}

#[test]
fn our_comment_is_not_believed_once_somebody_changed_it() {
    let forged = comment(SUBJECT, "forged").text;
    for editor in ["mallory", "github-actions", "other-app[bot]"] {
        let github = commented();
        github.edit(1, editor, &forged);
        github.merge("main");
        assert_eq!(merged_plan(&github, SUBJECT).unwrap(), None, "{editor}");
    }
}

#[test]
fn what_the_comment_says_since_the_merge_was_not_reviewed() {
    let github = commented();
    github.merge("main");
    write(&github, &comment(SUBJECT, "two")).unwrap();
    assert_eq!(merged_plan(&github, SUBJECT).unwrap(), None);
}

#[test]
fn an_approval_is_for_its_environment() {
    let github = FakeGitHub::start();
    assert_eq!(approver(&github, "staging").unwrap(), None);
    github.review("rejected", "staging", "mallory");
    github.review("approved", "production", "octocat");
    assert_eq!(approver(&github, "staging").unwrap(), None);
    github.review("approved", "Staging", "octocat");
    let octocat = Some("octocat".to_owned());
    assert_eq!(approver(&github, "staging").unwrap(), octocat);
}

#[test]
fn what_github_does_not_tell_is_no_review() {
    let github = commented();
    github.merge("main");
    github.trouble("GET", 9, Trouble::Status("403 Forbidden"));
    let [plan, person] = [
        merged_plan(&github, SUBJECT).unwrap_err(),
        approver(&github, "staging").unwrap_err(),
    ];
    insta::assert_snapshot!(format!("{plan}\nhint: {}\n{person}", plan.hint()), @"
    find the commit's pull request on acme/orders: GitHub answered 403, Forbidden
    hint: the job needs `permissions: pull-requests: read` and `actions: read`; a pull request from a fork has a token that can only read
    ask who approved the run on acme/orders: GitHub answered 403, Forbidden
    ");
}

#[test]
fn what_passes_is_asked_again() {
    let github = commented();
    github.merge("main");
    github.trouble("GET", 1, Trouble::Status("502 Bad Gateway"));
    github.trouble("POST", 1, Trouble::Status("500 Internal Server Error"));
    merged_plan(&github, SUBJECT).unwrap().unwrap();
}

#[test]
fn a_laptop_has_no_run() {
    let laptop = Environment::from_iter([("GITHUB_REPOSITORY", "acme/orders")]);
    assert_eq!(Run::of(&laptop), None);
}
