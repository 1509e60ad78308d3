//! Kubernetes goes from one minor to the next, and no other way.

use std::path::Path;

use insta::assert_snapshot;
use tempfile::TempDir;
use test_kit::Finished;

use crate::support::{ACCOUNT, destroy, prepare, project, send, step};

const REGION: &str = "eu-north-1";

fn declare(folder: &Path, project: &str, minor: &str, coredns: &str) {
    let text = format!(
        "project: {project}\nregion: {REGION}\naccount: \"{ACCOUNT}\"\n\
         environments:\n  test:\n    nat: single\n    kubernetes-version: \"{minor}\"\n\
         \x20   add-ons: {{coredns: {coredns}}}\n"
    );
    prepare(folder, &text, None);
}

fn refused(run: &Finished, project: &str) -> String {
    let reason = run.outputs["failure-reason"].as_str();
    assert_eq!((run.code, reason), (3, "refused"), "{}", run.log);
    let (_, error) = run.log.split_once("::error::").unwrap();
    lasting(error, project)
}

/// Replaces what differs from run to run: the project, and the end of full names.
fn lasting(text: &str, project: &str) -> String {
    let mut parts = text.split("/coredns/");
    let first = parts.next().unwrap_or_default().to_owned();
    let named = parts.map(|part| part.split_once(')').unwrap_or_default().1);
    let text = named.fold(first, |text, part| format!("{text}/coredns/UUID){part}"));
    text.replace(project, "PROJECT")
}

#[test]
fn a_cluster_goes_up_one_minor_when_nothing_objects() {
    const OLD: &str = "v1.12.1-eksbuild.2";
    const NEW: &str = "v1.13.1-eksbuild.1";
    // Not the default, so that the layer of add-ons changes, too.
    const DRIVER: &str = "v1.48.0-eksbuild.1";
    let (folder, project) = (TempDir::new().unwrap(), project("up"));
    let folder = folder.path();
    let run = |mode: &str| step(folder, mode).run();
    declare(folder, &project, "1.34", OLD);
    let made = run("apply");
    assert_eq!(made.code, 0, "{}", made.log);

    declare(folder, &project, "1.36", OLD);
    assert_snapshot!(refused(&run("plan"), &project), @r#"
    `kubernetes-version` is 1.36, the cluster `PROJECT-test` has 1.34: it goes one minor at a time

    hint: set `kubernetes-version: "1.35"`, apply that, and go on to 1.36 from there
    "#);
    declare(folder, &project, "1.33", OLD);
    assert_snapshot!(refused(&run("apply"), &project), @r#"
    `kubernetes-version` is 1.33, the cluster `PROJECT-test` has 1.34: nothing here goes back

    hint: set `kubernetes-version: "1.34"`; EKS takes the control plane's last upgrade back within seven days (`aws eks update-cluster-version`), nodes and add-ons first
    "#);
    declare(folder, &project, "1.35", OLD);
    assert_snapshot!(refused(&run("plan"), &project), @"
    the cluster `PROJECT-test` is not ready for Kubernetes 1.35%0A  EKS add-on version compatibility: coredns v1.12.1-eksbuild.2 does not fit 1.35 (arn:aws:eks:eu-north-1:000000000000:addon/PROJECT-test/coredns/UUID)

    hint: `mode: doctor` says what to do about each; EKS looks again once a day, or when its insights are refreshed in the console
    ");
    let examined = run("doctor");
    assert_eq!(
        examined.outputs["failure-reason"], "checks-failed",
        "{}",
        examined.log
    );
    let open = examined.summary.split("<details>").next().unwrap();
    let findings = open.lines().filter(|line| line.contains("add-on"));
    assert_snapshot!(lasting(&findings.collect::<Vec<_>>().join("\n"), &project), @"
    | **error** | insight | EKS add-on version compatibility | ERROR: coredns v1.12.1-eksbuild.2 does not fit 1.35 (arn:aws:eks:eu-north-1:000000000000:addon/PROJECT-test/coredns/UUID) | before Kubernetes 1.35 | Upgrade the add-ons to versions that fit before upgrading the cluster. |
    | **error** | add-on | coredns | v1.12.1-eksbuild.2, declared | fits Kubernetes 1.35; the default is v1.13.1-eksbuild.1 | set `coredns: v1.13.1-eksbuild.1` below `add-ons` |
    | **warning** | add-on | kube-proxy | v1.34.0-eksbuild.1, installed | fits Kubernetes 1.35; the default is v1.35.0-eksbuild.1 | an add-on keeps its version until one is declared: set `kube-proxy: v1.35.0-eksbuild.1` below `add-ons` |
    ");

    declare(folder, &project, "1.34", NEW);
    assert_eq!(run("apply").code, 0);
    declare(
        folder,
        &project,
        "1.35",
        &format!("{NEW}, aws-ebs-csi-driver: {DRIVER}"),
    );
    let chart = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\n";
    fs_err::write(folder.join("chart.yaml"), chart).unwrap();
    let objected = step(folder, "plan").input("manifests", "chart.yaml").run();
    assert_snapshot!(refused(&objected, &project), @"
    the cluster `PROJECT-test` is not ready for Kubernetes 1.35%0A  chart.yaml:1: policy/v1beta1 PodDisruptionBudget is gone since 1.25: write `policy/v1`, or take a newer version of the chart

    hint: `mode: doctor` says what to do about each; EKS looks again once a day, or when its insights are refreshed in the console
    ");

    let planned = run("plan");
    assert_eq!(planned.code, 0, "{}", planned.log);
    let (_, plan) = planned.log.split_once("Plan for").unwrap();
    let plan = plan.lines().filter(|line| !line.starts_with("Plan digest"));
    let plan = plan.collect::<Vec<_>>().join("\n");
    assert_snapshot!(lasting(&plan, &project), @"
     PROJECT-test: 7 to update
      PROJECT-test-cluster
        ~ update Cluster (AWS::EKS::Cluster): Version: 1.34 → 1.35
      PROJECT-test-add-ons
        ~ update EbsCsiDriver (AWS::EKS::Addon): AddonVersion
      PROJECT-test-nodes
        ~ update ApplicationNodes (AWS::EKS::Nodegroup): Version: 1.34 → 1.35
        ~ update BastionNodes (AWS::EKS::Nodegroup): Version: 1.34 → 1.35
        ~ update DatabaseNodesA (AWS::EKS::Nodegroup): Version: 1.34 → 1.35
        ~ update DatabaseNodesB (AWS::EKS::Nodegroup): Version: 1.34 → 1.35
        ~ update DatabaseNodesC (AWS::EKS::Nodegroup): Version: 1.34 → 1.35
    This upgrades Kubernetes of `PROJECT-test` from 1.34 to 1.35: the control plane, then add-ons, then nodes, of which new ones come before old ones go. EKS can take the control plane back for seven days.
    Usually takes about 24 min. Costs about nothing more at the list prices of us-east-1 (2026-04), before traffic and storage.
    ");
    assert!(
        planned.summary.contains("from 1.34 to 1.35"),
        "{}",
        planned.summary
    );
    let digest = &planned.outputs["plan-digest"];
    let upgraded = step(folder, "apply").input("plan-digest", digest).run();
    assert_eq!(upgraded.code, 0, "{}", upgraded.log);
    let changed = upgraded.log.lines().filter(|line| line.contains("changes"));
    assert_snapshot!(lasting(&changed.collect::<Vec<_>>().join("\n"), &project), @"
    PROJECT-test-cluster: 1 changes
    PROJECT-test-add-ons: 1 changes
    PROJECT-test-nodes: 5 changes
    ");
    let path = format!("GET /clusters/{project}-test");
    let cluster = send(("test", REGION), "eks", &path, &[], "").replace(' ', "");
    assert!(cluster.contains("\"version\":\"1.35\""), "{cluster}");
    assert_eq!(run("plan").outputs["outcome"], "unchanged");
    let examined = run("doctor");
    assert!(
        !examined.log.contains("control plane 1.34"),
        "{}",
        examined.log
    );
    assert_eq!(destroy(folder, &project).code, 0);
}
