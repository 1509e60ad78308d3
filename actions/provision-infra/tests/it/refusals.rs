//! What CloudFormation refuses or fails to do, and how the next run goes on.

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::support::{CLUSTER, NETWORK, configuration, destroy, prepare, project, status, step};

/// Prepares a folder with the small templates.
fn small(project: &str, network: &str, cluster: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    prepare(
        folder.path(),
        &configuration(project, ""),
        Some((network, cluster)),
    );
    folder
}

#[test]
fn a_template_error_is_told_in_cloudformations_words() {
    let project = project("tmpl");
    let wrong = NETWORK.replace("!Ref Vpc}", "!Ref Nothing}");
    let folder = small(&project, &wrong, CLUSTER);
    for mode in ["plan", "apply"] {
        let step = step(folder.path(), mode).input("stacks", "stacks").run();
        assert_eq!(step.code, 2, "{}", step.log);
        assert_eq!(step.outputs["failure-reason"], "invalid-input");
        assert!(
            step.log
                .contains("the template of the layer `network` is not valid"),
            "{}",
            step.log
        );
        assert!(step.log.contains("Nothing"), "{}", step.log);
    }
    assert_eq!(status(&format!("{project}-test-network")), None);
}

#[test]
fn a_type_that_nobody_makes_is_named() {
    let project = project("type");
    let unknown = NETWORK.replace("AWS::EC2::VPC", "AWS::Moon::Base");
    let folder = small(&project, &unknown, CLUSTER);
    let step = step(folder.path(), "apply").input("stacks", "stacks").run();
    assert_ne!(step.code, 0, "{}", step.log);
    assert!(step.log.contains("AWS::Moon::Base"), "{}", step.log);
    assert!(step.log.contains("hint: "), "{}", step.log);
    destroy(folder.path(), &project);
    assert_eq!(status(&format!("{project}-test-network")), None);
}

#[test]
fn a_failed_resource_is_the_message_and_the_next_run_goes_on() {
    let project = project("fail");
    let wrong = CLUSTER.replace("!Ref VpcId", "vpc-0123456789abcdef0");
    let folder = small(&project, NETWORK, &wrong);
    let failed = step(folder.path(), "apply").input("stacks", "stacks").run();
    assert_eq!(failed.code, 1, "{}", failed.log);
    assert!(
        failed
            .log
            .contains("::error::Subnet (AWS::EC2::Subnet) of the stack"),
        "{}",
        failed.log
    );
    assert!(
        failed.log.contains("vpc-0123456789abcdef0"),
        "{}",
        failed.log
    );
    assert_eq!(
        status(&format!("{project}-test-network")).as_deref(),
        Some("CREATE_COMPLETE")
    );

    prepare(
        folder.path(),
        &configuration(&project, ""),
        Some((NETWORK, CLUSTER)),
    );
    let planned = step(folder.path(), "plan").input("stacks", "stacks").run();
    assert!(
        planned.log.contains("can only be deleted and made again"),
        "{}",
        planned.log
    );
    let applied = step(folder.path(), "apply")
        .input("stacks", "stacks")
        .input("plan-digest", &planned.outputs["plan-digest"])
        .run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    assert_eq!(
        status(&format!("{project}-test-cluster")).as_deref(),
        Some("CREATE_COMPLETE")
    );
    assert_eq!(destroy(folder.path(), &project).code, 0);
}

#[test]
fn what_cannot_be_made_again_is_not_replaced_without_a_word() {
    let project = project("lose");
    let folder = small(&project, NETWORK, CLUSTER);
    assert_eq!(
        step(folder.path(), "apply")
            .input("stacks", "stacks")
            .run()
            .code,
        0
    );
    let moved = configuration(&project, "    cidr: 10.99.0.0/16\n");
    prepare(folder.path(), &moved, None);
    let refused = step(folder.path(), "apply").input("stacks", "stacks").run();
    assert_eq!(
        (refused.code, refused.outputs["failure-reason"].as_str()),
        (3, "refused")
    );
    assert!(
        refused.log.contains("`allow-replace`: Vpc"),
        "{}",
        refused.log
    );
    let after = step(folder.path(), "plan").input("stacks", "stacks").run();
    assert!(
        after
            .log
            .contains("± replace Vpc (AWS::EC2::VPC): CANNOT BE UNDONE"),
        "{}",
        after.log
    );
    assert_eq!(destroy(folder.path(), &project).code, 0);
}

#[test]
fn what_a_later_layer_would_lose_by_an_earlier_one_is_refused_as_well() {
    let project = project("late");
    let network = format!("{NETWORK}  InnerCidr: {{Value: !Ref VpcCidr}}\n");
    let later = "\
Parameters: {InnerCidr: {Type: String}}
Resources:
  Inner: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !Ref InnerCidr}}
";
    let folder = small(&project, &network, later);
    let apply = || step(folder.path(), "apply").input("stacks", "stacks");
    assert_eq!(apply().run().code, 0);
    let moved = configuration(&project, "    cidr: 10.99.0.0/16\n");
    prepare(folder.path(), &moved, None);
    // Nobody could see it before: the first layer's output was still the old one.
    let planned = step(folder.path(), "plan").input("stacks", "stacks").run();
    assert!(!planned.log.contains("Inner"), "{}", planned.log);
    let refused = apply().input("allow-replace", "Vpc").run();
    assert_eq!(
        (refused.code, refused.outputs["failure-reason"].as_str()),
        (3, "refused"),
        "{}",
        refused.log
    );
    assert!(
        refused.log.contains("`allow-replace`: Inner"),
        "{}",
        refused.log
    );
    let allowed = apply().input("allow-replace", "Inner").run();
    assert_eq!(allowed.code, 0, "{}", allowed.log);
    assert_eq!(destroy(folder.path(), &project).code, 0);
}

#[test]
fn another_account_is_refused() {
    let folder = TempDir::new().unwrap();
    let elsewhere = configuration("shop", "").replace("000000000000", "111111111111");
    prepare(folder.path(), &elsewhere, None);
    let step = step(folder.path(), "apply").run();
    assert_eq!(step.code, 3);
    let log = step
        .log
        .replace("root", "USER")
        .replace("user/localstack", "USER");
    assert_snapshot!(log, @r#"
    ::add-mask::a secret of a test
    ::error::the credentials belong to account 000000000000, expected is 111111111111

    hint: the run is `arn:aws:iam::000000000000:USER`: use credentials of account 111111111111, or correct the declared account
    "#);
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    let folder = TempDir::new().unwrap();
    let step = step(folder.path(), "kubeconfig")
        .input("cluster", "nowhere")
        .input("region", "eu-west-1")
        .run();
    assert_eq!(step.code, 1);
    assert!(
        step.log.contains("describe the EKS cluster `nowhere`"),
        "{}",
        step.log
    );
    assert!(
        step.log.contains("hint: apply the infrastructure"),
        "{}",
        step.log
    );
}
