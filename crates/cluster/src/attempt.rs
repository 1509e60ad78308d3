//! Objects that are tried and not applied: what the API server would say to them.

use futures::stream::{StreamExt, TryStreamExt, iter};
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::core::Status;
use kube::core::response::StatusCause;
use serde::Serialize;
use serde_json::Value;

use crate::apply::identity;
use crate::connect::Cluster;
use crate::error::ClusterError;

/// So many objects are tried at the same time.
const AT_ONCE: usize = 8;

/// In whose name objects are tried.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// Where objects without a namespace go.
    pub namespace: &'a str,
    /// Whether fields are taken from other managers.
    pub force: bool,
}

/// What the API server says to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It would be applied, and then look like this.
    Fits(Value),
    /// It sets fields to other values than managers that own them.
    Conflicts(Vec<Conflict>),
    /// It would be refused.
    Refused(Refusal),
    /// Its kind or its namespace is not there yet.
    Early,
    /// The API server does not let it be tried, and says why.
    Untried(String),
}

/// A field that somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The field: `spec.replicas`.
    pub field: String,
    /// The field manager that owns it.
    pub owner: String,
    /// The part of the object that the owner writes (`scale`, `status`), when not the whole.
    pub subresource: Option<String>,
    /// What the field holds.
    pub live: Option<Value>,
    /// What the object would set it to.
    pub wanted: Option<Value>,
}

/// Why an object would be refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// What the API server says.
    pub message: String,
    /// The fields that it names, each with what is wrong with it.
    pub fields: Vec<(String, String)>,
}

impl Cluster {
    /// Tries objects by a server-side dry run, and gives an answer for each in their order.
    pub async fn attempt_all<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Value>,
        trial: Trial<'_>,
    ) -> Result<Vec<Attempt>, ClusterError> {
        iter(objects)
            .map(|object| self.attempt(object, trial))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Tries an object by a server-side dry run.
    pub async fn attempt(&self, object: &Value, trial: Trial<'_>) -> Result<Attempt, ClusterError> {
        let (api_version, kind, name) = identity(object)?;
        let (resource, scope) = match self.resource(&api_version, &kind, &name).await {
            Ok(found) => found,
            Err(ClusterError::UnknownKind { .. }) => return Ok(Attempt::Early),
            Err(error) => return Err(error),
        };
        let own = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        let api = self.api(&resource, &scope, own.unwrap_or(trial.namespace));
        let parameters = PatchParams {
            dry_run: true,
            force: trial.force,
            field_manager: Some(trial.manager.into()),
            field_validation: Some(ValidationDirective::Strict),
        };
        match api.patch(&name, &parameters, &Patch::Apply(object)).await {
            Ok(applied) => Ok(Attempt::Fits(
                serde_json::to_value(applied).unwrap_or_default(),
            )),
            Err(kube::Error::Api(status)) => {
                let mut attempt = answer(&status);
                if let Attempt::Conflicts(conflicts) = &mut attempt {
                    let live = api.get_opt(&name).await;
                    let live = live.map_err(|error| {
                        ClusterError::of(format!("read {kind} `{name}`"), error)
                    })?;
                    let live = serde_json::to_value(live).unwrap_or_default();
                    for conflict in conflicts {
                        conflict.live = at_field(&live, &conflict.field).cloned();
                        conflict.wanted = at_field(object, &conflict.field).cloned();
                    }
                }
                Ok(attempt)
            }
            Err(error) => Err(ClusterError::of(
                format!("try to apply {kind} `{name}`"),
                error,
            )),
        }
    }
}

/// Makes sense of what the API server answers instead of an object.
fn answer(status: &Status) -> Attempt {
    let causes = status
        .details
        .iter()
        .flat_map(|details| details.causes.iter());
    let conflicts: Vec<Conflict> = causes
        .clone()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(conflict)
        .collect();
    if status.code == 409 && !conflicts.is_empty() {
        return Attempt::Conflicts(conflicts);
    }
    let message = status.message.clone();
    let not_allowed = status.code == 403 && message.contains(" cannot patch resource ");
    if not_allowed || status.code == 401 || message.contains("does not support dry run") {
        return Attempt::Untried(message);
    }
    if status.code == 404 {
        return Attempt::Early;
    }
    Attempt::Refused(Refusal {
        code: status.code,
        message,
        fields: causes
            .map(|cause| (cause.field.clone(), cause.message.clone()))
            .collect(),
    })
}

fn conflict(cause: &StatusCause) -> Conflict {
    // `conflict with "kube-controller-manager" with subresource "scale" using apps/v1`
    let mut quoted = cause.message.split('"').skip(1).step_by(2);
    Conflict {
        field: cause.field.trim_start_matches('.').into(),
        owner: quoted.next().unwrap_or_default().into(),
        subresource: quoted
            .next()
            .filter(|_| cause.message.contains("with subresource"))
            .map(String::from),
        live: None,
        wanted: None,
    }
}

/// Finds what an object holds at a field, as the API server writes the names of fields:
/// `spec.template.spec.containers[name="app"].image`.
#[must_use]
pub fn at_field<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    if field.is_empty() {
        return Some(object);
    }
    let Some(item) = field.strip_prefix('[') else {
        let field = field.trim_start_matches('.');
        // A key may hold dots itself, so the text alone does not say where it ends.
        return object.as_object()?.iter().find_map(|(key, value)| {
            let rest = field.strip_prefix(key.as_str())?;
            let ends = rest.is_empty() || rest.starts_with(['.', '[']);
            ends.then(|| at_field(value, rest))?
        });
    };
    let (item, rest) = item.split_once(']')?;
    let list = object.as_array()?;
    let same = |value: Option<&Value>, text: &str| {
        serde_json::from_str::<Value>(text).is_ok_and(|text| value == Some(&text))
    };
    let found = match (item.parse::<usize>(), item.strip_prefix('=')) {
        (Ok(index), _) => list.get(index),
        (_, Some(text)) => list.iter().find(|value| same(Some(value), text)),
        _ => list.iter().find(|value| {
            item.split(',').all(|pair| {
                let (key, text) = pair.split_once('=').unwrap_or((pair, ""));
                same(value.get(key), text)
            })
        }),
    };
    at_field(found?, rest)
}
