//! `infrastructure.yaml`: what it gives, and what is said when it is wrong.

use std::path::Path;

use action_kit::{Failure, Reason};
use insta::assert_snapshot;
use provision_infra::config::{ConfigError, Nat, Target};
use provision_infra::settings::settings;

const WHOLE: &str = "\
project: shop
region: eu-west-1
account: 000000000000
github:
  repository: acme/shop.api
environments:
  staging:
    nat: single
  prod:
    region: eu-central-1
    account: '111111111111'
    cidr: 10.64.0.0/18
    zones: [eu-central-1a, eu-central-1b, eu-central-1c]
    kubernetes-version: 1.30
    nodes:
      application: {instance-types: [m7g.large, c7gn.large], min: 4, max: 12, disk-gib: 80}
      database: {instance-types: [r6i.xlarge], per-zone: 2}
      bastion: {instance-types: [t3.small], allow: [203.0.113.0/24, 198.51.100.7/32]}
    edge: {certificate-arn: 'arn:aws:acm:eu-central-1:111111111111:certificate/1'}
    add-ons:
      vpc-cni: v1.20.4-eksbuild.1
      aws-ebs-csi-driver: v1.50.1-eksbuild.1
    endpoint-access:
      public: [203.0.113.0/24]
    deletion-protection: true
    alerts:
      critical: [oncall@example.com, 'https://hooks.example.com/1']
      warning: [team@example.com]
    backup:
      retention-days: 90
      lock-days: 30
      copy-vault-arn: arn:aws:backup:eu-west-3:222222222222:backup-vault:copies
      replica:
        bucket-arn: arn:aws:s3:::shop-replica
        key-arn: arn:aws:kms:eu-west-3:222222222222:key/1
    image-count: 1000
    github-environment: prod-eu
";

fn parse(text: &str, environment: &str) -> Result<Target, ConfigError> {
    let environment = environment.parse().ok();
    Target::parse(text, Path::new("infra.yaml"), environment.as_ref())
}

fn refusal(text: &str) -> String {
    let error = parse(text, "prod").unwrap_err();
    let position = error.position().and_then(|position| position.line);
    format!("{position:?} {error}")
}

#[test]
fn an_environment_inherits_what_it_does_not_say() {
    let staging = parse(WHOLE, "staging").unwrap();
    assert_eq!(staging.name(), "shop-staging");
    assert_eq!(staging.region.as_str(), "eu-west-1");
    assert_eq!(staging.account.unwrap().to_string(), "000000000000");
    assert_eq!(staging.settings.nat, Nat::Single);
    let prod = parse(WHOLE, "prod").unwrap();
    assert_eq!(prod.region.as_str(), "eu-central-1");
    assert_eq!(prod.settings.kubernetes_version.as_str(), "1.30");
    assert_eq!(prod.settings.cidr.sixteenths()[11], "10.64.44.0/22");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let with = |line: &str| format!("project: shop\nenvironments:\n  prod:\n    {line}\n");
    let mut refusals: Vec<String> = [
        "colour: red",
        "cidr: 10.40.0.1/16",
        "cidr: 10.40.0.0/+16",
        "cidr: 10.40.0.0/016",
        "nat: none",
        "kubernetes-version: latest",
        "kubernetes-version: \"1.+5\"",
        "zones: [eu-west-1a, eu-west-1b]",
        "zones: [a, b, a]",
        "account: '1234'",
        "region: mars",
        "cidr: [",
        "github-environment: 'a b'",
        "alerts: {critical: [nobody]}",
        "alerts: {warning: [a@b.c, d@e.f, g@h.i, j@k.l]}",
        "backup: {lock-days: 0}",
        "nodes: {application: {min: 10}}",
        "nodes: {application: {instance-types: []}}",
        "nodes: {bastion: {instance-types: [small]}}",
        "nodes: {database: {instance-types: [r6i.large, r7gd.large]}}",
        "nodes: {bastion: {allow: [0.0.0.0/0]}}",
        "nodes: {bastion: {allow: [128.0.0.0/1]}}",
        "nodes: {bastion: {allow: [10.0.0.0/16, 10.1.0.0/16, 10.2.0.0/16, 10.3.0.0/16]}}",
        "nodes: {database: {per-zone: 0}}",
        "nodes: {database: {min: 1}}",
        "add-ons: {vpc-cni: latest}",
        "edge: {certificate-arn: shop}",
        "edge: {}",
        "edge: {domains: [api.example.com]}",
        "edge: {domains: ['*.example.com'], zone: example.com}",
        "edge: {domains: [api.example.com, api.example.com], zone: Z0123456789}",
        "edge: {domains: [api.example.org], make-zone: example.com}",
        "edge: {domains: [a.b.c, b.b.c, c.b.c, d.b.c], zone: b.c}",
        "edge: {domains: [a.b.c], zone: b.c, make-zone: b.c}",
        "edge: {domains: [a.b.c], zone: b}",
        "backup: {copy-vault-arn: copies}",
    ]
    .map(|line| refusal(&with(line)))
    .to_vec();
    refusals.push(refusal("project: Shop_1\nenvironments: {}\n"));
    refusals.push(refusal("project: shop\nenvironments: {prod: {}}\n"));
    refusals.push(refusal(
        "project: shop\ngithub: {repository: acme}\nenvironments: {prod: {}}\n",
    ));
    assert_snapshot!(refusals.join("\n"), @r#"
    Some(4) infra.yaml: unknown field `colour`, expected one of region, account, cidr, zones, nat, kubernetes-version, nodes, add-ons, edge, endpoint-access, deletion-protection, log-retention-days, alerts, backup, image-count, github-environment, github-provider-arn, administrator-principal-arn, deploy-principal-arn at line 4, column 5
    Some(4) infra.yaml: `10.40.0.1/16` is no network for a VPC, such as `10.40.0.0/16`: between /16 and /20, no bits set after the prefix at line 4, column 11
    Some(4) infra.yaml: `10.40.0.0/+16` is no network for a VPC, such as `10.40.0.0/16`: between /16 and /20, no bits set after the prefix at line 4, column 11
    Some(4) infra.yaml: `10.40.0.0/016` is no network for a VPC, such as `10.40.0.0/16`: between /16 and /20, no bits set after the prefix at line 4, column 11
    Some(4) infra.yaml: unknown variant `none`, expected one of per-zone, single at line 4, column 10
    Some(4) infra.yaml: `latest` is no Kubernetes minor, such as "1.35" (in quotes) at line 4, column 25
    Some(4) infra.yaml: `1.+5` is no Kubernetes minor, such as "1.35" (in quotes) at line 4, column 25
    Some(4) infra.yaml: 2 zones are named: the architecture has exactly three at line 4, column 12
    Some(4) infra.yaml: the same zone is named twice at line 4, column 12
    Some(4) infra.yaml: `1234` is no AWS account: twelve digits, in quotes where the file is YAML at line 4, column 14
    Some(4) infra.yaml: `mars` is no AWS region, such as `eu-west-1` at line 4, column 13
    Some(4) infra.yaml: expected string scalar at line 4, column 11
    Some(4) infra.yaml: `a b` is no GitHub environment that AWS can tell: letters, digits, `.`, `_` and `-` at line 4, column 25
    Some(4) infra.yaml: `nobody` is no recipient of alerts: an e-mail address or an https URL at line 4, column 25
    Some(4) infra.yaml: 4 recipients are named: there is a place for 3; a mailing list is one at line 4, column 23
    Some(4) infra.yaml: `0` is no number of days between 1 and 3650 at line 4, column 25
    Some(4) infra.yaml: there are to be at least 10 nodes, and at most 9 at line 4, column 26
    Some(4) infra.yaml: no instance type is named at line 4, column 43
    Some(4) infra.yaml: `small` is no instance type, such as `m6i.large` at line 4, column 39
    Some(4) infra.yaml: `r6i.large` is x86_64 and `r7gd.large` is arm64: a group has one architecture at line 4, column 40
    Some(4) infra.yaml: `0.0.0.0/0` is no network that people enter from, such as `203.0.113.0/24`: /16 or smaller, no bits set after the prefix at line 4, column 31
    Some(4) infra.yaml: `128.0.0.0/1` is no network that people enter from, such as `203.0.113.0/24`: /16 or smaller, no bits set after the prefix at line 4, column 31
    Some(4) infra.yaml: 4 networks are named: there is a place for 3 at line 4, column 30
    Some(4) infra.yaml: `0` is no number between 1 and 1000 at line 4, column 34
    Some(4) infra.yaml: unknown field `min`, expected one of instance-types, per-zone, disk-gib at line 4, column 24
    Some(4) infra.yaml: `latest` is no version of an add-on, such as `v1.20.4-eksbuild.1` at line 4, column 24
    Some(4) infra.yaml: `shop` is no ARN, such as `arn:aws:s3:::shop-replica` at line 4, column 29
    Some(4) infra.yaml: clients are shown either the certificate of `certificate-arn`, or one for `domains` in a `zone` at line 4, column 11
    Some(4) infra.yaml: clients are shown either the certificate of `certificate-arn`, or one for `domains` in a `zone` at line 4, column 11
    Some(4) infra.yaml: `*.example.com` is no domain name, such as `api.example.com`: lower-case, without `*` and a dot at the end at line 4, column 22
    Some(4) infra.yaml: `api.example.com` is named twice at line 4, column 11
    Some(4) infra.yaml: `api.example.org` is not in the zone `example.com` at line 4, column 11
    Some(4) infra.yaml: 4 domains are named: there is a place for 3 at line 4, column 11
    Some(4) infra.yaml: the zone is either there (`zone`) or made (`make-zone`) at line 4, column 11
    Some(4) infra.yaml: `b` is no domain name, such as `api.example.com`: lower-case, without `*` and a dot at the end at line 4, column 11
    Some(4) infra.yaml: `copies` is no ARN, such as `arn:aws:s3:::shop-replica` at line 4, column 30
    Some(1) infra.yaml: `Shop_1` is no project name: lower-case letters, digits and single hyphens, at most 20, a letter first at line 1, column 10
    None `infra.yaml` declares no region for `prod`
    Some(2) infra.yaml: `acme` is no GitHub repository, such as `acme/shop` at line 2, column 22
    "#);
}

#[test]
fn the_subjects_of_tokens_may_hold_the_numbers_of_the_repository() {
    let trusted = |text: &str, environment: &str| {
        let values = settings(&parse(text, environment).unwrap());
        ["GithubSubject", "GithubEnvironment", "GithubBranch"].map(|name| values[name].clone())
    };
    assert_eq!(
        trusted(WHOLE, "staging"),
        ["repo:acme/shop.api", "staging", "main"]
    );
    let numbered = WHOLE.replace(
        "acme/shop.api\n",
        "acme/shop.api\n  ids: {owner: 12, repository: 345}\n  branch: release/2\n",
    );
    assert_eq!(
        trusted(&numbered, "prod"),
        ["repo:acme@12/shop.api@345", "prod-eu", "release/2"]
    );
}

#[test]
fn a_replica_needs_a_key() {
    let text = "project: shop\nenvironments:\n  prod:\n    backup:\n      replica:\n        \
                bucket-arn: arn:aws:s3:::b\n";
    assert!(refusal(text).contains("key-arn"), "{}", refusal(text));
}

/// Gives the parameters that an environment sets, of those whose names begin with something.
fn given(environment: &str, starts: &[&str]) -> String {
    let values = settings(&parse(WHOLE, environment).unwrap());
    let lines: Vec<String> = values
        .iter()
        .filter(|(name, _)| starts.iter().any(|start| name.starts_with(start)))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    lines.join("\n")
}

#[test]
fn what_is_said_of_backups_reaches_the_templates() {
    let starts = ["Backup", "Replica", "Image"];
    assert_eq!(given("staging", &starts), "", "the defaults hold");
    assert_snapshot!(given("prod", &starts), @r#"
    BackupCopyVaultArn=arn:aws:backup:eu-west-3:222222222222:backup-vault:copies
    BackupLockDays=30
    BackupRetentionDays=90
    ImageCount=1000
    ReplicaBucketArn=arn:aws:s3:::shop-replica
    ReplicaKeyArn=arn:aws:kms:eu-west-3:222222222222:key/1
    "#);
}

#[test]
fn machines_reach_the_templates_with_their_architecture() {
    let starts = ["Application", "Database", "Bastion", "VpcCni", "Ebs"];
    let sizes = |environment| {
        let all = given(environment, &starts);
        let lines = all.lines().filter(|line| !line.contains("Cidr"));
        lines.collect::<Vec<&str>>().join("\n")
    };
    assert_eq!(sizes("staging"), "", "the defaults hold");
    assert_snapshot!(sizes("prod"), @r#"
    ApplicationArchitecture=arm64
    ApplicationDiskGib=80
    ApplicationInstanceTypes=m7g.large,c7gn.large
    ApplicationNodesMax=12
    ApplicationNodesMin=4
    BastionArchitecture=x86_64
    BastionInstanceTypes=t3.small
    BastionNetwork1=203.0.113.0/24
    BastionNetwork2=198.51.100.7/32
    DatabaseArchitecture=x86_64
    DatabaseInstanceTypes=r6i.xlarge
    DatabaseNodesPerZone=2
    EbsCsiDriverVersion=v1.50.1-eksbuild.1
    VpcCniVersion=v1.20.4-eksbuild.1
    "#);
}

#[test]
fn what_stands_before_it_reaches_the_templates() {
    let told = |edge: &str| {
        let text = format!(
            "project: shop\nregion: eu-west-1\nenvironments: {{prod: {{edge: {{{edge}}}}}}}\n"
        );
        let names = [
            "CertificateArn",
            "Domain",
            "HostedZoneId",
            "Waf",
            "ZoneName",
        ];
        let values = settings(&parse(&text, "prod").unwrap()).into_iter();
        let mine = values.filter(|(name, _)| names.iter().any(|start| name.starts_with(start)));
        let lines = mine.map(|(name, value)| format!("{name}={value}"));
        lines.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        told("certificate-arn: 'arn:aws:acm:eu-west-1:1:certificate/1'"),
        "CertificateArn=arn:aws:acm:eu-west-1:1:certificate/1 Waf=false"
    );
    assert_eq!(
        told("domains: [a.b.c, b.c], zone: Z0123, waf: true"),
        "Domain1=a.b.c Domain2=b.c HostedZoneId=Z0123 Waf=true"
    );
    assert_eq!(
        told("domains: [b.c], make-zone: b.c"),
        "Domain1=b.c Waf=false ZoneName=b.c"
    );
}

#[test]
fn who_is_told_of_alerts_reaches_the_templates() {
    let starts = ["Critical", "Warning"];
    assert_eq!(given("staging", &starts), "", "nobody");
    assert_snapshot!(given("prod", &starts), @r#"
    CriticalProtocol1=email
    CriticalProtocol2=https
    CriticalTarget1=oncall@example.com
    CriticalTarget2=https://hooks.example.com/1
    WarningProtocol1=email
    WarningTarget1=team@example.com
    "#);
}

#[test]
fn an_environment_must_be_named_when_there_are_two() {
    let file = Path::new("infra.yaml");
    assert_snapshot!(Target::parse(WHOLE, file, None).unwrap_err(), @"no environment is named, and `infra.yaml` has prod, staging");
    assert_snapshot!(parse(WHOLE, "test").unwrap_err(), @"`infra.yaml` has no environment `test`; it has prod, staging");
    let one = "project: shop\nregion: eu-west-1\nenvironments: {prod: {}}\n";
    assert_eq!(Target::parse(one, file, None).unwrap().name(), "shop-prod");
}

#[test]
fn an_input_may_not_contradict_the_file() {
    let file = Path::new("infra.yaml");
    let staging = parse(WHOLE, "staging").unwrap();
    let guard = |region, account: Option<&str>| {
        let account = account.map(|account| account.parse().unwrap());
        staging.clone().guard(file, region, account.as_ref())
    };
    assert!(guard(Some("eu-west-1"), Some("000000000000")).is_ok());
    let region = guard(Some("us-east-1"), None).unwrap_err();
    assert_snapshot!(region, @"the input `region` is us-east-1, `infra.yaml` declares eu-west-1");
    assert_eq!(region.reason(), Reason::Refused);
    assert_snapshot!(guard(None, Some("999999999999")).unwrap_err(), @"the input `account` is 999999999999, `infra.yaml` declares 000000000000");
}
