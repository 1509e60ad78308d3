//! Objects of a release: which is which, what differs between two, and what must not be shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cluster::{ClusterError, parse_manifests};
use serde_json::{Map, Value, json};
use similar::TextDiff;

const MASK: &str = "***";

/// What names an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    /// Group and version.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace that the manifest names, if any.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The objects of a release.
pub type Objects = BTreeMap<ObjectId, Value>;

/// Reads the objects of a manifest.
pub fn objects(manifest: &str, what: &str) -> Result<Objects, ClusterError> {
    let objects = parse_manifests(manifest, what)?;
    Ok(objects
        .into_iter()
        .map(|object| (id(&object), object))
        .collect())
}

fn id(object: &Value) -> ObjectId {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(String::from)
    };
    ObjectId {
        api_version: text("/apiVersion").unwrap_or_default(),
        kind: text("/kind").unwrap_or_default(),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name").unwrap_or_default(),
    }
}

/// Says whether uninstalling leaves an object in the cluster.
#[must_use]
pub(crate) fn is_kept(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    let policy = annotations.and_then(|annotations| annotations.get("helm.sh/resource-policy"));
    policy.and_then(Value::as_str) == Some("keep")
}

/// Gives the fields that differ, as paths: `spec.template.spec.containers.app.image`.
#[must_use]
pub fn changed_fields(before: &Value, after: &Value) -> Vec<String> {
    let changes = field_changes(before, after);
    changes.into_iter().map(|(field, ..)| field).collect()
}

/// Gives the fields that differ, each with both values; `null` where there is none.
#[must_use]
pub(crate) fn field_changes(before: &Value, after: &Value) -> Vec<(String, Value, Value)> {
    let mut changes = Vec::new();
    compare(before, after, String::new(), &mut changes);
    changes
}

fn compare(before: &Value, after: &Value, path: String, changes: &mut Vec<(String, Value, Value)>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let place = if path.is_empty() {
                    key.clone()
                } else if key.contains('.') {
                    format!("{path}[{key}]")
                } else {
                    format!("{path}.{key}")
                };
                let (old, new) = (before.get(key), after.get(key));
                compare(
                    old.unwrap_or(&Value::Null),
                    new.unwrap_or(&Value::Null),
                    place,
                    changes,
                );
            }
        }
        (Value::Array(old), Value::Array(new)) => match (named(old), named(new)) {
            (Some(old), Some(new)) => compare(&old, &new, path, changes),
            _ => changes.push((path, before.clone(), after.clone())),
        },
        _ => changes.push((path, before.clone(), after.clone())),
    }
}

/// Gives the group and the kind of what a CRD defines.
#[must_use]
pub(crate) fn defines(definition: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &definition["spec"];
    (text(&spec["group"]), text(&spec["names"]["kind"]))
}

/// Names the versions and fields that a CRD knew and will not know any more.
#[must_use]
pub(crate) fn dropped(before: &Value, after: &Value) -> Vec<String> {
    let after = known(after);
    let mut dropped: Vec<String> = Vec::new();
    // In this order what holds a field comes before the field.
    for place in known(before) {
        let inside = |outer: &String| {
            place
                .strip_prefix(outer.as_str())
                .is_some_and(|rest| rest.starts_with(['.', ' ']))
        };
        if !after.contains(&place) && !dropped.iter().any(inside) {
            dropped.push(place);
        }
    }
    dropped
}

/// Gives the versions that a CRD serves, and their fields.
fn known(definition: &Value) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    let versions = definition["spec"]["versions"].as_array();
    for version in versions.into_iter().flatten() {
        let name = version["name"].as_str().unwrap_or_default();
        if version["served"] == true {
            places.insert(name.to_owned());
            fields_of(
                &version["schema"]["openAPIV3Schema"],
                &format!("{name} "),
                &mut places,
            );
        }
    }
    places
}

fn fields_of(schema: &Value, start: &str, places: &mut BTreeSet<String>) {
    let items = &schema["items"];
    if !items.is_null() {
        fields_of(items, start, places);
    }
    for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{start}{field}");
        fields_of(inner, &format!("{place}."), places);
        places.insert(place);
    }
}

/// Turns a list whose items have names into an object, so that its items are compared by name.
fn named(list: &[Value]) -> Option<Value> {
    let mut items = Map::new();
    for item in list {
        let name = item.get("name")?.as_str()?;
        items.insert(name.to_owned(), item.clone());
    }
    (items.len() == list.len()).then_some(Value::Object(items))
}

/// Renders the difference between two states of an object as lines; values of secrets are masked.
#[must_use]
pub fn difference(before: Option<&Value>, after: Option<&Value>) -> String {
    let (before, after) = masked(before, after);
    // Read as YAML first: a number of `serde_json` may be written as a structure.
    let text = |object: &Option<Value>| {
        let read = |object: &Value| serde_yaml::from_str::<serde_yaml::Value>(&object.to_string());
        object
            .as_ref()
            .and_then(|object| serde_yaml::to_string(&read(object).ok()?).ok())
            .unwrap_or_default()
    };
    let (before, after) = (text(&before), text(&after));
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    let mut unified = diff.unified_diff();
    unified.context_radius(3);
    let hunks: Vec<String> = unified.iter_hunks().map(|hunk| hunk.to_string()).collect();
    hunks.concat()
}

/// Masks the values of secrets, so that one which differs still shows that it does.
fn masked(before: Option<&Value>, after: Option<&Value>) -> (Option<Value>, Option<Value>) {
    let mut before = before.cloned();
    let mut after = after.cloned();
    for field in ["data", "stringData"] {
        let old = secret_values(before.as_ref(), field);
        let new = secret_values(after.as_ref(), field);
        for (key, value) in &old {
            let same = new.get(key) == Some(value);
            mask(
                before.as_mut(),
                field,
                key,
                if same { MASK } else { "*** (before)" },
            );
            if new.contains_key(key) {
                mask(
                    after.as_mut(),
                    field,
                    key,
                    if same { MASK } else { "*** (after)" },
                );
            }
        }
        for key in new.keys().filter(|key| !old.contains_key(*key)) {
            mask(after.as_mut(), field, key, MASK);
        }
    }
    (before, after)
}

fn secret_values(object: Option<&Value>, field: &str) -> Map<String, Value> {
    object
        .filter(|object| object["kind"] == "Secret")
        .and_then(|object| object.get(field)?.as_object().cloned())
        .unwrap_or_default()
}

fn mask(object: Option<&mut Value>, field: &str, key: &str, text: &str) {
    if let Some(value) = object.and_then(|object| object.get_mut(field)?.get_mut(key)) {
        *value = json!(text);
    }
}
