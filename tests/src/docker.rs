//! The Docker daemon of the run: the machine's own where one answers, else one of ours.
//!
//! Ours (Debian's `docker.io`) lives in mount, network and process namespaces of its own: no
//! daemon and no firewall of the machine is disturbed, and ending one process ends everything.
//! It has no route beyond the machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::context::Context;
use crate::tools::key;

/// Where our daemon's socket, process id and log are; one daemon of ours fits on a machine, since
/// its addresses are fixed.
const RUN: &str = "/run/fastapi-eks-e2e";
/// The machine's end of the cable into the daemon's namespace.
const CABLE: &str = "fastapi-eks0";
/// The address of the machine, seen from our daemon's namespace.
const MACHINE: &str = "10.98.0.254";
/// The address of our daemon's namespace, seen from the machine.
const NAMESPACE: &str = "10.98.0.1";
/// What kubelets change for the whole machine; put back at the end.
const SETTINGS: [&str; 7] = [
    "kernel.panic",
    "kernel.panic_on_oops",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
    "fs.inotify.max_user_instances",
];

/// A Docker daemon.
#[derive(Clone, Debug)]
pub struct Docker {
    /// Its address, when it is not the usual one.
    pub host: Option<String>,
    /// Whether we started it.
    pub ours: bool,
    data: PathBuf,
}

impl Docker {
    /// Finds the daemon to use, without starting one.
    pub fn find(folder: &Path) -> Self {
        let data = folder.join("docker");
        let answers = !Path::new(RUN).join("owner").exists()
            && Command::new("docker").arg("version").output().is_ok();
        if answers {
            return Self {
                host: None,
                ours: false,
                data,
            };
        }
        Self {
            host: Some(format!("unix://{RUN}/docker.sock")),
            ours: true,
            data,
        }
    }

    /// Starts a call of the Docker client.
    pub fn command(&self) -> Command {
        self.reached_by(Command::new("docker"))
    }

    /// Tells a program which daemon to use.
    #[must_use]
    pub fn reached_by(&self, command: Command) -> Command {
        match &self.host {
            Some(host) => command.env("DOCKER_HOST", host),
            None => command,
        }
    }

    /// Pulls an upstream image; gives it by digest.
    pub fn pull(&self, cx: &Context, image: &str) -> Result<String> {
        cx.run(&self.command().args(["pull", "--quiet", image]))?;
        let format = "{{index .RepoDigests 0}}";
        let inspect = ["image", "inspect", "--format", format, image];
        let resolved = cx.output(&self.command().args(inspect))?;
        cx.progress(format!("{image} is {resolved}"));
        Ok(resolved)
    }

    /// Gives the address at which action containers (`--network host`) reach processes of the
    /// machine, such as LocalStack.
    pub fn machine(&self) -> &'static str {
        if self.ours { MACHINE } else { "127.0.0.1" }
    }

    /// Gives the address at which the machine reaches ports in the daemon's namespace.
    pub fn namespace(&self) -> &'static str {
        if self.ours { NAMESPACE } else { "127.0.0.1" }
    }

    /// Starts our daemon unless one answers.
    pub fn up(&self, cx: &Context) -> Result<()> {
        self.check_owner(cx)?;
        let answers = cx.run(&self.command().arg("version")).is_ok();
        if answers && (!self.ours || cable_is_whole(cx)) {
            return Ok(());
        }
        if !self.ours {
            bail!("Docker answered a moment ago and does not now");
        }
        cx.progress("no Docker daemon answers: starting our own in namespaces of its own");
        self.down(cx)?;
        let run = Path::new(RUN);
        fs_err::create_dir_all(run)?;
        fs_err::create_dir_all(&self.data)?;
        fs_err::create_dir_all("/lib/modules")?;
        fs_err::write(run.join("owner"), cx.root.display().to_string())?;
        Self::save_settings(cx)?;
        fs_err::write(run.join("daemon.json"), self.configuration(cx)?)?;
        fs_err::write(run.join("init.sh"), include_str!("../node/docker-init.sh"))?;
        Self::start(cx)?;
        cx.eventually("our Docker daemon answers", Duration::from_secs(40), || {
            cx.run(&self.command().arg("version"))
        })
        .with_context(|| format!("its log is {RUN}/dockerd.log"))?;
        Ok(())
    }

    /// Refuses to touch the daemon of another checkout.
    fn check_owner(&self, cx: &Context) -> Result<()> {
        let owner = fs_err::read_to_string(Path::new(RUN).join("owner")).unwrap_or_default();
        if !self.ours || owner.is_empty() || Path::new(&owner) == cx.root {
            return Ok(());
        }
        if first_process().is_some() {
            bail!(
                "the run of another checkout is up: {owner}\nhint: end it there by `cargo xtask e2e --down`"
            );
        }
        Ok(())
    }

    fn start(cx: &Context) -> Result<()> {
        let run = Path::new(RUN);
        let log = fs_err::File::create(run.join("init.log"))?.into_parts().0;
        let arguments = [
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
        ];
        let unshare = Command::new("setsid")
            .arg("unshare")
            .args(arguments)
            .arg("bash")
            .arg(run.join("init.sh"));
        let mut child = unshare
            .env("RUN", RUN)
            .env("ADDRESS", NAMESPACE)
            .to_std()
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .context("start `unshare`")?;
        // `setsid` becomes `unshare`, whose only child is the namespaces' first process.
        let parent = child.id();
        let first = cx.eventually(
            "the namespaces' first process starts",
            Duration::from_secs(10),
            || {
                if let Some(status) = child.try_wait()? {
                    bail!(
                        "`unshare` ended with {status}: {}",
                        fs_err::read_to_string(run.join("init.log"))?
                    );
                }
                let children =
                    fs_err::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
                let first: u32 = children
                    .split_whitespace()
                    .next()
                    .context("no child yet")?
                    .parse()?;
                let own = fs_err::read_link("/proc/self/ns/net")?;
                if fs_err::read_link(format!("/proc/{first}/ns/net"))? == own {
                    bail!("it is not in its own network yet");
                }
                Ok(first)
            },
        )?;
        fs_err::write(run.join("pid"), first.to_string())?;
        let ip = |arguments: &[&str]| cx.run(&Command::new("ip").args(arguments));
        let netns = first.to_string();
        ip(&[
            "link", "add", CABLE, "type", "veth", "peer", "name", "eth0", "netns", &netns,
        ])?;
        ip(&["addr", "add", &format!("{MACHINE}/24"), "dev", CABLE])?;
        ip(&["link", "set", CABLE, "up"])?;
        ip(&["route", "replace", "172.31.0.0/16", "via", NAMESPACE])?;
        Ok(())
    }

    fn configuration(&self, cx: &Context) -> Result<String> {
        Ok(json!({
            "data-root": self.data,
            "exec-root": format!("{RUN}/exec"),
            "pidfile": format!("{RUN}/docker.pid"),
            "hosts": [format!("unix://{RUN}/docker.sock")],
            "storage-driver": "overlay2",
            "bip": "172.31.250.1/24",
            "default-address-pools": [{ "base": "172.31.0.0/17", "size": 24 }],
            "runtimes": { "runcwrap": { "path": cx.tool("runcwrap")? } },
            "default-runtime": "runcwrap",
            "default-cgroupns-mode": "private",
            "cgroup-parent": control_group(&cx.root),
            "ip6tables": false,
            "log-level": "warn",
            "dns": [MACHINE],
        })
        .to_string())
    }

    /// Ends our daemon and everything in it, and puts the machine's settings back.
    pub fn down(&self, cx: &Context) -> Result<()> {
        let run = Path::new(RUN);
        if !self.ours || !run.exists() {
            return Ok(());
        }
        self.check_owner(cx)?;
        if let Some(pid) = first_process() {
            cx.run(&Command::new("kill").args(["-9", &pid]))?;
            cx.eventually(
                "our Docker daemon ends",
                Duration::from_secs(30),
                || match first_process() {
                    Some(pid) => bail!("process {pid} still runs"),
                    None => Ok(()),
                },
            )?;
        }
        // Each of these may be gone already.
        let _ = cx.run(&Command::new("ip").args(["link", "del", CABLE]));
        let settings = run.join("sysctl.conf");
        if settings.exists() {
            let _ = cx.run(&Command::new("sysctl").arg("-qp").arg(&settings));
        }
        Self::remove_control_groups(cx)?;
        for folder in ["/run/docker", "/run/containerd"] {
            // Only if it is empty: a daemon of the machine may have left something there.
            let _ = fs_err::remove_dir(folder);
        }
        fs_err::remove_dir_all(run)?;
        Ok(())
    }

    /// Removes the control groups that containers left, when their last processes are gone.
    fn remove_control_groups(cx: &Context) -> Result<()> {
        let script = "left=0; for c in /sys/fs/cgroup/*\"$1\" /sys/fs/cgroup\"$1\"; do \
                      [ ! -d \"$c\" ] || find \"$c\" -depth -type d -exec rmdir {} + || left=1; \
                      done; exit $left";
        let remove = Command::new("sh").args(["-c", script, "sh", &control_group(&cx.root)]);
        cx.eventually(
            "the containers' control groups are gone",
            Duration::from_secs(20),
            || cx.run(&remove).map(|_| ()),
        )
    }

    /// Removes the daemon's images and volumes.
    pub fn remove_data(&self) -> Result<()> {
        if self.ours && self.data.exists() {
            fs_err::remove_dir_all(&self.data)?;
        }
        Ok(())
    }

    /// Starts a call of a program inside our daemon's namespaces.
    pub fn inside(program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let pid = fs_err::read_to_string(Path::new(RUN).join("pid"))?;
        Ok(Command::new("nsenter")
            .args(["--target", &pid, "--mount", "--net", "--pid"])
            .arg(program))
    }

    fn save_settings(cx: &Context) -> Result<()> {
        let file = Path::new(RUN).join("sysctl.conf");
        let mut text = String::new();
        for name in SETTINGS {
            let value = cx.output(&Command::new("sysctl").args(["-n", name]))?;
            let _ = writeln!(text, "{name}={value}");
        }
        fs_err::write(file, text)?;
        // Each node's containerd, kubelet and systemd take some.
        cx.run(&Command::new("sysctl").args(["-qw", "fs.inotify.max_user_instances=1024"]))?;
        Ok(())
    }
}

/// Gives the process id of the namespaces' first process, if it runs.
fn first_process() -> Option<String> {
    let pid = fs_err::read_to_string(Path::new(RUN).join("pid")).ok()?;
    let call = fs_err::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    call.contains(RUN).then_some(pid)
}

/// Says whether the machine reaches the daemon's namespace: a run that was killed while it laid the
/// cable leaves a daemon that answers and nodes that nobody reaches.
fn cable_is_whole(cx: &Context) -> bool {
    let ip = |arguments: &[&str]| {
        cx.output(&Command::new("ip").args(arguments))
            .unwrap_or_default()
    };
    ip(&["-oneline", "address", "show", "dev", CABLE]).contains(MACHINE)
        && ip(&["route", "show", "172.31.0.0/16"]).contains(NAMESPACE)
}

/// Names the control group of our containers: those of other daemons and checkouts stay apart.
fn control_group(root: &Path) -> String {
    let root = root.as_os_str().as_encoded_bytes().to_vec();
    format!(
        "/fastapi-eks-e2e-{}",
        key(&BTreeMap::from([("root".to_owned(), root)]))
    )
}
