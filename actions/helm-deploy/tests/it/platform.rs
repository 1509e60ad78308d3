//! Several releases in one run, against a real API server.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use test_kit::{ApiServer, Finished, Step};

use crate::cluster::{in_namespace, kubectl, without_server};
use crate::foresight::reported;
use crate::killed::{helm_that, with_helm};

/// A step that deploys the releases of a file; there are no nodes, so nothing becomes ready.
pub(crate) fn platform(mode: &str, file: &str) -> Step {
    in_namespace("", mode)
        .input("release", "")
        .input("image", "")
        .input("set", "")
        .input("policy", "off")
        // As a runner passes the default.
        .input("chart", "fastapi-app")
        .input("platform", "deploy/platform.yaml")
        .file("deploy/platform.yaml", file)
}

/// Adds a chart beside the file.
pub(crate) fn with_chart(step: Step, name: &str, templates: &str) -> Step {
    step.file(
        format!("deploy/{name}/Chart.yaml"),
        format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n"),
    )
    .file(format!("deploy/{name}/templates/all.yaml"), templates)
}

pub(crate) fn config_map(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: '{{{{ .Release.Name }}}}'\ndata:\n  key: {value}\n"
    )
}

/// Releases of one chart of a config map: names, and what they need.
fn releases(namespace: &str, releases: &[(&str, &str)]) -> String {
    let entry = |(name, needs): &(&str, &str)| {
        format!("- {{name: {name}, namespace: {namespace}, chart: small, needs: [{needs}]}}\n")
    };
    let entries: Vec<String> = releases.iter().map(entry).collect();
    format!("releases:\n{}", entries.concat())
}

fn small(namespace: &str, mode: &str, all: &[(&str, &str)]) -> Step {
    with_chart(
        platform(mode, &releases(namespace, all)),
        "small",
        &config_map("'1'"),
    )
}

fn outcomes(finished: &Finished) -> Value {
    serde_json::from_str(&finished.outputs["outcomes"]).expect("JSON")
}

pub(crate) fn names(namespace: &str, kind: &str) -> String {
    let words = [
        "-n",
        namespace,
        "get",
        kind,
        "-o",
        "jsonpath={.items[*].metadata.name}",
    ];
    kubectl(&words)
}

const CHAIN: [(&str, &str); 4] = [
    ("last", "middle"),
    ("middle", "first"),
    ("first", ""),
    ("other", ""),
];

#[test]
fn the_summary_of_a_plan_tells_what_belongs_to_which_release() {
    let _server = ApiServer::shared();
    let planned = small("platform-summary", "plan", &CHAIN[1..3]).run();
    let digest = &planned.outputs["plan-digest"];
    let summary = planned.summary.replace(digest, "sha256:DIGEST");
    assert_snapshot!(summary, @r#"
    ### Plan for `deploy/platform.yaml`: 3 to create

    | | target | kind | why |
    |---|---|---|---|
    | + create | platform-summary | Namespace |  |

    **first**

    | | target | kind | why |
    |---|---|---|---|
    | + create | first | ConfigMap |  |

    **middle**

    | | target | kind | why |
    |---|---|---|---|
    | + create | middle | ConfigMap |  |

    Plan digest: `sha256:DIGEST`

    **first**

    <details><summary>What differs</summary>

    ```diff
    # ConfigMap first
    @@ -0,0 +1,6 @@
    +apiVersion: v1
    +data:
    +  key: '1'
    +kind: ConfigMap
    +metadata:
    +  name: first
    ```

    </details>

    **middle**

    <details><summary>What differs</summary>

    ```diff
    # ConfigMap middle
    @@ -0,0 +1,6 @@
    +apiVersion: v1
    +data:
    +  key: '1'
    +kind: ConfigMap
    +metadata:
    +  name: middle
    ```

    </details>
    "#);
}

#[test]
fn a_platform_is_planned_installed_unchanged_and_looked_at() {
    let _server = ApiServer::shared();
    let space = "platform-life";
    let planned = small(space, "plan", &CHAIN).run();
    assert_eq!(planned.outputs["outcome"], "planned", "{}", planned.log);
    assert_snapshot!(without_server(&planned), @r#"
    exit status: 0
    Plan for deploy/platform.yaml: 5 to create
      + create platform-life (Namespace)
      first
        + create first (ConfigMap)
      middle
        + create middle (ConfigMap)
      last
        + create last (ConfigMap)
      other
        + create other (ConfigMap)
    Plan digest: sha256:3e8841e831c7f11c931b47a02d34688a1fd208df5b8e119335f8221645ed54aa
    "#);
    assert!(!kubectl(&["get", "namespaces", "-o", "name"]).contains(space));

    let other =
        small(space, "apply", &CHAIN[2..]).input("plan-digest", &planned.outputs["plan-digest"]);
    let other = other.run();
    assert_eq!(
        other.outputs["failure-reason"], "plan-changed",
        "{}",
        other.log
    );
    assert!(!kubectl(&["get", "namespaces", "-o", "name"]).contains(space));

    let installed =
        small(space, "apply", &CHAIN).input("plan-digest", &planned.outputs["plan-digest"]);
    let installed = installed.run();
    assert_eq!(installed.code, 0, "{}", installed.log);
    assert_eq!(installed.outputs["outcome"], "done");
    assert_eq!(
        outcomes(&installed),
        json!({"first": "done", "last": "done", "middle": "done", "other": "done"})
    );
    assert!(
        installed
            .log
            .contains("[middle] release middle revision 1: applied\n"),
        "{}",
        installed.log
    );
    let names_in_order: Vec<Value> = reported(&installed, "releases")
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["release"].clone())
        .collect();
    assert_eq!(names_in_order, ["first", "middle", "last", "other"]);

    let again = small(space, "apply", &CHAIN).run();
    assert_eq!(again.outputs["outcome"], "unchanged", "{}", again.log);
    assert_snapshot!(again.summary, @r#"
    ### Platform `deploy/platform.yaml`

    | release | namespace | outcome | revision | |
    |---|---|---|---|---|
    | first | platform-life | unchanged | 1 |  |
    | middle | platform-life | unchanged | 1 |  |
    | last | platform-life | unchanged | 1 |  |
    | other | platform-life | unchanged | 1 |  |

    ### Plan for `deploy/platform.yaml`: no changes

    Plan digest: `sha256:519b0eebeaac8b28daf98c2d36261899ffc8abee6c6329da2923531527d0f11e`
    "#);

    let _ = kubectl(&["-n", space, "delete", "configmap", "middle"]);
    let drift = small(space, "drift", &CHAIN)
        .input("fail-on-drift", "true")
        .run();
    assert_eq!(drift.code, 1, "{}", drift.log);
    assert_eq!(drift.outputs["drifted"], "1");
    assert!(
        drift
            .summary
            .contains("| ConfigMap middle | | there | **deleted** | |"),
        "{}",
        drift.summary
    );
    assert_eq!(
        outcomes(&drift),
        json!({"first": "unchanged", "last": "unchanged", "middle": "done", "other": "unchanged"})
    );
    let mended = small(space, "apply", &CHAIN).run();
    assert_eq!(outcomes(&mended)["middle"], "done", "{}", mended.log);
    assert_eq!(outcomes(&mended)["first"], "unchanged");
}

/// Notes which release Helm changes when.
const NOTED: &str = "log=\"${0%/*}/log\"; echo \"+$2\" >>\"$log\"; \"$helm\" \"$@\"; code=$?; echo \"-$2\" >>\"$log\"; exit $code";
/// Goes on when another one has begun as well.
const TOGETHER: &str = "touch \"${0%/*}/began-$2\"; n=0; while [ $(ls \"${0%/*}\" | grep -c began) -lt 2 ]; do sleep 0.1; n=$((n+1)); [ $n -lt 300 ] || exit 1; done";

#[test]
fn releases_come_in_order_and_together_where_they_may() {
    let _server = ApiServer::shared();
    let helm = helm_that("", NOTED);
    let chain = small("platform-order", "apply", &CHAIN[..3]);
    let chain = with_helm(chain, helm.path()).run();
    assert_eq!(chain.code, 0, "{}", chain.log);
    let log = fs_err::read_to_string(helm.path().join("log")).expect("a log");
    let expected = ["+first", "-first", "+middle", "-middle", "+last", "-last"];
    assert_eq!(log.lines().collect::<Vec<_>>(), expected);

    let both = small("platform-both", "apply", &[("one", ""), ("two", "")]);
    let both = with_helm(both, helm_that("", TOGETHER).path()).run();
    assert_eq!(both.code, 0, "{}", both.log);
    assert_eq!(names("platform-both", "configmaps"), "one two");
}

#[test]
fn one_that_fails_stops_those_that_need_it_and_no_others() {
    let _server = ApiServer::shared();
    let space = "platform-fails";
    let file = releases(
        space,
        &[("second", "broken"), ("third", "second"), ("good", "")],
    ) + &format!("- {{name: broken, namespace: {space}, chart: broken}}\n");
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: broken\nspec:\n  ports: [{port: 80, targetPort: -1}]\n";
    let step = with_chart(platform("apply", &file), "small", &config_map("'1'"));
    let failed = with_chart(step, "broken", service).run();
    assert_eq!(failed.code, 1, "{}", failed.log);
    assert_eq!(failed.outputs["failure-reason"], "remote-failed");
    assert_eq!(
        outcomes(&failed),
        json!({"broken": "failed", "good": "done", "second": "skipped", "third": "skipped"})
    );
    let error = failed.log.lines().find(|line| line.starts_with("::error"));
    assert_snapshot!(error.unwrap_or_default(), @"::error::`broken`: release `broken` cannot be applied: Service broken: the API server would refuse it: `spec.ports[0].targetPort`: Invalid value: -1: must be between 1 and 65535, inclusive; nothing was changed; `second` is skipped: it needs `broken`; `third` is skipped: it needs `second`");
    let (table, _) = failed.summary.split_once("### Plan").expect("a plan");
    assert_snapshot!(table, @r#"
    ### Deploy with Helm: failed

    - `broken`: release `broken` cannot be applied: Service broken: the API server would refuse it: `spec.ports[0].targetPort`: Invalid value: -1: must be between 1 and 65535, inclusive; nothing was changed; `second` is skipped: it needs `broken`; `third` is skipped: it needs `second`

    > hint: correct the value from which the chart makes the field that the message names

    ### Platform `deploy/platform.yaml`

    | release | namespace | outcome | revision | |
    |---|---|---|---|---|
    | good | platform-fails | done | 1 |  |
    | broken | platform-fails | failed |  | release `broken` cannot be applied: Service broken: the API server would refuse it: `spec.ports[0].targetPort`: Invalid value: -1: must be between 1 and 65535, inclusive; nothing was changed |
    | second | platform-fails | skipped |  | it needs `broken` |
    | third | platform-fails | skipped |  | it needs `second` |
    "#);
    assert_eq!(names(space, "configmaps"), "good");

    let step = with_chart(platform("apply", &file), "small", &config_map("'1'"));
    let mended = with_chart(step, "broken", &service.replace("-1", "80")).run();
    assert_eq!(mended.code, 0, "{}", mended.log);
    assert_eq!(
        outcomes(&mended),
        json!({"broken": "done", "good": "unchanged", "second": "done", "third": "done"})
    );
}

#[test]
fn what_has_kinds_of_another_release_is_known_after_apply() {
    let _server = ApiServer::shared();
    let space = "platform-kinds";
    let file = format!(
        "releases:\n- {{name: uses, namespace: {space}, chart: uses, needs: [kinds]}}\n- {{name: kinds, namespace: {space}, chart: kinds}}\n"
    );
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: gadgets.example.com\nspec:\n  group: example.com\n  scope: Namespaced\n  names: {kind: Gadget, plural: gadgets, singular: gadget}\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema:\n        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}\n";
    let run = |mode: &str| {
        let step = with_chart(platform(mode, &file), "kinds", definition);
        let gadget = "apiVersion: example.com/v1\nkind: Gadget\nmetadata:\n  name: one\n";
        with_chart(step, "uses", gadget)
    };
    let planned = run("plan").run();
    assert_eq!(planned.code, 0, "{}", planned.log);
    assert_snapshot!(without_server(&planned), @r#"
    exit status: 0
    Plan for deploy/platform.yaml: 3 to create
      + create platform-kinds (Namespace)
      kinds
        + create gadgets.example.com (CustomResourceDefinition)
      uses
        + create one (Gadget): known after apply
    Plan digest: sha256:2f6ee4bdf33260806c6b6b7f90579b00cd3e6d587e7e4f724713d55807317e48
    "#);
    let rows = reported(&planned, "releases");
    assert_eq!(rows[1]["known-after-apply"], true);
    let applied = run("apply")
        .input("plan-digest", &planned.outputs["plan-digest"])
        .run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    assert_eq!(names(space, "gadgets.example.com"), "one");
    assert_eq!(run("apply").run().outputs["outcome"], "unchanged");
    assert_eq!(
        reported(&run("plan").run(), "releases")[1]["known-after-apply"],
        false
    );
}

#[test]
fn a_webhook_that_was_just_installed_is_waited_for() {
    let _server = ApiServer::shared();
    let (space, elsewhere) = ("platform-webhook", "platform-webhook-own");
    // It answers nobody, so the API server refuses what it is to be asked about.
    let webhook = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = webhook.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    thread::spawn(move || {
        for connection in webhook.incoming() {
            drop(connection);
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let configuration = format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata:\n  name: {space}\nwebhooks:\n- name: asks.example.com\n  clientConfig: {{url: 'https://{address}/'}}\n  sideEffects: None\n  admissionReviewVersions: [v1]\n  namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {space}}}}}\n  rules: [{{apiGroups: [''], apiVersions: [v1], operations: ['*'], resources: [configmaps]}}]\n"
    );
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(file.path(), configuration).expect("write it");
    let _ = kubectl(&["create", "namespace", space]);
    let _ = kubectl(&["create", "--filename", &file.path().display().to_string()]);
    let file = releases(space, &[("uses", "webhook")])
        + &format!("- {{name: webhook, namespace: {elsewhere}, chart: small}}\n");
    let step = |mode| with_chart(platform(mode, &file), "small", &config_map("'1'"));
    // A new webhook is heard of within a second or so.
    while !step("plan").run().log.contains("failed calling webhook") {
        thread::sleep(Duration::from_millis(100));
    }
    let before = asked.load(Ordering::Relaxed);
    let run = step("apply");
    let run = thread::spawn(move || run.run());
    while asked.load(Ordering::Relaxed) < before + 3 {
        assert!(!run.is_finished(), "it did not wait");
        thread::sleep(Duration::from_millis(100));
    }
    let _ = kubectl(&["delete", "validatingwebhookconfiguration", space]);
    let ran = run.join().expect("the run");
    assert_eq!(ran.code, 0, "{}", ran.log);
    assert_eq!(names(space, "configmaps"), "uses");
}

#[test]
fn a_run_that_was_killed_is_finished_by_the_next() {
    let _server = ApiServer::shared();
    let space = "platform-killed";
    let amid = "[ \"$2\" != middle ] || { \"$helm\" \"$@\"; kill -9 $PPID; exit 0; }";
    let killed = with_helm(
        small(space, "apply", &CHAIN[..3]),
        helm_that("", amid).path(),
    )
    .run();
    assert_eq!(killed.code, -1, "it was not killed: {}", killed.log);
    assert_eq!(names(space, "configmaps"), "first middle");
    let next = small(space, "apply", &CHAIN[..3])
        .env("GITHUB_RUN_ID", "2")
        .run();
    assert_eq!(next.code, 0, "{}", next.log);
    assert_eq!(
        outcomes(&next),
        json!({"first": "unchanged", "last": "done", "middle": "unchanged"})
    );
}

#[test]
fn an_environment_has_values_of_its_own() {
    let _server = ApiServer::shared();
    let file = "releases:\n- name: one\n  namespace: platform-values\n  chart: small\n  values: [values.yaml]\n  environments:\n    production: {values: [production.yaml]}\n    test: {}\n";
    let run = |environment: &str| {
        let step = platform("apply", file)
            .input("environment", environment)
            .file("deploy/values.yaml", "size: small\n")
            .file("deploy/production.yaml", "size: large\n");
        let ran = with_chart(step, "small", &config_map("'{{ .Values.size }}'")).run();
        assert_eq!(ran.code, 0, "{}", ran.log);
        kubectl(&[
            "-n",
            "platform-values",
            "get",
            "configmap",
            "one",
            "-o",
            "jsonpath={.data.key}",
        ])
    };
    assert_eq!(run("test"), "small");
    assert_eq!(run("production"), "large");
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let file = "releases: []\n";
    let unfit = platform("plan", file)
        .input("release", "orders")
        .input("chart", "charts/other")
        .input("image", crate::cluster::image(crate::cluster::OTHER));
    assert_snapshot!(unfit.run().log.trim(), @r#"
    ::error::`platform` does not go with `release`, `chart`, `image`

    hint: leave them out: the file says which releases there are, and what each is made of
    "#);
    assert_snapshot!(platform("uninstall", file).run().log.trim(), @r#"
    ::error::`platform` goes with the modes plan, apply, drift and pin only

    hint: name one `release` to go back with it or to take it out
    "#);
    assert_snapshot!(platform("plan", file).input("platform", "").run().log.trim(), @r#"
    ::error::neither `release` nor `platform` is given

    hint: name one `release`, or the file with the releases of a platform in `platform`
    "#);
    let alone = in_namespace("x", "plan").input("environment", "test");
    assert_snapshot!(alone.run().log.trim(), @r#"
    ::error::`environment` is `test`, and there is no `platform` with values for it

    hint: leave it out, and name the values files of a `release` in `values`
    "#);
    let absent = platform("plan", file).input("platform", "platform.yml");
    let absent = absent.run();
    assert_eq!(absent.code, 2);
    assert!(
        absent.log.contains("::error::read `platform.yml`"),
        "{}",
        absent.log
    );
}
