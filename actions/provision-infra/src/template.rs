//! A CloudFormation template: text for the service, and the few facts that planning needs.

use std::collections::BTreeMap;

use plan::Digest;
use serde::Deserialize;
use serde_yaml::Value;

use crate::stack::Resource;

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    /// The text.
    pub body: String,
    /// The parameters, and whether each has a default.
    pub parameters: BTreeMap<String, bool>,
    /// The parameters' defaults.
    pub defaults: BTreeMap<String, Value>,
    /// The resources, by name.
    pub resources: Vec<Resource>,
    /// The resources' properties as they are written, by the resource's name.
    pub properties: BTreeMap<String, Value>,
    /// The conditions as they are written.
    pub conditions: BTreeMap<String, Value>,
    /// The condition that a resource is there under, by the resource's name.
    pub conditional: BTreeMap<String, String>,
    /// The names of the outputs.
    pub outputs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(default)]
    parameters: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(default)]
    conditions: BTreeMap<String, Value>,
    #[serde(default)]
    resources: BTreeMap<String, ResourceFacts>,
    #[serde(default)]
    outputs: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceFacts {
    r#type: String,
    condition: Option<String>,
    deletion_policy: Option<String>,
    #[serde(default)]
    properties: Value,
}

impl Template {
    /// Reads a template.
    pub fn parse(body: impl Into<String>) -> Result<Self, serde_yaml::Error> {
        let body = body.into();
        let document: Document = serde_yaml::from_str(&body)?;
        let defaults: BTreeMap<String, Value> = document
            .parameters
            .iter()
            .filter_map(|(name, parameter)| Some((name.clone(), parameter.get("Default")?.clone())))
            .collect();
        let (properties, conditional) = (document.resources.iter(), document.resources.iter());
        Ok(Self {
            parameters: document
                .parameters
                .keys()
                .map(|name| (name.clone(), defaults.contains_key(name)))
                .collect(),
            defaults,
            properties: properties
                .map(|(logical_id, facts)| (logical_id.clone(), facts.properties.clone()))
                .collect(),
            conditions: document.conditions,
            conditional: conditional
                .filter_map(|(logical_id, facts)| {
                    Some((logical_id.clone(), facts.condition.clone()?))
                })
                .collect(),
            resources: document
                .resources
                .into_iter()
                .map(|(logical_id, facts)| Resource {
                    physical_id: String::new(),
                    logical_id,
                    kind: facts.r#type,
                    deletion_policy: facts.deletion_policy.unwrap_or_else(|| "Delete".into()),
                })
                .collect(),
            outputs: document.outputs.into_keys().collect(),
            body,
        })
    }

    /// Gives the digest of the text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.body)
    }

    /// Says what becomes of a resource when the stack is deleted.
    #[must_use]
    pub fn deletion_policy(&self, logical_id: &str) -> Option<&str> {
        self.resources
            .iter()
            .find(|resource| resource.logical_id == logical_id)
            .map(|resource| resource.deletion_policy.as_str())
    }
}
