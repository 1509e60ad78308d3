//! A user's own rules for the templates, by the real `cfn-guard`.

use std::path::Path;

use insta::assert_snapshot;
use test_kit::{Finished, Step};

use crate::support::{BINARY, configuration, credentials, prepare};

const NETWORK: &str = "\
Parameters: {VpcCidr: {Type: String}}
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !Ref VpcCidr}}
  Logs: {Type: AWS::S3::Bucket}
  Copies:
    Type: AWS::S3::Bucket
    Properties: {BucketEncryption: {ServerSideEncryptionConfiguration: []}}
Outputs:
  VpcId: {Value: !Ref Vpc}
";
const CLUSTER: &str = "\
Parameters: {VpcId: {Type: String}}
Resources:
  Subnet: {Type: AWS::EC2::Subnet, Properties: {CidrBlock: 10.0.0.0/24, VpcId: !Ref VpcId}}
";
const RULES: &str = "\
let buckets = Resources.*[ Type == 'AWS::S3::Bucket' ]

rule buckets_are_encrypted when %buckets !empty {
  %buckets.Properties.BucketEncryption exists <<buckets of ours are encrypted>>
}

rule subnets_have_tags {
  Resources.*[ Type == 'AWS::EC2::Subnet' ].Properties.Tags exists
  Resources.*[ Type == 'AWS::EC2::Subnet' ].Properties.CidrBlock != '10.0.0.0/24'
}
";

/// Plans without a network: what breaks a rule is refused before AWS is asked anything.
fn plan(folder: &Path, rules: &str, path: Option<&str>) -> Finished {
    prepare(folder, &configuration("shop", ""), Some((NETWORK, CLUSTER)));
    fs_err::create_dir_all(folder.join("policy")).unwrap();
    fs_err::write(folder.join("policy/ours.guard"), rules).unwrap();
    let guard = test_kit::tool("cfn-guard", "cfn-guard");
    let beside = guard.parent().unwrap().display().to_string();
    credentials(Step::new(BINARY).workspace(folder).input("mode", "plan"))
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .env("AWS_MAX_ATTEMPTS", "1")
        .env("PATH", path.unwrap_or(&beside))
        .input("stacks", "stacks")
        .input("guard-rules", "policy")
        .run()
}

#[test]
fn templates_that_break_a_rule_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = plan(folder.path(), RULES, None);
    assert_eq!(refused.code, 3, "{}", refused.log);
    assert_eq!(refused.outputs["failure-reason"], "refused");
    let said: Vec<&str> = refused
        .log
        .lines()
        .skip_while(|line| !line.contains("error"))
        .collect();
    assert_snapshot!(said.join("\n"));
}

#[test]
fn templates_that_keep_the_rules_are_planned() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "rule a_network_has_an_address {\n  Resources.*[ Type == 'AWS::EC2::VPC' ].Properties.CidrBlock exists\n}\n";
    let planned = plan(folder.path(), rules, None);
    assert!(
        planned.log.contains("2 templates keep the rules"),
        "{}",
        planned.log
    );
    // Then AWS is asked, which is not there.
    assert_eq!(
        planned.outputs["failure-reason"], "remote-failed",
        "{}",
        planned.log
    );
}

#[test]
fn rules_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let broken = plan(folder.path(), "rule {{{", None);
    assert_eq!(broken.code, 2, "{}", broken.log);
    assert!(broken.log.contains("ours.guard"), "{}", broken.log);
    let absent = plan(folder.path(), RULES, Some("/nowhere"));
    assert_eq!(absent.code, 2, "{}", absent.log);
    assert!(absent.log.contains("start `cfn-guard`"), "{}", absent.log);
    fs_err::remove_dir_all(folder.path().join("policy")).unwrap();
    let gone = credentials(
        Step::new(BINARY)
            .workspace(folder.path())
            .input("mode", "plan"),
    )
    .input("guard-rules", "policy")
    .run();
    assert_eq!(gone.code, 2, "{}", gone.log);
    assert!(gone.log.contains("there are no rules at"), "{}", gone.log);
}
