//! The program against a real API server that has no nodes: everything up to the first pod.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use insta::assert_snapshot;
use serde_json::Value;
use test_kit::{ApiServer, Finished, Step, tool};

use crate::foresight::reported;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const OTHER: &str =
    "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Inputs that are right; the API server is the shared one.
pub(crate) fn step() -> Step {
    let server = ApiServer::shared();
    let step = Step::new(env!("CARGO_BIN_EXE_helm-deploy"))
        .env("PATH", path_with_helm())
        .input("release", "orders")
        .input("namespace", "inputs")
        .input("kubeconfig", server.kubeconfig().display().to_string())
        .input("image", image(DIGEST))
        .input(
            "set",
            "ingress.kind=Ingress\ningress.host=orders.example.com",
        );
    // The server must outlive the step, which borrows only its address.
    KEPT.with(|kept| kept.borrow_mut().push(server));
    step
}

thread_local! {
    static KEPT: std::cell::RefCell<Vec<Arc<ApiServer>>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// What a user sees, but the line that names the server's port.
pub(crate) fn without_server(finished: &Finished) -> String {
    let lines = finished
        .log
        .lines()
        .filter(|line| !line.starts_with("cluster https://"));
    let text = lines.collect::<Vec<_>>().join("\n");
    format!("exit status: {}\n{}", finished.code, text.trim())
}

fn path_with_helm() -> String {
    let helm = tool("helm", "helm");
    let folder = helm
        .parent()
        .map(Path::display)
        .map(|path| path.to_string());
    format!("{}:/usr/bin:/bin", folder.unwrap_or_default())
}

pub(crate) fn image(digest: &str) -> String {
    format!("registry.example.com/orders@{digest}")
}

pub(crate) fn in_namespace(namespace: &str, mode: &str) -> Step {
    // There are no nodes, so nothing becomes ready: that is what the end-to-end run shows.
    step()
        .input("namespace", namespace)
        .input("mode", mode)
        .input("wait", "false")
}

pub(crate) fn kubectl(arguments: &[&str]) -> String {
    ApiServer::shared().kubectl(arguments)
}

pub(crate) fn statuses(namespace: &str) -> Vec<String> {
    let list = kubectl(&[
        "--namespace",
        namespace,
        "get",
        "secrets",
        "--selector",
        "owner=helm",
        "--output",
        "json",
    ]);
    let list: Value = serde_json::from_str(&list).expect("kubectl writes JSON");
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let label = |item: &Value, name: &str| {
        item["metadata"]["labels"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let mut statuses: Vec<(u32, String)> = items
        .iter()
        .map(|item| {
            (
                label(item, "version").parse().expect("a number"),
                label(item, "status"),
            )
        })
        .collect();
    statuses.sort();
    statuses
        .into_iter()
        .map(|(version, status)| format!("{version} {status}"))
        .collect()
}

#[test]
fn a_release_is_planned_installed_unchanged_upgraded_and_taken_out() {
    let server = ApiServer::shared();
    let planned = in_namespace("life", "plan").run();
    assert_eq!(planned.code, 0, "{}", planned.log);
    assert_eq!(planned.outputs["outcome"], "planned");
    assert_snapshot!(without_server(&planned), @r#"
    exit status: 0
    Plan for life/orders: 8 to create
      + create life (Namespace)
      + create orders (Deployment)
      + create orders (HorizontalPodAutoscaler)
      + create orders (Ingress)
      + create orders (NetworkPolicy)
      + create orders (PodDisruptionBudget)
      + create orders (Service)
      + create orders (ServiceAccount)
    Plan digest: sha256:5b242062ccf525e161bbdd120eb0dce7d8281f085eceb5679f9c5f73dd77e1e2
    "#);
    let namespaces = server.kubectl(&["get", "namespaces", "--output", "name"]);
    assert!(
        !namespaces.contains("namespace/life"),
        "plan wrote: {namespaces}"
    );

    let installed = in_namespace("life", "apply")
        .input("plan-digest", &planned.outputs["plan-digest"])
        .run();
    assert_eq!(installed.code, 0, "{}", installed.log);
    assert_eq!(installed.outputs["outcome"], "done");
    assert_eq!(installed.outputs["revision"], "1");
    assert_eq!(installed.outputs["previous-revision"], "");

    let again = in_namespace("life", "apply").run();
    assert_eq!(again.outputs["outcome"], "unchanged", "{}", again.log);
    assert_eq!(statuses("life"), ["1 deployed"]);

    let upgrade = || in_namespace("life", "plan").input("image", image(OTHER));
    let planned = upgrade().run();
    assert_snapshot!(without_server(&planned), @r#"
    exit status: 0
    ::group::Deployment orders
    @@ -31,7 +31,7 @@
               value: '8000'
             - name: LOG_LEVEL
               value: info
    -        image: registry.example.com/orders@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    +        image: registry.example.com/orders@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
             imagePullPolicy: IfNotPresent
             lifecycle:
               preStop:
    ::endgroup::
    Plan for life/orders: 1 to update
      ~ update orders (Deployment): spec.template.spec.containers.app.image (new pods)
    Plan digest: sha256:63aeb5b5a6fe45abfdadb78e050cf64449ec93aa71000a9b5f3218ed93c3f5c8
    "#);
    assert!(planned.summary.contains("```diff"), "{}", planned.summary);
    let upgraded = upgrade().input("mode", "apply").run();
    assert_eq!(
        upgraded.outputs["previous-revision"], "1",
        "{}",
        upgraded.log
    );
    assert_eq!(statuses("life"), ["1 superseded", "2 deployed"]);

    let back = in_namespace("life", "rollback").run();
    assert_eq!(back.code, 0, "{}", back.log);
    assert_eq!(back.outputs["revision"], "3");
    let running = server.kubectl(&[
        "--namespace",
        "life",
        "get",
        "deployment",
        "orders",
        "--output",
        "jsonpath={.spec.template.spec.containers[0].image}",
    ]);
    assert_eq!(running, image(DIGEST));

    let out = in_namespace("life", "uninstall").run();
    assert_eq!(out.code, 0, "{}", out.log);
    assert_eq!(
        in_namespace("life", "uninstall").run().outputs["outcome"],
        "unchanged"
    );
    let left = server.kubectl(&[
        "--namespace",
        "life",
        "get",
        "deployments,services,leases",
        "--output",
        "name",
    ]);
    assert_eq!(left, "");
}

#[test]
fn only_the_reviewed_plan_is_applied() {
    let planned = in_namespace("reviewed", "plan").input("plan-file", "plan.json");
    let folder = tempfile::tempdir().expect("a workspace");
    let planned = planned.workspace(folder.path()).run();
    assert_eq!(planned.code, 0, "{}", planned.log);
    let changed = in_namespace("reviewed", "apply")
        .workspace(folder.path())
        .input("plan-file", "plan.json")
        .input("set", "ingress.enabled=false")
        .run();
    assert_eq!(changed.code, 3);
    assert_eq!(changed.outputs["failure-reason"], "plan-changed");
    assert!(
        changed.log.contains("gone: + create orders (Ingress)"),
        "{}",
        changed.log
    );
    let applied = in_namespace("reviewed", "apply")
        .workspace(folder.path())
        .input("plan-file", "plan.json")
        .run();
    assert_eq!(applied.outputs["outcome"], "done", "{}", applied.log);
}

#[test]
fn what_somebody_deleted_is_made_again() {
    let first = in_namespace("drift", "apply").run();
    assert_eq!(first.code, 0, "{}", first.log);
    let _ = kubectl(&["--namespace", "drift", "delete", "service", "orders"]);
    let second = in_namespace("drift", "apply").run();
    assert!(
        second
            .log
            .contains("+ create orders (Service): it was deleted by somebody"),
        "{}",
        second.log
    );
    let _ = kubectl(&["--namespace", "drift", "get", "service", "orders"]);
}

#[test]
fn what_the_api_server_would_refuse_is_not_begun() {
    assert_eq!(in_namespace("undone", "apply").run().code, 0);
    let failed = in_namespace("undone", "apply")
        .input(
            "set",
            "ingress.kind=Ingress\ningress.host=new.example.com\nresources.requests.memory=900Gi",
        )
        .run();
    assert_eq!(failed.code, 1);
    assert_eq!(failed.outputs["failure-reason"], "remote-failed");
    assert!(
        failed
            .log
            .contains("must be less than or equal to memory limit of 256Mi; nothing was changed"),
        "{}",
        failed.log
    );
    assert_eq!(statuses("undone"), ["1 deployed"]);
}

#[test]
fn a_kind_that_the_cluster_does_not_know_is_named_before_anything_is_done() {
    let failed = in_namespace("unknown", "apply")
        .input("set", "ingress.enabled=false\nserviceMonitor.enabled=true")
        .run();
    assert_eq!(failed.code, 1);
    assert_snapshot!(without_server(&failed), @r#"
    exit status: 1
    ::error::render the release: unable to build kubernetes objects from release manifest: resource mapping not found for name: "orders" namespace: "" from "": no matches for kind "ServiceMonitor" in version "monitoring.coreos.com/v1" ensure CRDs are installed first

    hint: install the operator or the CRDs that define this kind first
    "#);
    assert!(!kubectl(&["get", "namespaces", "--output", "name"]).contains("namespace/unknown"));
}

#[test]
fn there_must_be_something_to_go_back_to() {
    let none = in_namespace("nothing", "rollback").run();
    assert_snapshot!(without_server(&none), @r#"
    exit status: 2
    ::error::go back in `nothing/orders`: release `orders` does not exist

    hint: `helm list` and `helm history` show what is there
    "#);
    assert_eq!(in_namespace("nothing", "apply").run().code, 0);
    let none = in_namespace("nothing", "rollback").run();
    assert_snapshot!(without_server(&none), @r#"
    exit status: 2
    ::error::go back in `nothing/orders`: an earlier good revision does not exist

    hint: `helm list` and `helm history` show what is there
    "#);
    let none = in_namespace("nothing", "rollback")
        .input("revision", "7")
        .run();
    assert_snapshot!(without_server(&none), @r#"
    exit status: 2
    ::error::go back in `nothing/orders`: revision 7 does not exist

    hint: `helm list` and `helm history` show what is there
    "#);
}

#[test]
fn a_namespace_is_made_only_when_that_is_wanted() {
    let refused = in_namespace("absent", "apply")
        .input("create-namespace", "false")
        .run();
    assert_eq!(refused.code, 2);
    assert!(
        refused
            .log
            .contains("namespace `absent` does not exist, and `create-namespace` is false"),
        "{}",
        refused.log
    );
}

/// Makes the newest revision look as a killed `helm upgrade` leaves it.
fn leave_pending(namespace: &str, revision: u32, status: &str) {
    let name = format!("sh.helm.release.v1.orders.v{revision}");
    let kept = kubectl(&[
        "--namespace",
        namespace,
        "get",
        "secret",
        &name,
        "--output",
        "jsonpath={.data.release}",
    ]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("release");
    fs_err::write(&file, kept).expect("a file");
    // Base64 twice around gzip around JSON is Helm's own format.
    let shell = format!(
        "base64 -d {file} | base64 -d | gzip -d | sed 's/\"status\":\"[a-z-]*\"/\"status\":\"{status}\"/' | gzip -c | base64 -w0 | base64 -w0",
        file = file.display()
    );
    let changed = std::process::Command::new("sh")
        .args(["-c", &shell])
        .output()
        .expect("a shell");
    let changed = String::from_utf8(changed.stdout).expect("base64");
    let patch = serde_json::json!({"data": {"release": changed}, "metadata": {"labels": {"status": status}}});
    let _ = kubectl(&[
        "--namespace",
        namespace,
        "patch",
        "secret",
        &name,
        "--type",
        "merge",
        "--patch",
        &patch.to_string(),
    ]);
}

#[test]
fn a_pending_revision_of_a_killed_run_is_applied_again() {
    assert_eq!(in_namespace("pending-same", "apply").run().code, 0);
    let upgrade = || in_namespace("pending-same", "apply").input("image", image(OTHER));
    assert_eq!(upgrade().run().code, 0);
    let _ = kubectl(&[
        "--namespace",
        "pending-same",
        "label",
        "--overwrite",
        "secret",
        "sh.helm.release.v1.orders.v1",
        "status=deployed",
    ]);
    leave_pending("pending-same", 1, "deployed");
    leave_pending("pending-same", 2, "pending-upgrade");
    assert_eq!(
        statuses("pending-same"),
        ["1 deployed", "2 pending-upgrade"]
    );
    let repaired = upgrade().run();
    assert_eq!(repaired.code, 0, "{}", repaired.log);
    assert!(
        repaired
            .log
            .contains("left pending by a run that was killed: applying it again"),
        "{}",
        repaired.log
    );
    assert_eq!(statuses("pending-same"), ["1 superseded", "2 deployed"]);
}

#[test]
fn a_pending_revision_of_other_content_is_undone_first() {
    assert_eq!(in_namespace("pending-other", "apply").run().code, 0);
    let upgrade = in_namespace("pending-other", "apply")
        .input("set", "ingress.kind=Ingress\ningress.host=new.example.com");
    assert_eq!(upgrade.run().code, 0);
    leave_pending("pending-other", 1, "deployed");
    leave_pending("pending-other", 2, "pending-upgrade");
    let repaired = in_namespace("pending-other", "apply")
        .input("image", image(OTHER))
        .run();
    assert_eq!(repaired.code, 0, "{}", repaired.log);
    assert!(
        repaired.log.contains("going back to revision 1 first"),
        "{}",
        repaired.log
    );
    let host = kubectl(&[
        "--namespace",
        "pending-other",
        "get",
        "ingress",
        "orders",
        "--output",
        "jsonpath={.spec.rules[0].host}",
    ]);
    assert_eq!(host, "orders.example.com");
    assert_eq!(
        statuses("pending-other").last().map(String::as_str),
        Some("4 deployed")
    );
}

#[test]
fn a_half_done_first_installation_of_other_content_is_taken_out_first() {
    assert_eq!(in_namespace("pending-first", "apply").run().code, 0);
    leave_pending("pending-first", 1, "pending-install");
    let repaired = in_namespace("pending-first", "apply")
        .input("set", "ingress.enabled=false")
        .run();
    assert_eq!(repaired.code, 0, "{}", repaired.log);
    assert!(
        repaired.log.contains("taking it out first"),
        "{}",
        repaired.log
    );
    let left = kubectl(&[
        "--namespace",
        "pending-first",
        "get",
        "ingresses",
        "--output",
        "name",
    ]);
    assert_eq!(left, "");
}

#[test]
fn the_lease_of_a_run_that_lives_is_respected() {
    let _ = kubectl(&["create", "namespace", "locked"]);
    let lease = r#"{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "helm-deploy-orders", "namespace": "locked"},
        "spec": {"holderIdentity": "acme/orders/7.1/deploy", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}}"#;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lease.json");
    fs_err::write(&file, lease).expect("a file");
    let _ = kubectl(&["apply", "--filename", &file.display().to_string()]);
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    // Another run, that renews its lease twice a second.
    let holder = std::thread::spawn(move || {
        for second in (0..60).cycle() {
            if seen.load(Ordering::Relaxed) {
                return;
            }
            let renewal =
                format!(r#"{{"spec": {{"renewTime": "2026-01-01T00:00:{second:02}.000000Z"}}}}"#);
            let _ = kubectl(&[
                "--namespace",
                "locked",
                "patch",
                "lease",
                "helm-deploy-orders",
                "--type",
                "merge",
                "--patch",
                &renewal,
            ]);
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
    });
    let refused = in_namespace("locked", "apply").run();
    assert_eq!(refused.code, 4, "{}", refused.log);
    assert_eq!(refused.outputs["failure-reason"], "locked");
    assert!(
        refused.log.contains("is held by `acme/orders/7.1/deploy`"),
        "{}",
        refused.log
    );
    over.store(true, Ordering::Relaxed);
    holder.join().expect("the other run");
    // Nobody renews it any more: it is taken over.
    let taken = in_namespace("locked", "apply").run();
    assert_eq!(taken.code, 0, "{}", taken.log);
    assert!(taken.log.contains("taking over"), "{}", taken.log);
}

#[test]
fn custom_resource_definitions_come_first_and_are_upgraded() {
    let chart = |field: &str| {
        // What the new version knows is used at once.
        let value = if field.is_empty() {
            ""
        } else {
            "  colour: red\n"
        };
        [
            ("chart/Chart.yaml".to_owned(), "apiVersion: v2\nname: widgets\nversion: 0.1.0\n".to_owned()),
            ("chart/templates/widget.yaml".into(), "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: one\nspec:\n  size: 1\n".to_owned() + value),
            ("chart/crds/widgets.yaml".into(), format!(
                "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: widgets.example.com\nspec:\n  group: example.com\n  scope: Namespaced\n  names: {{kind: Widget, plural: widgets, singular: widget}}\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema:\n        openAPIV3Schema:\n          type: object\n          properties:\n            spec:\n              type: object\n              properties: {{size: {{type: integer}}{field}}}\n"
            )),
        ]
    };
    let run = |mode: &str, field: &str| {
        let mut step = in_namespace("crds", mode)
            .input("chart", "chart")
            .input("image", "")
            .input("set", "");
        for (path, text) in chart(field) {
            step = step.file(path, text);
        }
        step.run()
    };
    let planned = run("plan", "");
    assert_snapshot!(without_server(&planned), @r#"
    exit status: 0
    Plan for crds/orders: 3 to create
      + create crds (Namespace)
      + create widgets.example.com (CustomResourceDefinition): comes with the chart; Helm does not upgrade it
      + create one (Widget)
    Plan digest: sha256:fbcd71f46778eaa6b32f7267f1847aae2f31ed73db7d6ad5c53c243b36993316
    "#);
    let installed = run("apply", "");
    assert_eq!(installed.code, 0, "{}", installed.log);
    assert_eq!(run("apply", "").outputs["outcome"], "unchanged");
    let upgraded = run("apply", ", colour: {type: string}");
    assert_eq!(upgraded.code, 0, "{}", upgraded.log);
    assert!(
        upgraded.log.contains("~ update widgets.example.com"),
        "{}",
        upgraded.log
    );
    assert_eq!(reported(&upgraded, "warnings"), serde_json::json!([]));
    let fields = kubectl(&[
        "get",
        "crd",
        "widgets.example.com",
        "--output",
        "jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties}",
    ]);
    assert!(fields.contains("colour"), "{fields}");
}

#[test]
fn values_of_secrets_are_never_shown() {
    let run = |mode: &str, password: &str| {
        in_namespace("secrets", mode)
            .input("chart", "chart")
            .input("image", "")
            .input("set", "")
            .file("chart/Chart.yaml", "apiVersion: v2\nname: secrets\nversion: 0.1.0\n")
            .file("chart/templates/secret.yaml", format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: one\nstringData:\n  password: {password}\n  user: same-user-name\n"))
            .run()
    };
    assert_eq!(run("apply", "canary-one").code, 0);
    let planned = run("plan", "canary-two");
    let everything = format!(
        "{} {} {:?} {:?}",
        planned.log, planned.summary, planned.report, planned.outputs
    );
    assert!(
        planned.log.contains("stringData.password"),
        "{}",
        planned.log
    );
    for word in ["canary-one", "canary-two", "same-user-name"] {
        assert!(!everything.contains(word), "{everything}");
    }
    assert!(everything.contains("*** (after)"), "{everything}");
}
