//! What the manifests of a release say about pods, and which of it breaks the policy; pure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::foresee::{About, Warning};
use crate::plan::Observed;

/// Gives the description of the pods that an object makes.
fn pod(object: &Value) -> Option<&Value> {
    let place = match object["kind"].as_str()? {
        "Pod" => "/spec",
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => "/spec/template/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => return None,
    };
    object.pointer(place)
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

/// Names the config maps and secrets from which containers take variables when they start.
pub(crate) fn sources(object: &Value) -> BTreeSet<(&'static str, &str)> {
    let Some(pod) = pod(object) else {
        return BTreeSet::new();
    };
    let containers = list(pod, "initContainers").chain(list(pod, "containers"));
    let mut sources = BTreeSet::new();
    for container in containers {
        let whole = list(container, "envFrom").flat_map(|from| {
            [
                ("ConfigMap", &from["configMapRef"]),
                ("Secret", &from["secretRef"]),
            ]
        });
        let single = list(container, "env").flat_map(|variable| {
            let from = &variable["valueFrom"];
            [
                ("ConfigMap", &from["configMapKeyRef"]),
                ("Secret", &from["secretKeyRef"]),
            ]
        });
        sources.extend(
            whole
                .chain(single)
                .filter_map(|(kind, reference)| Some((kind, reference["name"].as_str()?))),
        );
    }
    sources
}

/// Finds what breaks the policy in everything that makes pods, hooks as well.
#[must_use]
pub fn policy(observed: &Observed) -> Vec<Warning> {
    let objects = observed.wanted.iter().chain(&observed.hooks);
    let mut warnings = Vec::new();
    for (id, object) in objects {
        let Some(pod) = pod(object) else {
            continue;
        };
        let object = format!("{} {id}", id.kind);
        let found = [
            (
                About::ImageWithoutDigest,
                images(pod),
                "images without a digest",
                "name each image as `repository@sha256:…`: a tag can point to another image tomorrow",
            ),
            (
                About::NoRequests,
                without_requests(pod),
                "containers without requests",
                "set `resources.requests` of CPU and memory: the scheduler and the autoscaler count by them",
            ),
            (
                About::Privileged,
                privileges(pod),
                "pods that reach into the node",
                "take these settings away, unless the pods are there to look after the node",
            ),
        ];
        warnings.extend(
            found
                .into_iter()
                .filter(|(_, what, ..)| !what.is_empty())
                .map(|(about, what, text, hint)| {
                    Warning::new(about, &object, format!("{text}: {}", what.join(", ")), hint)
                }),
        );
    }
    warnings
}

fn name(container: &Value) -> &str {
    container["name"].as_str().unwrap_or_default()
}

fn images(pod: &Value) -> Vec<String> {
    let containers = list(pod, "initContainers").chain(list(pod, "containers"));
    let images: BTreeSet<&str> = containers
        .filter_map(|container| container["image"].as_str())
        .filter(|image| !image.contains("@sha"))
        .collect();
    images
        .into_iter()
        .map(|image| format!("`{image}`"))
        .collect()
}

fn without_requests(pod: &Value) -> Vec<String> {
    // Init containers end before the others start, except sidecars.
    let sidecars = list(pod, "initContainers").filter(|one| one["restartPolicy"] == "Always");
    list(pod, "containers")
        .chain(sidecars)
        .filter_map(|container| {
            let resources = &container["resources"];
            // A limit without a request is the request.
            let missing: Vec<&str> = ["cpu", "memory"]
                .into_iter()
                .filter(|what| {
                    resources["requests"][what].is_null() && resources["limits"][what].is_null()
                })
                .collect();
            (!missing.is_empty()).then(|| format!("`{}` ({})", name(container), missing.join(", ")))
        })
        .collect()
}

fn privileges(pod: &Value) -> Vec<String> {
    let mut found: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|field| pod[field] == true)
        .map(|field| format!("`{field}`"))
        .collect();
    for container in list(pod, "initContainers").chain(list(pod, "containers")) {
        if container["securityContext"]["privileged"] == true {
            found.push(format!("`{}` is privileged", name(container)));
        }
    }
    for volume in list(pod, "volumes") {
        if let Some(path) = volume["hostPath"]["path"].as_str() {
            found.push(format!("`hostPath` {path}"));
        }
    }
    found
}
