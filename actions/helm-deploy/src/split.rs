//! The new version beside the old one, made from what a release has; pure.
//!
//! The new version is the release's own Deployment under another name and with one label changed,
//! so that nothing that selects the old pods selects the new ones. Routes are added to the
//! `IngressRoute`, none is changed: while the new version has no pod that is ready, Traefik leaves
//! out the routes to it, and those of before take all requests.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::manifest::{ObjectId, Objects};

/// The header, and its value, that choose the new version.
pub(crate) const HEADER: (&str, &str) = ("X-Release", "next");
/// Says of which release an object is the next version.
pub(crate) const NEXT_OF: &str = "fastapi-eks-actions/next-of";
const ENDING: &str = "-next";
/// The longest name, and value of a label.
const LONGEST: usize = 63;

/// The new version of a release, ready to run beside the old one.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// The Deployment that runs the old version.
    pub old: ObjectId,
    /// The Deployment of the new version.
    pub deployment: Value,
    /// What else selects its pods: services, disruption budgets, network policies.
    pub around: Vec<Value>,
    /// Which service of the new version stands for which of the old one.
    pub services: BTreeMap<String, String>,
}

/// A release cannot be rolled out in steps.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unsplittable {
    /// It has no `IngressRoute`.
    #[error("only an IngressRoute of Traefik has weights, and the deployed revision has {0}")]
    NoRoute(String),
    /// A route has other than one service already.
    #[error("the IngressRoute `{0}` has a route with other than one Service")]
    Shared(String),
    /// It is not clear what the requests go to.
    #[error("behind the IngressRoute must be one Deployment, and there are {0}")]
    Behind(usize),
    /// Something that selects the old pods would select the new ones as well.
    #[error("no label stands in the selectors of all of {0}")]
    NoLabel(String),
    /// A hook would run when the new version runs already.
    #[error("the hook `{0}` runs before an upgrade, which comes after the steps")]
    Hook(String),
}

impl Unsplittable {
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NoRoute(_) => {
                "install Traefik with its CRDs and deploy the chart once with `ingress.kind=IngressRoute`, or leave `steps` out"
            }
            Self::Shared(_) | Self::Behind(_) => {
                "let each route of the IngressRoute name one Service, all of them of one Deployment, or leave `steps` out"
            }
            Self::NoLabel(_) => {
                "let the selectors of the Deployment and of these objects share a label, or leave `steps` out"
            }
            Self::Hook(_) => {
                "run what the hook does as a step of the workflow (db-migrate), or leave `steps` out"
            }
        }
    }
}

/// Makes the new version out of what is deployed, what is to be, and the hooks; `None` when its
/// pods are those of before.
pub fn split(
    release: &str,
    live: &Objects,
    wanted: &Objects,
    hooks: &Objects,
) -> Result<Option<Split>, Unsplittable> {
    let services = routed_services(live)?;
    let deployments = wanted.iter().filter(|(id, deployment)| {
        id.kind == "Deployment"
            && services.iter().any(|name| {
                let service = wanted
                    .iter()
                    .find(|(id, _)| id.kind == "Service" && id.name == *name);
                service.is_some_and(|(_, service)| selects(service, deployment))
            })
    });
    let deployments: Vec<_> = deployments.collect();
    let [(id, deployment)] = deployments.as_slice() else {
        return Err(Unsplittable::Behind(deployments.len()));
    };
    let (id, deployment) = (*id, *deployment);
    let template = |object: &Value| object.pointer("/spec/template").cloned();
    if live.get(id).and_then(template) == template(deployment) {
        return Ok(None);
    }
    if let Some(hook) = hooks.iter().find(|(_, hook)| runs_before(hook)) {
        return Err(Unsplittable::Hook(hook.0.name.clone()));
    }
    let around: Vec<&Value> = wanted
        .values()
        .filter(|object| selects(object, deployment))
        .collect();
    let (key, value) = telling_label(deployment, &around)?;
    let beside = Beside {
        release,
        key: &key,
        old: &value,
        new: &ended(&value),
    };
    let names = around.iter().filter(|object| object["kind"] == "Service");
    Ok(Some(Split {
        old: id.clone(),
        deployment: beside.deployment(deployment),
        services: names
            .filter_map(|service| service["metadata"]["name"].as_str())
            .map(|name| (name.to_owned(), ended(name)))
            .collect(),
        around: around
            .iter()
            .map(|object| beside.selecting(object))
            .collect(),
    }))
}

/// Gives the `IngressRoute`s of a release with routes to the new version: one for a share of all
/// requests, and one for requests with [`HEADER`].
#[must_use]
pub fn routes(objects: &Objects, services: &BTreeMap<String, String>, percent: u32) -> Vec<Value> {
    let mut routed = Vec::new();
    for object in ingress_routes(objects).map(|(_, object)| object) {
        let before = object["spec"]["routes"].as_array().into_iter().flatten();
        let added: Vec<Value> = before
            .filter_map(|route| {
                let entry = &route["services"][0];
                let next = services.get(entry["name"].as_str()?)?;
                Some(next_routes(route, entry, next, percent))
            })
            .flatten()
            .collect();
        let mut object = object.clone();
        if let Some(all) = object["spec"]["routes"].as_array_mut()
            && !added.is_empty()
        {
            all.extend(added);
            routed.push(object);
        }
    }
    routed
}

/// Gives the `IngressRoute`s of a release.
pub(crate) fn ingress_routes(objects: &Objects) -> impl Iterator<Item = (&ObjectId, &Value)> {
    objects
        .iter()
        .filter(|(id, _)| id.kind == "IngressRoute" && id.api_version.starts_with("traefik.io/"))
}

/// Gives the name of what stands for something in the new version.
pub(crate) fn ended(name: &str) -> String {
    let kept: String = name.chars().take(LONGEST - ENDING.len()).collect();
    format!("{}{ENDING}", kept.trim_end_matches(['-', '.', '_']))
}

fn next_routes(route: &Value, entry: &Value, next: &str, percent: u32) -> Vec<Value> {
    let rule = route["match"].as_str().unwrap_or_default();
    // Traefik's own order is by the length of the rule.
    let priority = route["priority"]
        .as_u64()
        .filter(|number| *number > 0)
        .unwrap_or(rule.len() as u64);
    let serves = |name: &str, weight: Option<u32>| {
        let mut entry = entry.clone();
        entry["name"] = json!(name);
        if let Some(weight) = weight {
            entry["weight"] = json!(weight);
        }
        entry
    };
    let with = |rule: String, priority: u64, services: Vec<Value>| {
        let mut route = route.clone();
        route["match"] = json!(rule);
        route["priority"] = json!(priority);
        route["services"] = json!(services);
        route
    };
    let mut added = Vec::new();
    if percent > 0 {
        let old = entry["name"].as_str().unwrap_or_default();
        let shares = vec![
            serves(old, Some(100 - percent)),
            serves(next, Some(percent)),
        ];
        // Two routes of one rule would be one to Traefik.
        added.push(with(format!("({rule})"), priority + 1, shares));
    }
    let matcher = if route["syntax"] == "v2" {
        "Headers"
    } else {
        "Header"
    };
    let (name, value) = HEADER;
    let chosen = format!("({rule}) && {matcher}(`{name}`, `{value}`)");
    added.push(with(chosen, priority + 2, vec![serves(next, None)]));
    added
}

fn routed_services(live: &Objects) -> Result<Vec<String>, Unsplittable> {
    let mut names = Vec::new();
    for (id, object) in ingress_routes(live) {
        let routes = object["spec"]["routes"].as_array().into_iter().flatten();
        for route in routes {
            let services = route["services"].as_array().map_or(&[][..], Vec::as_slice);
            match services {
                [one] if matches!(one["kind"].as_str(), None | Some("Service")) => {
                    names.extend(one["name"].as_str().map(String::from));
                }
                _ => return Err(Unsplittable::Shared(id.name.clone())),
            }
        }
    }
    if names.is_empty() {
        let other = live
            .keys()
            .find(|id| matches!(id.kind.as_str(), "Ingress" | "HTTPRoute"));
        return Err(Unsplittable::NoRoute(other.map_or_else(
            || "none".into(),
            |id| format!("the {} `{}`", id.kind, id.name),
        )));
    }
    Ok(names)
}

fn runs_before(hook: &Value) -> bool {
    let when = hook["metadata"]["annotations"]["helm.sh/hook"].as_str();
    when.is_some_and(|when| when.split(',').any(|one| one.trim() == "pre-upgrade"))
}

/// Gives the selector of pods that an object has, where it is one of labels alone.
fn selector(object: &Value) -> Option<&Map<String, Value>> {
    let place = match object["kind"].as_str()? {
        "Service" => "/spec/selector",
        "PodDisruptionBudget" => "/spec/selector/matchLabels",
        "NetworkPolicy" => "/spec/podSelector/matchLabels",
        _ => return None,
    };
    object.pointer(place)?.as_object()
}

fn selects(object: &Value, deployment: &Value) -> bool {
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    selector(object).is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| labels[key] == *value)
    })
}

/// Chooses the label that tells new pods from old ones.
fn telling_label(deployment: &Value, around: &[&Value]) -> Result<(String, String), Unsplittable> {
    let own = deployment["spec"]["selector"]["matchLabels"].as_object();
    let mut own: Vec<(&String, &str)> = own
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key, value.as_str()?)))
        .collect();
    own.sort_unstable();
    own.into_iter()
        .find(|(key, _)| {
            around
                .iter()
                .all(|object| selector(object).is_some_and(|labels| labels.contains_key(*key)))
        })
        .map(|(key, value)| (key.clone(), value.to_owned()))
        .ok_or_else(|| {
            let named = around.iter().map(|object| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                format!(
                    "{} `{}`",
                    text(&object["kind"]),
                    text(&object["metadata"]["name"])
                )
            });
            Unsplittable::NoLabel(named.collect::<Vec<_>>().join(", "))
        })
}

/// How what belongs to the new version differs.
struct Beside<'a> {
    release: &'a str,
    key: &'a str,
    old: &'a str,
    new: &'a str,
}

impl Beside<'_> {
    fn deployment(&self, wanted: &Value) -> Value {
        let mut spec = wanted["spec"].clone();
        self.relabel(&mut spec);
        self.object(wanted, &spec)
    }

    fn selecting(&self, wanted: &Value) -> Value {
        let mut spec = wanted["spec"].clone();
        let place = if wanted["kind"] == "NetworkPolicy" {
            "podSelector"
        } else {
            "selector"
        };
        self.relabel(&mut spec[place]);
        if wanted["kind"] == "Service" {
            let mut ports = spec["ports"].clone();
            for port in ports.as_array_mut().into_iter().flatten() {
                if let Some(port) = port.as_object_mut() {
                    port.remove("nodePort");
                }
            }
            spec = json!({"type": "ClusterIP", "selector": spec["selector"], "ports": ports});
        }
        self.object(wanted, &spec)
    }

    fn object(&self, wanted: &Value, spec: &Value) -> Value {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut labels = wanted["metadata"]["labels"].clone();
        if !labels.is_object() {
            labels = json!({});
        }
        self.relabel(&mut labels);
        labels["app.kubernetes.io/managed-by"] = json!("helm-deploy");
        labels[NEXT_OF] = json!(self.release);
        let mut metadata = json!({
            "name": ended(&text(&wanted["metadata"]["name"])),
            "labels": labels,
        });
        if let Some(namespace) = wanted["metadata"]["namespace"].as_str() {
            metadata["namespace"] = json!(namespace);
        }
        json!({
            "apiVersion": wanted["apiVersion"],
            "kind": wanted["kind"],
            "metadata": metadata,
            "spec": spec,
        })
    }

    /// Changes the label wherever it stands: in labels, selectors, spreads and affinities.
    fn relabel(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    if name == self.key && field == self.old {
                        *field = json!(self.new);
                    } else {
                        self.relabel(field);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.relabel(item)),
            _ => {}
        }
    }
}
