//! What a step of a workflow says and leaves.

use insta::assert_snapshot;
use test_kit::{FakeGitHub, Finished, Step, Trouble};

const EVENT: &str = r#"{"action": "synchronize", "number": 7, "pull_request": {"number": 7}}"#;

fn step(github: &FakeGitHub, event: &str) -> Step {
    let step = Step::new(env!("CARGO_BIN_EXE_comment"))
        .input("target", "one")
        .input("comment", "true")
        .env("GITHUB_API_URL", &github.api)
        .file("event.json", event);
    let file = step.folder().join("event.json").display().to_string();
    step.env("GITHUB_EVENT_PATH", file)
}

fn log(finished: &Finished) -> String {
    assert_eq!(finished.code, 0, "{}", finished.log);
    assert!(finished.summary.starts_with("### Plan for `orders`"));
    let mut lines = finished.log.lines();
    let lines = lines
        .by_ref()
        .filter(|line| !line.starts_with("::add-mask::"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_plan_is_posted_and_then_updated() {
    let github = FakeGitHub::start();
    let run = |target: &str| {
        let step = step(&github, EVENT).input("target", target);
        step.input("github-token", FakeGitHub::TOKEN).run()
    };
    let posted = run("one");
    assert_snapshot!(log(&posted), @"the pull request's comment was posted: https://github.example.com/acme/orders/pull/7#issuecomment-1");
    let updated = run("two");
    assert_snapshot!(log(&updated), @"the pull request's comment was updated: https://github.example.com/acme/orders/pull/7#issuecomment-1");
    let report = updated.report.unwrap();
    assert_eq!(report["pull-request-comment"]["written"], "updated");
    let comments = github.comments_of(FakeGitHub::LOGIN);
    assert_eq!(comments.len(), 1);
    assert_snapshot!(comments[0], @"
    <!-- fastapi-eks-actions: comment orders in eks sha256:ec4149ba37267033b3bfc168cda108e0f44e049ba5f63fa9f8cac5915e832d6b -->
    ### Plan for `orders`: 1 to create

    | | target | kind | why |
    |---|---|---|---|
    | + create | two | Deployment |  |

    Plan digest: `sha256:ec4149ba37267033b3bfc168cda108e0f44e049ba5f63fa9f8cac5915e832d6b`

    <sub>comment in `eks`, [run](https://github.example.com/acme/orders/actions/runs/1)</sub>
    ");
}

#[test]
fn a_token_that_can_only_read_leaves_the_summary() {
    let github = FakeGitHub::start();
    github.trouble("POST", 9, Trouble::Status("403 Forbidden"));
    let finished = step(&github, EVENT)
        .input("github-token", FakeGitHub::TOKEN)
        .run();
    assert_snapshot!(log(&finished), @"::warning::the plan is in the step summary only: post the comment on acme/orders#7: GitHub answered 403, Forbidden%0Ahint: the job needs `permissions: pull-requests: write`; a pull request from a fork has a token that can only read");
    let report = finished.report.unwrap();
    assert_eq!(report["outcome"], "planned");
    assert!(report["pull-request-comment"]["hint"].is_string());
}

#[test]
fn without_a_token_or_a_pull_request_there_is_the_summary() {
    let github = FakeGitHub::start();
    assert_snapshot!(log(&step(&github, EVENT).run()), @"::warning::the plan is in the step summary only: the input `github-token` is empty%0Ahint: give `github-token: ${{ github.token }}`");
    let pushed = step(&github, r#"{"ref": "refs/heads/main"}"#).run();
    assert_snapshot!(log(&pushed), @"no pull request started this run: the plan is not commented");
    let unasked = step(&github, EVENT).input("comment", "").run();
    assert_eq!(log(&unasked), "");
    assert_eq!(github.requests(), [""; 0]);
}

#[test]
fn no_secret_gets_into_a_comment() {
    let github = FakeGitHub::start();
    let finished = step(&github, EVENT)
        .input("password", "correct horse")
        .input("github-token", FakeGitHub::TOKEN)
        .run();
    let [comment] = &github.comments_of(FakeGitHub::LOGIN)[..] else {
        panic!("{}", finished.log);
    };
    assert!(
        comment.contains("| + create | one | Deployment | *** |"),
        "{comment}"
    );
    assert!(!comment.contains("correct horse"), "{comment}");
}
