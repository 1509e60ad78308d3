//! What keeps a pod from being made, from getting a node, or from getting its volumes.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{Cause, Finding, Observed, Subject, condition, events_about, room, time_of};

const SCHEDULING_PATIENCE: u64 = 30;
const CLAIM_PATIENCE: u64 = 60;
const CREATE_PATIENCE: u64 = 5;
const WEBHOOK_PATIENCE: u64 = 20;

/// Finds pods that were never made, from the events about their owners.
pub(super) fn of_owners(observed: &Observed) -> Vec<Finding> {
    let newest_pod = observed
        .pods
        .iter()
        .filter_map(|pod| pod.metadata.creation_timestamp.as_ref())
        .map(|time| time.0)
        .max();
    let mut findings: Vec<Finding> = Vec::new();
    for event in &observed.events {
        // An event that is older than a pod tells of a trouble that is over.
        let over = newest_pod.is_some_and(|pod| time_of(event).is_some_and(|event| event <= pod));
        if over || event.reason.as_deref() != Some("FailedCreate") {
            continue;
        }
        let message = event.message.as_deref().unwrap_or_default();
        let owner = event.involved_object.name.clone().unwrap_or_default();
        if let Some(finding) = not_made(&owner, message)
            && !findings.iter().any(|known| known.key() == finding.key())
        {
            findings.push(finding);
        }
    }
    findings
}

fn not_made(owner: &str, message: &str) -> Option<Finding> {
    let said = message.to_owned();
    let (cause, patience, what, hint) = if message.contains("exceeded quota")
        || message.contains("failed quota")
    {
        (
            Cause::Quota { message: said },
            CREATE_PATIENCE,
            "exceed the namespace's quota",
            "raise the ResourceQuota that the message names, or lower requests, limits or replicas in the values",
        )
    } else if message.contains("failed calling webhook") {
        (
            Cause::Admission { message: said },
            WEBHOOK_PATIENCE,
            "cannot be admitted: a webhook does not answer",
            "bring the webhook's own workload up, or take its configuration away when it is a leftover",
        )
    } else if message.contains("denied the request") || message.contains("violates PodSecurity") {
        (
            Cause::Admission { message: said },
            0,
            "are refused by admission",
            "change the values so that the pod keeps the policy that the message names",
        )
    } else if message.contains("serviceaccount") && message.contains("not found") {
        (
            Cause::BadConfiguration { message: said },
            CREATE_PATIENCE,
            "name a service account that does not exist",
            "create the service account in the release's namespace, or let the chart create it",
        )
    } else if message.contains("is forbidden") || message.contains("is invalid") {
        (
            Cause::Admission { message: said },
            CREATE_PATIENCE,
            "are refused by the API server",
            "correct the values that the message names",
        )
    } else {
        return None;
    };
    Some(Finding {
        cause,
        pod: None,
        container: None,
        node: None,
        text: format!("pods of `{owner}` {what}: {message}"),
        hint: hint.into(),
        patience: Some(std::time::Duration::from_secs(patience)),
        owner: owner.into(),
    })
}

pub(super) fn of_pod(observed: &Observed, pod: &Pod) -> Vec<Finding> {
    let subject = Subject {
        pod,
        container: None,
    };
    let mut findings: Vec<Finding> = claims(observed, &subject);
    if findings.is_empty() {
        findings.extend(unschedulable(observed, &subject));
    }
    findings.extend(mount(observed, &subject));
    findings
}

fn claims(observed: &Observed, subject: &Subject<'_>) -> Vec<Finding> {
    let volumes = subject
        .pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten());
    let names: Vec<&str> = volumes
        .filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
        .collect();
    let unbound = condition(subject.pod, "PodScheduled").is_some_and(|(status, message)| {
        status == "False" && message.contains("PersistentVolumeClaim")
    });
    let pending = observed.claims.iter().filter(|claim| {
        let phase = claim
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        names.contains(&claim.name_any().as_str()) && phase == Some("Pending")
    });
    pending
        .filter_map(|claim| {
            let name = claim.name_any();
            let told = events_about(observed, &name, claim.metadata.uid.as_deref())
                // This one is how a claim waits for its pod to get a node: nothing is wrong.
                .find(|(reason, _)| *reason != "WaitForFirstConsumer" && *reason != "ExternalProvisioning")
                .map(|(_, message)| message);
            if told.is_none() && !unbound {
                return None;
            }
            let message = told.unwrap_or("it is not bound to a volume");
            let no_class = message.contains("no storage class is set") || message.contains("not found");
            let hint = if no_class {
                "set the storage class in the values to one that `kubectl get storageclass` lists, or mark one as the default"
            } else {
                "look at the provisioner of its storage class: for EBS the add-on aws-ebs-csi-driver and its IAM role"
            };
            Some(subject.finding(
                Cause::ClaimPending {
                    claim: name.clone(),
                    message: message.into(),
                },
                Some(if no_class { CREATE_PATIENCE } else { CLAIM_PATIENCE }),
                format!("volume claim `{name}` of {} is not bound: {message}", subject.place()),
                hint,
            ))
        })
        .collect()
}

fn unschedulable(observed: &Observed, subject: &Subject<'_>) -> Option<Finding> {
    let (status, message) = condition(subject.pod, "PodScheduled")?;
    if status != "False" || message.is_empty() {
        return None;
    }
    let name = subject.pod.name_any();
    let mut patience = Some(SCHEDULING_PATIENCE);
    for (reason, _) in events_about(observed, &name, subject.pod.metadata.uid.as_deref()) {
        match reason {
            // An autoscaler is making a node for it.
            "TriggeredScaleUp" | "Nominated" => {
                patience = None;
                break;
            }
            "NotTriggerScaleUp" => {
                patience = Some(0);
                break;
            }
            _ => {}
        }
    }
    // Preemption's own answer repeats the first one.
    let message = message.split(". preemption:").next().unwrap_or(message);
    let message = message
        .split(". no new claims")
        .next()
        .unwrap_or(message)
        .trim_end_matches(['.', ' ']);
    let mut hints = Vec::new();
    if message.contains("Insufficient") {
        hints.push("lower the requests in the values or add nodes");
    }
    if message.contains("untolerated taint") {
        hints.push("tolerate the taint if the pod belongs there");
    }
    if message.contains("affinity") || message.contains("node selector") {
        hints.push("correct `nodeSelector` or `affinity`: no node carries those labels");
    }
    if message.contains("topology spread") {
        hints.push("allow a larger `maxSkew` or `ScheduleAnyway`");
    }
    if hints.is_empty() {
        hints.push("`kubectl describe nodes` shows what each node offers");
    }
    let by_node = room::lacks(observed, subject.pod)
        .map(|nodes| format!(" ({nodes})"))
        .unwrap_or_default();
    Some(subject.finding(
        Cause::Unschedulable {
            message: message.into(),
        },
        patience,
        format!("no node takes {}: {message}{by_node}", subject.place()),
        hints.join("; "),
    ))
}

fn mount(observed: &Observed, subject: &Subject<'_>) -> Option<Finding> {
    let name = subject.pod.name_any();
    let started = subject.pod.status.as_ref().is_some_and(|status| {
        status
            .container_statuses
            .iter()
            .flatten()
            .any(|container| container.started == Some(true))
    });
    if started {
        return None;
    }
    let uid = subject.pod.metadata.uid.as_deref();
    let (_, message) =
        events_about(observed, &name, uid).find(|(reason, _)| *reason == "FailedMount")?;
    if !(message.contains("not found") || message.contains("references non-existent")) {
        return None;
    }
    let patience = if message.contains("secret") { 30 } else { 8 };
    Some(subject.finding(
        Cause::BadConfiguration {
            message: message.into(),
        },
        Some(patience),
        format!("a volume of {} cannot be mounted: {message}", subject.place()),
        "create what the message names in the release's namespace, or correct its name in the values",
    ))
}
