//! The bootstrap layer: applied apart, by an administrator, and used by the runs after it.

use std::io::Write;

use insta::assert_snapshot;
use tempfile::TempDir;
use test_kit::{Finished, Step};

use crate::support::{
    BINARY, CLUSTER, NETWORK, configuration, credentials, destroy, prepare, project, proxy, role,
    status, step,
};

/// Gives a configuration that names a repository, in an account that knows GitHub already.
fn trusting(project: &str) -> String {
    let provider = "arn:aws:iam::000000000000:oidc-provider/token.actions.githubusercontent.com";
    let rest = configuration(project, &format!("    github-provider-arn: {provider}\n"));
    format!("github:\n  repository: acme/shop\n  ids: {{owner: 1, repository: 2}}\n{rest}")
}

fn outputs(finished: &Finished, stack: &str) -> serde_json::Value {
    assert_eq!(finished.code, 0, "{}", finished.log);
    let stacks: serde_json::Value = serde_json::from_str(&finished.outputs["stacks"]).unwrap();
    stacks[stack].clone()
}

#[test]
fn the_environment_is_made_as_the_role_that_an_administrator_made() {
    let project = project("boot");
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    prepare(folder, &trusting(&project), Some((NETWORK, CLUSTER)));
    let (bootstrap, network) = (
        format!("{project}-test-bootstrap"),
        format!("{project}-test-network"),
    );
    let environment = |mode: &str| step(folder, mode).input("stacks", "stacks").run();
    let administrator = |mode: &str| step(folder, mode).input("scope", "bootstrap");

    assert_eq!(environment("apply").code, 0);
    assert_eq!(role(&network), None);
    assert_eq!(status(&bootstrap), None, "the pipeline does not apply it");

    let planned = administrator("plan").run();
    assert!(
        planned
            .log
            .contains("+ create ServiceRole (AWS::IAM::Role)"),
        "{}",
        planned.log
    );
    assert!(!planned.log.contains("GithubProvider"), "{}", planned.log);
    let applied = administrator("apply")
        .input("plan-digest", &planned.outputs["plan-digest"])
        .run();
    let roles = outputs(&applied, &bootstrap);
    assert!(roles["ApplyRoleArn"].is_string(), "{roles}");

    let changed = NETWORK.replace("!Ref VpcCidr}", "!Ref VpcCidr, Tags: []}");
    prepare(folder, &trusting(&project), Some((&changed, CLUSTER)));
    let again = environment("apply");
    assert_eq!(again.code, 0, "{}", again.log);
    assert_eq!(
        role(&network).as_deref(),
        roles["ServiceRoleArn"].as_str(),
        "{}",
        again.log
    );

    let needed = administrator("destroy")
        .input("confirm-destroy", format!("{project}-test"))
        .run();
    assert_eq!(
        (needed.code, needed.outputs["failure-reason"].as_str()),
        (3, "refused")
    );
    assert!(
        needed
            .log
            .contains("the roles of the bootstrap layer are those of"),
        "{}",
        needed.log
    );
    assert_eq!(destroy(folder, &project).code, 0);
    assert_eq!(
        status(&bootstrap).as_deref(),
        Some("CREATE_COMPLETE"),
        "an environment goes without its roles"
    );
    let gone = administrator("destroy")
        .input("confirm-destroy", format!("{project}-test"))
        .run();
    assert_eq!(gone.code, 0, "{}", gone.log);
    assert_eq!(status(&bootstrap), None);
}

#[test]
fn who_plans_need_not_be_allowed_to_delete() {
    let project = project("deny");
    let folder = TempDir::new().unwrap();
    prepare(
        folder.path(),
        &configuration(&project, ""),
        Some((NETWORK, CLUSTER)),
    );
    let denying = proxy(|text, client| {
        let denied = text.contains("Action=DeleteStack");
        if denied {
            let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                        <Message>not allowed</Message></Error></ErrorResponse>";
            let length = body.len();
            let _ = write!(
                client,
                "HTTP/1.1 403 Forbidden\r\nContent-Type: text/xml\r\nConnection: close\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            );
        }
        denied
    });
    let plan = || {
        step(folder.path(), "plan")
            .input("stacks", "stacks")
            .env("AWS_ENDPOINT_URL", &denying)
            .run()
    };
    let planned = plan();
    assert_eq!(planned.code, 0, "{}", planned.log);
    let network = format!("{project}-test-network");
    assert_eq!(status(&network).as_deref(), Some("REVIEW_IN_PROGRESS"));
    assert_eq!(
        plan().outputs["plan-digest"],
        planned.outputs["plan-digest"]
    );
    let applied = step(folder.path(), "apply")
        .input("stacks", "stacks")
        .input("plan-digest", &planned.outputs["plan-digest"])
        .run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    assert_eq!(destroy(folder.path(), &project).code, 0);
}

#[test]
fn a_file_that_trusts_nobody_cannot_be_bootstrapped() {
    let step = credentials(Step::new(BINARY))
        .input("scope", "bootstrap")
        .file("deploy/infrastructure.yaml", configuration("shop", ""))
        .run();
    assert_eq!(step.code, 2);
    assert_snapshot!(step.log, @r#"
    ::add-mask::a secret of a test
    ::error::`deploy/infrastructure.yaml` names no repository whose workflows may manage `test`

    hint: add `github:` with `repository: <owner>/<name>` to the file
    "#);
}
