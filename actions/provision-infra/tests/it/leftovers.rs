//! What a cluster leaves behind, from literal tags: whose it is, and in which order it goes.

use insta::assert_snapshot;
use provision_infra::leftovers::{Found, Kind, Leftover, Owner};
use provision_infra::plan::{Doomed, destruction, unnamed};
use provision_infra::stack::{Resource, Stack, Values};

const CREATED: &str = "2026-01-02T03:04:05Z";

fn found(kind: Kind, name: &str, tags: &[(&str, &str)]) -> Found {
    Found {
        kind,
        id: format!("arn:{name}"),
        name: name.into(),
        tags: tags
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect(),
        size: 20,
    }
}

fn leftovers(found: Vec<Found>, cluster_lives: bool) -> Vec<Leftover> {
    let owner = Owner {
        project: "shop".into(),
        environment: "prod".into(),
        cluster: "shop-prod".into(),
    };
    owner.leftovers(found, cluster_lives)
}

fn tag_of(tags: &[(&str, &str)]) -> Option<String> {
    let mut left = leftovers(vec![found(Kind::Volume, "vol-1", tags)], false);
    left.pop().map(|one| one.tag)
}

#[test]
fn a_controllers_tag_says_whose_it_is() {
    let own = [
        ("elbv2.k8s.aws/cluster", "shop-prod"),
        ("kubernetes.io/cluster/shop-prod", "owned"),
        ("KubernetesCluster", "shop-prod"),
        ("ebs.csi.aws.com/cluster-name", "shop-prod"),
        ("cluster.k8s.amazonaws.com/name", "shop-prod"),
        ("aws:eks:cluster-name", "shop-prod"),
    ];
    for (key, value) in own {
        assert_eq!(tag_of(&[(key, value)]), Some(format!("{key}={value}")));
        assert_eq!(tag_of(&[(key, "shop-prod-2")]), None, "{key}");
    }
    assert_eq!(tag_of(&[("kubernetes.io/cluster/shop", "owned")]), None);
    assert_eq!(
        tag_of(&[("kubernetes.io/cluster/shop-prod", "shared")]),
        None
    );
    assert_eq!(tag_of(&[]), None);
}

#[test]
fn a_driver_that_does_not_know_its_cluster_passes_the_environments_tags_on() {
    let (driver, project) = (("ebs.csi.aws.com/cluster", "true"), ("Project", "shop"));
    let environment = ("Environment", "prod");
    assert_eq!(
        tag_of(&[driver, project, environment]).as_deref(),
        Some("Project=shop, Environment=prod")
    );
    // The stacks' own resources have these two.
    assert_eq!(tag_of(&[project, environment]), None);
    assert_eq!(tag_of(&[driver, project]), None);
    assert_eq!(tag_of(&[driver, project, ("Environment", "staging")]), None);
}

#[test]
fn stacks_and_backups_are_not_left_behind_and_eks_sees_to_its_own() {
    let own = ("kubernetes.io/cluster/shop-prod", "owned");
    let stack = ("aws:cloudformation:stack-name", "shop-prod-edge");
    assert_eq!(tag_of(&[own, stack]), None);
    assert_eq!(tag_of(&[own, ("aws:backup:source-resource", "x")]), None);
    let of_eks = || {
        let tags = [own, ("aws:eks:cluster-name", "shop-prod")];
        vec![found(Kind::SecurityGroup, "sg-1", &tags)]
    };
    assert_eq!(leftovers(of_eks(), true), []);
    assert_eq!(leftovers(of_eks(), false).len(), 1);
}

fn doomed(layer: &str, below_cluster: bool, backups: Option<&str>) -> Doomed {
    let resource = |name: &str, kind: &str, policy: &str| Resource {
        logical_id: name.into(),
        physical_id: name.to_lowercase(),
        kind: kind.into(),
        deletion_policy: policy.into(),
    };
    Doomed {
        stack: Stack {
            id: format!("arn:{layer}"),
            name: format!("shop-prod-{layer}"),
            status: "CREATE_COMPLETE".into(),
            reason: String::new(),
            outputs: Values::new(),
            changed: CREATED.into(),
            protected: true,
        },
        resources: match backups {
            Some(_) => vec![resource("WalBucket", "AWS::S3::Bucket", "Retain")],
            None => Vec::new(),
        },
        below_cluster,
        backups: backups.map(String::from),
    }
}

fn of_every_kind() -> Vec<Leftover> {
    let balancer = [
        ("elbv2.k8s.aws/cluster", "shop-prod"),
        ("service.k8s.aws/stack", "shop/api"),
    ];
    let driver = ("kubernetes.io/cluster/shop-prod", "owned");
    let claim = [
        driver,
        ("kubernetes.io/created-for/pvc/namespace", "shop"),
        ("kubernetes.io/created-for/pvc/name", "data-db-0"),
    ];
    let network = [("cluster.k8s.amazonaws.com/name", "shop-prod")];
    let found = vec![
        found(Kind::Volume, "vol-2", &claim),
        found(Kind::Volume, "vol-1", &[driver]),
        found(Kind::Snapshot, "snap-1", &[driver]),
        found(Kind::SecurityGroup, "sg-1", &balancer[..1]),
        found(Kind::Interface, "eni-1", &network),
        found(Kind::TargetGroup, "k8s-shop-api-2", &balancer),
        found(Kind::LoadBalancer, "k8s-shop-api-1", &balancer),
    ];
    leftovers(found, true)
}

#[test]
fn leftovers_go_between_the_cluster_and_the_network() {
    let stacks = [
        doomed("cluster", false, None),
        doomed("data", true, Some("walbucket")),
        doomed("network", true, None),
    ];
    let plan = destruction("shop-prod", &stacks, &of_every_kind(), CREATED);
    let text = plan.to_text();
    let (text, _) = text.split_once("\nPlan digest").unwrap();
    assert_snapshot!(text, @r#"
    Plan for shop-prod: 11 to delete
      shop-prod-cluster
        - delete shop-prod-cluster (AWS::CloudFormation::Stack): the stack itself
      outside of the stacks
        - delete k8s-shop-api-1 (AWS::ElasticLoadBalancingV2::LoadBalancer): made for shop/api; tag elbv2.k8s.aws/cluster=shop-prod
        - delete k8s-shop-api-2 (AWS::ElasticLoadBalancingV2::TargetGroup): made for shop/api; tag elbv2.k8s.aws/cluster=shop-prod
        - delete eni-1 (AWS::EC2::NetworkInterface): tag cluster.k8s.amazonaws.com/name=shop-prod
        - delete sg-1 (AWS::EC2::SecurityGroup): tag elbv2.k8s.aws/cluster=shop-prod
        - delete snap-1 (AWS::EC2::Snapshot): CANNOT BE UNDONE; a copy of 20 GiB; tag kubernetes.io/cluster/shop-prod=owned
        - delete vol-1 (AWS::EC2::Volume): CANNOT BE UNDONE; 20 GiB; tag kubernetes.io/cluster/shop-prod=owned
        - delete vol-2 (AWS::EC2::Volume): CANNOT BE UNDONE; 20 GiB of the claim shop/data-db-0; tag kubernetes.io/cluster/shop-prod=owned
      shop-prod-data
        - delete WalBucket (AWS::S3::Bucket): leaves the stack, stays in the account with the backups in it: walbucket
        - delete shop-prod-data (AWS::CloudFormation::Stack): the stack itself
      shop-prod-network
        - delete shop-prod-network (AWS::CloudFormation::Stack): the stack itself
    "#);
    // After a run that was killed there may be nothing above, or nothing at all.
    for stacks in [&stacks[2..], &[]] {
        let plan = destruction("shop-prod", stacks, &of_every_kind(), CREATED);
        let parts: Vec<&str> = plan.changes.iter().map(|change| &*change.part).collect();
        assert!(
            parts
                .iter()
                .rev()
                .skip(stacks.len())
                .all(|part| *part == "outside of the stacks")
        );
    }
}

#[test]
fn what_holds_data_must_be_named() {
    let stacks = [doomed("data", true, Some("walbucket"))];
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let left = unnamed(&stacks, &of_every_kind(), &names);
        let lines: Vec<String> = left.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    assert_snapshot!(named(&["shop-prod"]), @r#"
    snap-1: a copy of 20 GiB
    vol-1: 20 GiB
    vol-2: 20 GiB of the claim shop/data-db-0
    walbucket: backups, which stay with it and belong to no stack any more
    "#);
    assert_snapshot!(
        named(&["shop-prod", "vol-1", "snap-1", "walbucket"]),
        @"vol-2: 20 GiB of the claim shop/data-db-0"
    );
    assert_eq!(named(&["vol-1", "vol-2", "snap-1", "walbucket"]), "");
}
