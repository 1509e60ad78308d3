//! An environment from its first plan to its destruction, with the built-in templates.

use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::support::{CLUSTER, NETWORK, configuration, destroy, prepare, project, status, step};

#[test]
fn an_environment_lives_from_plan_to_destroy() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let project = project("life");
    let stacks = [
        "network",
        "data",
        "cluster",
        "nodes",
        "add-ons",
        "observability",
    ]
    .map(|layer| format!("{project}-test-{layer}"));
    let [network, _, cluster, ..] = &stacks;
    prepare(folder, &configuration(&project, ""), None);

    let planned = step(folder, "plan").input("plan-file", "plan.json").run();
    assert_eq!(planned.code, 0, "{}", planned.log);
    assert_eq!(planned.outputs["outcome"], "planned");
    assert!(
        planned
            .summary
            .contains("| + create | Vpc | AWS::EC2::VPC |")
    );
    assert!(
        planned
            .log
            .contains("Cluster (AWS::EKS::Cluster): known after apply")
    );
    for stack in &stacks {
        assert_eq!(status(stack), None, "a plan leaves nothing");
    }
    let again = step(folder, "plan").run();
    assert_eq!(again.outputs["plan-digest"], planned.outputs["plan-digest"]);

    let applied = step(folder, "apply")
        .input("plan-digest", &planned.outputs["plan-digest"])
        .input("plan-file", "plan.json")
        .input("kubeconfig", "run/kubeconfig")
        .run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    assert_eq!(applied.outputs["outcome"], "done");
    assert_eq!(applied.outputs["cluster"], format!("{project}-test"));
    assert!(applied.outputs["stacks"].contains("ApplicationSubnetIds"));
    assert_eq!(status(cluster).as_deref(), Some("CREATE_COMPLETE"));
    let kubeconfig = folder.join("run/kubeconfig");
    let mode = fs_err::metadata(&kubeconfig).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kubeconfig = fs_err::read_to_string(kubeconfig).unwrap();
    assert!(kubeconfig.contains("token: \"k8s-aws-v1."), "{kubeconfig}");

    let unchanged = step(folder, "apply").run();
    assert_eq!(
        (unchanged.code, unchanged.outputs["outcome"].as_str()),
        (0, "unchanged")
    );

    prepare(
        folder,
        &configuration(&project, "    log-retention-days: 30\n"),
        None,
    );
    let changed = step(folder, "plan").run();
    assert!(
        changed
            .log
            .contains("~ update FlowLogGroup (AWS::Logs::LogGroup): RetentionInDays: 90 → 30"),
        "{}",
        changed.log
    );
    let stale = step(folder, "apply").input("plan-file", "plan.json").run();
    assert_eq!(
        (stale.code, stale.outputs["failure-reason"].as_str()),
        (3, "plan-changed")
    );
    assert!(
        stale.log.contains("gone: + create Vpc (AWS::EC2::VPC)"),
        "{}",
        stale.log
    );
    let reviewed = step(folder, "apply")
        .input("plan-digest", &changed.outputs["plan-digest"])
        .run();
    assert_eq!(reviewed.code, 0, "{}", reviewed.log);

    let drift = step(folder, "drift").input("fail-on-drift", "true").run();
    assert_eq!(
        (drift.code, drift.outputs["outcome"].as_str()),
        (0, "unchanged"),
        "{}",
        drift.log
    );

    assert_eq!(status(network).as_deref(), Some("UPDATE_COMPLETE"));

    ends(folder, &project, &stacks);
}

/// Access, then destruction: shown, refused, done, and nothing left.
fn ends(folder: &std::path::Path, project: &str, stacks: &[String]) {
    let access = step(folder, "kubeconfig")
        .input("kubeconfig-login", "exec")
        .run();
    assert_eq!(
        access.outputs["kubeconfig"], ".fastapi-eks-actions/kubeconfig",
        "{}",
        access.log
    );
    let text = fs_err::read_to_string(folder.join(&access.outputs["kubeconfig"])).unwrap();
    assert!(
        text.contains(&format!("- \"--cluster={project}-test\"")),
        "{text}"
    );
    let token = step(folder, "token").on_a_laptop().run();
    assert!(
        token.stdout.contains("\"kind\":\"ExecCredential\""),
        "{}",
        token.log
    );
    let token = step(folder, "token").run();
    assert!(
        !token
            .log
            .replace("::add-mask::k8s", "")
            .contains("k8s-aws-v1."),
        "{}",
        token.log
    );

    let shown = step(folder, "destroy").run();
    assert_eq!(
        (shown.code, shown.outputs["outcome"].as_str()),
        (0, "planned")
    );
    assert!(
        shown
            .log
            .contains("- delete SecretsKey (AWS::KMS::Key): CANNOT BE UNDONE")
    );
    assert!(
        shown.log.contains(
            "- delete WalBucket (AWS::S3::Bucket): leaves the stack, stays in the account"
        )
    );
    let wrong = step(folder, "destroy")
        .input("confirm-destroy", "prod")
        .run();
    assert_eq!(
        (wrong.code, wrong.outputs["failure-reason"].as_str()),
        (3, "refused")
    );
    let changed = step(folder, "destroy")
        .input("confirm-destroy", format!("{project}-test"))
        .input("plan-digest", format!("sha256:{}", "0".repeat(64)))
        .run();
    assert_eq!(changed.outputs["failure-reason"], "plan-changed");
    assert_eq!(status(&stacks[0]).as_deref(), Some("UPDATE_COMPLETE"));
    let gone = destroy(folder, project);
    assert_eq!(
        (gone.code, gone.outputs["outcome"].as_str()),
        (0, "done"),
        "{}",
        gone.log
    );
    for stack in stacks {
        assert_eq!(status(stack), None, "{stack}");
    }
    assert_eq!(destroy(folder, project).outputs["outcome"], "unchanged");
    let none = step(folder, "kubeconfig").run();
    assert_eq!(none.code, 1);
    assert!(none.log.contains("has no cluster yet"), "{}", none.log);
}

/// The layer of an edge, with something that is protected.
const EDGE: &str = "\
Parameters: {VpcId: {Type: String}, CertificateArn: {Type: String}}
Resources:
  Group:
    Type: AWS::EC2::SecurityGroup
    Properties: {GroupDescription: !Ref CertificateArn, VpcId: !Ref VpcId}
  Logs: {Type: AWS::S3::Bucket, DeletionPolicy: Retain}
";

/// Makes an environment with an edge, and takes the edge out of its file.
fn without_its_edge(tag: &str) -> (TempDir, String) {
    let (folder, project) = (TempDir::new().unwrap(), project(tag));
    let edge = "    edge: {certificate-arn: 'arn:aws:acm:eu-west-1:000000000000:certificate/1'}\n";
    let templates = Some((NETWORK, CLUSTER));
    prepare(folder.path(), &configuration(&project, edge), templates);
    fs_err::write(folder.path().join("stacks/edge.yaml"), EDGE).unwrap();
    let applied = step(folder.path(), "apply").input("stacks", "stacks").run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    let stack = format!("{project}-test-edge");
    assert_eq!(status(&stack).as_deref(), Some("CREATE_COMPLETE"));
    prepare(folder.path(), &configuration(&project, ""), templates);
    (folder, project)
}

#[test]
fn what_the_file_asks_for_no_more_is_destroyed_as_well() {
    let (folder, project) = without_its_edge("le");
    let destroyed = destroy(folder.path(), &project);
    assert_eq!(destroyed.code, 0, "{}", destroyed.log);
    assert_eq!(status(&format!("{project}-test-edge")), None);
}

#[test]
fn what_the_file_asks_for_no_more_is_planned_guarded_and_taken_away() {
    let (folder, project) = without_its_edge("lf");
    let stack = format!("{project}-test-edge");
    let run = |mode: &str| step(folder.path(), mode).input("stacks", "stacks");
    let planned = run("plan").run();
    let start = planned.log.find("Plan for").unwrap();
    let (text, _) = planned.log[start..].split_once("\nPlan digest").unwrap();
    assert_snapshot!(text.replace(&project, "shop"), @r#"
    Plan for shop-test: 3 to delete
      shop-test-edge
        - delete Group (AWS::EC2::SecurityGroup)
        - delete Logs (AWS::S3::Bucket): leaves the stack, stays in the account
        - delete shop-test-edge (AWS::CloudFormation::Stack): no setting asks for it any more
    "#);
    let refused = run("apply").run();
    assert_eq!(
        (refused.code, refused.outputs["failure-reason"].as_str()),
        (3, "refused")
    );
    assert!(
        refused.log.contains("list them in `allow-replace`: Logs"),
        "{}",
        refused.log
    );
    assert_eq!(status(&stack).as_deref(), Some("CREATE_COMPLETE"));

    let reviewed = run("apply").input("plan-digest", &planned.outputs["plan-digest"]);
    let applied = reviewed.input("allow-replace", "Logs").run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    assert_eq!(applied.outputs["changes"], "3");
    assert_eq!(status(&stack), None);
    let again = run("apply").run();
    assert_eq!(again.outputs["outcome"], "unchanged", "{}", again.log);
    assert_eq!(destroy(folder.path(), &project).code, 0);
}
