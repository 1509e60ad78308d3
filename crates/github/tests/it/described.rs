//! The fake, and what is asked of it, against the description of its API that GitHub publishes.

use insta::assert_snapshot;
use serde_json::json;
use test_kit::{FakeGitHub, Trouble};

use crate::reviews::{approver, merged_plan};
use crate::{comment, write, write_as};

/// Has every kind of request and answer happen.
fn everything() -> FakeGitHub {
    let github = FakeGitHub::start();
    for number in 0..150 {
        let author = (number != 5).then_some("octocat");
        github.comment(author, &format!("Comment {number}"));
    }
    write(&github, &comment("orders/orders", "one")).unwrap();
    write(&github, &comment("orders/orders", "two")).unwrap();
    let mut too_long = comment("orders/orders-db", "one");
    too_long.text.push_str(&"x".repeat(70_000));
    write(&github, &too_long).unwrap_err();
    too_long.header = comment("orders/orders", "one").header;
    write(&github, &too_long).unwrap_err();
    github.trouble("POST", 1, Trouble::Status("403 Forbidden"));
    write(&github, &comment("orders/orders-db", "one")).unwrap_err();
    github.trouble("GET", 1, Trouble::Status("404 Not Found"));
    write(&github, &comment("orders/orders", "one")).unwrap_err();
    github.trouble(
        "GET",
        1,
        Trouble::Status("429 Too Many Requests\r\nRetry-After: 0"),
    );
    write(&github, &comment("orders/orders", "two")).unwrap();
    write_as("gone", &github, &comment("orders/orders", "one")).unwrap_err();
    github.merge("main");
    github.review("approved", "staging", "octocat");
    merged_plan(&github, "orders/orders").unwrap().unwrap();
    approver(&github, "staging").unwrap().unwrap();
    github
}

#[test]
fn requests_and_answers_are_as_described() {
    let github = everything();
    assert_snapshot!(FakeGitHub::check(&github.exchanges()).unwrap(), @"
    create_comment 201
    create_comment 403
    create_comment 422
    get_reviews_for_run 200
    graphql: not compared, it has another description
    list_comments 200
    list_comments 401: compared as any error
    list_comments 404
    list_comments 429: compared as any error
    list_pull_requests_associated_with_commit 200
    update_comment 200
    update_comment 422
    ");
}

#[test]
fn what_is_not_as_described_is_found() {
    let exchanges = everything().exchanges();
    let posted = exchanges
        .iter()
        .find(|one| one["status"] == 201)
        .unwrap()
        .clone();
    FakeGitHub::check(std::slice::from_ref(&posted)).unwrap();
    let wrong = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut exchange = posted.clone();
        change(&mut exchange);
        FakeGitHub::check(&[exchange]).unwrap_err()
    };
    let unknown = wrong(&|one| one["path"] = json!("/repos/acme/orders/pulls/7/comment"));
    assert!(unknown.contains("do not have it"), "{unknown}");
    let empty = wrong(&|one| one["request"] = json!({ "text": "no body" }));
    assert!(empty.contains("body"), "{empty}");
    let short = wrong(&|one| {
        one["answer"].as_object_mut().unwrap().remove("html_url");
    });
    assert!(short.contains("html_url"), "{short}");
    let text = wrong(&|one| one["answer"]["id"] = json!("1"));
    assert!(text.contains("id"), "{text}");
}
