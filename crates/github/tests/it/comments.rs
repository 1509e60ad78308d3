//! One comment for a plan, however often it is made.

use github::{Header, Written};
use test_kit::FakeGitHub;

use crate::{comment, write};

#[test]
fn the_second_run_updates_what_the_first_posted() {
    let github = FakeGitHub::start();
    let first = comment("orders/orders", "one");
    let posted = write(&github, &first).unwrap();
    assert_eq!(posted.written, Written::Posted);
    assert_eq!(write(&github, &first).unwrap().written, Written::Unchanged);
    let second = comment("orders/orders", "two");
    let updated = write(&github, &second).unwrap();
    assert_eq!(updated.written, Written::Updated);
    assert_eq!(updated.url, posted.url);
    let comments = github.comments_of(FakeGitHub::LOGIN);
    assert_eq!(comments, [second.text]);
    let header = Header::parse(&comments[0]);
    assert_eq!(header, Some(second.header), "the reviewed plan's digest");
}

#[test]
fn every_subject_has_its_own() {
    let github = FakeGitHub::start();
    for subject in ["orders/orders", "orders/orders-db", "orders/orders"] {
        write(&github, &comment(subject, "one")).unwrap();
    }
    assert_eq!(github.comments_of(FakeGitHub::LOGIN).len(), 2);
}

#[test]
fn it_is_found_behind_many_others() {
    let github = FakeGitHub::start();
    for number in 0..210 {
        let author = (number != 5).then_some("octocat");
        github.comment(author, &format!("Comment {number}"));
    }
    write(&github, &comment("orders/orders", "one")).unwrap();
    for number in 0..100 {
        github.comment(Some("octocat"), &format!("Answer {number}"));
    }
    write(&github, &comment("orders/orders", "two")).unwrap();
    assert_eq!(github.comments_of(FakeGitHub::LOGIN).len(), 1);
    let pages = github
        .requests()
        .iter()
        .filter(|line| line.starts_with("GET"))
        .count();
    assert_eq!(pages, 3 + 4);
}

#[test]
fn a_header_in_somebody_elses_comment_means_nothing() {
    let github = FakeGitHub::start();
    let forged = comment("orders/orders", "forged");
    github.comment(Some("mallory"), &forged.text);
    github.comment(None, &forged.text);
    let own = comment("orders/orders", "one");
    assert_eq!(write(&github, &own).unwrap().written, Written::Posted);
    assert_eq!(github.comments_of("mallory"), [forged.text]);
    assert_eq!(github.comments_of(FakeGitHub::LOGIN), [own.text]);
    assert_eq!(
        write(&github, &comment("orders/orders", "two"))
            .unwrap()
            .written,
        Written::Updated
    );
}
