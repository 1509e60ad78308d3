//! What keeps a pod's containers from running, or from staying up.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt;

use super::{Cause, Finding, Observed, Subject, events_about};

/// A container that was started this often and ended each time does not recover by itself.
const ENOUGH_RESTARTS: i32 = 2;
/// How long a key or config map may be missing: whoever applies them does it together.
const CONFIGURATION_PATIENCE: u64 = 8;
/// How long a secret may be missing: operators write some of them after the pod exists.
const SECRET_PATIENCE: u64 = 30;
/// How long a registry may be out of reach.
const PULL_PATIENCE: u64 = 45;
/// How long a probe may be answered with "no such path" or "not allowed".
const PROBE_PATIENCE: u64 = 20;

pub(super) fn of_pod(observed: &Observed, pod: &Pod) -> Vec<Finding> {
    let Some(status) = &pod.status else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let statuses = status.init_container_statuses.iter().flatten();
    for container in statuses.chain(status.container_statuses.iter().flatten()) {
        let subject = Subject {
            pod,
            container: Some(&container.name),
        };
        findings.extend(of_container(observed, &subject, container));
    }
    findings
}

fn of_container(
    observed: &Observed,
    subject: &Subject<'_>,
    container: &ContainerStatus,
) -> Option<Finding> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let message = waiting.message.as_deref().unwrap_or_default();
        match waiting.reason.as_deref().unwrap_or_default() {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "ImageInspectError"
            | "RegistryUnavailable" => {
                return Some(image(subject, &container.image, message, observed));
            }
            "CreateContainerConfigError" => return Some(configuration(subject, message)),
            "CreateContainerError" | "RunContainerError" => {
                return Some(cannot_start(subject, message));
            }
            _ => {}
        }
    }
    let last = container.last_state.as_ref();
    let end = state
        .terminated
        .as_ref()
        .or(last.and_then(|last| last.terminated.as_ref()))
        .filter(|end| end.exit_code != 0);
    let probe = probe(observed, subject, container);
    match end {
        Some(end) => Some(ended(observed, subject, container, end, probe)),
        None => probe,
    }
}

fn image(subject: &Subject<'_>, image: &str, message: &str, observed: &Observed) -> Finding {
    let pod = subject.pod;
    // The back-off's own message may leave the reason to an earlier event.
    let name = pod.name_any();
    let said: Vec<&str> = std::iter::once(message)
        .chain(
            events_about(observed, &name, pod.metadata.uid.as_deref())
                .filter(|(reason, _)| *reason == "Failed")
                .map(|(_, message)| message),
        )
        .collect();
    let image = wanted_image(subject).unwrap_or(image);
    let says = |words: &[&str]| {
        said.iter().any(|text| {
            let text = text.to_lowercase();
            words.iter().any(|word| text.contains(word))
        })
    };
    let place = subject.place();
    let owned = image.to_owned();
    if says(&[
        "unauthorized",
        "authentication required",
        "403 forbidden",
        "access denied",
        "no basic auth",
        "authorization failed",
    ]) {
        return subject.finding(
            Cause::ImageRefused { image: owned },
            Some(3),
            format!("image `{image}` may not be pulled: the registry refuses {place}"),
            "give the pod an `imagePullSecrets` entry for this registry, or the node's role the right to pull (for ECR: AmazonEC2ContainerRegistryPullOnly)",
        );
    }
    if says(&[
        "not found",
        "manifest unknown",
        "name unknown",
        "does not exist",
        "couldn't parse image",
        "invalid reference",
    ]) {
        return subject.finding(
            Cause::ImageMissing { image: owned },
            Some(0),
            format!("image `{image}` does not exist: {place} cannot pull it"),
            "deploy a digest that the build pushed to this repository (output `image` of build-fastapi-image), or push it first",
        );
    }
    let message = last_part(
        said.iter()
            .find(|text| text.contains(": "))
            .unwrap_or(&message),
    );
    subject.finding(
        Cause::ImagePull {
            image: owned,
            message: message.into(),
        },
        Some(PULL_PATIENCE),
        format!("image `{image}` cannot be pulled: {place} says: {message}"),
        "nodes pull by themselves: the registry's address must be reachable, and its certificate trusted, from the nodes",
    )
}

/// Gives the image as the pod asks for it; the status may name it in another form.
fn wanted_image<'a>(subject: &Subject<'a>) -> Option<&'a str> {
    let spec = subject.pod.spec.as_ref()?;
    let containers = spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers);
    let mut same =
        containers.filter(|container| Some(container.name.as_str()) == subject.container);
    same.next()?.image.as_deref()
}

fn configuration(subject: &Subject<'_>, message: &str) -> Finding {
    let patience = if message.contains("secret") && message.contains("not found") {
        SECRET_PATIENCE
    } else {
        CONFIGURATION_PATIENCE
    };
    let hint = if message.contains("couldn't find key") {
        "add the key to it, or correct the key's name in the values"
    } else if message.contains("not found") {
        "create it in the release's namespace, or correct its name in the values"
    } else if message.contains("runAsNonRoot") {
        "run the image as a numeric user other than 0: set `runAsUser` in the values, or `USER` in the image"
    } else {
        "correct the values that the message names"
    };
    subject.finding(
        Cause::BadConfiguration {
            message: message.into(),
        },
        Some(patience),
        format!("{} cannot be configured: {message}", subject.place()),
        hint,
    )
}

fn cannot_start(subject: &Subject<'_>, message: &str) -> Finding {
    let told = last_part(message);
    subject.finding(
        Cause::CannotStart {
            message: told.into(),
        },
        Some(4),
        format!("{} cannot be started: {told}", subject.place()),
        "check `command` and `args`: the program must exist in the image, be executable, and fit the node's architecture",
    )
}

fn ended(
    observed: &Observed,
    subject: &Subject<'_>,
    container: &ContainerStatus,
    end: &ContainerStateTerminated,
    probe: Option<Finding>,
) -> Finding {
    let place = subject.place();
    let reason = end.reason.as_deref().unwrap_or_default();
    let restarts = container.restart_count;
    if matches!(reason, "StartError" | "ContainerCannotRun") {
        return cannot_start(subject, end.message.as_deref().unwrap_or_default());
    }
    if reason == "OOMKilled" {
        let limit = memory_limit(subject);
        let told = limit.as_deref().map_or_else(
            || "the node ran out of memory".to_owned(),
            |limit| format!("it needs more than its limit of {limit}"),
        );
        return subject.finding(
            Cause::OutOfMemory { limit },
            Some(if restarts >= 1 { 0 } else { 3 }),
            format!("{place} was killed for its memory: {told}"),
            "raise the container's memory limit in the values, or start fewer worker processes",
        );
    }
    // A container that its own liveness probe kills ends by a signal: the probe is the cause.
    if let Some(probe) = probe
        && restarts >= 1
        && matches!(end.exit_code, 137 | 143)
    {
        return Finding {
            patience: (restarts >= ENOUGH_RESTARTS).then_some(std::time::Duration::ZERO),
            ..probe
        };
    }
    let key = (subject.pod.name_any(), container.name.clone());
    let last_lines = observed.logs.get(&key).cloned().unwrap_or_default();
    let mut text = format!("{place} ends with exit status {}", end.exit_code);
    if restarts > 0 {
        text = format!("{text} ({restarts} restarts)");
    }
    if let Some(last) = last_lines.iter().rev().find(|line| !line.trim().is_empty()) {
        text = format!("{text}: {}", last.trim());
    }
    subject.finding(
        Cause::CrashLoop {
            exit_code: end.exit_code,
            restarts,
            last_lines,
        },
        (restarts >= ENOUGH_RESTARTS).then_some(0),
        text,
        format!(
            "the whole log: `kubectl --namespace {} logs {} --container {} --previous`",
            subject.pod.namespace().unwrap_or_default(),
            subject.pod.name_any(),
            container.name
        ),
    )
}

fn memory_limit(subject: &Subject<'_>) -> Option<String> {
    let spec = subject.pod.spec.as_ref()?;
    let containers = spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers);
    let mut same =
        containers.filter(|container| Some(container.name.as_str()) == subject.container);
    let limits = same.next()?.resources.as_ref()?.limits.as_ref()?;
    Some(limits.get("memory")?.0.clone())
}

fn probe(
    observed: &Observed,
    subject: &Subject<'_>,
    container: &ContainerStatus,
) -> Option<Finding> {
    if container.ready {
        return None;
    }
    let name = subject.pod.name_any();
    let uid = subject.pod.metadata.uid.as_deref();
    let (_, message) =
        events_about(observed, &name, uid).find(|(reason, _)| *reason == "Unhealthy")?;
    let message = message.trim();
    // These answers come from a server that runs, so waiting does not change them.
    let wrong_path = [
        "statuscode: 404",
        "statuscode: 401",
        "statuscode: 403",
        "statuscode: 405",
    ]
    .iter()
    .any(|answer| message.contains(answer));
    let hint = if wrong_path {
        "the probe asks for a path that the application does not serve so: correct `probes` in the values"
    } else if message.contains("connection refused") {
        "nothing listens on the probe's port: check the port that the application binds (0.0.0.0, not 127.0.0.1), or give it longer by the startup probe"
    } else {
        "the application answers its probe badly: its log tells why; what it depends on (the database) may be out of reach"
    };
    Some(subject.finding(
        Cause::FailedProbe {
            message: message.into(),
        },
        wrong_path.then_some(PROBE_PATIENCE),
        format!("{} is not ready: {}", subject.place(), lower_first(message)),
        hint,
    ))
}

/// Leaves the wrappings of nested errors away.
fn last_part(message: &str) -> &str {
    let message = message.trim();
    // The container runtime's wrappings around the one thing that it could not run.
    let message = message
        .find("exec: \"")
        .map_or(message, |start| &message[start..]);
    message
        .rsplit_once("rpc error: ")
        .map_or(message, |(_, rest)| rest)
        .rsplit_once(" desc = ")
        .map_or(message, |(_, rest)| rest)
        .trim_end_matches(": unknown")
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}
