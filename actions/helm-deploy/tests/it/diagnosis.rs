//! Causes from literal pods and events, as the API server gives them.

use cluster::{Finding, Observed, diagnose};
use insta::assert_snapshot;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an object of Kubernetes")
}

/// A pod of a Deployment's newest `ReplicaSet` that is on a node and not ready.
fn pod(status: &Value) -> Value {
    json!({
        "metadata": {
            "name": "orders-7d4b9-x2x4z", "namespace": "shop", "uid": "1",
            "creationTimestamp": "2026-01-02T03:04:00Z",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "orders-7d4b9", "uid": "2"}],
        },
        "spec": {"nodeName": "worker-2", "containers": [{
            "name": "app", "image": "registry.example.com/orders@sha256:aaaa",
            "resources": {"limits": {"memory": "256Mi"}},
        }]},
        "status": status,
    })
}

fn container(state: &Value, last: &Value, restarts: i32) -> Value {
    pod(&json!({"containerStatuses": [{
        "name": "app", "image": "registry.example.com/orders@sha256:aaaa", "imageID": "", "ready": false,
        "restartCount": restarts, "state": state, "lastState": last,
    }]}))
}

fn waiting(reason: &str, message: &str) -> Value {
    container(
        &json!({"waiting": {"reason": reason, "message": message}}),
        &json!({}),
        0,
    )
}

fn event(kind: &str, name: &str, uid: &str, reason: &str, message: &str) -> Value {
    json!({
        "metadata": {"name": format!("{name}.1"), "namespace": "shop"},
        "involvedObject": {"kind": kind, "name": name, "uid": uid},
        "reason": reason, "message": message, "lastTimestamp": "2026-01-02T03:05:00Z",
    })
}

fn about_pod(reason: &str, message: &str) -> Value {
    event("Pod", "orders-7d4b9-x2x4z", "1", reason, message)
}

fn of(pods: Vec<Value>, events: Vec<Value>) -> Observed {
    Observed {
        pods: pods.into_iter().map(read).collect(),
        events: events.into_iter().map(read).collect(),
        ..Observed::default()
    }
}

fn told(observed: &Observed) -> String {
    let findings: Vec<String> = diagnose(observed).iter().map(line).collect();
    findings.join("\n")
}

fn line(finding: &Finding) -> String {
    let patience = finding
        .patience
        .map_or("until the deadline".into(), |patience| {
            format!("{} s", patience.as_secs())
        });
    format!(
        "[{}, {patience}] {}\nhint: {}",
        finding.cause.word(),
        finding.text,
        finding.hint
    )
}

#[test]
fn an_image_that_does_not_exist() {
    let message = "failed to pull and unpack image \"registry.example.com/orders@sha256:aaaa\": failed to resolve reference: registry.example.com/orders@sha256:aaaa: not found";
    assert_snapshot!(told(&of(vec![waiting("ErrImagePull", message)], vec![])), @r#"
    [image-missing, 0 s] image `registry.example.com/orders@sha256:aaaa` does not exist: container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` cannot pull it
    hint: deploy a digest that the build pushed to this repository (output `image` of build-fastapi-image), or push it first
    "#);
}

#[test]
fn the_back_off_s_reason_is_in_an_earlier_event() {
    let pods = vec![waiting(
        "ImagePullBackOff",
        "Back-off pulling image \"registry.example.com/orders@sha256:aaaa\"",
    )];
    let events = vec![about_pod(
        "Failed",
        "Failed to pull image: rpc error: code = NotFound desc = manifest unknown",
    )];
    assert_snapshot!(told(&of(pods, events)), @r#"
    [image-missing, 0 s] image `registry.example.com/orders@sha256:aaaa` does not exist: container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` cannot pull it
    hint: deploy a digest that the build pushed to this repository (output `image` of build-fastapi-image), or push it first
    "#);
}

#[test]
fn a_registry_that_refuses() {
    let message =
        "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized";
    assert_snapshot!(told(&of(vec![waiting("ErrImagePull", message)], vec![])), @r#"
    [image-refused, 3 s] image `registry.example.com/orders@sha256:aaaa` may not be pulled: the registry refuses container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2`
    hint: give the pod an `imagePullSecrets` entry for this registry, or the node's role the right to pull (for ECR: AmazonEC2ContainerRegistryPullOnly)
    "#);
}

#[test]
fn a_registry_out_of_reach() {
    let message = "rpc error: code = Unavailable desc = dial tcp 192.0.2.1:443: i/o timeout";
    assert_snapshot!(told(&of(vec![waiting("ErrImagePull", message)], vec![])), @r#"
    [image-pull, 45 s] image `registry.example.com/orders@sha256:aaaa` cannot be pulled: container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` says: dial tcp 192.0.2.1:443: i/o timeout
    hint: nodes pull by themselves: the registry's address must be reachable, and its certificate trusted, from the nodes
    "#);
}

#[test]
fn a_missing_key() {
    let message = "couldn't find key DATABASE_URL in Secret shop/orders-database";
    assert_snapshot!(told(&of(vec![waiting("CreateContainerConfigError", message)], vec![])), @r#"
    [bad-configuration, 8 s] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` cannot be configured: couldn't find key DATABASE_URL in Secret shop/orders-database
    hint: add the key to it, or correct the key's name in the values
    "#);
}

#[test]
fn a_missing_secret_may_still_be_written_by_an_operator() {
    let message = "secret \"orders.orders-db.credentials.postgresql.acid.zalan.do\" not found";
    assert_snapshot!(told(&of(vec![waiting("CreateContainerConfigError", message)], vec![])), @r#"
    [bad-configuration, 30 s] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` cannot be configured: secret "orders.orders-db.credentials.postgresql.acid.zalan.do" not found
    hint: create it in the release's namespace, or correct its name in the values
    "#);
}

#[test]
fn an_image_that_runs_as_root() {
    let message =
        "container has runAsNonRoot and image will run as root (pod: \"orders\", container: app)";
    assert_snapshot!(told(&of(vec![waiting("CreateContainerConfigError", message)], vec![])), @r#"
    [bad-configuration, 8 s] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` cannot be configured: container has runAsNonRoot and image will run as root (pod: "orders", container: app)
    hint: run the image as a numeric user other than 0: set `runAsUser` in the values, or `USER` in the image
    "#);
}

#[test]
fn a_program_that_is_not_in_the_image() {
    let message = "failed to create containerd task: runc create failed: exec: \"uvicorn\": executable file not found in $PATH: unknown";
    let end = json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": message}});
    assert_snapshot!(told(&of(vec![container(&end, &json!({}), 0)], vec![])), @r#"
    [cannot-start, 4 s] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` cannot be started: exec: "uvicorn": executable file not found in $PATH
    hint: check `command` and `args`: the program must exist in the image, be executable, and fit the node's architecture
    "#);
}

#[test]
fn a_crash_loop_with_its_last_lines() {
    let end = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
    let back_off = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}});
    let mut observed = of(vec![container(&back_off, &end, 2)], vec![]);
    let key = ("orders-7d4b9-x2x4z".to_owned(), "app".to_owned());
    observed.logs.insert(
        key,
        vec![
            "starting".into(),
            "KeyError: 'DATABASE_URL'".into(),
            String::new(),
        ],
    );
    assert_snapshot!(told(&observed), @r#"
    [crash-loop, 0 s] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` ends with exit status 3 (2 restarts): KeyError: 'DATABASE_URL'
    hint: the whole log: `kubectl --namespace shop logs orders-7d4b9-x2x4z --container app --previous`
    "#);
    observed.pods = vec![read(container(&end, &json!({}), 0))];
    assert_snapshot!(told(&observed), @r#"
    [crash-loop, until the deadline] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` ends with exit status 3: KeyError: 'DATABASE_URL'
    hint: the whole log: `kubectl --namespace shop logs orders-7d4b9-x2x4z --container app --previous`
    "#);
}

#[test]
fn a_container_over_its_memory_limit() {
    let end = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    let back_off = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    assert_snapshot!(told(&of(vec![container(&back_off, &end, 1)], vec![])), @r#"
    [out-of-memory, 0 s] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` was killed for its memory: it needs more than its limit of 256Mi
    hint: raise the container's memory limit in the values, or start fewer worker processes
    "#);
}

#[test]
fn probes_that_fail() {
    let running = || vec![container(&json!({"running": {}}), &json!({}), 0)];
    let probe = |message: &str| told(&of(running(), vec![about_pod("Unhealthy", message)]));
    assert_snapshot!(probe("Readiness probe failed: HTTP probe failed with statuscode: 404"), @r#"
    [failed-probe, 20 s] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` is not ready: readiness probe failed: HTTP probe failed with statuscode: 404
    hint: the probe asks for a path that the application does not serve so: correct `probes` in the values
    "#);
    assert_snapshot!(probe("Readiness probe failed: HTTP probe failed with statuscode: 503"), @r#"
    [failed-probe, until the deadline] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` is not ready: readiness probe failed: HTTP probe failed with statuscode: 503
    hint: the application answers its probe badly: its log tells why; what it depends on (the database) may be out of reach
    "#);
    assert_snapshot!(probe("Startup probe failed: Get \"http://10.0.0.1:8000/healthz\": dial tcp 10.0.0.1:8000: connect: connection refused"), @r#"
    [failed-probe, until the deadline] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` is not ready: startup probe failed: Get "http://10.0.0.1:8000/healthz": dial tcp 10.0.0.1:8000: connect: connection refused
    hint: nothing listens on the probe's port: check the port that the application binds (0.0.0.0, not 127.0.0.1), or give it longer by the startup probe
    "#);
}

#[test]
fn a_liveness_probe_that_kills_is_the_cause_of_the_restarts() {
    let end = json!({"terminated": {"exitCode": 137, "reason": "Error"}});
    let pods = vec![container(&json!({"running": {}}), &end, 2)];
    let events = vec![about_pod(
        "Unhealthy",
        "Liveness probe failed: HTTP probe failed with statuscode: 500",
    )];
    assert_snapshot!(told(&of(pods, events)), @r#"
    [failed-probe, 0 s] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` is not ready: liveness probe failed: HTTP probe failed with statuscode: 500
    hint: the application answers its probe badly: its log tells why; what it depends on (the database) may be out of reach
    "#);
}

fn unscheduled(message: &str) -> Value {
    let mut pod = pod(&json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message},
    ]}));
    pod["spec"]["nodeName"] = Value::Null;
    pod
}

#[test]
fn a_pod_that_no_node_takes() {
    let message = "0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 Insufficient memory. preemption: 0/4 nodes are available: 1 Preemption is not helpful for scheduling, 3 No preemption victims found for incoming pod.";
    let with = |events: Vec<Value>| told(&of(vec![unscheduled(message)], events));
    assert_snapshot!(with(vec![]), @r#"
    [unschedulable, 30 s] no node takes pod `orders-7d4b9-x2x4z`: 0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 Insufficient memory
    hint: lower the requests in the values or add nodes; tolerate the taint if the pod belongs there
    "#);
    assert!(
        with(vec![about_pod(
            "TriggeredScaleUp",
            "pod triggered scale-up"
        )])
        .contains("until the deadline")
    );
    assert!(
        with(vec![about_pod(
            "NotTriggerScaleUp",
            "pod didn't trigger scale-up"
        )])
        .contains("unschedulable, 0 s")
    );
}

#[test]
fn a_volume_without_a_storage_class() {
    let mut pod =
        unscheduled("0/4 nodes are available: pod has unbound immediate PersistentVolumeClaims.");
    pod["spec"]["volumes"] =
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-0"}}]);
    let mut observed = of(
        vec![pod],
        vec![event(
            "PersistentVolumeClaim",
            "data-0",
            "3",
            "FailedBinding",
            "no persistent volumes available for this claim and no storage class is set",
        )],
    );
    observed.claims = vec![read(json!({
        "metadata": {"name": "data-0", "uid": "3"}, "spec": {}, "status": {"phase": "Pending"},
    }))];
    assert_snapshot!(told(&observed), @r#"
    [claim-pending, 5 s] volume claim `data-0` of pod `orders-7d4b9-x2x4z` is not bound: no persistent volumes available for this claim and no storage class is set
    hint: set the storage class in the values to one that `kubectl get storageclass` lists, or mark one as the default
    "#);
}

#[test]
fn a_volume_that_names_what_is_not_there() {
    let pods = vec![waiting("ContainerCreating", "")];
    let events = vec![about_pod(
        "FailedMount",
        "MountVolume.SetUp failed for volume \"config\" : configmap \"orders\" not found",
    )];
    assert_snapshot!(told(&of(pods, events)), @r#"
    [bad-configuration, 8 s] a volume of pod `orders-7d4b9-x2x4z` on node `worker-2` cannot be mounted: MountVolume.SetUp failed for volume "config" : configmap "orders" not found
    hint: create what the message names in the release's namespace, or correct its name in the values
    "#);
}

#[test]
fn pods_that_are_never_made() {
    let made = |message: &str| {
        told(&of(
            vec![],
            vec![event(
                "ReplicaSet",
                "orders-7d4b9",
                "2",
                "FailedCreate",
                message,
            )],
        ))
    };
    assert_snapshot!(made("Error creating: pods \"orders-7d4b9-\" is forbidden: exceeded quota: small, requested: requests.cpu=300m, used: requests.cpu=900m, limited: requests.cpu=1"), @r#"
    [quota, 5 s] pods of `orders-7d4b9` exceed the namespace's quota: Error creating: pods "orders-7d4b9-" is forbidden: exceeded quota: small, requested: requests.cpu=300m, used: requests.cpu=900m, limited: requests.cpu=1
    hint: raise the ResourceQuota that the message names, or lower requests, limits or replicas in the values
    "#);
    assert_snapshot!(made("Error creating: pods \"orders-7d4b9-x\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false"), @r#"
    [admission, 0 s] pods of `orders-7d4b9` are refused by admission: Error creating: pods "orders-7d4b9-x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false
    hint: change the values so that the pod keeps the policy that the message names
    "#);
    assert_snapshot!(made("Error creating: Internal error occurred: failed calling webhook \"inject.example.com\": connect: connection refused"), @r#"
    [admission, 20 s] pods of `orders-7d4b9` cannot be admitted: a webhook does not answer: Error creating: Internal error occurred: failed calling webhook "inject.example.com": connect: connection refused
    hint: bring the webhook's own workload up, or take its configuration away when it is a leftover
    "#);
    assert_snapshot!(made("Error creating: admission webhook \"policy.example.com\" denied the request: no owner label"), @r#"
    [admission, 0 s] pods of `orders-7d4b9` are refused by admission: Error creating: admission webhook "policy.example.com" denied the request: no owner label
    hint: change the values so that the pod keeps the policy that the message names
    "#);
    assert_snapshot!(made("Error creating: pods \"orders-7d4b9-x\" is forbidden: error looking up service account shop/orders: serviceaccount \"orders\" not found"), @r#"
    [bad-configuration, 5 s] pods of `orders-7d4b9` name a service account that does not exist: Error creating: pods "orders-7d4b9-x" is forbidden: error looking up service account shop/orders: serviceaccount "orders" not found
    hint: create the service account in the release's namespace, or let the chart create it
    "#);
}

#[test]
fn a_trouble_that_is_over_is_not_told() {
    let mut old = event(
        "ReplicaSet",
        "orders-7d4b9",
        "2",
        "FailedCreate",
        "exceeded quota: small",
    );
    old["lastTimestamp"] = json!("2026-01-02T03:03:00Z");
    let starting = waiting("ContainerCreating", "");
    assert_eq!(told(&of(vec![starting.clone()], vec![old])), "");
    // A pod of the same name that lived before: a StatefulSet's.
    let former = event(
        "Pod",
        "orders-7d4b9-x2x4z",
        "0",
        "Unhealthy",
        "Readiness probe failed",
    );
    assert_eq!(told(&of(vec![starting], vec![former])), "");
    let ready = pod(&json!({"conditions": [{"type": "Ready", "status": "True"}]}));
    assert_eq!(
        told(&of(
            vec![ready],
            vec![about_pod("Unhealthy", "Readiness probe failed")]
        )),
        ""
    );
}

#[test]
fn pods_with_the_same_cause_are_counted() {
    let mut other = waiting(
        "CreateContainerConfigError",
        "configmap \"orders\" not found",
    );
    other["metadata"]["name"] = json!("orders-7d4b9-abcde");
    let pods = vec![
        waiting(
            "CreateContainerConfigError",
            "configmap \"orders\" not found",
        ),
        other,
    ];
    assert_snapshot!(told(&of(pods, vec![])), @r#"
    [bad-configuration, 8 s] container `app` of pod `orders-7d4b9-x2x4z` on node `worker-2` cannot be configured: configmap "orders" not found (and 1 more pods)
    hint: create it in the release's namespace, or correct its name in the values
    "#);
}

fn node(name: &str, taint: Option<&str>, cpu: &str, memory: &str) -> Value {
    let taints = taint.map(|key| json!([{"key": key, "effect": "NoSchedule"}]));
    json!({
        "metadata": {"name": name, "labels": {"disk": "slow"}},
        "spec": {"taints": taints.unwrap_or_default()},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}},
    })
}

#[test]
fn what_each_node_lacks_for_a_pod() {
    let message =
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient memory.";
    let mut pod = unscheduled(message);
    pod["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "250m", "memory": "3Gi"}});
    pod["spec"]["initContainers"] =
        json!([{"name": "wait", "resources": {"requests": {"cpu": "1500m"}}}]);
    let neighbour = |node: &str, phase: &str, memory: &str| {
        json!({
            "metadata": {"name": format!("{node}-{phase}")},
            "spec": {"nodeName": node, "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "1", "memory": memory}}},
            ]},
            "status": {"phase": phase},
        })
    };
    let mut observed = of(vec![pod.clone()], vec![]);
    observed.nodes = vec![
        read(node(
            "control-plane",
            Some("node-role.kubernetes.io/control-plane"),
            "4",
            "8Gi",
        )),
        read(node("worker-1", None, "2", "4Gi")),
        read(node("worker-2", None, "4000m", "2097152Ki")),
    ];
    observed.neighbours = vec![
        read(neighbour("worker-1", "Running", "1536Mi")),
        // What has ended takes nothing any more.
        read(neighbour("worker-2", "Succeeded", "1Gi")),
    ];
    assert_snapshot!("what_each_node_lacks", told(&observed));
    pod["spec"]["nodeSelector"] = json!({"disk": "fast"});
    pod["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    observed.pods = vec![read(pod)];
    assert_snapshot!("what_each_node_lacks_by_label", told(&observed));
}
