//! What was changed beside the release: live objects, compared with the revision that is deployed.
//!
//! The revision's manifest is tried once more in Helm's name. Where the API server would make
//! something else of an object than it is, somebody changed it. Fields that the manifest does not
//! set belong to whoever set them, so of those only what people's tools wrote is told.

use std::fmt::Write as _;

use action_kit::{Failed, Outcome, Report};
use cluster::{Attempt, Conflict, Trial, at_field};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::DeployError;
use crate::foresee::{by_hand, shown};
use crate::manifest::{self, ObjectId, Objects};
use crate::observe::{HELM, release};
use crate::plan::Observed;
use crate::session::Session;

/// What is found about an object of the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The object: `Deployment orders`.
    pub object: String,
    /// How it is.
    #[serde(flatten)]
    pub state: State,
}

/// How an object is, beside what the release says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "detail", rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    InSync,
    /// Other than it should be.
    Changed(Vec<Difference>),
    /// It is no longer there.
    Deleted,
    /// Nobody could look, and why.
    Unchecked(String),
}

/// A field that is not what the release says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The field.
    pub field: String,
    /// What the release says.
    pub expected: String,
    /// What is there.
    pub actual: String,
    /// The field manager that owns it, when another than Helm does.
    pub owner: Option<String>,
}

/// What the API server says about an object.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The object as it is; none when it is not there.
    pub live: Option<Value>,
    /// What it would be if the release were applied again, whoever owns its fields.
    pub again: Attempt,
    /// The fields that others own.
    pub owned: Vec<Conflict>,
}

impl Finding {
    /// Says whether the object is not what it should be.
    #[must_use]
    pub fn is_drifted(&self) -> bool {
        matches!(self.state, State::Changed(_) | State::Deleted)
    }
}

/// Looks for drift and tells it.
pub(crate) async fn show(session: &Session) -> Result<Report, Failed> {
    let (report, drifted) = find(session).await?;
    if drifted > 0 && session.inputs.fail_on_drift {
        let error = DeployError::Drifted {
            subject: format!("{}/{}", session.namespace, session.release),
            count: drifted,
        };
        return Err(Failed::from(error).with(report));
    }
    Ok(report)
}

/// Looks for drift; gives what is found, and how many objects drifted.
pub(crate) async fn find(session: &Session) -> Result<(Report, usize), DeployError> {
    let mut observed = Observed::default();
    release(&session.helm, &mut observed).await?;
    let (Some(live), name) = (&observed.live, &session.release) else {
        return Err(DeployError::NotFound {
            doing: format!(
                "look for drift in `{}/{}`",
                session.namespace, session.release
            ),
            what: format!("a deployed revision of `{}`", session.release),
        });
    };
    let findings = look(session, &live.objects).await?;
    let subject = format!("{}/{name}", session.namespace);
    let drifted = findings.iter().filter(|one| one.is_drifted()).count();
    let outcome = if drifted == 0 {
        Outcome::Unchanged
    } else {
        Outcome::Done
    };
    let report = session
        .report(outcome, Some(live.revision))
        .output("drifted", drifted.to_string())
        .field("drift", &findings)
        .markdown(to_markdown(&subject, &findings))
        .line(to_text(&subject, &findings));
    Ok((report, drifted))
}

/// Asks the API server about each object of the release.
async fn look(session: &Session, objects: &Objects) -> Result<Vec<Finding>, DeployError> {
    let namespace = session.namespace.as_str();
    let marked: Vec<Value> = objects
        .values()
        .map(|object| marked(object, session.release.as_str(), namespace))
        .collect();
    let trial = |force| Trial {
        manager: HELM,
        namespace,
        force,
    };
    let cluster = session.cluster();
    let again = cluster.attempt_all(&marked, trial(true)).await?;
    let asked = cluster.attempt_all(&marked, trial(false)).await?;
    let mut findings = Vec::new();
    for ((id, object), (again, asked)) in objects.iter().zip(again.into_iter().zip(asked)) {
        let own = id.namespace.as_deref().unwrap_or(namespace);
        let live = cluster
            .get(&id.api_version, &id.kind, own, &id.name)
            .await?;
        let owned = match asked {
            Attempt::Conflicts(conflicts) => conflicts,
            _ => Vec::new(),
        };
        let seen = Seen { live, again, owned };
        findings.push(compare(id, object, &seen));
    }
    Ok(findings)
}

/// Adds what Helm adds to every object that it applies.
fn marked(object: &Value, release: &str, namespace: &str) -> Value {
    let mut object = object.clone();
    let marks = [
        ("labels", "app.kubernetes.io/managed-by", "Helm"),
        ("annotations", "meta.helm.sh/release-name", release),
        ("annotations", "meta.helm.sh/release-namespace", namespace),
    ];
    for (field, key, value) in marks {
        let place = &mut object["metadata"][field];
        if place.is_null() {
            *place = json!({});
        }
        place[key] = json!(value);
    }
    object
}

/// Compares an object with what the release says.
#[must_use]
pub fn compare(id: &ObjectId, object: &Value, seen: &Seen) -> Finding {
    let state = match (&seen.live, &seen.again) {
        (None, _) => State::Deleted,
        (Some(live), Attempt::Fits(again)) => {
            let mut differences = changed(live, again, &seen.owned);
            for one in added(&stored(object), live) {
                match differences
                    .iter_mut()
                    .find(|known| known.field == one.field)
                {
                    Some(known) => known.owner = one.owner,
                    None => differences.push(one),
                }
            }
            differences.sort_by(|one, other| one.field.cmp(&other.field));
            if id.kind == "Secret" {
                differences.iter_mut().for_each(hide);
            }
            if differences.is_empty() {
                State::InSync
            } else {
                State::Changed(differences)
            }
        }
        (_, Attempt::Refused(refusal)) => State::Unchecked(refusal.message.clone()),
        (_, Attempt::Untried(why)) => State::Unchecked(why.clone()),
        (_, Attempt::Early | Attempt::Conflicts(_)) => {
            State::Unchecked("the API server does not know its kind".into())
        }
    };
    Finding {
        object: format!("{} {id}", id.kind),
        state,
    }
}

fn hide(difference: &mut Difference) {
    if difference.field.starts_with("data") || difference.field.starts_with("stringData") {
        for value in [&mut difference.expected, &mut difference.actual] {
            if value != "nothing" {
                *value = "***".into();
            }
        }
    }
}

/// Finds the fields that applying the release again would change.
fn changed(live: &Value, again: &Value, owned: &[Conflict]) -> Vec<Difference> {
    let (live, again) = (settled(live), settled(again));
    let value = |value: &Value| shown(Some(value).filter(|value| !value.is_null()));
    manifest::field_changes(&again, &live)
        .into_iter()
        .map(|(field, expected, actual)| {
            let same = |one: &&Conflict| {
                let place = plain(&one.field);
                field == place
                    || place
                        .strip_prefix(&field)
                        .is_some_and(|rest| rest.starts_with('.'))
            };
            Difference {
                owner: owned.iter().find(same).map(owner),
                expected: value(&expected),
                actual: value(&actual),
                field,
            }
        })
        .collect()
}

fn owner(conflict: &Conflict) -> String {
    match &conflict.subresource {
        Some(part) => format!("{} (through {part})", conflict.owner),
        None => conflict.owner.clone(),
    }
}

/// Leaves out what the API server keeps for itself.
fn settled(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| {
            matches!(
                field.as_str(),
                "name" | "namespace" | "labels" | "annotations" | "finalizers"
            )
        });
    }
    object
}

/// Turns the API server's way to name a field into that of this program.
fn plain(field: &str) -> String {
    field.replace("[name=\"", ".").replace("\"]", "")
}

/// Names the values of a secret as the API server keeps them, whatever they are.
fn stored(object: &Value) -> Value {
    let mut object = object.clone();
    let texts = object["stringData"].as_object().cloned();
    for (key, value) in texts.into_iter().flatten() {
        object["data"][key] = value;
    }
    object
}

/// Finds what people's tools added to an object where the release says nothing.
fn added(object: &Value, live: &Value) -> Vec<Difference> {
    let entries = live["metadata"]["managedFields"].as_array();
    let mut found = Vec::new();
    for entry in entries.into_iter().flatten() {
        let manager = entry["manager"].as_str().unwrap_or_default();
        let (true, Some(fields), None) = (
            by_hand(manager),
            entry["fieldsV1"].as_object(),
            entry["subresource"].as_str(),
        ) else {
            continue;
        };
        let mut places = Vec::new();
        unknown(fields, "", object, &mut places);
        found.extend(places.into_iter().filter_map(|place| {
            let actual = at_field(live, &place)?;
            Some(Difference {
                field: plain(&place),
                expected: shown(None),
                actual: shown(Some(actual)),
                owner: Some(manager.into()),
            })
        }));
    }
    found
}

/// Collects the outermost fields of a manager that an object does not set.
fn unknown(fields: &Map<String, Value>, start: &str, object: &Value, places: &mut Vec<String>) {
    const KUBECTL_APPLY: &str = "kubectl.kubernetes.io/last-applied-configuration";
    for (key, inner) in fields {
        let (place, item) = match key.split_once(':') {
            Some(("f", name)) if start.is_empty() => (name.to_owned(), false),
            Some(("f", name)) => (format!("{start}.{name}"), false),
            Some(("k", keys)) => (format!("{start}[{}]", named_by(keys)), true),
            Some(("v", value)) => (format!("{start}[={value}]"), true),
            _ => continue,
        };
        let Some(inner) = inner.as_object() else {
            continue;
        };
        let open = matches!(
            place.as_str(),
            "metadata" | "metadata.labels" | "metadata.annotations"
        );
        let whole = item || inner.is_empty() || (inner.contains_key(".") && !open);
        if at_field(object, &place).is_some() || !whole {
            unknown(inner, &place, object, places);
        } else if !place.ends_with(KUBECTL_APPLY) {
            places.push(place);
        }
    }
}

/// Writes the keys of a list's item as the API server names fields: `name="app"`.
fn named_by(keys: &str) -> String {
    let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
    let pairs: Vec<String> = keys
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}

fn summary(findings: &[Finding]) -> String {
    let of = |wanted: fn(&State) -> bool| findings.iter().filter(|one| wanted(&one.state)).count();
    format!(
        "{} changed, {} deleted, {} as they should be, {} not checked",
        of(|state| matches!(state, State::Changed(_))),
        of(|state| matches!(state, State::Deleted)),
        of(|state| matches!(state, State::InSync)),
        of(|state| matches!(state, State::Unchecked(_))),
    )
}

/// Renders drift for a terminal, without a newline at the end.
#[must_use]
pub fn to_text(subject: &str, findings: &[Finding]) -> String {
    let mut text = format!("Drift of {subject}: {}", summary(findings));
    for Finding { object, state } in findings {
        match state {
            State::InSync => {}
            State::Deleted => {
                let _ = write!(text, "\n  - {object}: deleted");
            }
            State::Unchecked(why) => {
                let _ = write!(text, "\n  ? {object}: {why}");
            }
            State::Changed(differences) => {
                for one in differences {
                    let by = one.owner.as_ref().map(|owner| format!(" (by `{owner}`)"));
                    let _ = write!(
                        text,
                        "\n  ~ {object}: {}: {} → {}{}",
                        one.field,
                        one.expected,
                        one.actual,
                        by.unwrap_or_default()
                    );
                }
            }
        }
    }
    text
}

/// Renders drift as Markdown.
#[must_use]
pub fn to_markdown(subject: &str, findings: &[Finding]) -> String {
    let mut text = format!("### Drift of `{subject}`: {}\n", summary(findings));
    if findings.iter().all(|one| one.state == State::InSync) {
        return text;
    }
    text.push_str("\n| object | field | release | live | by |\n|---|---|---|---|---|\n");
    for Finding { object, state } in findings {
        let _ = match state {
            State::InSync => Ok(()),
            State::Deleted => writeln!(text, "| {object} | | there | **deleted** | |"),
            State::Unchecked(why) => {
                writeln!(text, "| {object} | | | not checked: {} | |", cell(why))
            }
            State::Changed(differences) => differences.iter().try_for_each(|one| {
                writeln!(
                    text,
                    "| {object} | {} | {} | {} | {} |",
                    cell(&one.field),
                    cell(&one.expected),
                    cell(&one.actual),
                    one.owner.as_deref().unwrap_or_default()
                )
            }),
        };
    }
    text
}

/// Keeps a value inside one cell of a table.
fn cell(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace(['\n', '\r'], " ")
}
