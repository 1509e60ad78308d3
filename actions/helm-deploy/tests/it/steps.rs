//! A new version in steps: what stands beside the old one, and the program against a real API
//! server, with an HTTP server as Traefik.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use helm_deploy::split::{routes, split};
use helm_deploy::{ObjectId, Objects};
use insta::assert_snapshot;
use serde_json::{Value, json};
use test_kit::{ApiServer, Step, tool};

use crate::charts::{app, yaml};
use crate::cluster::{OTHER, image, in_namespace, kubectl, statuses, step};
use crate::foresight::reported;
use crate::stand_in::{Answer, Controller, deployments, image_of, ingress};
use crate::traffic::told;

const HOST: &str = "ingress.host=orders.example.com";

fn release(sets: &[&str]) -> Objects {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    app(sets)
        .into_iter()
        .map(|object| {
            let id = ObjectId {
                api_version: text(&object["apiVersion"]),
                kind: text(&object["kind"]),
                namespace: None,
                name: text(&object["metadata"]["name"]),
            };
            (id, object)
        })
        .collect()
}

#[test]
fn the_new_version_stands_beside_the_old_one_and_nothing_selects_both() {
    let live = release(&[HOST]);
    let wanted = release(&[HOST, "env.LOG_LEVEL=debug"]);
    let split = split("orders", &live, &wanted, &Objects::new())
        .expect("it can be split")
        .expect("the pods change");
    let spec = &split.deployment["spec"];
    assert_snapshot!(
        yaml(&json!({
            "metadata": split.deployment["metadata"],
            "selector": spec["selector"],
            "labels": spec["template"]["metadata"]["labels"],
            "spread": spec["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"],
        })),
        @r#"
        labels:
          app.kubernetes.io/instance: orders-next
          app.kubernetes.io/name: orders
        metadata:
          labels:
            app.kubernetes.io/instance: orders-next
            app.kubernetes.io/managed-by: helm-deploy
            app.kubernetes.io/name: orders
            fastapi-eks-actions/next-of: orders
            helm.sh/chart: fastapi-app-0.1.0
          name: orders-next
        selector:
          matchLabels:
            app.kubernetes.io/instance: orders-next
            app.kubernetes.io/name: orders
        spread:
          matchLabels:
            app.kubernetes.io/instance: orders-next
            app.kubernetes.io/name: orders
        "#
    );
    let around = split.around.iter().map(|object| {
        json!({
            "kind": object["kind"], "name": object["metadata"]["name"], "spec": object["spec"],
        })
    });
    assert_snapshot!(around.map(|object| yaml(&object)).collect::<Vec<_>>().join("---\n"), @r#"
    kind: NetworkPolicy
    name: orders-next
    spec:
      ingress:
      - from:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: traefik
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: monitoring
        ports:
        - port: http
      podSelector:
        matchLabels:
          app.kubernetes.io/instance: orders-next
          app.kubernetes.io/name: orders
      policyTypes:
      - Ingress
    ---
    kind: PodDisruptionBudget
    name: orders-next
    spec:
      maxUnavailable: 1
      selector:
        matchLabels:
          app.kubernetes.io/instance: orders-next
          app.kubernetes.io/name: orders
      unhealthyPodEvictionPolicy: AlwaysAllow
    ---
    kind: Service
    name: orders-next
    spec:
      ports:
      - name: http
        port: 80
        targetPort: http
      selector:
        app.kubernetes.io/instance: orders-next
        app.kubernetes.io/name: orders
      type: ClusterIP
    "#);
    assert_eq!(
        split.deployment["spec"]["template"]["spec"]["containers"],
        wanted[&split.old]["spec"]["template"]["spec"]["containers"]
    );
}

#[test]
fn routes_are_added_and_none_is_changed() {
    let live = release(&[HOST]);
    let services = BTreeMap::from([("orders".to_owned(), "orders-next".to_owned())]);
    let routed = routes(&live, &services, 5);
    assert_snapshot!(yaml(&routed[0]["spec"]["routes"]), @r#"
    - kind: Rule
      match: Host(`orders.example.com`)
      services:
      - name: orders
        port: http
    - kind: Rule
      match: (Host(`orders.example.com`))
      priority: 27
      services:
      - name: orders
        port: http
        weight: 95
      - name: orders-next
        port: http
        weight: 5
    - kind: Rule
      match: (Host(`orders.example.com`)) && Header(`X-Release`, `next`)
      priority: 28
      services:
      - name: orders-next
        port: http
    "#);
    let alone = routes(&live, &services, 0);
    let names = alone[0]["spec"]["routes"].as_array().map(Vec::len);
    assert_eq!(names, Some(2), "without a share only the header chooses");
    assert!(routes(&release(&[HOST, "ingress.kind=Ingress"]), &services, 5).is_empty());
}

#[test]
fn what_cannot_be_split_is_named() {
    let wanted = release(&[HOST, "env.LOG_LEVEL=debug"]);
    let none = Objects::new();
    let refused = |live: &Objects, wanted: &Objects, hooks: &Objects| {
        split("orders", live, wanted, hooks)
            .expect_err("it cannot be split")
            .to_string()
    };
    let live = release(&[HOST]);
    let change = |objects: &Objects, kind: &str, change: fn(&mut Value)| {
        let mut objects = objects.clone();
        let found = objects.iter_mut().find(|(id, _)| id.kind == kind);
        change(found.expect("an object of the kind").1);
        objects
    };
    let shared = change(&live, "IngressRoute", |route| {
        route["spec"]["routes"][0]["services"] = json!([{"name": "a"}, {"name": "b"}]);
    });
    let elsewhere = change(&live, "IngressRoute", |route| {
        route["spec"]["routes"][0]["services"][0]["name"] = json!("other");
    });
    let unlike = change(&wanted, "PodDisruptionBudget", |budget| {
        budget["spec"]["selector"]["matchLabels"] = json!({"app.kubernetes.io/name": "orders"});
    });
    let unlike = change(&unlike, "NetworkPolicy", |policy| {
        policy["spec"]["podSelector"]["matchLabels"] =
            json!({"app.kubernetes.io/instance": "orders"});
    });
    let hook = change(&wanted, "ServiceAccount", |hook| {
        hook["metadata"]["annotations"] = json!({"helm.sh/hook": "pre-install,pre-upgrade"});
    });
    let words = [
        refused(&release(&[HOST, "ingress.kind=Ingress"]), &wanted, &none),
        refused(&release(&["ingress.enabled=false"]), &wanted, &none),
        refused(&shared, &wanted, &none),
        refused(&elsewhere, &wanted, &none),
        refused(&live, &unlike, &none),
        refused(&live, &wanted, &hook),
    ];
    assert_snapshot!(words.join("\n"), @r#"
    only an IngressRoute of Traefik has weights, and the deployed revision has the Ingress `orders`
    only an IngressRoute of Traefik has weights, and the deployed revision has none
    the IngressRoute `orders` has a route with other than one Service
    behind the IngressRoute must be one Deployment, and there are 0
    no label stands in the selectors of all of NetworkPolicy `orders`, PodDisruptionBudget `orders`, Service `orders`
    the hook `orders` runs before an upgrade, which comes after the steps
    "#);
    assert_eq!(split("orders", &live, &live, &none), Ok(None));
}

/// Makes the kind known that Traefik's own definitions describe.
fn define_ingress_routes() {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "ingressroutes.traefik.io"},
        "spec": {
            "group": "traefik.io", "scope": "Namespaced",
            "names": {"kind": "IngressRoute", "plural": "ingressroutes", "singular": "ingressroute"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    });
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(file.path(), definition.to_string()).expect("a definition");
    let path = file.path().display().to_string();
    let _ = kubectl(&["apply", "--server-side", "--filename", &path]);
    let _ = kubectl(&[
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd/ingressroutes.traefik.io",
    ]);
}

/// A release of the first image, and the step that brings the other one by steps.
fn in_steps(namespace: &str, traefik: SocketAddr) -> Step {
    define_ingress_routes();
    let first = in_namespace(namespace, "apply").input("set", HOST).run();
    assert_eq!(first.code, 0, "{}", first.log);
    step()
        .input("namespace", namespace)
        .input("mode", "apply")
        .input("set", HOST)
        .input("image", image(OTHER))
        .input("traffic-url", "http://orders.example.com/")
        .input("traffic-connect-to", traefik.to_string())
        .input("steps", "5,50")
        .input("step-seconds", "2")
}

fn ingress_route(namespace: &str) -> Value {
    let route = kubectl(&[
        "-n",
        namespace,
        "get",
        "ingressroute",
        "orders",
        "-o",
        "json",
    ]);
    serde_json::from_str(&route).expect("kubectl writes JSON")
}

/// Gives the shares that the routes of a release name.
fn shares(namespace: &str) -> Vec<String> {
    let route = ingress_route(namespace);
    let routes = route["spec"]["routes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    routes
        .iter()
        .map(|route| {
            let services = route["services"].as_array().cloned().unwrap_or_default();
            let services = services
                .iter()
                .map(|one| format!("{}:{}", one["name"], one["weight"]));
            services.collect::<Vec<_>>().join(" ").replace('"', "")
        })
        .collect()
}

fn names(namespace: &str) -> Vec<String> {
    let name = |one: &Value| one["metadata"]["name"].as_str().map(String::from);
    deployments(namespace).iter().filter_map(name).collect()
}

#[test]
fn a_standard_ingress_is_refused_before_anything_is_done() {
    let _server = ApiServer::shared();
    let space = "steps-ingress";
    let first = in_namespace(space, "apply").run();
    assert_eq!(first.code, 0, "{}", first.log);
    let planned = step()
        .input("namespace", space)
        .input("image", image(OTHER))
        .input("traffic-url", "http://orders.example.com/")
        .input("steps", "5,50")
        .run();
    assert_eq!(planned.code, 2, "{}", planned.log);
    assert_snapshot!(told(&planned), @r#"
    ::error::release `orders` cannot be rolled out in steps: only an IngressRoute of Traefik has weights, and the deployed revision has the Ingress `orders`

    hint: install Traefik with its CRDs and deploy the chart once with `ingress.kind=IngressRoute`, or leave `steps` out
    "#);
}

#[test]
fn steps_rise_and_need_requests() {
    let refused = |step: Step| {
        let finished = step.run();
        assert_eq!(finished.code, 2, "{}", finished.log);
        told(&finished)
    };
    let falling = step()
        .input("traffic-url", "http://orders.example.com/")
        .input("steps", "50,5");
    assert_snapshot!(refused(falling), @r#"
    ::error::invalid value '50,5' for 'steps <PERCENTS>': `50,5` are no steps: write up to 10 rising percents between 0 and 100, as in `5,25,50`

    hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
    assert_snapshot!(refused(step().input("steps", "5,50")), @r#"
    ::error::required inputs are missing: traffic-url <URL>

    hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
}

#[test]
fn a_new_version_gets_its_requests_in_steps() {
    let _server = ApiServer::shared();
    let space = "steps-passed";
    let _controller = Controller::start(space, |_| true);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let asked = AtomicUsize::new(0);
    let traefik = ingress(move |_, head| {
        // To look at the routes takes longer than to answer.
        let is_next = head.contains("x-release: next");
        if is_next && asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(8) {
            let now = shares(space);
            let mut noted = noted.lock().expect("what was seen");
            if noted.last() != Some(&now) {
                noted.push(now);
            }
        }
        Answer::Status(200)
    });
    let done = in_steps(space, traefik).run();
    assert_eq!(done.code, 0, "{}", done.log);
    assert_snapshot!(format!("{:#?}", seen.lock().expect("what was seen")), @r#"
    [
        [
            "orders:null",
            "orders:95 orders-next:5",
            "orders-next:null",
        ],
        [
            "orders:null",
            "orders:50 orders-next:50",
            "orders-next:null",
        ],
    ]
    "#);
    let steps = reported(&done, "steps");
    assert_eq!(steps[1]["percent"], 50, "{steps}");
    assert_eq!(steps[0]["requests"]["failed"], 0, "{steps}");
    assert_eq!(statuses(space), ["1 superseded", "2 deployed"]);
    assert_eq!(shares(space), ["orders:null"]);
    assert_eq!(names(space), ["orders"]);
    assert_eq!(image_of(&deployments(space)[0]), image(OTHER));
}

#[test]
fn a_step_that_fails_gives_all_requests_back() {
    let _server = ApiServer::shared();
    let space = "steps-failed";
    let _controller = Controller::start(space, |_| true);
    let traefik = ingress(|_, head| {
        Answer::Status(if head.contains("x-release: next") {
            500
        } else {
            200
        })
    });
    let failed = in_steps(space, traefik)
        .input("step-failures-percent", "10")
        .run();
    assert_eq!(failed.code, 1, "{}", failed.log);
    assert_eq!(failed.outputs["failure-reason"], "checks-failed");
    let told = told(&failed);
    let (before, after) = told.split_once("version ").expect("what was asked");
    let (requests, after) = after.split_once(", and 10 %").expect("what is allowed");
    assert!(requests.contains("TIME status 500"), "{requests}");
    assert_snapshot!(format!("{before}version …, and 10 %{after}"), @r#"
    ::error::release `orders` fails at step 5 %25: to the new version …, and 10 %25 may; all requests go to revision 1 again

    hint: `traffic-url` says what was asked for, and `step-failures-percent` and `traffic-failures` how many answers may be bad
    "#);
    assert_eq!(statuses(space), ["1 deployed"]);
    assert_eq!(shares(space), ["orders:null"]);
    assert_eq!(names(space), ["orders"]);
}

/// Starts a program and kills it as soon as requests go to the new version.
fn killed_when_routed(namespace: &str) -> String {
    format!(
        "\"$0\" & child=$!
while kill -0 $child 2>/dev/null; do
  if '{}' --kubeconfig '{}' --namespace {namespace} get ingressroute orders --output json | grep -q orders-next
  then kill -9 $child
  fi
done
wait $child",
        tool("kube", "kubectl").display(),
        ApiServer::shared().kubeconfig().display()
    )
}

#[test]
fn what_a_killed_run_left_of_its_steps_is_cleared() {
    let _server = ApiServer::shared();
    let space = "steps-killed";
    let _controller = Controller::start(space, |_| true);
    let traefik = ingress(|_, _| Answer::Status(200));
    let killed = in_steps(space, traefik)
        .input("step-seconds", "600")
        .started_by("bash", &["-c", &killed_when_routed(space)])
        .run();
    assert_ne!(killed.code, 0, "{}", killed.log);
    assert_eq!(names(space), ["orders", "orders-next"], "{}", killed.log);
    assert_eq!(shares(space).len(), 3, "{}", killed.log);
    // Helm itself makes the old version whole.
    let helm = std::process::Command::new(tool("helm", "helm"))
        .args([
            "rollback",
            "orders",
            "1",
            "--namespace",
            space,
            "--kubeconfig",
        ])
        .arg(ApiServer::shared().kubeconfig())
        .output()
        .expect("helm starts");
    assert!(
        helm.status.success(),
        "{}",
        String::from_utf8_lossy(&helm.stderr)
    );
    assert_eq!(shares(space), ["orders:null"]);
    // So does a run that has nothing to change, and it clears what is left.
    let next = in_namespace(space, "apply")
        .input("set", HOST)
        .env("GITHUB_RUN_ID", "2")
        .run();
    assert_eq!(next.outputs["outcome"], "unchanged", "{}", next.log);
    assert_eq!(names(space), ["orders"]);
}
