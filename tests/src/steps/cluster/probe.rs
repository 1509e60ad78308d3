//! A pod in every zone, from an image that its node has to pull: registry, mirrors, network and
//! names work before anything is deployed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use oci_image::{Draft, Entries, Platform};
use oci_registry::{Access, Blobs, Registry, Source as Bytes, reference};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::components::layers;
use crate::context::{Context, Source};
use crate::steps::registry;
use crate::tools::{hex, key};

/// The job, and its pods' label.
const NAME: &str = "e2e-probe";
/// Upstream's image, where a container registry answers.
const UPSTREAM: &str = "docker.io/library/busybox:1.37";
/// The same program from Debian's package, where only package registries answer.
const OURS: &str = "library/busybox:e2e";
const BUSYBOX: &str = "/bin/busybox";
/// What a pod asks for: a name that only the cluster knows.
const QUESTION: &str = "nslookup kubernetes.default.svc.cluster.local";

/// Runs the pods; gives the digest that each zone pulled.
pub fn run(cx: &Context) -> Result<BTreeMap<String, String>> {
    let (image, digest) = match cx.source()? {
        Source::Packages => {
            let digest = publish(cx)?;
            (format!("docker.io/{OURS}"), Some(digest))
        }
        Source::Upstream => (UPSTREAM.to_owned(), None),
    };
    remove(cx)?;
    cx.apply(NAME, &job(&image).to_string())?;
    let wait = [
        "wait",
        "--for=condition=complete",
        "--timeout=90s",
        "job",
        NAME,
    ];
    if let Err(error) = cx.run(&cx.kubectl()?.args(wait)) {
        // The pods' events name the cause; the log keeps them.
        let _ = cx.run(
            &cx.kubectl()?
                .args(["describe", "pods", "--selector", &selector()]),
        );
        return Err(error.context(format!(
            "no pod in each zone that pulls `{image}` and runs `{QUESTION}`"
        )));
    }
    let zones = super::zones(cx)?;
    let pods = cx.get(&["pods", "--selector", &selector()])?;
    let pulled = pulled(&pods, &zones);
    remove(cx)?;
    if pulled.len() != zones.len() {
        bail!(
            "the probe ran in {} of {} zones: {pulled:?}",
            pulled.len(),
            zones.len()
        );
    }
    if let Some(digest) = digest
        && let Some((zone, other)) = pulled.iter().find(|(_, found)| !found.ends_with(&digest))
    {
        bail!("zone {zone} pulled `{other}`, not `{digest}`: its mirror leads elsewhere");
    }
    Ok(pulled)
}

/// Pushes the image under its upstream name; gives its digest.
fn publish(cx: &Context) -> Result<String> {
    let bytes = fs_err::read(BUSYBOX).context("Debian's package `busybox-static`")?;
    let key = key(&BTreeMap::from([(
        "program".to_owned(),
        hex(&Sha256::digest(&bytes)).into_bytes(),
    )]));
    let (layer, path) = layers::cached(cx, "busybox", &key, |writer| {
        let mut entries = Entries::new();
        entries.file(BUSYBOX, 0o755, bytes)?;
        for name in ["sh", "nslookup"] {
            entries.link(&format!("/bin/{name}"), "busybox")?;
        }
        writer.append(entries)?;
        Ok(())
    })?;
    let mut blobs = Blobs::new();
    blobs.insert(layer.digest.clone(), Bytes::File(path));
    let image = Draft::from_scratch(Platform::linux_amd64())
        .layer(layer, "busybox")
        .env("PATH", "/bin")
        .command(["sh"])
        .user("65532:65532")
        .finish();
    let address = registry::address(cx);
    let registry = Registry::connect(Access::default().plain_http([address.clone()]))?;
    cx.block_on(registry.push(&image, &blobs, &reference(&format!("{address}/{OURS}"))?))?;
    Ok(image.digest().to_string())
}

fn selector() -> String {
    format!("job-name={NAME}")
}

fn remove(cx: &Context) -> Result<()> {
    let delete = [
        "delete",
        "job",
        NAME,
        "--ignore-not-found",
        "--cascade=foreground",
        "--timeout=60s",
    ];
    cx.run(&cx.kubectl()?.args(delete)).map(|_| ())
}

fn job(image: &str) -> Value {
    let spread = json!({
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": { "matchLabels": { "job-name": NAME } },
    });
    let container = json!({
        "name": "probe",
        "image": image,
        "imagePullPolicy": "Always",
        "command": ["sh", "-c", QUESTION],
        "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "allowPrivilegeEscalation": false },
    });
    let pod = json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "topologySpreadConstraints": [spread],
        "containers": [container],
    });
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": NAME, "namespace": "default" },
        "spec": { "parallelism": 3, "completions": 3, "backoffLimit": 6, "template": { "spec": pod } },
    })
}

/// Gives what the pods that ended well ran, by zone.
fn pulled(pods: &Value, zones: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, String> {
    let mut pulled = BTreeMap::new();
    for pod in pods["items"].as_array().into_iter().flatten() {
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        let zone = zones
            .iter()
            .find(|(_, nodes)| nodes.iter().any(|name| name == node));
        let image = pod["status"]["containerStatuses"][0]["imageID"].as_str();
        if let (Some((zone, _)), Some(image), "Succeeded") = (
            zone,
            image,
            pod["status"]["phase"].as_str().unwrap_or_default(),
        ) {
            pulled.insert(zone.clone(), image.to_owned());
        }
    }
    pulled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pods_that_succeeded_count_for_their_zone() {
        let zones = BTreeMap::from([
            ("a".to_owned(), vec!["n1".to_owned()]),
            ("b".to_owned(), vec!["n2".to_owned()]),
        ]);
        let pod = |node: &str, phase: &str| {
            json!({
                "spec": { "nodeName": node },
                "status": { "phase": phase, "containerStatuses": [{ "imageID": "busybox@sha256:1" }] },
            })
        };
        let pods = json!({ "items": [pod("n1", "Succeeded"), pod("n2", "Failed")] });
        assert_eq!(
            pulled(&pods, &zones),
            [("a".to_owned(), "busybox@sha256:1".to_owned())].into()
        );
    }
}
