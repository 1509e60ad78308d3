//! Server-side apply of manifests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams,
};
use kube::core::discovery::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::connect::{Cluster, FIELD_MANAGER};
use crate::error::ClusterError;

const CRD_PATIENCE: Duration = Duration::from_secs(30);

/// An object that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its kind.
    pub kind: String,
    /// Its namespace, where it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// Parses YAML documents into objects; empty documents are left out and lists are taken apart.
/// `what` names their origin in messages.
pub fn parse_manifests(text: &str, what: &str) -> Result<Vec<Value>, ClusterError> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = Value::deserialize(document).map_err(|source| ClusterError::NotYaml {
            what: what.into(),
            source,
        })?;
        if value.is_null() {
            continue;
        }
        let kind = string(&value, "/kind").ok_or_else(|| no_object(what, "kind"))?;
        match value.get("items").and_then(Value::as_array) {
            Some(items) if kind.ends_with("List") => objects.extend(items.iter().cloned()),
            _ => objects.push(value),
        }
    }
    Ok(objects)
}

impl Cluster {
    /// Applies objects in their order, those without a namespace into `namespace`. Definitions of
    /// custom resources are waited for, so that objects of their kinds may follow.
    pub async fn apply(
        &self,
        objects: &[Value],
        namespace: &str,
    ) -> Result<Vec<Applied>, ClusterError> {
        self.apply_as(FIELD_MANAGER, objects, namespace).await
    }

    /// Applies objects in the name of another field manager, as [`apply`](Self::apply) does: what
    /// that manager applied before and is not in them is taken away.
    pub async fn apply_as(
        &self,
        manager: &str,
        objects: &[Value],
        namespace: &str,
    ) -> Result<Vec<Applied>, ClusterError> {
        let mut kinds = BTreeMap::new();
        let mut applied = Vec::new();
        for object in objects {
            let one = self.apply_one(manager, object, namespace, &mut kinds);
            applied.push(one.await?);
        }
        Ok(applied)
    }

    async fn apply_one(
        &self,
        manager: &str,
        object: &Value,
        namespace: &str,
        kinds: &mut BTreeMap<(String, String), (ApiResource, Scope)>,
    ) -> Result<Applied, ClusterError> {
        let (api_version, kind, name) = identity(object)?;
        let key = (api_version.clone(), kind.clone());
        let (resource, scope) = if let Some(known) = kinds.get(&key) {
            known.clone()
        } else {
            let found = self.resource(&api_version, &kind, &name).await?;
            kinds.insert(key, found.clone());
            found
        };
        let own = string(object, "/metadata/namespace");
        let namespace = match scope {
            Scope::Namespaced => Some(own.unwrap_or_else(|| namespace.into())),
            Scope::Cluster => None,
        };
        let api: Api<DynamicObject> = match &namespace {
            Some(namespace) => Api::namespaced_with(self.client(), namespace, &resource),
            None => Api::all_with(self.client(), &resource),
        };
        let parameters = PatchParams::apply(manager).force();
        api.patch(&name, &parameters, &Patch::Apply(object))
            .await
            .map_err(|error| ClusterError::of(format!("apply {kind} `{name}`"), error))?;
        if kind == "CustomResourceDefinition" {
            self.wait_until_served(&api, &name).await?;
            kinds.clear();
        }
        Ok(Applied {
            kind,
            namespace,
            name,
        })
    }

    /// Reads an object; `None` when it, or its kind, is not there.
    pub async fn get(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, ClusterError> {
        let (resource, scope) = match self.resource(api_version, kind, name).await {
            Ok(found) => found,
            Err(ClusterError::UnknownKind { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = self.api(&resource, &scope, namespace).get_opt(name).await;
        let found =
            found.map_err(|error| ClusterError::of(format!("read {kind} `{name}`"), error))?;
        Ok(found.and_then(|object| serde_json::to_value(object).ok()))
    }

    /// Says what an object would be after it was applied, and changes nothing.
    pub async fn dry_run(&self, object: &Value, namespace: &str) -> Result<Value, ClusterError> {
        let (api_version, kind, name) = identity(object)?;
        let (resource, scope) = self.resource(&api_version, &kind, &name).await?;
        let parameters = PatchParams::apply(FIELD_MANAGER).force().dry_run();
        let api = self.api(&resource, &scope, namespace);
        let applied = api.patch(&name, &parameters, &Patch::Apply(object)).await;
        let applied = applied
            .map_err(|error| ClusterError::of(format!("try to apply {kind} `{name}`"), error))?;
        Ok(serde_json::to_value(applied).unwrap_or_default())
    }

    /// Deletes an object and what belongs to it, in the background; one that is not there is
    /// no error.
    pub async fn delete(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<(), ClusterError> {
        let (resource, scope) = self.resource(api_version, kind, name).await?;
        let api = self.api(&resource, &scope, namespace);
        match api.delete(name, &DeleteParams::background()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(ClusterError::of(format!("delete {kind} `{name}`"), error)),
        }
    }

    pub(crate) fn api(
        &self,
        resource: &ApiResource,
        scope: &Scope,
        namespace: &str,
    ) -> Api<DynamicObject> {
        match scope {
            Scope::Namespaced => Api::namespaced_with(self.client(), namespace, resource),
            Scope::Cluster => Api::all_with(self.client(), resource),
        }
    }

    /// Looks a kind up: how the API server calls it, and whether it lives in namespaces.
    pub async fn resource(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
    ) -> Result<(ApiResource, Scope), ClusterError> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind_of = GroupVersionKind::gvk(group, version, kind);
        match kube::discovery::pinned_kind(&self.client(), &kind_of).await {
            Ok((resource, capabilities)) => Ok((resource, capabilities.scope)),
            Err(kube::Error::Api(status)) if status.code != 404 => Err(ClusterError::of(
                format!("look up kind `{kind}`"),
                kube::Error::Api(status),
            )),
            Err(kube::Error::Api(_) | kube::Error::Discovery(_)) => {
                Err(ClusterError::UnknownKind {
                    kind: kind.into(),
                    api_version: api_version.into(),
                    name: name.into(),
                })
            }
            Err(error) => Err(ClusterError::of(format!("look up kind `{kind}`"), error)),
        }
    }

    async fn wait_until_served(
        &self,
        definitions: &Api<DynamicObject>,
        name: &str,
    ) -> Result<(), ClusterError> {
        let started = Instant::now();
        loop {
            let found = definitions.get(name).await;
            let found =
                found.map_err(|error| ClusterError::of(format!("read the CRD `{name}`"), error))?;
            let conditions = found
                .data
                .pointer("/status/conditions")
                .and_then(Value::as_array);
            let established = conditions.into_iter().flatten().any(|condition| {
                condition["type"] == "Established" && condition["status"] == "True"
            });
            if established {
                return Ok(());
            }
            if started.elapsed() > CRD_PATIENCE {
                return Err(ClusterError::CrdNotServed {
                    name: name.into(),
                    after: CRD_PATIENCE,
                });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Gives an object's API version, kind and name.
pub(crate) fn identity(object: &Value) -> Result<(String, String, String), ClusterError> {
    let kind = string(object, "/kind").ok_or_else(|| no_object("a manifest", "kind"))?;
    let api_version =
        string(object, "/apiVersion").ok_or_else(|| no_object("a manifest", "apiVersion"))?;
    let name =
        string(object, "/metadata/name").ok_or_else(|| no_object("a manifest", "metadata.name"))?;
    Ok((api_version, kind, name))
}

fn string(object: &Value, pointer: &str) -> Option<String> {
    object.pointer(pointer)?.as_str().map(String::from)
}

fn no_object(what: &str, missing: &'static str) -> ClusterError {
    ClusterError::NoObject {
        what: what.into(),
        missing,
    }
}
