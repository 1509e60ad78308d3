//! What GitHub does on bad days, and what a token may not do.

use github::{GitHubError, Written};
use test_kit::{FakeGitHub, Trouble};

use crate::{comment, write, write_as};

#[test]
fn what_passes_is_tried_again() {
    for status in [
        "502 Bad Gateway",
        "500 Internal Server Error",
        "429 Too Many Requests\r\nRetry-After: 1",
        "403 Forbidden\r\nRetry-After: 1",
    ] {
        for method in ["GET", "POST"] {
            let github = FakeGitHub::start();
            github.trouble(method, 1, Trouble::Status(status));
            let shown = write(&github, &comment("orders/orders", "one")).unwrap();
            assert_eq!(shown.written, Written::Posted, "{method} {status}");
            assert_eq!(github.comments_of(FakeGitHub::LOGIN).len(), 1);
        }
    }
}

#[test]
fn an_answer_that_is_lost_makes_no_second_comment() {
    let github = FakeGitHub::start();
    github.trouble("POST", 1, Trouble::Unanswered);
    let own = comment("orders/orders", "one");
    assert_eq!(write(&github, &own).unwrap().written, Written::Unchanged);
    assert_eq!(github.comments_of(FakeGitHub::LOGIN), [own.text]);
}

#[test]
fn a_token_that_may_not_write_is_told_at_once() {
    let github = FakeGitHub::start();
    github.trouble("POST", 9, Trouble::Status("403 Forbidden"));
    let error = write(&github, &comment("orders/orders", "one")).unwrap_err();
    assert!(matches!(error, GitHubError::Refused { status: 403, .. }));
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint()), @"
    post the comment on acme/orders#7: GitHub answered 403, Forbidden
    hint: the job needs `permissions: pull-requests: write`; a pull request from a fork has a token that can only read
    ");
    assert_eq!(github.requests().len(), 2, "{:?}", github.requests());
}

#[test]
fn a_token_that_sees_nothing_is_told_at_once() {
    let github = FakeGitHub::start();
    github.trouble("GET", 9, Trouble::Status("404 Not Found"));
    let error = write(&github, &comment("orders/orders", "one")).unwrap_err();
    assert!(matches!(error, GitHubError::Refused { status: 404, .. }));
    let error = write_as(
        "gone",
        &FakeGitHub::start(),
        &comment("orders/orders", "one"),
    );
    let error = error.unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint()), @"
    list the pull request's comments on acme/orders#7: GitHub answered 401, Bad credentials
    hint: the token has expired or is none: give `github-token: ${{ github.token }}`
    ");
}

#[test]
fn what_does_not_pass_ends() {
    let github = FakeGitHub::start();
    github.trouble("GET", 9, Trouble::Status("503 Service Unavailable"));
    let error = write(&github, &comment("orders/orders", "one")).unwrap_err();
    assert!(matches!(error, GitHubError::Refused { status: 503, .. }));
    assert_eq!(github.requests().len(), 5);
    let mut nobody = FakeGitHub::start();
    nobody.api = format!("http://{}", test_kit::free_address());
    let error = write(&nobody, &comment("orders/orders", "one")).unwrap_err();
    assert!(matches!(error, GitHubError::Remote { .. }));
    assert!(
        error
            .to_string()
            .starts_with("list the pull request's comments on acme/orders#7: ")
    );
}
