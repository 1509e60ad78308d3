//! A CloudFormation template, read for what refers to what.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

/// The functions that are understood; of others only the arguments count.
const FUNCTIONS: [&str; 9] = [
    "And",
    "Condition",
    "Equals",
    "GetAtt",
    "If",
    "Not",
    "Or",
    "Ref",
    "Sub",
];

/// A template with the defaults of its parameters.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Template {
    /// The layer: the name of the file.
    #[serde(skip)]
    pub(super) name: String,
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    #[serde(default)]
    conditions: BTreeMap<String, Value>,
    resources: Mapping,
    #[serde(default)]
    outputs: BTreeMap<String, Output>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    default: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    value: Value,
}

/// A resource, as far as a diagram shows it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Resource {
    #[serde(skip)]
    pub(super) name: String,
    pub(super) r#type: String,
    pub(super) condition: Option<String>,
    #[serde(default)]
    pub(super) properties: Mapping,
}

impl Template {
    /// Reads a template.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self> {
        let template: Self =
            serde_yaml::from_str(text).with_context(|| format!("read the template `{name}`"))?;
        Ok(Self {
            name: name.into(),
            ..template
        })
    }

    /// Gives the resources, in the order of the file.
    pub(super) fn resources(&self) -> Result<Vec<Resource>> {
        self.resources
            .iter()
            .map(|(name, value)| {
                let name = name.as_str().unwrap_or_default().to_owned();
                let resource: Resource = serde_yaml::from_value(value.clone())
                    .with_context(|| format!("read the resource `{name}` of `{}`", self.name))?;
                Ok(Resource { name, ..resource })
            })
            .collect()
    }

    /// Gives the names that an output refers to.
    pub(super) fn output(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(output) = self.outputs.get(name) {
            self.collect(&output.value, &mut found);
        }
        found
    }

    /// Gives the names that properties refer to: of resources and of parameters.
    pub(super) fn references(&self, properties: &Mapping) -> Vec<String> {
        let mut found = Vec::new();
        for value in properties.values() {
            self.collect(value, &mut found);
        }
        found
    }

    fn collect(&self, value: &Value, found: &mut Vec<String>) {
        match (intrinsic(value), value) {
            (Some(("Ref", Value::String(name))), _) => found.push(name.clone()),
            (Some(("GetAtt", attribute)), _) => found.extend(owner(attribute)),
            (Some(("Sub", text)), _) => {
                let template = text.get(0).unwrap_or(text).as_str().unwrap_or_default();
                found.extend(placeholders(template));
                if let Some(values) = text.get(1) {
                    self.collect(values, found);
                }
            }
            (Some(("If", choice)), _) => {
                let condition = choice.get(0).and_then(Value::as_str).unwrap_or_default();
                let holds = self.holds(condition);
                for (index, when) in [(1, true), (2, false)] {
                    if let Some(branch) = choice.get(index).filter(|_| holds != Some(!when)) {
                        self.collect(branch, found);
                    }
                }
            }
            (Some((_, inner)), _) => self.collect(inner, found),
            (None, Value::Sequence(items)) => {
                for item in items {
                    self.collect(item, found);
                }
            }
            (None, Value::Mapping(map)) => {
                for item in map.values() {
                    self.collect(item, found);
                }
            }
            _ => {}
        }
    }

    /// Says whether a condition holds when every parameter has its default; `None` when that
    /// depends on one without.
    pub(super) fn holds(&self, condition: &str) -> Option<bool> {
        self.truth(self.conditions.get(condition)?)
    }

    fn truth(&self, value: &Value) -> Option<bool> {
        let (function, arguments) = intrinsic(value)?;
        let mut inner = arguments.as_sequence().into_iter().flatten();
        match function {
            "Condition" => self.holds(arguments.as_str()?),
            "Not" => Some(!self.truth(inner.next()?)?),
            "Equals" => Some(self.text(inner.next()?)? == self.text(inner.next()?)?),
            "And" => inner.try_fold(true, |all, one| Some(all & self.truth(one)?)),
            "Or" => inner.try_fold(false, |any, one| Some(any | self.truth(one)?)),
            _ => None,
        }
    }

    /// Gives a value as text when it is known: a literal, or a parameter's default.
    pub(super) fn text(&self, value: &Value) -> Option<String> {
        match (intrinsic(value), value) {
            (Some(("Ref", Value::String(name))), _) => {
                self.text(self.parameters.get(name)?.default.as_ref()?)
            }
            (None, Value::String(text)) => Some(text.clone()),
            (None, Value::Bool(value)) => Some(value.to_string()),
            (None, Value::Number(value)) => Some(value.to_string()),
            _ => None,
        }
    }
}

/// Takes a function apart, in the short form (`!Ref`) or the long one (`Ref:`, `Fn::Sub:`).
fn intrinsic(value: &Value) -> Option<(&'static str, &Value)> {
    let (written, inner) = match value {
        Value::Tagged(tagged) => (tagged.tag.to_string(), &tagged.value),
        Value::Mapping(map) if map.len() == 1 => {
            let (key, inner) = map.iter().next()?;
            let key = key.as_str()?;
            let function = key.starts_with("Fn::") || ["Condition", "Ref"].contains(&key);
            (function.then(|| key.replace("Fn::", "!"))?, inner)
        }
        _ => return None,
    };
    let name = written.trim_start_matches('!');
    let known = FUNCTIONS.into_iter().find(|function| *function == name);
    Some((known.unwrap_or("another"), inner))
}

/// Gives the resource of an attribute, `Name.Attribute` or `[Name, Attribute]`.
fn owner(attribute: &Value) -> Option<String> {
    let text = attribute.get(0).unwrap_or(attribute).as_str()?;
    text.split('.').next().map(String::from)
}

/// Gives the names in the `${…}` of a text.
fn placeholders(text: &str) -> Vec<String> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.split('.').next().unwrap_or(name).to_owned())
        .filter(|name| !name.starts_with('!'))
        .collect()
}
