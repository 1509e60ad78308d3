//! Against a real API server that has no nodes: everything up to the first pod.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::{Value, json};
use test_kit::{ApiServer, Step};

use crate::{said, step};

fn on(server: &ApiServer, namespace: &str) -> Step {
    step()
        .input("kubeconfig", server.kubeconfig().display().to_string())
        .input("namespace", namespace)
}

fn jobs(server: &ApiServer, namespace: &str) -> Vec<Value> {
    let list = server.kubectl(&["--namespace", namespace, "get", "jobs", "--output", "json"]);
    let list: Value = serde_json::from_str(&list).expect("kubectl writes JSON");
    list["items"].as_array().cloned().unwrap_or_default()
}

/// Plays the kubelet of a node that cannot pull an image: gives the namespace's next Job a pod
/// that waits for it.
fn without_image(server: &Arc<ApiServer>, namespace: &'static str) -> JoinHandle<Value> {
    let server = Arc::clone(server);
    std::thread::spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(30);
        let job = loop {
            if let Some(job) = jobs(&server, namespace).pop() {
                break job;
            }
            assert!(Instant::now() < deadline, "no Job is created");
            std::thread::sleep(Duration::from_millis(100));
        };
        let name = job["metadata"]["name"].as_str().expect("a name");
        let labels = format!(
            "batch.kubernetes.io/job-name={name},batch.kubernetes.io/controller-uid={}",
            job["metadata"]["uid"].as_str().expect("a uid")
        );
        let _ = server.kubectl(&[
            "--namespace",
            namespace,
            "run",
            name,
            "--image=a",
            "--restart=Never",
            "--labels",
            &labels,
        ]);
        let status = json!({"status": {"phase": "Pending", "containerStatuses": [{
            "name": name, "image": "a", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image: not found"}},
        }]}});
        let _ = server.kubectl(&[
            "--namespace",
            namespace,
            "patch",
            "pod",
            name,
            "--subresource=status",
            "--type=merge",
            "--patch",
            &status.to_string(),
        ]);
        job
    })
}

#[test]
fn a_namespace_that_is_not_there_is_named() {
    let server = ApiServer::shared();
    let step = on(&server, "nowhere").run();
    assert_snapshot!(said(&step), @r#"
    1 ::error::create Job `db-migrate-plan-` in `nowhere`: namespaces "nowhere" not found

    hint: the namespace is made by what is deployed there first: the database, or the one that owns its secret
    "#);
    assert_eq!(step.outputs["failure-reason"], "remote-failed");
}

#[test]
fn a_job_whose_pod_cannot_start_is_told_and_taken_away() {
    let server = ApiServer::shared();
    let _ = server.kubectl(&["create", "namespace", "no-image"]);
    let node = without_image(&server, "no-image");
    let step = on(&server, "no-image")
        .input("timeout-seconds", "120")
        .run();
    let job = node.join().expect("the node's part");
    assert_eq!(
        (step.code, step.outputs["failure-reason"].as_str()),
        (1, "remote-failed"),
        "{}",
        step.log
    );
    assert!(step.log.contains("does not exist"), "{}", step.log);
    assert!(jobs(&server, "no-image").is_empty(), "the Job is left");
    // What the API server made of the manifest.
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(job["spec"]["backoffLimit"], 0);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        pod["containers"][0]["env"][3]["valueFrom"]["secretKeyRef"]["name"],
        "orders-database"
    );
}
