//! A real OCI registry that the nodes and the actions reach.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result};

use crate::context::{Context, Source};
use crate::docker::Docker;
use crate::step::{Outcome, Step};

/// The registry's port, in the daemon's namespace.
pub const PORT: u16 = 5000;
/// The registry's image, where a container registry answers.
const UPSTREAM: &str = "docker.io/library/registry:3";
/// The registry's container, where the machine has a Docker daemon.
const CONTAINER: &str = "fastapi-eks-registry";

pub fn step() -> Step {
    Step {
        name: "registry",
        about: "start an OCI registry",
        cold: Duration::from_secs(10),
        warm: Duration::from_secs(5),
        run,
    }
}

/// Gives the registry's address as the machine reaches it, for pushes.
pub fn address(cx: &Context) -> String {
    format!("{}:{PORT}", cx.docker.namespace())
}

/// Gives the registry's address as actions and nodes name it in image references.
pub fn name() -> String {
    format!("localhost:{PORT}")
}

/// Gives the registry's address as the nodes' container runtime reaches it.
pub fn address_for_nodes(cx: &Context) -> String {
    if cx.docker.ours {
        format!("{}:{PORT}", cx.docker.namespace())
    } else {
        format!("{CONTAINER}:{PORT}")
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    cx.docker.up(cx)?;
    if answers(cx).is_err() {
        if cx.docker.ours {
            start_process(cx)?;
        } else {
            start_container(cx)?;
        }
    }
    let headers = cx.eventually("the registry answers", Duration::from_secs(20), || {
        answers(cx)
    })?;
    Ok(
        Outcome::new(format!("an OCI distribution registry at {}", address(cx)))
            .fact("address", address(cx))
            .fact(
                "docker",
                cx.output(&cx.docker.command().args([
                    "version",
                    "--format",
                    "{{.Server.Version}}",
                ]))?,
            )
            .fact("api", headers),
    )
}

/// Asks the registry for its API version (OCI distribution specification, end-1).
fn answers(cx: &Context) -> Result<String> {
    let url = format!("http://{}/v2/", address(cx));
    let curl = Command::new("curl").args([
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "3",
        "--head",
        &url,
    ]);
    let text = cx.output(&curl)?;
    let version = text.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("docker-distribution-api-version:")
            .map(|version| version.trim().to_owned())
    });
    version.context("what answers there is no registry")
}

/// Gives the folder that holds the registry's blobs.
pub fn data(cx: &Context) -> PathBuf {
    cx.folder.join("registry")
}

fn start_process(cx: &Context) -> Result<()> {
    let data = data(cx);
    fs_err::create_dir_all(&data)?;
    let configuration = cx.folder.join("registry.yml");
    fs_err::write(
        &configuration,
        format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\nhttp: {{addr: \"0.0.0.0:{PORT}\"}}\n",
            data.display()
        ),
    )?;
    let log = fs_err::File::create(cx.folder.join("logs/registry-server.log"))?
        .into_parts()
        .0;
    // Its own session, so that a signal to the run does not end it; it ends with the namespaces.
    Docker::inside("setsid")?
        .args(["docker-registry", "serve"])
        .arg(&configuration)
        .to_std()
        .stdout(log.try_clone()?)
        .stderr(log)
        .stdin(Stdio::null())
        .spawn()
        .context("start `docker-registry`")?;
    Ok(())
}

fn start_container(cx: &Context) -> Result<()> {
    let docker = || cx.docker.command();
    // Left behind by a killed run.
    let _ = cx.run(&docker().args(["rm", "--force", CONTAINER]));
    let image = match cx.source()? {
        Source::Upstream => cx.docker.pull(cx, UPSTREAM)?,
        Source::Packages => {
            let name = format!("{CONTAINER}:e2e");
            let script = cx.root.join("tests/node/registry-image.sh");
            let bash = Command::new("bash").arg(script).arg(&name);
            cx.run(&cx.docker.reached_by(bash))?;
            name
        }
    };
    let publish = format!("127.0.0.1:{PORT}:5000");
    let run = [
        "run",
        "--detach",
        "--name",
        CONTAINER,
        "--publish",
        &publish,
    ];
    cx.run(&docker().args(run).arg(&image)).map(|_| ())
}

/// Connects the registry's container with the nodes' network, where it is a container.
pub fn connect(cx: &Context) -> Result<()> {
    if cx.docker.ours {
        return Ok(());
    }
    let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    let networks = cx.output(
        &cx.docker
            .command()
            .args(["inspect", "--format", format, CONTAINER]),
    )?;
    if networks.split_whitespace().any(|name| name == "kind") {
        return Ok(());
    }
    cx.run(
        &cx.docker
            .command()
            .args(["network", "connect", "kind", CONTAINER]),
    )
    .map(|_| ())
}

/// Removes the registry's container and blobs.
pub fn remove(cx: &Context) -> Result<()> {
    if !cx.docker.ours {
        let _ = cx.run(&cx.docker.command().args(["rm", "--force", CONTAINER]));
    }
    if data(cx).exists() {
        fs_err::remove_dir_all(data(cx))?;
    }
    Ok(())
}
