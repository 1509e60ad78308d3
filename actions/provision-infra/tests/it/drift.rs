//! What was changed beside CloudFormation.

use insta::assert_snapshot;
use provision_infra::drift::{
    Difference, Finding, Resting, StackDrift, complete, count, to_markdown, to_text,
};
use provision_infra::stack::Resource;
use tempfile::TempDir;

use crate::support::{call, configuration, destroy, prepare, project, step};

const NETWORK: &str = "\
Parameters: {VpcCidr: {Type: String}}
Resources:
  Vpc:
    Type: AWS::EC2::VPC
    Properties: {CidrBlock: !Ref VpcCidr, EnableDnsSupport: true}
  Gateway: {Type: AWS::EC2::InternetGateway}
  Attachment:
    Type: AWS::EC2::VPCGatewayAttachment
    Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}
Outputs:
  VpcId: {Value: !Ref Vpc}
";
const CLUSTER: &str = "\
Parameters: {VpcId: {Type: String}}
Resources:
  Subnet:
    Type: AWS::EC2::Subnet
    Properties: {CidrBlock: 10.40.0.0/24, VpcId: !Ref VpcId}
Outputs:
  SubnetId: {Value: !Ref Subnet}
";

fn finding(name: &str, kind: &str, state: Resting) -> Finding {
    Finding {
        logical_id: name.into(),
        physical_id: format!("{name}-1"),
        kind: kind.into(),
        state,
    }
}

fn drifted() -> StackDrift {
    let retention = Difference {
        property: "/RetentionInDays".into(),
        expected: "90".into(),
        actual: "7".into(),
    };
    let policy = Difference {
        property: "/Policies/0".into(),
        expected: "null".into(),
        actual: format!("{{\"a|b\": \"<{}>\"}}", "x".repeat(200)),
    };
    let found = vec![
        finding("Vpc", "AWS::EC2::VPC", Resting::InSync),
        finding(
            "Logs",
            "AWS::Logs::LogGroup",
            Resting::Changed(vec![retention]),
        ),
        finding("Role", "AWS::IAM::Role", Resting::Changed(vec![policy])),
        finding("Endpoint", "AWS::EC2::VPCEndpoint", Resting::Deleted),
        finding(
            "Route",
            "AWS::EC2::Route",
            Resting::Unchecked(String::new()),
        ),
    ];
    let resource = |name: &str, kind: &str| Resource {
        logical_id: name.into(),
        physical_id: String::new(),
        kind: kind.into(),
        deletion_policy: "Delete".into(),
    };
    let all = [
        resource("Vpc", "AWS::EC2::VPC"),
        resource("Alias", "AWS::KMS::Alias"),
    ];
    complete("shop-prod-network", found, &all, None)
}

#[test]
fn drift_is_told_by_resource_and_property_and_so_is_what_nobody_checked() {
    let broken = complete(
        "shop-prod-data",
        Vec::new(),
        &[Resource {
            logical_id: "Bucket".into(),
            physical_id: String::new(),
            kind: "AWS::S3::Bucket".into(),
            deletion_policy: "Retain".into(),
        }],
        Some("the stack is CREATE_FAILED"),
    );
    let drifts = [drifted(), broken];
    assert_eq!(count(&drifts), 3);
    assert_snapshot!(to_text("shop-prod", &drifts), @r#"
    Drift of shop-prod: 2 changed, 1 deleted, 1 as they should be, 3 not checked
      shop-prod-network
        - Endpoint (AWS::EC2::VPCEndpoint): deleted
        ~ Logs (AWS::Logs::LogGroup): /RetentionInDays: 90 → 7
        ~ Role (AWS::IAM::Role): /Policies/0: null → {"a|b": "<xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
    "#);
    assert_snapshot!(to_markdown("shop-prod", &drifts), @r#"
    ### Drift of `shop-prod`: 2 changed, 1 deleted, 1 as they should be, 3 not checked

    **shop-prod-network**

    | resource | kind | property | expected | actual |
    |---|---|---|---|---|
    | Endpoint | AWS::EC2::VPCEndpoint | | there | **deleted** |
    | Logs | AWS::Logs::LogGroup | /RetentionInDays | 90 | 7 |
    | Role | AWS::IAM::Role | /Policies/0 | null | {"a\|b": "&lt;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… |

    <details><summary>not checked</summary>

    | kind | | why |
    |---|---|---|
    | AWS::EC2::Route | 1 | CloudFormation does not look for drift in this type |
    | AWS::KMS::Alias | 1 | CloudFormation does not look for drift in this type |
    | AWS::S3::Bucket | 1 | the stack is CREATE_FAILED |

    </details>
    "#);
    assert_snapshot!(serde_json::to_string(&drifts[0].findings[..2]).unwrap(), @r#"[{"logical_id":"Alias","physical_id":"","kind":"AWS::KMS::Alias","state":"unchecked","detail":"CloudFormation does not look for drift in this type"},{"logical_id":"Endpoint","physical_id":"Endpoint-1","kind":"AWS::EC2::VPCEndpoint","state":"deleted"}]"#);
}

#[test]
fn what_is_changed_and_deleted_by_hand_is_found() {
    let project = project("hand");
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    prepare(
        folder,
        &configuration(&project, ""),
        Some((NETWORK, CLUSTER)),
    );
    let run = |mode: &str| step(folder, mode).input("stacks", "stacks");
    let applied = run("apply").run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    let stacks: serde_json::Value = serde_json::from_str(&applied.outputs["stacks"]).unwrap();
    let output = |layer: &str, name: &str| {
        let stack = format!("{project}-test-{layer}");
        stacks[stack][name].as_str().unwrap().to_owned()
    };
    let (vpc, subnet) = (output("network", "VpcId"), output("cluster", "SubnetId"));

    let clean = run("drift").input("fail-on-drift", "true").run();
    assert_eq!(clean.code, 0, "{}", clean.log);
    assert_eq!(clean.outputs["outcome"], "unchanged");
    assert_eq!(clean.outputs["drifted"], "0");

    call(
        "ec2",
        &format!(
            "Action=ModifyVpcAttribute&Version=2016-11-15&VpcId={vpc}&EnableDnsSupport.Value=false"
        ),
    );
    call(
        "ec2",
        &format!("Action=DeleteSubnet&Version=2016-11-15&SubnetId={subnet}"),
    );
    let found = run("drift").run();
    assert_eq!(found.code, 0, "{}", found.log);
    assert_eq!(found.outputs["outcome"], "done");
    assert_eq!(found.outputs["drifted"], "2");
    assert_snapshot!(found.summary.replace(&project, "PROJECT"), @r#"
    ### Drift of `PROJECT-test`: 1 changed, 1 deleted, 1 as they should be, 1 not checked

    **PROJECT-test-network**

    | resource | kind | property | expected | actual |
    |---|---|---|---|---|
    | Vpc | AWS::EC2::VPC | /EnableDnsSupport | true | false |

    **PROJECT-test-cluster**

    | resource | kind | property | expected | actual |
    |---|---|---|---|---|
    | Subnet | AWS::EC2::Subnet | | there | **deleted** |

    <details><summary>not checked</summary>

    | kind | | why |
    |---|---|---|
    | AWS::EC2::VPCGatewayAttachment | 1 | CloudFormation does not look for drift in this type |

    </details>
    "#);
    let failed = run("drift").input("fail-on-drift", "true").run();
    assert_snapshot!(failed.log.replace(&project, "PROJECT"), @r#"
    ::add-mask::a secret of a test
    PROJECT-test in account 000000000000, eu-west-1
    Drift of PROJECT-test: 1 changed, 1 deleted, 1 as they should be, 1 not checked
      PROJECT-test-network
        ~ Vpc (AWS::EC2::VPC): /EnableDnsSupport: true → false
      PROJECT-test-cluster
        - Subnet (AWS::EC2::Subnet): deleted
    ::error::2 resources of `PROJECT-test` are not what their templates say

    hint: the summary names them; undo by hand what was done by hand, or write it into the template and apply that
    "#);
    assert_eq!(
        (failed.code, failed.outputs["failure-reason"].as_str()),
        (1, "checks-failed")
    );
    assert!(failed.summary.contains("**deleted**"), "{}", failed.summary);
    assert_eq!(failed.outputs["drifted"], "2");
    assert_eq!(destroy(folder, &project).code, 0);
}
