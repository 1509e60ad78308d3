//! What was changed beside a release, from a real API server.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::cluster::{kubectl, without_server};
use crate::foresight::{autoscale, chart, deployment, reported};

fn templates(space: &str) -> String {
    let others = format!(
        "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector: {{app: web}}\n  ports: [{{port: 80}}]\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  level: info\n  space: {space}\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: key\nstringData:\n  password: canary-one\n"
    );
    deployment("  replicas: 3\n", "1") + &others
}

fn in_space(space: &str, arguments: &[&str]) {
    let _ = kubectl(&[&["--namespace", space], arguments].concat());
}

#[test]
fn a_release_as_it_was_applied_has_none() {
    let space = "in-sync";
    let templates = templates(space);
    let applied = chart(space, "apply", &templates).run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    let looked = chart(space, "drift", &templates)
        .input("fail-on-drift", "true")
        .run();
    assert_eq!(looked.code, 0, "{}", looked.log);
    assert_eq!(looked.outputs["outcome"], "unchanged");
    assert_eq!(looked.outputs["drifted"], "0");
    assert_snapshot!("drift_none", without_server(&looked));
}

#[test]
fn what_was_changed_added_and_deleted_is_told_field_by_field() {
    let space = "drifted";
    let templates = templates(space);
    let applied = chart(space, "apply", &templates).run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    autoscale(space, 5);
    in_space(
        space,
        &[
            "set",
            "image",
            "deployment/web",
            "web=registry.example.com/web:fix",
        ],
    );
    in_space(space, &["set", "env", "deployment/web", "DEBUG=1"]);
    in_space(space, &["label", "deployment/web", "team=shop"]);
    in_space(space, &["delete", "service", "web"]);
    let without = json!({"data": {"level": Value::Null}}).to_string();
    in_space(
        space,
        &[
            "patch",
            "configmap",
            "settings",
            "--type=merge",
            "--patch",
            &without,
        ],
    );
    let secret =
        json!({"stringData": {"password": "canary-two", "more": "canary-three"}}).to_string();
    in_space(
        space,
        &["patch", "secret", "key", "--type=merge", "--patch", &secret],
    );

    let looked = chart(space, "drift", &templates).run();
    assert_eq!(looked.code, 0, "{}", looked.log);
    assert_eq!(looked.outputs["outcome"], "done");
    assert_eq!(looked.outputs["drifted"], "4");
    assert_snapshot!("drift", without_server(&looked));
    assert_snapshot!("drift_summary", looked.summary);
    let drift = reported(&looked, "drift");
    let replicas = json!({
        "field": "spec.replicas", "expected": "3", "actual": "5",
        "owner": "kube-controller-manager (through scale)",
    });
    assert_eq!(drift[0]["detail"][1], replicas);
    assert_eq!(
        drift[3],
        json!({"object": "Service web", "state": "deleted"})
    );
    let everything = format!("{} {} {drift}", looked.log, looked.summary);
    assert!(!everything.contains("canary"), "{everything}");
    assert!(!everything.contains("Y2FuYXJ5"), "{everything}");

    let failed = chart(space, "drift", &templates)
        .input("fail-on-drift", "true")
        .run();
    assert_eq!(failed.code, 1);
    assert_eq!(failed.outputs["failure-reason"], "checks-failed");
    assert_eq!(failed.outputs["drifted"], "4");
}

#[test]
fn there_must_be_a_release() {
    let none = chart("no-release", "drift", "").run();
    assert_eq!(none.code, 2);
    assert_snapshot!("drift_of_no_release", without_server(&none));
}
