//! Plans from literal observations: no network, no files.

use std::path::Path;

use insta::assert_snapshot;
use plan::{Change, Operation, Plan};
use provision_infra::config::Target;
use provision_infra::inputs::Scope;
use provision_infra::layers::{self, Layer, Outputs};
use provision_infra::observe::{Observed, Offer};
use provision_infra::plan::{Doomed, beyond, destruction, plan, protected, resource_changes};
use provision_infra::settings::settings;
use provision_infra::stack::{
    ChangeSet, Condition, Detail, Event, Resource, ResourceChange, STACK_TYPE, Stack, Values,
    details_between, first_failure,
};
use provision_infra::template::Template;

use crate::support::{CLUSTER, NETWORK};

const CREATED: &str = "2026-01-02T03:04:05Z";

fn stack(name: &str, status: &str) -> Stack {
    Stack {
        id: format!("arn:{name}"),
        name: name.into(),
        status: status.into(),
        reason: String::new(),
        outputs: Values::new(),
        changed: "2026-01-01T00:00:00Z".into(),
        protected: true,
    }
}

fn observed(name: &str, template: &str, status: Option<&str>, offer: Offer) -> Observed {
    let layer = Layer {
        name: name.into(),
        stack: format!("shop-prod-{name}"),
        template: Template::parse(template).unwrap(),
    };
    Observed {
        found: status.map(|status| stack(&layer.stack, status)),
        layer,
        parameters: Values::new(),
        unknown: Vec::new(),
        remains: Vec::new(),
        offer,
    }
}

fn offer(changes: Vec<ResourceChange>) -> Offer {
    Offer::Changes(ChangeSet {
        id: "arn:change-set".into(),
        stack_id: "arn:stack".into(),
        changes,
    })
}

fn change(action: &str, replacement: &str, kind: &str, name: &str) -> ResourceChange {
    ResourceChange {
        logical_id: name.into(),
        kind: kind.into(),
        action: action.into(),
        replacement: replacement.into(),
        policy: String::new(),
        details: Vec::new(),
    }
}

fn planned(observations: &[Observed]) -> Plan {
    plan("shop-prod", &[], observations, &Values::new(), CREATED)
}

#[test]
fn a_first_creation_knows_later_layers_from_their_templates() {
    let vpc = change("Add", "", "AWS::EC2::VPC", "Vpc");
    let network = observed("network", NETWORK, None, offer(vec![vpc]));
    let cluster = observed("cluster", CLUSTER, None, Offer::Later);
    assert_snapshot!(planned(&[network, cluster]).to_text(), @r#"
    Plan for shop-prod: 2 to create
      shop-prod-network
        + create Vpc (AWS::EC2::VPC)
      shop-prod-cluster
        + create Subnet (AWS::EC2::Subnet): known after apply
    Plan digest: sha256:d70e3d6b71d77ee16f721642110ea20692d353bcfa51360d3f07042f98c1fff6
    "#);
}

#[test]
fn what_no_condition_asks_for_is_not_planned() {
    let template = "\
Parameters: {Given: {Type: String, Default: ''}, Later: {Type: String}}
Conditions:
  IsGiven: !Not [!Equals [!Ref Given, '']]
  IsLater: !Not [!Equals [!Ref Later, '']]
Resources:
  Always: {Type: AWS::EC2::VPC}
  WhenGiven: {Type: AWS::SNS::Topic, Condition: IsGiven}
  WhenLater: {Type: AWS::SNS::Topic, Condition: IsLater}
";
    let targets = |given: &str| {
        let layer = Observed {
            parameters: Values::from([("Given".into(), given.into())]),
            unknown: vec!["Later".into()],
            ..observed("edge", template, None, Offer::Later)
        };
        let changes = planned(&[layer]).changes.into_iter();
        changes.map(|change| change.target).collect::<Vec<_>>()
    };
    assert_eq!(targets(""), ["Always", "WhenLater"]);
    assert_eq!(targets("a"), ["Always", "WhenGiven", "WhenLater"]);
}

#[test]
fn nothing_to_do_is_an_empty_plan() {
    let network = observed(
        "network",
        NETWORK,
        Some("UPDATE_COMPLETE"),
        Offer::Unchanged,
    );
    assert!(planned(&[network]).is_empty());
}

#[test]
fn changes_are_shown_with_their_reasons() {
    let detail = |name: &str, before: &str, after: &str| Detail {
        name: name.into(),
        before: Some(before.into()),
        after: Some(after.into()),
        replaces: name == "CidrBlock",
    };
    let changes = vec![
        ResourceChange {
            details: vec![
                detail("Attribute", "a", "b"),
                detail("CidrBlock", "10.0.0.0/16", "10.1.0.0/16"),
            ],
            ..change("Modify", "True", "AWS::EC2::VPC", "Vpc")
        },
        ResourceChange {
            details: vec![detail("Policy", &"x".repeat(61), "{}")],
            ..change("Modify", "False", "AWS::IAM::Role", "Role")
        },
        change("Modify", "Conditional", "AWS::EC2::EIP", "Address"),
        ResourceChange {
            policy: "ReplaceAndRetain".into(),
            ..change("Modify", "True", "AWS::EKS::Cluster", "Cluster")
        },
        change("Remove", "", "AWS::S3::Bucket", "Archive"),
        ResourceChange {
            policy: "Snapshot".into(),
            ..change("Remove", "", "AWS::EC2::Volume", "Disk")
        },
        ResourceChange {
            details: vec![detail(
                "NatGatewayId",
                "nat-1",
                "{{changeSet:KNOWN_AFTER_APPLY}}",
            )],
            ..change("Dynamic", "", "AWS::EC2::Route", "Route")
        },
    ];
    let network = observed("network", NETWORK, Some("CREATE_COMPLETE"), offer(changes));
    let plan = planned(&[network]);
    assert_snapshot!(plan.to_text(), @r#"
    Plan for shop-prod: 2 to update, 3 to replace, 2 to delete
      shop-prod-network
        ± replace Address (AWS::EC2::EIP): replaced only if a value that is not known yet differs
        - delete Archive (AWS::S3::Bucket): CANNOT BE UNDONE
        ± replace Cluster (AWS::EKS::Cluster): the old one is retained
        - delete Disk (AWS::EC2::Volume): a snapshot of the old one is kept
        ~ update Role (AWS::IAM::Role): Policy
        ~ update Route (AWS::EC2::Route): known after apply; NatGatewayId: nat-1 → known after apply
        ± replace Vpc (AWS::EC2::VPC): CANNOT BE UNDONE; because of CidrBlock: 10.0.0.0/16 → 10.1.0.0/16; Attribute: a → b
    Plan digest: sha256:6d07bdbd5ee6636dadd5f027d8ef2101a6f22a8e97db96d5d740d3370a3f10f5
    "#);
    let protected = |allowed: &[&str]| {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        protected(&plan.changes, &allowed)
    };
    assert_eq!(protected(&[]), ["Archive", "Cluster", "Disk", "Vpc"]);
    assert_eq!(protected(&["Archive", "Cluster", "Disk"]), ["Vpc"]);
}

#[test]
fn a_stack_that_a_killed_run_left_is_brought_back_first() {
    let broken = Observed {
        remains: vec![Resource {
            logical_id: "Key".into(),
            physical_id: String::new(),
            kind: "AWS::KMS::Key".into(),
            deletion_policy: "Delete".into(),
        }],
        ..observed("a", CLUSTER, Some("DELETE_FAILED"), Offer::Later)
    };
    let empty = observed("b", CLUSTER, Some("ROLLBACK_COMPLETE"), Offer::Later);
    let stuck = observed("c", CLUSTER, Some("UPDATE_ROLLBACK_FAILED"), Offer::Later);
    let mut open = observed("d", CLUSTER, Some("CREATE_COMPLETE"), Offer::Unchanged);
    open.found.as_mut().unwrap().protected = false;
    let waiting = Observed {
        unknown: vec!["VpcId".into()],
        ..observed("e", CLUSTER, Some("CREATE_COMPLETE"), Offer::Later)
    };
    let outputs = observed("f", CLUSTER, Some("CREATE_COMPLETE"), offer(Vec::new()));
    let plan = planned(&[broken, empty, stuck, open, waiting, outputs]);
    assert_snapshot!(plan.to_text(), @r#"
    Plan for shop-prod: 2 to create, 3 to update, 2 to delete, 1 to run
      shop-prod-a
        - delete shop-prod-a (AWS::CloudFormation::Stack): CANNOT BE UNDONE; it is DELETE_FAILED, which can only be deleted and made again
        + create Subnet (AWS::EC2::Subnet): known after apply
      shop-prod-b
        - delete shop-prod-b (AWS::CloudFormation::Stack): it is ROLLBACK_COMPLETE, which can only be deleted and made again
        + create Subnet (AWS::EC2::Subnet): known after apply
      shop-prod-c
        > run shop-prod-c (AWS::CloudFormation::Stack): continue the rollback: it is UPDATE_ROLLBACK_FAILED
      shop-prod-d
        ~ update shop-prod-d (AWS::CloudFormation::Stack): turn termination protection on
      shop-prod-e
        ~ update shop-prod-e (AWS::CloudFormation::Stack): known after apply; depends on VpcId
      shop-prod-f
        ~ update shop-prod-f (AWS::CloudFormation::Stack): no resource changes: outputs, tags or the template's metadata
    Plan digest: sha256:ecfb64623cf2c162db39a26df3da8d33a02684f45218011bf4cafda223194b44
    "#);
    assert_eq!(protected(&plan.changes, &[]), ["shop-prod-a"]);
}

#[test]
fn the_digest_knows_the_template_and_the_parameters() {
    let before = observed(
        "network",
        NETWORK,
        Some("CREATE_COMPLETE"),
        Offer::Unchanged,
    );
    let mut after = before.clone();
    after
        .parameters
        .insert("VpcCidr".into(), "10.0.0.0/16".into());
    let other = observed(
        "network",
        CLUSTER,
        Some("CREATE_COMPLETE"),
        Offer::Unchanged,
    );
    let unborn = observed(
        "network",
        NETWORK,
        Some("REVIEW_IN_PROGRESS"),
        Offer::Unchanged,
    );
    let absent = observed("network", NETWORK, None, Offer::Unchanged);
    let digest = |observed: &Observed| planned(std::slice::from_ref(observed)).digest();
    assert_ne!(digest(&before), digest(&after));
    assert_ne!(digest(&before), digest(&other));
    assert_eq!(digest(&unborn), digest(&absent));
}

#[test]
fn a_layer_may_do_no_more_than_was_reviewed() {
    let cluster = observed("cluster", CLUSTER, None, Offer::Later);
    let reviewed = planned(&[cluster]);
    let subnet = change("Add", "", "AWS::EC2::Subnet", "Subnet");
    let same = resource_changes("shop-prod-cluster", std::slice::from_ref(&subnet));
    assert!(beyond(&same, &reviewed).is_empty());
    let more = [subnet, change("Add", "", "AWS::EC2::Instance", "Miner")];
    assert_snapshot!(
        beyond(&resource_changes("shop-prod-cluster", &more), &reviewed).join("\n"),
        @"+ create Miner (AWS::EC2::Instance)"
    );
    let known = Plan {
        changes: vec![
            Change::new(Operation::Update, "T", "R")
                .part("s")
                .reason("A: 1 → 2"),
        ],
        ..reviewed
    };
    let other = [Change::new(Operation::Update, "T", "R")
        .part("s")
        .reason("A: 1 → 3")];
    assert_eq!(beyond(&other, &known).len(), 1);
}

#[test]
fn the_first_failure_is_no_cancellation() {
    let event = |id: &str, kind: &str, status: &str, reason: &str| Event {
        id: id.into(),
        logical_id: id.into(),
        physical_id: "arn:stack".into(),
        kind: kind.into(),
        status: status.into(),
        reason: reason.into(),
    };
    let events = [
        event("stack", STACK_TYPE, "CREATE_FAILED", "it failed"),
        event("b", "T", "CREATE_FAILED", "Resource creation cancelled"),
        event("c", "T", "CREATE_FAILED", "no such VPC"),
        event("d", "T", "CREATE_FAILED", "something else"),
    ];
    assert_eq!(first_failure(&events, "arn:stack").unwrap().id, "c");
    assert_eq!(first_failure(&events[..2], "arn:stack").unwrap().id, "b");
    assert!(first_failure(&events[..1], "arn:stack").is_none());
}

#[test]
fn a_destruction_names_what_stays_and_what_is_lost() {
    let resource = |name: &str, kind: &str, policy: &str| Resource {
        logical_id: name.into(),
        physical_id: String::new(),
        kind: kind.into(),
        deletion_policy: policy.into(),
    };
    let doomed = Doomed {
        stack: stack("shop-prod-data", "UPDATE_COMPLETE"),
        resources: vec![
            resource("Wal", "AWS::S3::Bucket", "Retain"),
            resource("Key", "AWS::KMS::Key", "Delete"),
            resource("Alias", "AWS::KMS::Alias", "Delete"),
        ],
        below_cluster: true,
        backups: None,
    };
    assert_snapshot!(destruction("shop-prod", &[doomed], &[], CREATED).to_text(), @r#"
    Plan for shop-prod: 4 to delete
      shop-prod-data
        - delete Alias (AWS::KMS::Alias)
        - delete Key (AWS::KMS::Key): CANNOT BE UNDONE
        - delete Wal (AWS::S3::Bucket): leaves the stack, stays in the account
        - delete shop-prod-data (AWS::CloudFormation::Stack): the stack itself
    Plan digest: sha256:4df4c653daf70dd16fb7d3fca507b214ea544e40f626b5661f0a3677e2ed1612
    "#);
}

#[test]
fn statuses_are_told_apart() {
    let table = [
        ("DELETE_COMPLETE", Condition::Absent),
        ("REVIEW_IN_PROGRESS", Condition::Unborn),
        ("CREATE_COMPLETE", Condition::Ready),
        ("UPDATE_ROLLBACK_COMPLETE", Condition::Ready),
        ("UPDATE_FAILED", Condition::Ready),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Condition::Busy),
        ("DELETE_IN_PROGRESS", Condition::Busy),
        ("ROLLBACK_FAILED", Condition::Broken),
        ("CREATE_FAILED", Condition::Broken),
        ("UPDATE_ROLLBACK_FAILED", Condition::Stuck),
    ];
    for (status, condition) in table {
        assert_eq!(Condition::of(status), condition, "{status}");
    }
}

#[test]
fn properties_are_compared_when_details_are_missing() {
    let details = details_between(
        r#"{"Properties": {"Days": "60", "Name": "a", "Old": {"x": 1}}}"#,
        r#"{"Properties": {"Days": "7", "Name": "a", "New": [1]}}"#,
    );
    let names: Vec<&str> = details.iter().map(|detail| detail.name.as_str()).collect();
    assert_eq!(names, ["Days", "New", "Old"]);
    assert_eq!(details[0].after.as_deref(), Some("7"));
    assert!(details_between("", "{}").is_empty());
}

#[test]
fn a_layer_that_no_setting_asks_for_is_left_out_of_runs_and_not_of_destruction() {
    let names = |edge: &str| {
        let text = format!("project: shop\nregion: eu-west-1\nenvironments:\n  prod: {{{edge}}}\n");
        let target = Target::parse(&text, Path::new("x"), None).unwrap();
        let names = |layers: Vec<Layer>| layers.into_iter().map(|layer| layer.name).collect();
        let (scope, here) = (Scope::Environment, Path::new("."));
        let wanted: Vec<String> = names(layers::load(&target, scope, here, None).unwrap());
        let all: Vec<String> = names(layers::load_all(&target, scope, here, None).unwrap());
        (wanted, all)
    };
    let optional = ["zone", "edge"];
    let of = |edge: &str| {
        let (mut wanted, all) = names(edge);
        assert_eq!(all.len(), 6 + optional.len());
        wanted.retain(|name| optional.contains(&name.as_str()));
        wanted.join(" ")
    };
    assert_eq!(of(""), "");
    assert_eq!(
        of("edge: {certificate-arn: 'arn:aws:acm:eu-west-1:1:certificate/1'}"),
        "edge"
    );
    assert_eq!(of("edge: {domains: [a.b.c], zone: b.c}"), "edge");
    assert_eq!(of("edge: {domains: [a.b.c], make-zone: b.c}"), "zone edge");
}

#[test]
fn the_built_in_templates_get_every_parameter() {
    let text = "project: shop\nregion: eu-west-1\nenvironments:\n  prod:\n    cidr: 10.64.0.0/18\n    \
                edge: {domains: [a.b.c], make-zone: b.c}\n";
    let target = Target::parse(text, Path::new("x"), None).unwrap();
    let layers = layers::load(&target, Scope::Environment, Path::new("."), None).unwrap();
    let settings = settings(&target);
    let (network, unknown) = layers::parameters(&layers[1], &settings, &Outputs::new());
    assert!(unknown.is_empty(), "{unknown:?}");
    let lines: Vec<String> = network
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    AdminCidrA=10.64.36.0/22
    AdminCidrB=10.64.40.0/22
    AdminCidrC=10.64.44.0/22
    ApplicationCidrA=10.64.12.0/22
    ApplicationCidrB=10.64.16.0/22
    ApplicationCidrC=10.64.20.0/22
    DatabaseCidrA=10.64.24.0/22
    DatabaseCidrB=10.64.28.0/22
    DatabaseCidrC=10.64.32.0/22
    Environment=prod
    NatMode=per-zone
    Project=shop
    PublicCidrA=10.64.0.0/22
    PublicCidrB=10.64.4.0/22
    PublicCidrC=10.64.8.0/22
    VpcCidr=10.64.0.0/18
    "#);
    let later: Outputs = [("ApplicationSubnetIds".to_owned(), None)].into();
    let cluster = layers.iter().find(|layer| layer.name == "cluster").unwrap();
    let (_, unknown) = layers::parameters(cluster, &settings, &later);
    assert_eq!(unknown, ["ApplicationSubnetIds"]);
}
