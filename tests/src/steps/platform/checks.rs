//! What must hold of the platform, asked of the running cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::{Value, json};

use super::releases::RELEASES;
use super::{WEB_PORT, WEBSECURE_PORT};
use crate::context::Context;

const ZONE: &str = "topology.kubernetes.io/zone";

/// A member of a PostgreSQL cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    pub pod: String,
    /// `primary`, `replica`, or `none` while it has no role.
    pub role: String,
    pub zone: String,
    pub node: String,
}

/// The pods of a workload: where they run, and from which image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// Ready pods by zone.
    pub ready: BTreeMap<String, u32>,
    /// Images as the nodes run them, by digest.
    pub images: Vec<String>,
}

/// Gives the members of a cluster that the operator runs, with their roles as the pods' labels say.
pub fn postgres_roles(cx: &Context, namespace: &str, cluster: &str) -> Result<Vec<Member>> {
    let zones = zones(cx)?;
    let label = format!("application=spilo,cluster-name={cluster}");
    let pods = cx.get(&["pods", "--namespace", namespace, "--selector", &label])?;
    Ok(members(&pods, &zones))
}

fn members(pods: &Value, zones: &BTreeMap<String, String>) -> Vec<Member> {
    let mut members: Vec<Member> = items(pods)
        .map(|pod| {
            let node = text(&pod["spec"]["nodeName"]);
            let role = match pod["metadata"]["labels"]["spilo-role"].as_str() {
                Some("master") => "primary",
                Some(other) => other,
                None => "none",
            };
            Member {
                pod: text(&pod["metadata"]["name"]),
                role: role.into(),
                zone: zones.get(&node).cloned().unwrap_or_default(),
                node,
            }
        })
        .collect();
    members.sort_by(|a, b| a.pod.cmp(&b.pod));
    members
}

/// Checks that the API server takes PostgreSQL 18.
pub fn postgresql_versions(cx: &Context) -> Result<()> {
    let definition = cx.get(&["crd", "postgresqls.acid.zalan.do"])?;
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let versions = &schema["spec"]["properties"]["postgresql"]["properties"]["version"]["enum"];
    if versions
        .as_array()
        .is_some_and(|versions| versions.contains(&json!("18")))
    {
        return Ok(());
    }
    bail!(
        "the definition of `postgresql` allows {versions}, not 18: an older one was there before, remove it"
    );
}

/// Asks the internal authority for a certificate, and gives what it issued.
pub fn certificate(cx: &Context) -> Result<Value> {
    let manifest = json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": "platform-check", "namespace": "cert-manager"},
        "spec": {
            "secretName": "platform-check",
            "dnsNames": ["platform-check.example.test"],
            "duration": "2160h",
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "issuerRef": {"kind": "ClusterIssuer", "name": "internal-ca"},
        },
    });
    cx.apply("platform-check", &manifest.to_string())?;
    cx.eventually("have a certificate issued", Duration::from_secs(90), || {
        let certificate = cx.get(&[
            "certificate",
            "platform-check",
            "--namespace",
            "cert-manager",
        ])?;
        let conditions = certificate["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let ready = conditions
            .iter()
            .find(|condition| condition["type"] == "Ready");
        match ready {
            Some(ready) if ready["status"] == "True" => Ok(json!({
                "issuer": "internal-ca",
                "not-after": certificate["status"]["notAfter"],
                "revision": certificate["status"]["revision"],
            })),
            other => bail!(
                "the certificate is not ready: {}",
                other.map_or(&Value::Null, |c| &c["message"])
            ),
        }
    })
}

/// Checks that Traefik answers on every node: 404, since no route is there for the name.
pub fn traefik_answers(cx: &Context) -> Result<Vec<String>> {
    let mut nodes = Vec::new();
    for (name, address) in addresses(cx)? {
        let address: IpAddr = address.parse().context("the address of a node")?;
        cx.eventually(
            &format!("have Traefik answer on `{name}`"),
            Duration::from_mins(1),
            || {
                let web = SocketAddr::new(address, WEB_PORT);
                match status(web, "no-such-host.example.test")? {
                    404 => {}
                    other => bail!("Traefik answers {other} on {web} where 404 is expected"),
                }
                let websecure = SocketAddr::new(address, WEBSECURE_PORT);
                TcpStream::connect_timeout(&websecure, Duration::from_secs(3))?;
                Ok(())
            },
        )?;
        nodes.push(name);
    }
    Ok(nodes)
}

/// Checks that metrics-server knows every node, and gives what it says.
pub fn metrics(cx: &Context) -> Result<BTreeMap<String, String>> {
    let nodes = addresses(cx)?.len();
    // It answers for a node after two readings, 15 seconds apart.
    cx.eventually("have metrics of every node", Duration::from_mins(2), || {
        let top = cx.output(&cx.kubectl()?.args(["top", "nodes", "--no-headers"]))?;
        let known = usage(&top);
        if known.len() == nodes {
            return Ok(known);
        }
        bail!("metrics-server knows {} of {nodes} nodes", known.len());
    })
}

fn usage(top: &str) -> BTreeMap<String, String> {
    top.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let numbers = words.get(1)?.starts_with(|c: char| c.is_ascii_digit());
            numbers.then(|| {
                Some((
                    words[0].to_owned(),
                    format!("{} {}", words[1], words.get(3)?),
                ))
            })?
        })
        .collect()
}

/// What the documentation says of a workload.
#[derive(serde::Deserialize)]
struct Listed {
    kind: String,
    name: String,
    namespace: Option<String>,
    chart: Option<String>,
}

/// Makes sure that the documentation lists what runs, and that what it lists of charts runs.
pub fn documented(cx: &Context) -> Result<usize> {
    let file = cx.root.join("tests/platform/workloads.yaml");
    let listed: Vec<Listed> = serde_yaml::from_str(&fs_err::read_to_string(&file)?)?;
    let live = cx.get(&["deployments,statefulsets,daemonsets", "--all-namespaces"])?;
    let live: BTreeSet<(String, String, String)> = items(&live)
        .map(|one| {
            let metadata = &one["metadata"];
            let (name, namespace) = (text(&metadata["name"]), text(&metadata["namespace"]));
            (namespace, text(&one["kind"]), name)
        })
        .collect();
    let listed: BTreeSet<(String, String, String)> = listed
        .into_iter()
        .filter(|one| one.chart.is_some())
        .filter_map(|one| Some((one.namespace?, one.kind, one.name)))
        .collect();
    // The cluster's own namespace has what kind brings in the place of add-ons.
    let ours = live.iter().filter(|(namespace, _, _)| {
        namespace != "kube-system"
            && RELEASES
                .iter()
                .any(|release| release.namespace == namespace)
    });
    let missing: Vec<_> = listed.difference(&live).collect();
    let unlisted: Vec<_> = ours.filter(|one| !listed.contains(one)).collect();
    if !missing.is_empty() || !unlisted.is_empty() {
        bail!(
            "`{}` lists {missing:?}, which does not run, and lacks {unlisted:?}",
            file.display()
        );
    }
    Ok(listed.len())
}

/// Gives the ready pods of the platform by zone; Traefik must be in each.
pub fn workloads(cx: &Context) -> Result<BTreeMap<String, Workload>> {
    let zones = zones(cx)?;
    let mut workloads = BTreeMap::new();
    for release in RELEASES
        .iter()
        .filter(|release| release.name != "internal-ca")
    {
        let label = match release.name {
            "traefik" => "app.kubernetes.io/name=traefik".to_owned(),
            name => format!("app.kubernetes.io/instance={name}"),
        };
        let pods = cx.get(&[
            "pods",
            "--namespace",
            release.namespace,
            "--selector",
            &label,
        ])?;
        workloads.insert(release.name.to_owned(), workload(&pods, &zones));
    }
    let spread = workloads["traefik"].ready.len();
    let expected = zones.values().collect::<BTreeSet<_>>().len();
    if spread != expected {
        bail!(
            "Traefik is ready in {spread} of {expected} zones: {:?}",
            workloads["traefik"].ready
        );
    }
    Ok(workloads)
}

fn workload(pods: &Value, zones: &BTreeMap<String, String>) -> Workload {
    let mut workload = Workload::default();
    for pod in items(pods).filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()) {
        let status = &pod["status"];
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        if !conditions
            .iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        {
            continue;
        }
        let zone = zones
            .get(&text(&pod["spec"]["nodeName"]))
            .cloned()
            .unwrap_or_else(|| "none".into());
        *workload.ready.entry(zone).or_default() += 1;
        let images = status["containerStatuses"].as_array().into_iter().flatten();
        workload
            .images
            .extend(images.map(|container| text(&container["imageID"])));
    }
    workload.images.sort();
    workload.images.dedup();
    workload
}

/// The zones of the nodes that have one.
fn zones(cx: &Context) -> Result<BTreeMap<String, String>> {
    let nodes = cx.get(&["nodes"])?;
    Ok(items(&nodes)
        .filter_map(|node| {
            Some((
                text(&node["metadata"]["name"]),
                node["metadata"]["labels"][ZONE].as_str()?.to_owned(),
            ))
        })
        .collect())
}

/// The nodes' own addresses.
fn addresses(cx: &Context) -> Result<BTreeMap<String, String>> {
    let nodes = cx.get(&["nodes"])?;
    Ok(items(&nodes)
        .filter_map(|node| {
            let addresses = node["status"]["addresses"].as_array()?;
            let own = addresses
                .iter()
                .find(|address| address["type"] == "InternalIP")?;
            Some((text(&node["metadata"]["name"]), text(&own["address"])))
        })
        .collect())
}

/// Asks for `/` and gives the status of the answer.
fn status(address: SocketAddr, host: &str) -> Result<u16> {
    let limit = Duration::from_secs(3);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    let line = String::from_utf8_lossy(&start).into_owned();
    let code = line
        .strip_prefix("HTTP/1.1 ")
        .with_context(|| format!("`{line}` is no answer of HTTP"))?;
    code.parse()
        .with_context(|| format!("`{code}` is no status"))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones() -> BTreeMap<String, String> {
        [("worker", "eu-west-1a"), ("worker2", "eu-west-1b")]
            .map(|(node, zone)| (node.into(), zone.into()))
            .into()
    }

    #[test]
    fn roles_come_from_the_labels_of_the_pods() {
        let pods = json!({"items": [
            {"metadata": {"name": "db-1", "labels": {"spilo-role": "replica"}}, "spec": {"nodeName": "worker2"}},
            {"metadata": {"name": "db-0", "labels": {"spilo-role": "master"}}, "spec": {"nodeName": "worker"}},
            {"metadata": {"name": "db-2", "labels": {}}, "spec": {}},
        ]});
        let found: Vec<_> = members(&pods, &zones())
            .into_iter()
            .map(|member| [member.pod, member.role, member.zone].join(" "))
            .collect();
        assert_eq!(
            found,
            [
                "db-0 primary eu-west-1a",
                "db-1 replica eu-west-1b",
                "db-2 none "
            ]
        );
    }

    #[test]
    fn only_ready_pods_that_stay_are_counted() {
        let pod = |ready: &str, deleted: Value| {
            json!({
                "metadata": {"deletionTimestamp": deleted},
                "spec": {"nodeName": "worker"},
                "status": {"conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [{"imageID": "x@sha256:1"}]},
            })
        };
        let pods = json!({"items": [pod("True", Value::Null), pod("False", Value::Null), pod("True", json!("2026"))]});
        let found = workload(&pods, &zones());
        assert_eq!(found.ready, BTreeMap::from([("eu-west-1a".to_owned(), 1)]));
        assert_eq!(found.images, ["x@sha256:1"]);
    }

    #[test]
    fn a_node_without_readings_is_not_known() {
        let top = "worker    120m   1%   900Mi   3%\nworker2   <unknown>  <unknown>  <unknown>  <unknown>\n";
        assert_eq!(
            usage(top),
            BTreeMap::from([("worker".to_owned(), "120m 900Mi".to_owned())])
        );
    }
}
