//! A real kind cluster: one control plane and three workers that stand for three zones.

mod probe;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use action_kit::Command;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::context::{Context, Source};
use crate::state::write_whole;
use crate::step::{Outcome, Step};
use crate::steps::registry;
use crate::tools::{self, KUBERNETES, key};

/// The cluster's name.
pub const NAME: &str = "fastapi-eks";
/// kind's image of the same minor version, where a container registry answers; kind publishes one
/// patch of each.
const UPSTREAM_NODE: &str = "kindest/node:v1.35.0";
const KIND_VERSION: &str = "v0.33.0";
/// What our own node image is made by.
const NODE_FILES: [&str; 7] = [
    "image.sh",
    "images.sh",
    "manifests.py",
    "pause.c",
    "proxy-tree.sh",
    "rootfs.sh",
    "tree.sh",
];

pub fn step() -> Step {
    Step {
        name: "cluster",
        about: "create a kind cluster of one control plane and three zones",
        cold: Duration::from_secs(240),
        warm: Duration::from_secs(90),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    if !is_up(cx) {
        let image = match cx.source()? {
            Source::Packages => node_image(cx)?,
            Source::Upstream => cx.docker.pull(cx, UPSTREAM_NODE)?,
        };
        create(cx, &image)?;
    }
    registry::connect(cx)?;
    if cx.source()? == Source::Upstream {
        mirror(cx)?;
    }
    let zones = zones(cx)?;
    if zones.len() != 3 {
        bail!(
            "the nodes are in {} zones, not in 3: {zones:?}",
            zones.len()
        );
    }
    let pulled = probe::run(cx)?;
    let version = version(cx)?;
    Ok(Outcome::new(format!(
        "kind: Kubernetes {}, 3 zones, a pod pulled through the mirror in each",
        version["gitVersion"].as_str().unwrap_or("?")
    ))
    .fact("pulled", pulled)
    .fact("zones", zones)
    .fact("kubernetes", version["gitVersion"].clone()))
}

fn version(cx: &Context) -> Result<Value> {
    let text = cx.output(&cx.kubectl()?.args(["get", "--raw", "/version"]))?;
    serde_json::from_str(&text).context("read the API server's version")
}

/// Says whether the cluster is there and whole.
fn is_up(cx: &Context) -> bool {
    cx.kubeconfig().exists() && wait_ready(cx, 1).is_ok()
}

fn wait_ready(cx: &Context, seconds: u64) -> Result<()> {
    let wait = ["wait", "--for=condition=Ready", "nodes", "--all"];
    let nodes = cx.get(&["nodes"])?;
    let count = nodes["items"].as_array().map_or(0, Vec::len);
    if count != 4 {
        bail!("{count} nodes are there, not 4");
    }
    cx.run(
        &cx.kubectl()?
            .args(wait)
            .arg(format!("--timeout={seconds}s")),
    )?;
    let limit = format!("--timeout={}s", seconds.max(5));
    cx.run(&cx.kubectl()?.args([
        "-n",
        "kube-system",
        "rollout",
        "status",
        "deployment/coredns",
        &limit,
    ]))?;
    let storage = [
        "-n",
        "local-path-storage",
        "rollout",
        "status",
        "deployment/local-path-provisioner",
        &limit,
    ];
    cx.run(&cx.kubectl()?.args(storage))?;
    Ok(())
}

fn kind(cx: &Context) -> Result<Command> {
    let kind = cx.tool("kind")?;
    let command = if cx.docker.ours {
        // kind's own children die with it as well: they would go on making nodes of a cluster that
        // the next run deletes.
        let arguments = ["--pid", "--fork", "--kill-child"];
        Command::new("unshare").args(arguments).arg(kind)
    } else {
        Command::new(kind)
    };
    Ok(cx.docker.reached_by(command))
}

fn create(cx: &Context, image: &str) -> Result<()> {
    // What a killed run left half-way.
    delete(cx)?;
    cx.progress(format!("creating 4 nodes from {image}"));
    let configuration = cx.folder.join("kind.yaml");
    fs_err::write(&configuration, include_str!("../../node/kind.yaml"))?;
    let own = cx.folder.join("kind.kubeconfig");
    let arguments = [
        "create",
        "cluster",
        "--name",
        NAME,
        "--image",
        image,
        "--wait",
        "180s",
        "--kubeconfig",
    ];
    cx.run(
        &kind(cx)?
            .args(arguments)
            .arg(&own)
            .arg("--config")
            .arg(&configuration),
    )?;
    write_kubeconfig(cx)?;
    wait_ready(cx, 120)
}

/// Writes the kubeconfig with an address that the machine and action containers reach.
fn write_kubeconfig(cx: &Context) -> Result<()> {
    let mut get = kind(cx)?.args(["get", "kubeconfig", "--name", NAME]);
    let mut text;
    if cx.docker.ours {
        get = get.arg("--internal");
        let format = "{{.NetworkSettings.Networks.kind.IPAddress}}";
        let node = format!("{NAME}-control-plane");
        let address = cx.output(
            &cx.docker
                .command()
                .args(["inspect", "--format", format, &node]),
        )?;
        text = get.output()?.stdout;
        text = text.replace(
            &format!("https://{node}:6443"),
            &format!("https://{address}:6443"),
        );
    } else {
        text = get.output()?.stdout;
    }
    write_whole(&cx.kubeconfig(), text.as_bytes())?;
    fs_err::set_permissions(
        cx.kubeconfig(),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )?;
    Ok(())
}

/// Deletes the cluster, whole or half made.
pub fn delete(cx: &Context) -> Result<()> {
    let delete = ["delete", "cluster", "--name", NAME, "--kubeconfig"];
    let label = format!("label=io.x-k8s.kind.cluster={NAME}");
    let list = ["ps", "--all", "--quiet", "--filter", &label];
    // The daemon may still be making a node that a killed run had asked for.
    cx.eventually("the cluster is gone", Duration::from_secs(60), || {
        cx.run(
            &kind(cx)?
                .args(delete)
                .arg(cx.folder.join("kind.kubeconfig")),
        )?;
        thread::sleep(Duration::from_millis(500));
        let left = cx.output(&cx.docker.command().args(list))?;
        ensure!(left.is_empty(), "these containers are left: {left}");
        Ok(())
    })
}

/// Gives the nodes of each zone.
pub fn zones(cx: &Context) -> Result<BTreeMap<String, Vec<String>>> {
    let mut zones: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in cx.get(&["nodes"])?["items"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let metadata = &node["metadata"];
        let zone = metadata["labels"]["topology.kubernetes.io/zone"].as_str();
        if let (Some(zone), Some(name)) = (zone, metadata["name"].as_str()) {
            zones
                .entry(zone.to_owned())
                .or_default()
                .push(name.to_owned());
        }
    }
    Ok(zones)
}

/// Points the nodes' container runtime at the run's registry; our own node image does by itself.
fn mirror(cx: &Context) -> Result<()> {
    let host = registry::name();
    let script = format!(
        "mkdir -p '/etc/containerd/certs.d/{host}' && printf '[host.\"http://{}\"]\\n' > '/etc/containerd/certs.d/{host}/hosts.toml'",
        registry::address_for_nodes(cx)
    );
    for node in zones(cx)?.values().flatten() {
        cx.run(
            &cx.docker
                .command()
                .args(["exec", node, "sh", "-c", &script]),
        )?;
    }
    Ok(())
}

/// Loads our own node image into the daemon, from the cache or newly made.
fn node_image(cx: &Context) -> Result<String> {
    let key = node_key(cx)?;
    let name = format!("fastapi-eks/node:{key}");
    let archive = cx.cache.join("node").join(format!("{key}.tar"));
    let inspect = ["image", "inspect", "--format", "{{.Id}}", &name];
    let loaded = cx.run(&cx.docker.command().args(inspect)).is_ok();
    if archive.exists() && !loaded {
        let started = Instant::now();
        cx.run(&cx.docker.command().args(["load", "--input"]).arg(&archive))?;
        let seconds = started.elapsed().as_secs_f32();
        cx.progress(format!("loaded the node image in {seconds:.0} s"));
    } else if !archive.exists() {
        if !loaded {
            build_node_image(cx, &name)?;
        }
        keep_node_image(cx, &name, &archive)?;
    }
    Ok(name)
}

/// Keeps the node image in the cache.
fn keep_node_image(cx: &Context, name: &str, archive: &Path) -> Result<()> {
    let folder = archive.parent().context("the archive has a folder")?;
    fs_err::create_dir_all(folder)?;
    let temporary = folder.join(format!(".node.{}", std::process::id()));
    // With `--output` a killed client leaves a file under a name of its own.
    let save = Command::new("sh").args(["-c", "docker save \"$1\" >\"$2\"", "sh", name]);
    cx.run(&cx.docker.reached_by(save.arg(&temporary)))?;
    fs_err::rename(&temporary, archive)?;
    Ok(())
}

/// Names the node image by all that it is made of.
fn node_key(cx: &Context) -> Result<String> {
    let mut inputs = BTreeMap::new();
    for file in NODE_FILES {
        let path = cx.root.join("tests/node").join(file);
        inputs.insert(file.to_owned(), fs_err::read(path)?);
    }
    for tool in programs(cx)? {
        // A tool's folder is named after its own key.
        inputs.insert(
            format!("tool {}", tool.0),
            tool.1.display().to_string().into_bytes(),
        );
    }
    inputs.insert(
        "registry".into(),
        registry::address_for_nodes(cx).into_bytes(),
    );
    Ok(key(&inputs))
}

fn programs(cx: &Context) -> Result<Vec<(&'static str, PathBuf)>> {
    let names = [
        ("BIN_KUBE", "kube"),
        ("BIN_ETCD", "etcd"),
        ("BIN_ETCDCTL", "etcdctl"),
        ("BIN_COREDNS", "coredns"),
        ("BIN_NODE_NETWORK", "node-network"),
        ("BIN_LOCAL_PATH_PROVISIONER", "local-path-provisioner"),
        ("RUNCWRAP", "runcwrap"),
    ];
    names
        .into_iter()
        .map(|(variable, name)| Ok((variable, cx.tool(name)?)))
        .collect()
}

fn build_node_image(cx: &Context, name: &str) -> Result<()> {
    let scripts = cx.root.join("tests/node");
    let work = cx.folder.join("node");
    let _ = fs_err::remove_dir_all(&work);
    fs_err::create_dir_all(work.join("manifests"))?;
    let script = |file: &str| -> Result<Command> {
        let bash = Command::new("bash").arg(scripts.join(file));
        let bash = programs(cx)?
            .into_iter()
            .fold(bash, |bash, (variable, path)| bash.env(variable, path));
        let bash = bash
            .env("KUBERNETES", KUBERNETES)
            .env("REGISTRY", registry::address_for_nodes(cx));
        Ok(cx.docker.reached_by(bash))
    };
    let module = kind_module(cx)?;
    cx.progress("root file system from Debian's packages");
    let rootfs = work.join("rootfs.tar");
    cx.run(&script("rootfs.sh")?.arg(&rootfs))?;
    cx.run(
        &script("tree.sh")?
            .arg(&rootfs)
            .arg(work.join("tree"))
            .env("KIND", &module),
    )?;
    cx.run(
        &Command::new("python3")
            .arg(scripts.join("manifests.py"))
            .arg(&module)
            .arg(work.join("manifests")),
    )?;
    cx.progress("the images that a node holds");
    cx.run(
        &script("images.sh")?
            .arg(work.join("images"))
            .arg(work.join("images.tar")),
    )?;
    cx.progress("the node image");
    let image = script("image.sh")?
        .arg(work.join("tree"))
        .arg(work.join("images.tar"));
    cx.run(&image.arg(work.join("manifests")).arg(name))?;
    fs_err::remove_dir_all(&work)?;
    Ok(())
}

/// Gives the folder of kind's Go module, which holds its node image's own files.
fn kind_module(cx: &Context) -> Result<PathBuf> {
    let module = format!("sigs.k8s.io/kind@{KIND_VERSION}");
    let go = tools::go_command(cx).args(["mod", "download", "-json", &module]);
    let text = cx.output(&go.current_dir(cx.root.join("tests/tools/kind")))?;
    let download: Value =
        serde_json::from_str(&text).context("read what `go mod download` says")?;
    Ok(download["Dir"]
        .as_str()
        .context("kind's module has no folder")?
        .into())
}
