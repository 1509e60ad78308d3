//! One writer at a time: a Lease in a namespace.
//!
//! Whether a holder is alive is told from the lease changing while it is watched, never from
//! comparing two machines' clocks: a lease that nobody renews for its own duration is taken over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::connect::{Cluster, FIELD_MANAGER};
use crate::error::ClusterError;

const DURATION: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// A lease that this run holds; it is renewed until it is released or dropped. A dropped one ends
/// by itself within seconds.
#[derive(Debug)]
pub struct Lease {
    api: Api<LeaseObject>,
    name: String,
    holder: String,
    /// The annotations as they were when the lease was taken: a place for a few words that the
    /// next holder should know.
    pub annotations: BTreeMap<String, String>,
    renewal: JoinHandle<()>,
}

impl Lease {
    /// Takes a lease for `holder`. One that another run holds and renews is refused at once as
    /// [`ClusterError::Held`]; one that is not renewed is taken over after its duration.
    pub async fn acquire(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        holder: &str,
    ) -> Result<Self, ClusterError> {
        let api: Api<LeaseObject> = Api::namespaced(cluster.client(), namespace);
        let mut seen: Option<(Option<MicroTime>, Instant)> = None;
        loop {
            let doing = || format!("take the lease `{namespace}/{name}`");
            let found = api.get_opt(name).await;
            let found = found.map_err(|error| ClusterError::of(doing(), error))?;
            let spec = found
                .as_ref()
                .and_then(|lease| lease.spec.clone())
                .unwrap_or_default();
            let other = spec
                .holder_identity
                .filter(|other| !other.is_empty() && other != holder);
            if let Some(other) = other {
                let renewed = spec.renew_time;
                let patience = spec
                    .lease_duration_seconds
                    .and_then(|seconds| u64::try_from(seconds).ok())
                    .map_or(DURATION, Duration::from_secs);
                match &seen {
                    None => {
                        tracing::info!(
                            "lease {name}: held by {other}, looking whether that run is alive"
                        );
                        seen = Some((renewed, Instant::now()));
                    }
                    Some((before, _)) if *before != renewed => {
                        return Err(ClusterError::Held {
                            namespace: namespace.into(),
                            name: name.into(),
                            holder: other,
                        });
                    }
                    Some((_, since)) if since.elapsed() > patience => {
                        tracing::warn!(
                            "lease {name}: {other} did not renew it for {} s, taking over",
                            patience.as_secs()
                        );
                        match Self::take(&api, name, holder, found).await {
                            Ok(lease) => return Ok(lease),
                            Err(error) if is_conflict(&error) => seen = None,
                            Err(error) => return Err(ClusterError::of(doing(), error)),
                        }
                    }
                    Some(_) => {}
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            match Self::take(&api, name, holder, found).await {
                Ok(lease) => return Ok(lease),
                // Somebody was faster: look again.
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(ClusterError::of(doing(), error)),
            }
        }
    }

    async fn take(
        api: &Api<LeaseObject>,
        name: &str,
        holder: &str,
        found: Option<LeaseObject>,
    ) -> Result<Self, kube::Error> {
        let now = MicroTime(Timestamp::now());
        let spec = LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: found
                .as_ref()
                .and_then(|lease| lease.spec.as_ref())
                .map(|spec| spec.lease_transitions.unwrap_or_default() + 1),
            ..LeaseSpec::default()
        };
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        // The resource version that came with `found` makes two takers collide.
        let taken = if let Some(mut lease) = found {
            lease.spec = Some(spec);
            api.replace(name, &parameters, &lease).await?
        } else {
            let lease = LeaseObject {
                metadata: ObjectMeta {
                    name: Some(name.into()),
                    ..ObjectMeta::default()
                },
                spec: Some(spec),
            };
            api.create(&parameters, &lease).await?
        };
        Ok(Self {
            api: api.clone(),
            name: name.into(),
            holder: holder.into(),
            annotations: taken.metadata.annotations.unwrap_or_default(),
            renewal: tokio::spawn(renew(api.clone(), name.to_owned(), holder.to_owned())),
        })
    }

    /// Leaves words for the next holder.
    pub async fn annotate(&mut self, key: &str, value: &str) -> Result<(), ClusterError> {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.api
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map_err(|error| {
                ClusterError::of(format!("annotate the lease `{}`", self.name), error)
            })?;
        self.annotations.insert(key.into(), value.into());
        Ok(())
    }

    /// Deletes the lease, for the end of what it guards.
    pub async fn remove(self) -> Result<(), ClusterError> {
        self.renewal.abort();
        let deleted = self.api.delete(&self.name, &DeleteParams::default()).await;
        deleted.map_err(|error| {
            ClusterError::of(format!("delete the lease `{}`", self.name), error)
        })?;
        Ok(())
    }

    /// Gives the lease back.
    pub async fn release(self) -> Result<(), ClusterError> {
        self.renewal.abort();
        let doing = || format!("release the lease `{}`", self.name);
        let held = self.api.get(&self.name).await;
        let mut held = held.map_err(|error| ClusterError::of(doing(), error))?;
        let spec = held.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(self.holder.as_str()) {
            return Ok(());
        }
        spec.holder_identity = None;
        match self
            .api
            .replace(&self.name, &PostParams::default(), &held)
            .await
        {
            Ok(_) => Ok(()),
            // Whoever changed it in between holds it now.
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(ClusterError::of(doing(), error)),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn renew(api: Api<LeaseObject>, name: String, holder: String) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let patch = json!({"spec": {"renewTime": MicroTime(Timestamp::now())}});
        let patched = api
            .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        match patched {
            Ok(lease) => {
                let now = lease.spec.and_then(|spec| spec.holder_identity);
                if now.as_ref() != Some(&holder) {
                    tracing::warn!("lease {name}: taken over by {}", now.unwrap_or_default());
                    return;
                }
            }
            Err(error) => tracing::debug!("renew the lease {name}: {error}"),
        }
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
