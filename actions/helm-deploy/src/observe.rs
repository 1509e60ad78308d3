//! What is there: the release, its objects, the chart's CRDs, and what the chart would give.

use std::collections::BTreeSet;

use cluster::{Cluster, ClusterError, Trial, parse_manifests};
use serde_json::{Value, json};

use crate::error::DeployError;
use crate::helm::{Helm, Rendering, Wanted};
use crate::manifest::{self, ObjectId, Objects};
use crate::plan::{Definition, Live, Observed, Repair};
use crate::session::Session;

/// The name under which Helm owns fields.
pub(crate) const HELM: &str = "helm";

/// Reads everything that the plan of an installation or upgrade is made from. What is `early` has
/// kinds that other releases bring: nobody can check its objects yet.
pub(crate) async fn observe(
    session: &Session,
    wanted: &Wanted,
    early: bool,
) -> Result<Observed, DeployError> {
    let (cluster, helm) = (session.cluster(), &session.helm);
    let namespace = session.namespace.as_str();
    let mut observed = Observed::default();
    let (namespace_exists, definitions, ()) = tokio::try_join!(
        async { Ok(cluster.has_namespace(namespace).await?) },
        definitions(helm, wanted),
        release(helm, &mut observed)
    )?;
    observed.namespace_exists = namespace_exists;
    observed.crds = missing_crds(cluster, &definitions).await?;
    let how = if early || !observed.crds.is_empty() {
        Rendering::Unchecked
    } else if observed.is_busy() {
        Rendering::BesidePending
    } else {
        Rendering::Checked
    };
    let rendered = helm.render(wanted, how).await?;
    observed.wanted = manifest::objects(&rendered.manifest, "the rendered chart")?;
    observed.hooks = manifest::objects(&rendered.hooks(), "the rendered hooks")?;
    observed.values = values(rendered.config);
    if let Some(live) = &observed.live {
        observed.missing = missing(cluster, &live.objects, namespace).await?;
    }
    Ok(observed)
}

/// Reads what Helm keeps of the release.
pub(crate) async fn release(helm: &Helm, observed: &mut Observed) -> Result<(), DeployError> {
    observed.revisions = helm.history().await?;
    if let Some(revision) = observed.deployed() {
        let kept = helm.get(revision).await?;
        observed.client_side = kept.apply_method != "ssa";
        observed.live = Some(Live {
            revision,
            objects: manifest::objects(&kept.manifest, "the deployed release")?,
            hooks: manifest::objects(&kept.hooks(), "the deployed hooks")?,
            values: values(kept.config),
        });
    }
    if let Some(last) = observed.revisions.last()
        && last.status.starts_with("pending-")
    {
        let kept = helm.get(last.revision).await?;
        observed.pending = Some(manifest::objects(&kept.manifest, "the pending release")?);
    }
    Ok(())
}

/// Tries everything that would be applied, in Helm's name. What a run that was killed left
/// half-installed is taken out first, so nothing can be said about what comes after it.
pub(crate) async fn attempts(
    cluster: &Cluster,
    observed: &mut Observed,
    namespace: &str,
) -> Result<(), ClusterError> {
    if !observed.namespace_exists || matches!(observed.repair(), Some(Repair::Uninstall(_))) {
        return Ok(());
    }
    let trial = Trial {
        manager: HELM,
        namespace,
        // Helm's own patches ask nobody who owns a field.
        force: observed.client_side,
    };
    let redefined = redefined(observed);
    let asked = observed.wanted.iter().filter(|(id, _)| {
        let group = id
            .api_version
            .split_once('/')
            .map_or("", |(group, _)| group);
        !redefined.contains(&(group.to_owned(), id.kind.clone()))
    });
    let (ids, objects): (Vec<&ObjectId>, Vec<&Value>) = asked.unzip();
    let attempts = cluster.attempt_all(objects, trial).await?;
    observed.attempts = ids.into_iter().cloned().zip(attempts).collect();
    Ok(())
}

/// Gives the kinds whose definitions come with the release and change: what the API server says
/// to their objects now, it need not say then.
fn redefined(observed: &Observed) -> BTreeSet<(String, String)> {
    let live = |id: &ObjectId| observed.live.as_ref().and_then(|live| live.objects.get(id));
    let rendered = observed
        .wanted
        .iter()
        .filter(|(id, object)| id.kind == "CustomResourceDefinition" && live(id) != Some(*object))
        .map(|(_, object)| manifest::defines(object));
    let applied = observed.crds.iter().map(|one| one.defines.clone());
    rendered.chain(applied).collect()
}

/// Reads the CRDs that the chart brings, for applying them.
pub(crate) async fn definitions(helm: &Helm, wanted: &Wanted) -> Result<Vec<Value>, DeployError> {
    Ok(parse_manifests(
        &helm.crds(wanted).await?,
        "the chart's CRDs",
    )?)
}

fn values(config: Option<Value>) -> Value {
    config
        .filter(|config| !config.is_null())
        .unwrap_or_else(|| json!({}))
}

async fn missing_crds(
    cluster: &Cluster,
    definitions: &[Value],
) -> Result<Vec<Definition>, ClusterError> {
    let mut missing = Vec::new();
    for definition in definitions {
        let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").unwrap_or_default();
        let api_version = text("/apiVersion").unwrap_or_default();
        let kind = text("/kind").unwrap_or_default();
        match cluster.get(api_version, kind, "", name).await? {
            None => missing.push(Definition {
                name: name.into(),
                defines: manifest::defines(definition),
                ..Definition::default()
            }),
            Some(there) => {
                let after = cluster.dry_run(definition, "").await?;
                if there.get("spec") != after.get("spec") {
                    missing.push(Definition {
                        name: name.into(),
                        defines: manifest::defines(definition),
                        exists: true,
                        dropped: manifest::dropped(&there, &after),
                    });
                }
            }
        }
    }
    Ok(missing)
}

async fn missing(
    cluster: &Cluster,
    objects: &Objects,
    namespace: &str,
) -> Result<BTreeSet<ObjectId>, ClusterError> {
    let mut missing = BTreeSet::new();
    for id in objects.keys() {
        let namespace = id.namespace.as_deref().unwrap_or(namespace);
        let found = cluster
            .get(&id.api_version, &id.kind, namespace, &id.name)
            .await?;
        if found.is_none() {
            missing.insert(id.clone());
        }
    }
    Ok(missing)
}
