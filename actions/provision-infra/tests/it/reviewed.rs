//! After the merge: only what the pull request showed, or what the environment's reviewers saw.

use std::collections::BTreeMap;

use action_kit::{Environment, Failure, Secret};
use github::{Comment, GitHub, Header, PullRequest, Reviews, Run};
use insta::assert_snapshot;
use plan::{Change, Digest, Operation, Plan};
use provision_infra::error::InfraError;
use provision_infra::reviewed::{Approval, Demand};
use test_kit::{FakeGitHub, Step, Trouble};

use crate::support::{BINARY, configuration, credentials};

fn plan(target: &str) -> Plan {
    let changes = vec![Change::new(Operation::Create, "AWS::EC2::VPC", target)];
    let observed = Digest::of("nothing");
    Plan::new("provision-infra", "orders-test", observed, changes, "now")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

/// A merged pull request whose comment shows a plan, if one is given.
fn merged(shown: Option<&Plan>) -> FakeGitHub {
    let github = FakeGitHub::start();
    if let Some(plan) = shown {
        let pull_request = PullRequest {
            api: github.api.clone(),
            repository: "acme/orders".into(),
            number: 7,
        };
        let comment = Comment::new(plan, None, &plan.to_markdown(), None);
        block_on(async {
            let client = GitHub::new(pull_request, &Secret::new(FakeGitHub::TOKEN)).unwrap();
            client.write(&comment).await.unwrap();
        });
    }
    github.merge("main");
    github
}

/// The variables of the run that follows the merge.
fn variables(github: &FakeGitHub) -> BTreeMap<&'static str, String> {
    [
        ("GITHUB_API_URL", github.api.as_str()),
        ("GITHUB_REPOSITORY", "acme/orders"),
        ("GITHUB_SHA", FakeGitHub::COMMIT),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_RUN_ID", "1"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

/// Asks whether a plan may be carried out; `announced` is whether reviewers could see it.
fn demand(github: &FakeGitHub, plan: &Plan, announced: bool) -> Result<Approval, InfraError> {
    let variables = variables(github);
    let pairs = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    let run = Run::of(&pairs.collect::<Environment>()).unwrap();
    let demand = Demand {
        header: Header::of(plan, None),
        environment: "test",
        announced,
    };
    block_on(async {
        let reviews = Reviews::new(run, &Secret::new(FakeGitHub::TOKEN))?;
        demand.meet(&reviews).await
    })
}

fn told(error: &InfraError) -> String {
    format!(
        "{}: {error}\nhint: {}",
        error.reason().word(),
        error.hints().join("\n")
    )
}

#[test]
fn what_the_pull_request_showed_goes_on_by_itself() {
    let plan = plan("Vpc");
    let github = merged(Some(&plan));
    for announced in [true, false] {
        let approval = demand(&github, &plan, announced).unwrap();
        let comment = "https://github.example.com/acme/orders/pull/7#issuecomment-1".into();
        assert_eq!(approval, Approval::PullRequest { comment });
    }
    let asked = github.requests();
    assert!(
        asked.iter().all(|line| !line.contains("/approvals")),
        "{asked:?}"
    );
}

#[test]
fn another_plan_is_refused() {
    let github = merged(Some(&plan("Vpc")));
    github.review("rejected", "test", "octocat");
    github.review("approved", "production", "octocat");
    let error = demand(&github, &plan("Subnet"), true).unwrap_err();
    assert_snapshot!(told(&error), @"
    plan-changed: the plan is sha256:1450d5bb5101f8cef13f7687a81b3df2cc149956c7a535b6f8393ef9232e6bd5, shown in https://github.example.com/acme/orders/pull/7#issuecomment-1 was sha256:ed53afb0303167fa4f2690f8309503b9068792cd230250808f911e131eab15a2, and nobody approved the job for `test`
    hint: something moved since that review: show the plan in a new pull request, or give the environment `test` required reviewers on GitHub, who see this run's plan before its job starts
    ");
}

#[test]
fn another_plan_goes_on_when_the_environments_reviewer_saw_it() {
    for github in [merged(Some(&plan("Vpc"))), merged(None)] {
        github.review("approved", "test", "octocat");
        let approval = demand(&github, &plan("Subnet"), true).unwrap();
        let by = "octocat".into();
        assert_eq!(approval, Approval::Environment { by });
        // Whoever approves without a digest approves nobody knows what.
        demand(&github, &plan("Subnet"), false).unwrap_err();
    }
}

#[test]
fn a_plan_that_nobody_saw_is_refused() {
    let error = demand(&merged(None), &plan("Vpc"), true).unwrap_err();
    assert_snapshot!(told(&error), @"
    evidence-missing: no merged pull request of this commit showed the plan sha256:ed53afb0303167fa4f2690f8309503b9068792cd230250808f911e131eab15a2, and nobody approved the job for `test`
    hint: let a pull request show the plan before it is merged, or give the environment `test` required reviewers on GitHub; what they approve is the plan of `plan-digest`
    ");
}

#[test]
fn a_github_that_does_not_tell_lets_nothing_pass() {
    let plan = plan("Vpc");
    let github = merged(Some(&plan));
    github.trouble("GET", 9, Trouble::Status("403 Forbidden"));
    let error = demand(&github, &plan, true).unwrap_err();
    assert_snapshot!(told(&error), @"
    remote-failed: find the commit's pull request on acme/orders: GitHub answered 403, Forbidden
    hint: the job needs `permissions: pull-requests: read` and `actions: read`; a pull request from a fork has a token that can only read
    ");
}

#[test]
fn what_is_asked_and_answered_is_as_github_describes_it() {
    let github = merged(Some(&plan("Vpc")));
    github.review("approved", "test", "octocat");
    demand(&github, &plan("Subnet"), true).unwrap();
    assert_snapshot!(FakeGitHub::check(&github.exchanges()).unwrap(), @"
    create_comment 201
    get_reviews_for_run 200
    graphql: not compared, it has another description
    list_comments 200
    list_pull_requests_associated_with_commit 200
    ");
}

/// Starts the action, which must refuse before it asks AWS for anything.
fn refused(token: &str, variables: BTreeMap<&'static str, String>) -> String {
    let step = Step::new(BINARY)
        .file("deploy/infrastructure.yaml", configuration("orders", ""))
        .input("mode", "apply")
        .input("require-review", "true")
        .input("github-token", token);
    let step = credentials(step);
    let step = variables
        .into_iter()
        .fold(step, |step, (name, value)| step.env(name, value));
    let finished = step.run();
    assert_eq!(finished.code, 2, "{}", finished.log);
    assert_eq!(finished.outputs["failure-reason"], "invalid-input");
    finished.log
}

#[test]
fn without_a_token_or_a_run_nothing_begins() {
    let github = FakeGitHub::start();
    let log = refused("", variables(&github));
    assert!(log.contains("the input `github-token` is empty"), "{log}");
    let mut laptop = variables(&github);
    laptop.remove("GITHUB_SHA");
    let log = refused(FakeGitHub::TOKEN, laptop);
    assert!(log.contains("this is no run of a workflow"), "{log}");
    assert_eq!(github.requests(), [""; 0]);
}
