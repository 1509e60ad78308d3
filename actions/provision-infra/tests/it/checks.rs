//! The checks as values: what is wanted compared with what there is.

use std::collections::BTreeMap;
use std::path::Path;

use aws_account::ServiceError;
use insta::assert_snapshot;
use jiff::civil::date;
use provision_infra::answer::Unknown;
use provision_infra::config::Target;
use provision_infra::doctor::account::{Instance, Machine, Subnet, Zone};
use provision_infra::doctor::facts::{ClusterFacts, Facts};
use provision_infra::doctor::quotas::is_standard;
use provision_infra::doctor::wanted::Wanted;
use provision_infra::doctor::{Severity, judge, to_text};
use provision_infra::eks::{Insight, Offered, Support};
use provision_infra::inputs::Scope;
use provision_infra::layers;
use provision_infra::settings::settings;
use provision_infra::stack::{Stack, Values};

const KINDS: [&str; 5] = [
    "m6i.large",
    "m5.large",
    "r6i.large",
    "r5.large",
    "t3.medium",
];
const ADD_ONS: [&str; 5] = [
    "vpc-cni",
    "kube-proxy",
    "eks-pod-identity-agent",
    "coredns",
    "aws-ebs-csi-driver",
];

/// Gives what an environment of the built-in templates wants.
fn wanted(more: &str, stacks: &[Stack]) -> Wanted {
    let text = format!(
        "project: shop\nregion: eu-west-1\nenvironments:\n  test:\n    image-count: 9\n{more}"
    );
    let target = Target::parse(&text, Path::new("i.yaml"), None).unwrap();
    let layers = layers::load(&target, Scope::Environment, Path::new("."), None).unwrap();
    Wanted::of(&target, &layers, &settings(&target), stacks)
}

fn zone(name: &str, id: &str) -> Zone {
    Zone {
        name: name.into(),
        id: id.into(),
        kind: "availability-zone".into(),
        state: "available".into(),
        opted_in: true,
    }
}

fn support(version: &str, status: &str) -> Support {
    Support {
        version: version.into(),
        status: status.into(),
        ends: Some(date(2027, 3, 31)),
    }
}

/// Gives an account that has room for everything, and nothing in it.
fn empty() -> Facts {
    let zones =
        ["a", "b", "c"].map(|last| zone(&format!("eu-west-1{last}"), &format!("euw1-{last}")));
    let machine = Machine {
        vcpus: 2,
        interfaces: 3,
        addresses: 10,
    };
    let offered = |version: &str, is_default| Offered {
        version: version.into(),
        is_default,
    };
    let quotas = [
        ("L-F678F1CE", 5.0),
        ("L-0263D0A3", 5.0),
        ("L-FE5A380F", 5.0),
        ("L-1194D53C", 100.0),
        ("L-1216C47A", 64.0),
    ];
    Facts {
        offerings: Ok(KINDS
            .iter()
            .flat_map(|kind| zones.iter().map(|zone| ((*kind).into(), zone.name.clone())))
            .collect()),
        zones: Ok(zones.into()),
        machines: Ok(KINDS.map(|kind| (kind.to_owned(), machine)).into()),
        instances: Ok(Vec::new()),
        vpcs: Ok(1),
        elastic_addresses: Ok(0),
        nat_gateways: Ok(Vec::new()),
        subnets: Ok(BTreeMap::new()),
        clusters: Ok(Vec::new()),
        quotas: quotas.map(|(code, value)| (code, Ok(value))).into(),
        made: BTreeMap::new(),
        offered: ADD_ONS
            .map(|name| (name, Ok(vec![offered("v2", false), offered("v1", true)])))
            .into(),
        support: Ok(vec![support("1.35", "STANDARD_SUPPORT")]),
        cluster: None,
    }
}

fn cluster(version: &str) -> ClusterFacts {
    ClusterFacts {
        name: "shop-test".into(),
        version: Ok(Some(version.into())),
        groups: Ok(BTreeMap::new()),
        installed: Ok(BTreeMap::new()),
        insights: Ok(Vec::new()),
    }
}

/// Gives the findings that are not well, as they are shown.
fn open(wanted: &Wanted, facts: &Facts) -> String {
    let mut findings = judge(wanted, facts, &[], date(2026, 6, 1));
    findings.retain(|finding| finding.severity != Severity::Ok);
    to_text("shop-test", &findings)
}

#[test]
fn an_account_with_room_for_everything_has_no_findings() {
    let findings = judge(&wanted("", &[]), &empty(), &[], date(2026, 6, 1));
    assert_snapshot!(to_text("shop-test", &findings), @"
    Checks of shop-test: 0 errors, 0 warnings, 0 not checked, 24 ok
      ok  zone           eu-west-1a                             euw1-a                                          available, with EKS
      ok  zone           eu-west-1b                             euw1-b                                          available, with EKS
      ok  zone           eu-west-1c                             euw1-c                                          available, with EKS
      ok  instance-type  ApplicationNodes                       m6i.large, m5.large                             offered in every zone of the group
      ok  instance-type  BastionNodes                           t3.medium                                       offered in every zone of the group
      ok  instance-type  DatabaseNodesA                         r6i.large, r5.large                             offered in every zone of the group
      ok  instance-type  DatabaseNodesB                         r6i.large, r5.large                             offered in every zone of the group
      ok  instance-type  DatabaseNodesC                         r6i.large, r5.large                             offered in every zone of the group
      ok  quota          VPCs of the region                     1 used, 1 more wanted                           5
      ok  quota          Elastic IP addresses of the region     0 used, 3 more wanted                           5
      ok  quota          EKS clusters of the region             0 used, 1 more wanted                           100
      ok  quota          NAT gateways of eu-west-1a             0 used, 1 more wanted                           5
      ok  quota          NAT gateways of eu-west-1b             0 used, 1 more wanted                           5
      ok  quota          NAT gateways of eu-west-1c             0 used, 1 more wanted                           5
      ok  quota          vCPUs of standard instances on demand  0 used by others, 14 to 26 wanted               64
      ok  addresses      admin subnets                          30 in a zone: nodes at most 1, pods on each 29  4091 free in a zone
      ok  addresses      application subnets                    90 in a zone: nodes at most 9, pods on each 29  4091 free in a zone
      ok  addresses      database subnets                       30 in a zone: nodes at most 3, pods on each 29  4091 free in a zone
      ok  kubernetes     Kubernetes 1.35                        standard support until 2027-03-31               in standard support
      ok  add-on         vpc-cni                                v1, the default                                 fits Kubernetes 1.35; the default is v1
      ok  add-on         kube-proxy                             v1, the default                                 fits Kubernetes 1.35; the default is v1
      ok  add-on         eks-pod-identity-agent                 v1, the default                                 fits Kubernetes 1.35; the default is v1
      ok  add-on         coredns                                v1, the default                                 fits Kubernetes 1.35; the default is v1
      ok  add-on         aws-ebs-csi-driver                     v1, the default                                 fits Kubernetes 1.35; the default is v1
    ");
}

#[test]
fn zones_are_there_available_and_eks_is_in_them() {
    let mut facts = empty();
    let mut local = zone("eu-west-1-lon-1a", "euw1-lon1-az1");
    local.kind = "local-zone".into();
    let mut closed = zone("eu-west-1d", "euw1-az4");
    closed.opted_in = false;
    let without = zone("eu-west-1e", "use1-az3");
    facts
        .zones
        .as_mut()
        .unwrap()
        .extend([local, closed, without]);
    let named = "    zones: [eu-west-1-lon-1a, eu-west-1d, eu-west-1e]\n";
    assert_snapshot!(open(&wanted(named, &[]), &facts), @"
    Checks of shop-test: 6 errors, 0 warnings, 0 not checked, 0 ok
      error  zone           eu-west-1-lon-1a  a local-zone                          available, with EKS
          hint: name three of eu-west-1a, eu-west-1b, eu-west-1c, eu-west-1e in `zones`
      error  zone           eu-west-1d        the account has not opted in          available, with EKS
          hint: enable the zone in the settings of EC2, or name three of eu-west-1a, eu-west-1b, eu-west-1c, eu-west-1e in `zones`
      error  zone           eu-west-1e        use1-az3, without EKS                 available, with EKS
          hint: name three of eu-west-1a, eu-west-1b, eu-west-1c, eu-west-1e in `zones`
      error  instance-type  ApplicationNodes  no m6i.large, m5.large in eu-west-1e  offered in every zone of the group
          hint: the zone offers none of the group's `instance-types`: name others, or other `zones`
      error  instance-type  BastionNodes      no t3.medium in eu-west-1e            offered in every zone of the group
          hint: the zone offers none of the group's `instance-types`: name others, or other `zones`
      error  instance-type  DatabaseNodesC    no r6i.large, r5.large in eu-west-1e  offered in every zone of the group
          hint: the zone offers none of the group's `instance-types`: name others, or other `zones`
    ");
    facts.zones.as_mut().unwrap().drain(..2);
    assert_snapshot!(open(&wanted("", &[]), &facts), @"
    Checks of shop-test: 4 errors, 0 warnings, 0 not checked, 0 ok
      error  zone           zones of the region  eu-west-1c, eu-west-1e                three
          hint: an environment has three availability zones: choose another region
      error  instance-type  ApplicationNodes     no m6i.large, m5.large in eu-west-1e  offered in every zone of the group
          hint: the zone offers none of the group's `instance-types`: name others, or other `zones`
      error  instance-type  BastionNodes         no t3.medium in eu-west-1e            offered in every zone of the group
          hint: the zone offers none of the group's `instance-types`: name others, or other `zones`
      error  instance-type  DatabaseNodesB       no r6i.large, r5.large in eu-west-1e  offered in every zone of the group
          hint: the zone offers none of the group's `instance-types`: name others, or other `zones`
    ");
}

#[test]
fn machines_are_to_be_had_in_every_zone() {
    let mut facts = empty();
    facts.offerings.as_mut().unwrap().retain(|(kind, zone)| {
        !(zone == "eu-west-1b" && (kind == "m5.large" || kind.starts_with('r')))
    });
    assert_snapshot!(open(&wanted("", &[]), &facts), @"
    Checks of shop-test: 1 error, 1 warning, 0 not checked, 0 ok
      error    instance-type  DatabaseNodesB    no r6i.large, r5.large in eu-west-1b  offered in every zone of the group
          hint: the zone offers none of the group's `instance-types`: name others, or other `zones`
      warning  instance-type  ApplicationNodes  no m5.large in eu-west-1b             offered in every zone of the group
          hint: the zone has nodes of the other types only: name types that all zones offer
    ");
}

#[test]
fn quotas_count_what_is_used_and_what_is_still_to_be_made() {
    let mut facts = empty();
    facts.vpcs = Ok(5);
    facts.elastic_addresses = Ok(4);
    facts.nat_gateways = Ok(vec!["subnet-1".into(); 5]);
    let subnet = Subnet {
        zone: "eu-west-1b".into(),
        free: 9,
    };
    facts.subnets = Ok([("subnet-1".to_owned(), subnet)].into());
    let instance = Instance {
        kind: "m5.large".into(),
        subnet: "subnet-1".into(),
        own: false,
        addresses: 1,
    };
    facts.instances = Ok(vec![instance; 20]);
    assert_snapshot!(open(&wanted("", &[]), &facts), @"
    Checks of shop-test: 3 errors, 1 warning, 0 not checked, 0 ok
      error    quota  VPCs of the region                     5 used, 1 more wanted               5
          hint: have the quota raised to 6 or more, or delete what is not needed: `aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-F678F1CE --desired-value 6`
      error    quota  Elastic IP addresses of the region     4 used, 3 more wanted               5
          hint: have the quota raised to 7 or more, or delete what is not needed: `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-0263D0A3 --desired-value 7`
      error    quota  NAT gateways of eu-west-1b             5 used, 1 more wanted               5
          hint: have the quota raised to 6 or more, or delete what is not needed: `aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-FE5A380F --desired-value 6`
      warning  quota  vCPUs of standard instances on demand  40 used by others, 14 to 26 wanted  64
          hint: the groups do not reach their `max`; have the quota raised to 66 or more, or delete what is not needed: `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 66`
    ");
    // What the environment has made counts once.
    for kind in ["AWS::EC2::VPC", "AWS::EC2::EIP", "AWS::EC2::NatGateway"] {
        facts.made.insert(kind.into(), 3);
    }
    for instance in facts.instances.as_mut().unwrap() {
        instance.own = true;
    }
    assert_snapshot!(open(&wanted("", &[]), &facts), @"Checks of shop-test: 0 errors, 0 warnings, 0 not checked, 0 ok");
}

#[test]
fn only_the_standard_families_count() {
    for kind in [
        "m7g.large",
        "c6gn.xlarge",
        "t3.medium",
        "im4gn.large",
        "i4i.large",
    ] {
        assert!(is_standard(kind), "{kind}");
    }
    for kind in [
        "g5.xlarge",
        "p4d.24xlarge",
        "inf2.xlarge",
        "trn1.2xlarge",
        "x2idn.large",
    ] {
        assert!(!is_standard(kind), "{kind}");
    }
}

#[test]
fn subnets_hold_the_nodes_and_their_pods() {
    let small = "    cidr: 10.40.0.0/20\n    nodes: {application: {max: 30}}\n";
    assert_snapshot!(open(&wanted(small, &[]), &empty()), @"
    Checks of shop-test: 0 errors, 2 warnings, 0 not checked, 0 ok
      warning  quota      vCPUs of standard instances on demand  0 used by others, 14 to 68 wanted                 64
          hint: the groups do not reach their `max`; have the quota raised to 68 or more, or delete what is not needed: `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 68`
      warning  addresses  application subnets                    300 in a zone: nodes at most 30, pods on each 29  251 free in a zone
          hint: pods will wait for addresses: a larger `cidr` before the network is made, fewer nodes (`max`), or smaller instance types
    ");

    let outputs = ["Application", "Database", "Admin"].map(|kind| {
        let ids = ["a", "b", "c"].map(|zone| format!("subnet-{}{zone}", kind.to_lowercase()));
        (format!("{kind}SubnetIds"), ids.join(","))
    });
    let network = Stack {
        outputs: Values::from(outputs),
        ..network()
    };
    let mut facts = empty();
    let made = wanted("", &[network]);
    let all = made.subnets.values().flatten();
    let subnets = all.map(|place| {
        let provision_infra::doctor::wanted::Place::Made { id } = place else {
            panic!("{place:?}");
        };
        let free = if id == "subnet-applicationb" { 70 } else { 200 };
        let zone = "eu-west-1b".into();
        (id.clone(), Subnet { zone, free })
    });
    facts.subnets = Ok(subnets.collect());
    assert_snapshot!(open(&made, &facts), @"
    Checks of shop-test: 0 errors, 1 warning, 0 not checked, 0 ok
      warning  addresses  application subnets  90 in a zone: nodes at most 9, pods on each 29  70 free in a zone
          hint: pods will wait for addresses: a larger `cidr` before the network is made, fewer nodes (`max`), or smaller instance types
    ");
    // What the environment's own nodes have is theirs.
    facts.instances = Ok(vec![Instance {
        kind: "m6i.large".into(),
        subnet: "subnet-applicationb".into(),
        own: true,
        addresses: 20,
    }]);
    assert!(!open(&made, &facts).contains("addresses"));
}

fn network() -> Stack {
    Stack {
        name: "shop-test-network".into(),
        id: "arn:stack/1".into(),
        status: "CREATE_COMPLETE".into(),
        reason: String::new(),
        changed: String::new(),
        protected: true,
        outputs: Values::new(),
    }
}

#[test]
fn support_ends_and_nodes_stay_near_their_control_plane() {
    let mut facts = empty();
    facts.support = Ok(vec![
        support("1.35", "EXTENDED_SUPPORT"),
        support("1.36", "STANDARD_SUPPORT"),
    ]);
    facts.cluster = Some(ClusterFacts {
        groups: Ok([
            ("old", "1.31"),
            ("late", "1.34"),
            ("new", "1.36"),
            ("same", "1.35"),
        ]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into()),
        ..cluster("1.35")
    });
    assert_snapshot!(open(&wanted("", &[]), &facts), @"
    Checks of shop-test: 2 errors, 2 warnings, 0 not checked, 0 ok
      error    kubernetes  nodes of new     1.36, control plane 1.35                         at most 3 minors behind 1.35
          hint: nodes may not be newer than the control plane: upgrade the cluster
      error    kubernetes  nodes of old     1.31, control plane 1.35                         at most 3 minors behind 1.35
          hint: upgrade the nodes before the control plane: `apply` with the cluster's own minor
      warning  kubernetes  Kubernetes 1.35  standard support until 2027-03-31, extended now  in standard support
          hint: EKS upgrades such a cluster by itself, since it asks for standard support: choose one of 1.36 as `kubernetes-version`
      warning  kubernetes  nodes of late    1.34, control plane 1.35                         at most 3 minors behind 1.35
          hint: an upgrade stopped half way: `apply` brings the nodes to the cluster's minor
    ");
    facts.cluster = Some(cluster("1.33"));
    facts.support = Ok(vec![support("1.36", "STANDARD_SUPPORT")]);
    assert_snapshot!(open(&wanted("", &[]), &facts), @r#"
    Checks of shop-test: 2 errors, 0 warnings, 0 not checked, 0 ok
      error  kubernetes  Kubernetes 1.35             EKS does not have it    in standard support
          hint: choose one of 1.36 as `kubernetes-version`
      error  kubernetes  control plane of shop-test  1.33, declared is 1.35  one minor at a time
          hint: set `kubernetes-version: "1.34"`, apply that, and go on to 1.35 from there
    "#);
    facts.cluster = None;
    facts.support = Ok(vec![Support {
        ends: Some(date(2026, 7, 1)),
        ..support("1.35", "STANDARD_SUPPORT")
    }]);
    assert_snapshot!(open(&wanted("", &[]), &facts), @"
    Checks of shop-test: 0 errors, 1 warning, 0 not checked, 0 ok
      warning  kubernetes  Kubernetes 1.35  standard support until 2026-07-01  in standard support
          hint: 30 days are left, then EKS upgrades by itself: plan the next minor
    ");
}

#[test]
fn insights_object_to_the_upgrade_that_they_are_about() {
    let insight = |name: &str, version: &str, status: &str| Insight {
        name: name.into(),
        version: version.into(),
        status: status.into(),
        reason: "because".into(),
        recommendation: "Do something.".into(),
        resources: vec!["/apis/apps/v1/x".into()],
    };
    let mut facts = empty();
    facts.cluster = Some(ClusterFacts {
        insights: Ok(vec![
            insight("now", "1.35", "ERROR"),
            insight("later", "1.36", "ERROR"),
            insight("perhaps", "1.35", "UNKNOWN"),
        ]),
        ..cluster("1.34")
    });
    assert_snapshot!(open(&wanted("", &[]), &facts), @"
    Checks of shop-test: 1 error, 2 warnings, 0 not checked, 0 ok
      error    insight  now      ERROR: because (/apis/apps/v1/x)    before Kubernetes 1.35
          hint: Do something.
      warning  insight  later    ERROR: because (/apis/apps/v1/x)    before Kubernetes 1.36
          hint: Do something.
      warning  insight  perhaps  UNKNOWN: because (/apis/apps/v1/x)  before Kubernetes 1.35
          hint: Do something.
    ");
}

#[test]
fn add_ons_fit_the_minor() {
    let mut facts = empty();
    facts.offered.insert("vpc-cni", Ok(Vec::new()));
    let installed = [("kube-proxy", "v0"), ("coredns", "v2")];
    facts.cluster = Some(ClusterFacts {
        installed: Ok(installed
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into()),
        ..cluster("1.35")
    });
    let declared = "    add-ons: {aws-ebs-csi-driver: v9}\n";
    assert_snapshot!(open(&wanted(declared, &[]), &facts), @"
    Checks of shop-test: 2 errors, 1 warning, 0 not checked, 0 ok
      error    add-on  vpc-cni             no version     fits Kubernetes 1.35; the default is none
          hint: EKS has no version of it for this minor: choose another `kubernetes-version`
      error    add-on  aws-ebs-csi-driver  v9, declared   fits Kubernetes 1.35; the default is v1
          hint: set `aws-ebs-csi-driver: v1` below `add-ons`
      warning  add-on  kube-proxy          v0, installed  fits Kubernetes 1.35; the default is v1
          hint: an add-on keeps its version until one is declared: set `kube-proxy: v1` below `add-ons`
    ");
}

#[test]
fn what_nobody_may_look_at_is_told_with_the_permission() {
    fn denied<T>(action: &'static str) -> Result<T, Unknown> {
        Err(Unknown {
            action,
            source: ServiceError {
                code: Some("UnauthorizedOperation".into()),
                message: "not for you".into(),
            },
        })
    }
    let facts = Facts {
        zones: denied("ec2:DescribeAvailabilityZones"),
        machines: denied("ec2:DescribeInstanceTypes"),
        vpcs: denied("ec2:DescribeVpcs"),
        support: denied("eks:DescribeClusterVersions"),
        cluster: Some(ClusterFacts {
            version: denied("eks:DescribeCluster"),
            installed: denied("eks:ListAddons"),
            insights: denied("eks:ListInsights"),
            ..cluster("1.35")
        }),
        ..empty()
    };
    assert_snapshot!(open(&wanted("", &[]), &facts), @"
    Checks of shop-test: 0 errors, 0 warnings, 16 not checked, 0 ok
      not checked  zone           zones of the region                    ec2:DescribeAvailabilityZones: UnauthorizedOperation: not for you
          hint: allow `ec2:DescribeAvailabilityZones`, as the plan role of the bootstrap layer does
      not checked  instance-type  instance types of the node groups      ec2:DescribeAvailabilityZones: UnauthorizedOperation: not for you
          hint: allow `ec2:DescribeAvailabilityZones`, as the plan role of the bootstrap layer does
      not checked  quota          VPCs of the region                     ec2:DescribeVpcs: UnauthorizedOperation: not for you
          hint: allow `ec2:DescribeVpcs`, as the plan role of the bootstrap layer does
      not checked  quota          NAT gateways of a zone                 ec2:DescribeAvailabilityZones: UnauthorizedOperation: not for you
          hint: allow `ec2:DescribeAvailabilityZones`, as the plan role of the bootstrap layer does
      not checked  quota          vCPUs of standard instances on demand  ec2:DescribeInstanceTypes: UnauthorizedOperation: not for you
          hint: allow `ec2:DescribeInstanceTypes`, as the plan role of the bootstrap layer does
      not checked  addresses      admin subnets                          ec2:DescribeInstanceTypes: UnauthorizedOperation: not for you
          hint: allow `ec2:DescribeInstanceTypes`, as the plan role of the bootstrap layer does
      not checked  addresses      application subnets                    ec2:DescribeInstanceTypes: UnauthorizedOperation: not for you
          hint: allow `ec2:DescribeInstanceTypes`, as the plan role of the bootstrap layer does
      not checked  addresses      database subnets                       ec2:DescribeInstanceTypes: UnauthorizedOperation: not for you
          hint: allow `ec2:DescribeInstanceTypes`, as the plan role of the bootstrap layer does
      not checked  kubernetes     Kubernetes 1.35                        eks:DescribeClusterVersions: UnauthorizedOperation: not for you
          hint: allow `eks:DescribeClusterVersions`, as the plan role of the bootstrap layer does
      not checked  kubernetes     control plane of shop-test             eks:DescribeCluster: UnauthorizedOperation: not for you
          hint: allow `eks:DescribeCluster`, as the plan role of the bootstrap layer does
      not checked  insight        upgrade insights of shop-test          eks:ListInsights: UnauthorizedOperation: not for you
          hint: allow `eks:ListInsights`, as the plan role of the bootstrap layer does
      not checked  add-on         vpc-cni                                eks:ListAddons: UnauthorizedOperation: not for you
          hint: allow `eks:ListAddons`, as the plan role of the bootstrap layer does
      not checked  add-on         kube-proxy                             eks:ListAddons: UnauthorizedOperation: not for you
          hint: allow `eks:ListAddons`, as the plan role of the bootstrap layer does
      not checked  add-on         eks-pod-identity-agent                 eks:ListAddons: UnauthorizedOperation: not for you
          hint: allow `eks:ListAddons`, as the plan role of the bootstrap layer does
      not checked  add-on         coredns                                eks:ListAddons: UnauthorizedOperation: not for you
          hint: allow `eks:ListAddons`, as the plan role of the bootstrap layer does
      not checked  add-on         aws-ebs-csi-driver                     eks:ListAddons: UnauthorizedOperation: not for you
          hint: allow `eks:ListAddons`, as the plan role of the bootstrap layer does
    ");
}
