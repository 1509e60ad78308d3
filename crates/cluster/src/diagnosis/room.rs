//! What each node lacks for a pod that none takes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;

use super::Observed;

/// More nodes than this are counted, not listed.
const LISTED: usize = 6;

/// Says of each node what it lacks, as far as it can be seen; `None` when no node was seen.
pub(super) fn lacks(observed: &Observed, pod: &Pod) -> Option<String> {
    let told: Vec<String> = observed
        .nodes
        .iter()
        .filter_map(|node| {
            let why = why_not(observed, pod, node);
            (!why.is_empty()).then(|| format!("`{}` has {}", node.name_any(), why.join(" and ")))
        })
        .collect();
    if told.is_empty() {
        return None;
    }
    let mut text = told
        .iter()
        .take(LISTED)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if told.len() > LISTED {
        text = format!("{text}; and {} more nodes", told.len() - LISTED);
    }
    Some(text)
}

fn why_not(observed: &Observed, pod: &Pod, node: &Node) -> Vec<String> {
    let mut why = Vec::new();
    let Some(spec) = &pod.spec else {
        return why;
    };
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten());
    for taint in taints.filter(|taint| taint.effect != "PreferNoSchedule") {
        let mut tolerations = spec.tolerations.iter().flatten();
        if !tolerations.any(|toleration| tolerates(toleration, taint)) {
            why.push(format!("the taint `{}`", taint.key));
        }
    }
    for (label, value) in spec.node_selector.iter().flatten() {
        if node.labels().get(label) != Some(value) {
            why.push(format!("no label `{label}={value}`"));
        }
    }
    let wanted = requests(pod);
    let offered = node
        .status
        .as_ref()
        .and_then(|status| status.allocatable.clone())
        .unwrap_or_default();
    let name = node.name_any();
    let mut used: BTreeMap<String, f64> = BTreeMap::new();
    let there = observed.neighbours.iter().filter(|other| {
        let phase = other
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        let place = other.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
        place == Some(&name) && !matches!(phase, Some("Succeeded" | "Failed"))
    });
    for other in there {
        for (resource, amount) in requests(other) {
            *used.entry(resource).or_default() += amount;
        }
    }
    for (resource, amount) in wanted {
        let whole = offered.get(&resource).and_then(number).unwrap_or_default();
        let free = (whole - used.get(&resource).copied().unwrap_or_default()).max(0.0);
        if amount > free {
            why.push(format!(
                "{} of {} {resource} free for {}",
                readable(&resource, free),
                readable(&resource, whole),
                readable(&resource, amount)
            ));
        }
    }
    why
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    let same = toleration.operator.as_deref() == Some("Exists")
        || toleration.value.as_deref().unwrap_or_default()
            == taint.value.as_deref().unwrap_or_default();
    (effect.is_empty() || effect == taint.effect) && (key.is_empty() || key == taint.key) && same
}

/// Sums what a pod's containers request; one that runs before the others counts when it wants more.
fn requests(pod: &Pod) -> BTreeMap<String, f64> {
    let mut sum: BTreeMap<String, f64> = BTreeMap::new();
    let Some(spec) = &pod.spec else {
        return sum;
    };
    let of = |requests: Option<&BTreeMap<String, Quantity>>| -> Vec<(String, f64)> {
        let requests = requests.into_iter().flatten();
        requests
            .filter_map(|(resource, amount)| Some((resource.clone(), number(amount)?)))
            .collect()
    };
    for container in &spec.containers {
        let requests = container
            .resources
            .as_ref()
            .and_then(|one| one.requests.as_ref());
        for (resource, amount) in of(requests) {
            *sum.entry(resource).or_default() += amount;
        }
    }
    for container in spec.init_containers.iter().flatten() {
        let requests = container
            .resources
            .as_ref()
            .and_then(|one| one.requests.as_ref());
        let stays = container.restart_policy.as_deref() == Some("Always");
        for (resource, amount) in of(requests) {
            let entry = sum.entry(resource).or_default();
            *entry = if stays {
                *entry + amount
            } else {
                entry.max(amount)
            };
        }
    }
    sum
}

/// Reads a quantity: `250m`, `1.5`, `256Mi`, `1e9`.
fn number(quantity: &Quantity) -> Option<f64> {
    let text = quantity.0.trim();
    let units = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("m", 0.001),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
    ];
    for (unit, factor) in units {
        if let Some(digits) = text.strip_suffix(unit) {
            return Some(digits.parse::<f64>().ok()? * factor);
        }
    }
    text.parse().ok()
}

fn readable(resource: &str, amount: f64) -> String {
    let (amount, unit) = if resource == "memory" || resource.ends_with("storage") {
        (amount / 1_048_576.0, "Mi")
    } else {
        (amount, "")
    };
    let text = if unit.is_empty() {
        format!("{amount:.2}")
    } else {
        format!("{amount:.0}")
    };
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}
