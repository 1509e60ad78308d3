//! What a plan knows before it happens, from a real API server's answers.

use insta::assert_snapshot;
use serde_json::Value;
use test_kit::{ApiServer, Finished, Step, tool};

use crate::cluster::{in_namespace, kubectl, statuses, without_server};

/// A step that deploys a chart of these templates.
pub(crate) fn chart(namespace: &str, mode: &str, templates: &str) -> Step {
    in_namespace(namespace, mode)
        .input("chart", "chart")
        .input("image", "")
        .input("set", "")
        .input("policy", "off")
        .file(
            "chart/Chart.yaml",
            "apiVersion: v2\nname: small\nversion: 0.1.0\n",
        )
        .file("chart/templates/all.yaml", templates)
}

/// What a user reads of warnings; the differences between stand in other tests.
fn warned(finished: &Finished) -> String {
    let lines = finished.log.lines();
    let lines: Vec<&str> = lines
        .filter(|line| line.starts_with("::error") || line.starts_with("::warning"))
        .collect();
    format!("exit status: {}\n{}", finished.code, lines.join("\n"))
}

/// Gives a field of the JSON report.
pub(crate) fn reported(finished: &Finished, field: &str) -> Value {
    let report = finished.report.as_ref().expect("a report");
    report[field].clone()
}

fn done(finished: &Finished) {
    assert_eq!(finished.code, 0, "{}", finished.log);
}

/// A Deployment of one container.
pub(crate) fn deployment(replicas: &str, tag: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n{replicas}  selector:\n    matchLabels: {{app: web}}\n  template:\n    metadata:\n      labels: {{app: web}}\n    spec:\n      containers:\n        - name: web\n          image: registry.example.com/web:{tag}\n"
    )
}

/// Scales as the controller of an autoscaler does.
pub(crate) fn autoscale(namespace: &str, replicas: u32) {
    let scale = format!(r#"{{"spec": {{"replicas": {replicas}}}}}"#);
    let _ = kubectl(&[
        "--namespace",
        namespace,
        "patch",
        "deployment",
        "web",
        "--subresource=scale",
        "--type=merge",
        "--field-manager=kube-controller-manager",
        "--patch",
        &scale,
    ]);
}

#[test]
fn a_field_that_an_autoscaler_owns() {
    let space = "owned";
    let three = |tag| deployment("  replicas: 3\n", tag);
    done(&chart(space, "apply", &three("1")).run());
    autoscale(space, 5);
    let planned = chart(space, "plan", &three("2")).run();
    done(&planned);
    assert_snapshot!("a_field_that_an_autoscaler_owns", warned(&planned));
    let (summary, _) = planned
        .summary
        .split_once("<details>")
        .expect("differences");
    assert_snapshot!("a_field_that_an_autoscaler_owns_summary", summary);
    assert_eq!(
        reported(&planned, "warnings")[0]["conflict"],
        serde_json::json!({
            "field": "spec.replicas", "owner": "kube-controller-manager", "subresource": "scale",
            "live": 5, "wanted": 3,
        })
    );

    let stopped = chart(space, "apply", &three("2")).run();
    assert_eq!(stopped.code, 1, "{}", stopped.log);
    assert_eq!(stopped.outputs["failure-reason"], "remote-failed");
    assert!(
        stopped.log.contains("nothing was changed"),
        "{}",
        stopped.log
    );
    assert_eq!(statuses(space), ["1 deployed"]);

    // The remedy is safe: the number stays with the autoscaler.
    done(&chart(space, "apply", &deployment("", "2")).run());
    let replicas = kubectl(&[
        "--namespace",
        space,
        "get",
        "deployment",
        "web",
        "--output",
        "jsonpath={.spec.replicas}",
    ]);
    assert_eq!(replicas, "5");
}

#[test]
fn a_field_that_somebody_changed_by_hand() {
    let space = "by-hand";
    let three = |tag| deployment("  replicas: 3\n", tag);
    done(&chart(space, "apply", &three("1")).run());
    let _ = kubectl(&[
        "--namespace",
        space,
        "set",
        "image",
        "deployment/web",
        "web=registry.example.com/web:fix",
    ]);
    let planned = chart(space, "plan", &three("2")).run();
    done(&planned);
    assert_snapshot!("a_field_that_somebody_changed_by_hand", warned(&planned));
    // Whoever wants what is there already conflicts with nobody.
    let agreed = chart(space, "plan", &three("fix")).run();
    assert_eq!(reported(&agreed, "warnings"), serde_json::json!([]));
}

#[test]
fn a_release_that_helm_3_made_conflicts_with_nobody() {
    let space = "client-side";
    let server = ApiServer::shared();
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().expect("its folder")).expect("a folder");
        fs_err::write(path, text).expect("a file");
    };
    write(
        "chart/Chart.yaml",
        "apiVersion: v2\nname: small\nversion: 0.1.0\n",
    );
    write(
        "chart/templates/all.yaml",
        &deployment("  replicas: 3\n", "1"),
    );
    let helm = std::process::Command::new(tool("helm", "helm"))
        .args(["install", "orders", "chart", "--server-side=false"])
        .args(["--create-namespace", "--namespace", space, "--kubeconfig"])
        .arg(server.kubeconfig())
        .current_dir(folder.path())
        .output()
        .expect("helm starts");
    assert!(
        helm.status.success(),
        "{}",
        String::from_utf8_lossy(&helm.stderr)
    );
    autoscale(space, 5);
    let upgrade = |mode| chart(space, mode, &deployment("  replicas: 3\n", "2")).run();
    assert_eq!(
        reported(&upgrade("plan"), "warnings"),
        serde_json::json!([])
    );
    done(&upgrade("apply"));
}

const FROZEN: &str = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: store\nspec:\n  serviceName: SERVICE\n  selector:\n    matchLabels: {app: store}\n  template:\n    metadata:\n      labels: {app: store}\n    spec:\n      containers: [{name: store, image: 'registry.example.com/store:1'}]\n  volumeClaimTemplates:\n    - metadata: {name: data}\n      spec:\n        accessModes: [ReadWriteOnce]\n        resources: {requests: {storage: SIZE}}\n---\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: load\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: load, image: 'registry.example.com/load:SIZE'}]\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: key\nimmutable: true\nstringData:\n  key: canary-SIZE\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  selector:\n    matchLabels: {app: SERVICE}\n  template:\n    metadata:\n      labels: {app: SERVICE}\n    spec:\n      containers: [{name: web, image: 'registry.example.com/web:1'}]\n";

#[test]
fn fields_that_cannot_be_changed() {
    let space = "frozen";
    let with = |mode, size: &str, service: &str| {
        let templates = FROZEN.replace("SIZE", size).replace("SERVICE", service);
        chart(space, mode, &templates).run()
    };
    done(&with("apply", "1Gi", "one"));
    let planned = with("plan", "2Gi", "two");
    done(&planned);
    assert_snapshot!("fields_that_cannot_be_changed", warned(&planned));
    assert!(!planned.log.contains("canary"), "{}", planned.log);
    assert!(!planned.summary.contains("canary"), "{}", planned.summary);
    let stopped = with("apply", "2Gi", "two");
    assert_eq!(stopped.code, 1, "{}", stopped.log);
    assert_eq!(statuses(space), ["1 deployed"]);
}

#[test]
fn a_field_that_does_not_exist_and_a_webhook_that_does_not_answer() {
    let space = "refusing";
    done(&chart(space, "apply", &deployment("  replicas: 1\n", "1")).run());
    let misspelt = deployment("  replicas: 1\n  minReadySecond: 3\n", "1");
    let planned = chart(space, "plan", &misspelt).run();
    assert_snapshot!("a_field_that_does_not_exist", warned(&planned));

    let webhook = r#"{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "down"},
        "webhooks": [{"name": "down.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 2,
            "clientConfig": {"url": "https://127.0.0.1:1/"}, "failurePolicy": "Fail",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "refusing"}},
            "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}]}]}"#;
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(file.path(), webhook).expect("write it");
    let _ = kubectl(&["create", "--filename", &file.path().display().to_string()]);
    // A new webhook is heard of within a second or so.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let planned = loop {
        let planned = chart(space, "plan", &deployment("  replicas: 2\n", "1")).run();
        if planned.log.contains("webhook") || std::time::Instant::now() > deadline {
            break planned;
        }
    };
    assert_snapshot!("a_webhook_that_does_not_answer", warned(&planned));
}

#[test]
fn what_the_api_server_refuses_half_way_is_undone() {
    let with = |values: &[&str]| {
        let maps = values.iter().map(|name| {
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata: {{count: '{}'}}\n", values.len())
        });
        let templates = maps.collect::<Vec<_>>().join("---\n");
        chart("half-way", "apply", &templates).run()
    };
    assert_eq!(with(&["one"]).code, 0);
    let _ = kubectl(&[
        "--namespace",
        "half-way",
        "create",
        "quota",
        "small",
        "--hard=count/configmaps=2",
    ]);
    let counted =
        r#"{"status": {"hard": {"count/configmaps": "2"}, "used": {"count/configmaps": "1"}}}"#;
    let _ = kubectl(&[
        "--namespace",
        "half-way",
        "patch",
        "quota",
        "small",
        "--subresource=status",
        "--type=merge",
        "--patch",
        counted,
    ]);
    // Each of the two new objects fits alone, so this shows only when both are applied.
    let failed = with(&["one", "three", "two"]);
    assert_eq!(failed.code, 1);
    assert_eq!(failed.outputs["failure-reason"], "remote-failed");
    for words in [
        "exceeded quota: small",
        "rolled back to revision 1 (now revision 3)",
    ] {
        assert!(failed.log.contains(words), "{}", failed.log);
    }
    let count = kubectl(&[
        "--namespace",
        "half-way",
        "get",
        "configmap",
        "one",
        "--output",
        "jsonpath={.data.count}",
    ]);
    assert_eq!(count, "1");
}

#[test]
fn what_may_only_be_read_is_planned_and_not_tried() {
    let space = "reader";
    done(&chart(space, "apply", &deployment("  replicas: 1\n", "1")).run());
    let role = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "read-all"},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "read-all"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}]}]}"#;
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(file.path(), role).expect("write it");
    let _ = kubectl(&["apply", "--filename", &file.path().display().to_string()]);
    let kubeconfig =
        fs_err::read_to_string(ApiServer::shared().kubeconfig()).expect("a kubeconfig");
    let planned = chart(space, "plan", &deployment("  replicas: 2\n", "1"))
        .input(
            "kubeconfig",
            kubeconfig.replace("{token:", "{as: reader, token:"),
        )
        .run();
    done(&planned);
    assert_snapshot!(
        "what_may_only_be_read_is_planned_and_not_tried",
        warned(&planned)
    );
}

#[test]
fn a_definition_that_narrows() {
    let definition = |fields: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: gears.example.com\nspec:\n  group: example.com\n  scope: Namespaced\n  names: {{kind: Gear, plural: gears, singular: gear}}\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema:\n        openAPIV3Schema:\n          type: object\n          properties:\n            spec:\n              type: object\n              properties: {{size: {{type: integer}}{fields}}}\n"
        )
    };
    let with = |mode, fields| {
        let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n";
        chart("narrow", mode, settings)
            .file("chart/crds/gears.yaml", definition(fields))
            .run()
    };
    done(&with(
        "apply",
        ", colour: {type: object, properties: {hue: {type: string}}}",
    ));
    let planned = with("plan", "");
    assert_snapshot!("a_definition_that_narrows", without_server(&planned));
}

const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  LEVEL: VALUE\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  selector:\n    matchLabels: {app: web}\n  template:\n    metadata:\n      labels: {app: web}\n    spec:\n      hostNetwork: true\n      volumes: [{name: logs, hostPath: {path: /var/log}}]\n      containers:\n        - name: web\n          image: registry.example.com/web:1\n          securityContext: {privileged: true}\n          resources: {limits: {memory: 64Mi}}\n          envFrom: [{configMapRef: {name: settings}}]\n        - name: side\n          image: registry.example.com/side@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n          resources: {requests: {cpu: 10m, memory: 16Mi}}\n";

#[test]
fn values_that_running_pods_do_not_see() {
    let templates = SETTINGS.replace("          securityContext: {privileged: true}\n", "");
    let with = |mode, value| chart("stale", mode, &templates.replace("VALUE", value)).run();
    done(&with("apply", "info"));
    let planned = with("plan", "debug");
    assert_snapshot!("values_that_running_pods_do_not_see", warned(&planned));
}

#[test]
fn the_policy_warns_or_refuses() {
    let with = |policy, mode| {
        chart("policy", mode, SETTINGS)
            .input("policy", policy)
            .run()
    };
    let warned = with("warn", "plan");
    done(&warned);
    assert_snapshot!("the_policy_warns", without_server(&warned));
    for mode in ["plan", "apply"] {
        let refused = with("refuse", mode);
        assert_eq!(refused.code, 3, "{}", refused.log);
        assert_eq!(refused.outputs["failure-reason"], "refused");
        assert_eq!(refused.outputs["outcome"], "refused");
    }
    assert_snapshot!(
        "the_policy_refuses",
        without_server(&with("refuse", "apply"))
    );
    assert!(!kubectl(&["get", "namespaces", "--output", "name"]).contains("namespace/policy"));
}
