//! Whether an apply would succeed, looked at in accounts where nothing else is made.

use std::io::Write;
use std::path::Path;

use insta::assert_snapshot;
use tempfile::TempDir;
use test_kit::Step;

use crate::support::{prepare, project, proxy, send, step};

/// Where quotas are raised, and where they are not.
const RAISED: &str = "eu-west-3";
const REGION: &str = "eu-central-1";

/// Gives an account that no other run has: LocalStack takes a key of twelve digits for one.
fn account() -> String {
    format!("{:012}", 700_000_000_000 + u64::from(std::process::id()))
}

/// Prepares a run in that account.
fn examine(folder: &Path) -> Step {
    step(folder, "doctor").env("AWS_ACCESS_KEY_ID", account())
}

/// Writes an environment's file.
fn environment(folder: &TempDir, project: &str, region: &str, settings: &str) {
    let account = account();
    let text = format!(
        "project: {project}\nregion: {region}\naccount: \"{account}\"\n\
         environments:\n  test:\n    nat: single\n{settings}"
    );
    prepare(folder.path(), &text, None);
}

/// Replaces what differs from run to run: the project, and dates that move with the clock.
fn lasting(text: &str, project: &str) -> String {
    let mut parts = text.split("support until ");
    let first = parts.next().unwrap_or_default().to_owned();
    let dated =
        parts.map(|part| format!("support until YYYY-MM-DD{}", &part["YYYY-MM-DD".len()..]));
    let text = dated.fold(first, |text, part| text + &part);
    text.replace(project, "PROJECT")
        .replace(&account(), "ACCOUNT")
}

/// Has a quota raised, as the hint says.
fn raise(service: &str, code: &str, value: u32) {
    let target = "ServiceQuotasV20190624.RequestServiceQuotaIncrease";
    let headers = [
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", target),
    ];
    let body = format!(
        "{{\"ServiceCode\": \"{service}\", \"QuotaCode\": \"{code}\", \"DesiredValue\": {value}}}"
    );
    let answer = send(
        (&account(), RAISED),
        "servicequotas",
        "POST /",
        &headers,
        &body,
    );
    assert!(answer.contains("APPROVED"), "{answer}");
}

#[test]
fn a_new_account_has_too_few_processors_until_more_are_granted() {
    let (folder, project) = (TempDir::new().unwrap(), project("new"));
    environment(&folder, &project, RAISED, "");
    let run = || examine(folder.path()).run();
    let found = run();
    assert_snapshot!(lasting(&found.log, &project), @"
    ::add-mask::a secret of a test
    PROJECT-test in account ACCOUNT, eu-west-3
    Checks of PROJECT-test: 1 error, 0 warnings, 0 not checked, 21 ok
      error  quota          vCPUs of standard instances on demand  0 used by others, 14 to 26 wanted               5
          hint: have the quota raised to 26 or more, or delete what is not needed: `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 26`
      ok     zone           eu-west-3a                             euw3-az1                                        available, with EKS
      ok     zone           eu-west-3b                             euw3-az2                                        available, with EKS
      ok     zone           eu-west-3c                             euw3-az3                                        available, with EKS
      ok     instance-type  ApplicationNodes                       m6i.large, m5.large                             offered in every zone of the group
      ok     instance-type  BastionNodes                           t3.medium                                       offered in every zone of the group
      ok     instance-type  DatabaseNodesA                         r6i.large, r5.large                             offered in every zone of the group
      ok     instance-type  DatabaseNodesB                         r6i.large, r5.large                             offered in every zone of the group
      ok     instance-type  DatabaseNodesC                         r6i.large, r5.large                             offered in every zone of the group
      ok     quota          VPCs of the region                     1 used, 1 more wanted                           5
      ok     quota          Elastic IP addresses of the region     0 used, 1 more wanted                           5
      ok     quota          EKS clusters of the region             0 used, 1 more wanted                           100
      ok     quota          NAT gateways of eu-west-3a             0 used, 1 more wanted                           5
      ok     addresses      admin subnets                          18 in a zone: nodes at most 1, pods on each 17  4091 free in a zone
      ok     addresses      application subnets                    90 in a zone: nodes at most 9, pods on each 29  4091 free in a zone
      ok     addresses      database subnets                       30 in a zone: nodes at most 3, pods on each 29  4091 free in a zone
      ok     kubernetes     Kubernetes 1.35                        standard support until YYYY-MM-DD               in standard support
      ok     add-on         vpc-cni                                v1.20.4-eksbuild.1, the default                 fits Kubernetes 1.35; the default is v1.20.4-eksbuild.1
      ok     add-on         kube-proxy                             v1.35.0-eksbuild.1, the default                 fits Kubernetes 1.35; the default is v1.35.0-eksbuild.1
      ok     add-on         eks-pod-identity-agent                 v1.3.9-eksbuild.1, the default                  fits Kubernetes 1.35; the default is v1.3.9-eksbuild.1
      ok     add-on         coredns                                v1.13.1-eksbuild.1, the default                 fits Kubernetes 1.35; the default is v1.13.1-eksbuild.1
      ok     add-on         aws-ebs-csi-driver                     v1.50.1-eksbuild.1, the default                 fits Kubernetes 1.35; the default is v1.50.1-eksbuild.1
    ::error::`PROJECT-test` does not pass 1 of the checks

    hint: each finding says what to do; nothing was changed
    ");
    assert_eq!(
        (found.code, found.outputs["failure-reason"].as_str()),
        (1, "checks-failed")
    );
    assert_eq!(
        (&*found.outputs["errors"], &*found.outputs["warnings"]),
        ("1", "0")
    );

    raise("ec2", "L-1216C47A", 16);
    let tight = run();
    assert_eq!(
        (tight.code, &*tight.outputs["outcome"]),
        (0, "done"),
        "{}",
        tight.log
    );
    assert_eq!(
        (&*tight.outputs["errors"], &*tight.outputs["warnings"]),
        ("0", "1")
    );
    assert!(
        tight.log.contains("the groups do not reach their `max`"),
        "{}",
        tight.log
    );

    raise("ec2", "L-1216C47A", 64);
    let well = run();
    assert_eq!(
        (well.code, &*well.outputs["outcome"]),
        (0, "unchanged"),
        "{}",
        well.log
    );
    assert_snapshot!(lasting(&well.summary, &project), @"
    ### Checks of `PROJECT-test`: 0 errors, 0 warnings, 0 not checked, 22 ok

    <details><summary>ok</summary>

    | check | what | found | limit |
    |---|---|---|---|
    | zone | eu-west-3a | euw3-az1 | available, with EKS |
    | zone | eu-west-3b | euw3-az2 | available, with EKS |
    | zone | eu-west-3c | euw3-az3 | available, with EKS |
    | instance-type | ApplicationNodes | m6i.large, m5.large | offered in every zone of the group |
    | instance-type | BastionNodes | t3.medium | offered in every zone of the group |
    | instance-type | DatabaseNodesA | r6i.large, r5.large | offered in every zone of the group |
    | instance-type | DatabaseNodesB | r6i.large, r5.large | offered in every zone of the group |
    | instance-type | DatabaseNodesC | r6i.large, r5.large | offered in every zone of the group |
    | quota | VPCs of the region | 1 used, 1 more wanted | 5 |
    | quota | Elastic IP addresses of the region | 0 used, 1 more wanted | 5 |
    | quota | EKS clusters of the region | 0 used, 1 more wanted | 100 |
    | quota | NAT gateways of eu-west-3a | 0 used, 1 more wanted | 5 |
    | quota | vCPUs of standard instances on demand | 0 used by others, 14 to 26 wanted | 64 |
    | addresses | admin subnets | 18 in a zone: nodes at most 1, pods on each 17 | 4091 free in a zone |
    | addresses | application subnets | 90 in a zone: nodes at most 9, pods on each 29 | 4091 free in a zone |
    | addresses | database subnets | 30 in a zone: nodes at most 3, pods on each 29 | 4091 free in a zone |
    | kubernetes | Kubernetes 1.35 | standard support until YYYY-MM-DD | in standard support |
    | add-on | vpc-cni | v1.20.4-eksbuild.1, the default | fits Kubernetes 1.35; the default is v1.20.4-eksbuild.1 |
    | add-on | kube-proxy | v1.35.0-eksbuild.1, the default | fits Kubernetes 1.35; the default is v1.35.0-eksbuild.1 |
    | add-on | eks-pod-identity-agent | v1.3.9-eksbuild.1, the default | fits Kubernetes 1.35; the default is v1.3.9-eksbuild.1 |
    | add-on | coredns | v1.13.1-eksbuild.1, the default | fits Kubernetes 1.35; the default is v1.13.1-eksbuild.1 |
    | add-on | aws-ebs-csi-driver | v1.50.1-eksbuild.1, the default | fits Kubernetes 1.35; the default is v1.50.1-eksbuild.1 |

    </details>
    ");
}

#[test]
fn what_would_fail_is_told_with_what_to_do() {
    let (folder, project) = (TempDir::new().unwrap(), project("ill"));
    let settings = "    zones: [eu-central-1a, eu-central-1b, eu-central-1z]
    cidr: 10.40.0.0/20
    kubernetes-version: \"1.29\"
    nodes:
      application: {instance-types: [m6i.32xlarge, m9x.large], max: 60}
      database: {instance-types: [x9z.large]}
    add-ons: {coredns: v1.13.1-eksbuild.1}
";
    environment(&folder, &project, REGION, settings);
    let charts = folder.path().join("charts/old/templates");
    fs_err::create_dir_all(&charts).unwrap();
    let template =
        "{{ if .Values.on }}\napiVersion: policy/v1beta1\nkind: PodDisruptionBudget\n{{ end }}\n";
    fs_err::write(charts.join("budget.yaml"), template).unwrap();
    let found = examine(folder.path()).input("manifests", "charts").run();
    assert_eq!(found.code, 1, "{}", found.log);
    assert_snapshot!(lasting(&found.summary, &project), @"
    ### Provision AWS infrastructure: failed

    - `PROJECT-test` does not pass 8 of the checks

    > hint: each finding says what to do; nothing was changed

    ### Checks of `PROJECT-test`: 8 errors, 1 warning, 1 not checked, 13 ok

    | | check | what | found | limit | what to do |
    |---|---|---|---|---|---|
    | **error** | zone | eu-central-1z | not in the region | available, with EKS | name three of eu-central-1a, eu-central-1b, eu-central-1c in `zones` |
    | **error** | instance-type | DatabaseNodesA | no x9z.large in eu-central-1a | offered in every zone of the group | the zone offers none of the group's `instance-types`: name others, or other `zones` |
    | **error** | instance-type | DatabaseNodesB | no x9z.large in eu-central-1b | offered in every zone of the group | the zone offers none of the group's `instance-types`: name others, or other `zones` |
    | **error** | quota | vCPUs of standard instances on demand | 0 used by others, 386 to 7682 wanted | 5 | have the quota raised to 7682 or more, or delete what is not needed: `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 7682` |
    | **error** | addresses | application subnets | 7000 in a zone: nodes at most 60, pods on each 250 | 251 free in a zone | a larger `cidr` before the network is made, fewer nodes (`max`), or smaller instance types |
    | **error** | kubernetes | Kubernetes 1.29 | not supported | in standard support | choose one of 1.33, 1.34, 1.35, 1.36 as `kubernetes-version` |
    | **error** | add-on | coredns | v1.13.1-eksbuild.1, declared | fits Kubernetes 1.29; the default is v1.12.1-eksbuild.2 | set `coredns: v1.12.1-eksbuild.2` below `add-ons` |
    | **error** | manifest | charts/old/templates/budget.yaml:2 | policy/v1beta1 PodDisruptionBudget | gone since Kubernetes 1.25 | write `policy/v1`, or take a newer version of the chart |
    | **warning** | instance-type | ApplicationNodes | no m9x.large in eu-central-1a; no m9x.large in eu-central-1b | offered in every zone of the group | the zone has nodes of the other types only: name types that all zones offer |
    | **not checked** | addresses | database subnets | instance types that there are not |  | name instance types that the region has |

    <details><summary>ok</summary>

    | check | what | found | limit |
    |---|---|---|---|
    | zone | eu-central-1a | euc1-az1 | available, with EKS |
    | zone | eu-central-1b | euc1-az2 | available, with EKS |
    | instance-type | BastionNodes | t3.medium | offered in every zone of the group |
    | instance-type | DatabaseNodesC | x9z.large | offered in every zone of the group |
    | quota | VPCs of the region | 1 used, 1 more wanted | 5 |
    | quota | Elastic IP addresses of the region | 0 used, 1 more wanted | 5 |
    | quota | EKS clusters of the region | 0 used, 1 more wanted | 100 |
    | quota | NAT gateways of eu-central-1a | 0 used, 1 more wanted | 5 |
    | addresses | admin subnets | 18 in a zone: nodes at most 1, pods on each 17 | 251 free in a zone |
    | add-on | vpc-cni | v1.20.4-eksbuild.1, the default | fits Kubernetes 1.29; the default is v1.20.4-eksbuild.1 |
    | add-on | kube-proxy | v1.29.0-eksbuild.1, the default | fits Kubernetes 1.29; the default is v1.29.0-eksbuild.1 |
    | add-on | eks-pod-identity-agent | v1.3.9-eksbuild.1, the default | fits Kubernetes 1.29; the default is v1.3.9-eksbuild.1 |
    | add-on | aws-ebs-csi-driver | v1.50.1-eksbuild.1, the default | fits Kubernetes 1.29; the default is v1.50.1-eksbuild.1 |

    </details>
    ");
    let missing = examine(folder.path()).input("manifests", "no-charts").run();
    assert_eq!(missing.code, 2);
    assert!(
        missing.log.contains("read the manifests in `no-charts`"),
        "{}",
        missing.log
    );
}

#[test]
fn what_the_credentials_may_not_look_at_is_not_checked() {
    let (folder, project) = (TempDir::new().unwrap(), project("may"));
    environment(&folder, &project, REGION, "");
    let denied = |text: &str, client: &mut std::net::TcpStream| {
        let denied = [
            "ServiceQuotasV20190624",
            "Action=DescribeInstances&",
            "/cluster-versions",
        ];
        if !denied.iter().any(|part| text.contains(part)) {
            return false;
        }
        let ec2 = text.contains("Action=");
        let (kind, body) = if ec2 {
            (
                "text/xml",
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code>\
                 <Message>You are not authorized</Message></Error></Errors></Response>",
            )
        } else {
            (
                "application/json",
                "{\"__type\": \"AccessDeniedException\", \"message\": \"You are not authorized\"}",
            )
        };
        let answer = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        client.write_all(answer.as_bytes()).unwrap();
        true
    };
    let found = examine(folder.path())
        .env("AWS_ENDPOINT_URL", proxy(denied))
        .run();
    assert_eq!(
        (found.code, &*found.outputs["outcome"]),
        (0, "done"),
        "{}",
        found.log
    );
    let open = found.summary.split("<details>").next().unwrap();
    assert_snapshot!(lasting(open, &project), @"
    ### Checks of `PROJECT-test`: 0 errors, 0 warnings, 6 not checked, 16 ok

    | | check | what | found | limit | what to do |
    |---|---|---|---|---|---|
    | **not checked** | quota | VPCs of the region | servicequotas:GetServiceQuota: AccessDeniedException: You are not authorized |  | allow `servicequotas:GetServiceQuota`, as the plan role of the bootstrap layer does |
    | **not checked** | quota | Elastic IP addresses of the region | servicequotas:GetServiceQuota: AccessDeniedException: You are not authorized |  | allow `servicequotas:GetServiceQuota`, as the plan role of the bootstrap layer does |
    | **not checked** | quota | EKS clusters of the region | servicequotas:GetServiceQuota: AccessDeniedException: You are not authorized |  | allow `servicequotas:GetServiceQuota`, as the plan role of the bootstrap layer does |
    | **not checked** | quota | NAT gateways of eu-central-1a | servicequotas:GetServiceQuota: AccessDeniedException: You are not authorized |  | allow `servicequotas:GetServiceQuota`, as the plan role of the bootstrap layer does |
    | **not checked** | quota | vCPUs of standard instances on demand | ec2:DescribeInstances: UnauthorizedOperation: You are not authorized |  | allow `ec2:DescribeInstances`, as the plan role of the bootstrap layer does |
    | **not checked** | kubernetes | Kubernetes 1.35 | eks:DescribeClusterVersions: AccessDeniedException: You are not authorized |  | allow `eks:DescribeClusterVersions`, as the plan role of the bootstrap layer does |
    ");
}
