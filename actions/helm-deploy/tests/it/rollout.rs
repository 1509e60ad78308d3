//! When a rollout is over, by what a real API server holds.

use cluster::{Cluster, Workload, WorkloadKind};
use serde_json::{Value, json};
use test_kit::ApiServer;

const NAMESPACE: &str = "rollout";

fn create(object: &Value) -> Value {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(file.path(), object.to_string()).expect("write a manifest");
    let path = file.path().display().to_string();
    let made = ApiServer::shared().kubectl(&["create", "--output=json", "--filename", &path]);
    serde_json::from_str(&made).expect("kubectl writes JSON")
}

/// What every object that runs the application says of its pods.
fn template(hash: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "orders", "pod-template-hash": hash}},
        "spec": {
            "nodeName": "worker-1",
            "terminationGracePeriodSeconds": 3,
            "containers": [{"name": "app", "image": "registry.example.com/orders:1"}],
        },
    })
}

fn pod(name: &str, hash: &str) {
    let mut pod = template(hash);
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["namespace"] = json!(NAMESPACE);
    create(&pod);
}

async fn state() -> (bool, String) {
    let kubeconfig = ApiServer::shared().kubeconfig().display().to_string();
    let cluster = Cluster::from_kubeconfig(&kubeconfig, None)
        .await
        .expect("a cluster");
    let workload = Workload::new(WorkloadKind::Deployment, NAMESPACE, "orders");
    let progress = cluster.progress_of(&workload).await.expect("an answer");
    (progress.ready, progress.text)
}

#[tokio::test]
async fn it_is_over_when_no_old_pod_can_answer_any_more() {
    let server = ApiServer::shared();
    let _ = server.kubectl(&["create", "namespace", NAMESPACE]);
    let selector = json!({"matchLabels": {"app": "orders"}});
    let revision = json!({"deployment.kubernetes.io/revision": "2"});
    let deployment = create(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "orders", "namespace": NAMESPACE, "annotations": revision},
        "spec": {"replicas": 1, "selector": selector, "template": template("new")},
    }));
    create(&json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": "orders-new", "namespace": NAMESPACE, "annotations": revision,
            "labels": {"app": "orders", "pod-template-hash": "new"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "orders",
                "uid": deployment["metadata"]["uid"],
            }],
        },
        "spec": {
            "replicas": 1, "template": template("new"),
            "selector": {"matchLabels": {"app": "orders", "pod-template-hash": "new"}},
        },
    }));
    pod("orders-new-1", "new");
    pod("orders-old-1", "old");
    // The Deployment's own count leaves out pods that end, so by it the rollout is over.
    let status = json!({"status": {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1,
    }});
    let _ = server.kubectl(&[
        "--namespace",
        NAMESPACE,
        "patch",
        "deployment",
        "orders",
        "--subresource=status",
        "--type=merge",
        "--patch",
        &status.to_string(),
    ]);
    let waits = (false, "1 of 1 ready, 1 old to end".to_owned());
    assert_eq!(state().await, waits);

    // Nobody confirms the end, as when its node is gone: after its grace time it is not waited for.
    let _ = server.kubectl(&[
        "--namespace",
        NAMESPACE,
        "delete",
        "pod",
        "orders-old-1",
        "--wait=false",
    ]);
    assert_eq!(state().await, waits);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while state().await == waits && std::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(state().await, (true, "1 of 1 ready".to_owned()));
    let left = server.kubectl(&["--namespace", NAMESPACE, "get", "pod", "orders-old-1"]);
    assert!(left.contains("Terminating"), "{left}");
}
