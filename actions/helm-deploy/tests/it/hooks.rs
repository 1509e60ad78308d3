//! Hooks that fail, on a real API server whose controllers the test plays.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::kubectl;
use crate::foresight::chart;

const NAMESPACE: &str = "hooks";
const HOOK: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: prepare\n  annotations:\n    helm.sh/hook: pre-install\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: prepare, image: 'registry.example.com/prepare:1'}]\n";

fn create(object: &Value) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(file.path(), object.to_string()).expect("write it");
    let path = file.path().display().to_string();
    let _ = kubectl(&["--namespace", NAMESPACE, "create", "--filename", &path]);
}

fn set_status(kind: &str, name: &str, status: &Value) {
    let patch = json!({"status": status}).to_string();
    let _ = kubectl(&[
        "--namespace",
        NAMESPACE,
        "patch",
        kind,
        name,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &patch,
    ]);
}

/// Runs the hook's pod as its controller and a node would, and lets it fail.
fn fail_the_hook() {
    let deadline = Instant::now() + Duration::from_mins(1);
    let made = || {
        let jobs = kubectl(&["--namespace", NAMESPACE, "get", "jobs", "--output", "name"]);
        jobs.contains("job.batch/prepare")
    };
    while !made() {
        assert!(Instant::now() < deadline, "the hook is never made");
        std::thread::sleep(Duration::from_millis(200));
    }
    create(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "prepare-x2x4z",
            "labels": {"batch.kubernetes.io/job-name": "prepare"},
        },
        "spec": {
            "nodeName": "worker-1", "restartPolicy": "Never",
            "containers": [{"name": "prepare", "image": "registry.example.com/prepare:1"}],
        },
    }));
    let now = "2026-01-02T03:04:05Z";
    set_status(
        "pod",
        "prepare-x2x4z",
        &json!({"phase": "Failed", "containerStatuses": [{
            "name": "prepare", "image": "registry.example.com/prepare:1", "imageID": "",
            "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 3, "reason": "Error"}},
        }]}),
    );
    let condition = |name: &str| {
        json!({
            "type": name, "status": "True", "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit", "lastTransitionTime": now,
        })
    };
    set_status(
        "job",
        "prepare",
        &json!({
            "startTime": now, "failed": 1,
            "conditions": [condition("FailureTarget"), condition("Failed")],
        }),
    );
}

#[test]
fn a_hook_that_fails_is_told_with_its_cause() {
    let failing = std::thread::spawn(fail_the_hook);
    let failed = chart(NAMESPACE, "apply", HOOK)
        .input("timeout-seconds", "60")
        .run();
    assert!(failing.join().is_ok(), "{}", failed.log);
    assert_eq!(failed.code, 1, "{}", failed.log);
    assert_eq!(failed.outputs["failure-reason"], "remote-failed");
    for words in [
        "pre-install",
        "container `prepare` of pod `prepare-x2x4z` on node `worker-1` ends with exit status 3",
    ] {
        assert!(failed.log.contains(words), "{}", failed.log);
    }
}
