//! What is here, what is missing, and where components will come from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result, bail};

use crate::context::{Context, Source};
use crate::step::{Outcome, Step};

/// Programs that the run calls, with Debian's packages.
const PROGRAMS: [(&str, &str); 24] = [
    ("tinyproxy", "tinyproxy"),
    ("dockerd", "docker.io"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("kmod", "kmod"),
    ("sysctl", "procps"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("mmdebstrap", "mmdebstrap"),
    ("jq", "jq"),
    ("curl", "curl"),
    ("docker-registry", "docker-registry"),
    ("skopeo", "skopeo"),
    ("gcc", "gcc"),
    ("g++", "g++"),
    ("make", "make"),
    ("perl", "perl"),
    ("unzip", "unzip"),
    ("git", "git"),
    ("pkg-config", "pkg-config"),
];

/// Files that the run reads, with Debian's packages.
const FILES: [(&str, &str); 7] = [
    ("/bin/busybox", "busybox-static"),
    ("/usr/include/stdio.h", "libc6-dev"),
    ("/usr/include/libxml2/libxml/parser.h", "libxml2-dev"),
    ("/usr/include/unicode/uversion.h", "libicu-dev"),
    ("/usr/include/lzma.h", "liblzma-dev"),
    ("/usr/include/zlib.h", "zlib1g-dev"),
    ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
];

/// Programs that Debian has in no version that serves, with a call that shows that they work.
const TOOLCHAINS: [(&str, &[&str], &str); 3] = [
    ("go", &["version"], "Go 1.26 or later"),
    ("cargo", &["--version"], "Rust 1.95 or later, by rustup"),
    (
        "python3",
        &["-m", "pip", "--version"],
        "Python 3.11 or later with pip",
    ),
];

/// What an end-to-end run takes at its peak, in GiB.
const MEMORY: u64 = 12;
/// What an end-to-end run writes on a new machine, in GiB.
const DISK: u64 = 25;
/// What it writes when the cache is warm, in GiB.
const DISK_WARM: u64 = 8;
/// Asked whether a container registry answers.
const REGISTRY: &str = "https://registry-1.docker.io/v2/";
/// A file that keeps Debian's packages from starting services when they are installed.
const POLICY: &str = "/usr/sbin/policy-rc.d";

pub fn step() -> Step {
    Step {
        name: "doctor",
        about: "look at the machine, install what is missing",
        cold: Duration::from_secs(60),
        warm: Duration::from_secs(2),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    let missing = missing(cx);
    let problems = [
        toolchains(cx),
        memory_problem()?,
        disk_problem(cx)?,
        docker_problem(cx),
    ]
    .concat();
    if !problems.is_empty() || (!missing.is_empty() && !may_install(cx)) {
        bail!("{}", advice(&problems, &missing));
    }
    if !missing.is_empty() {
        install(cx, &missing)?;
    }
    let (source, why) = match cx.forced {
        Some(source) => (source, "as `--source` says"),
        None => detect(cx),
    };
    cx.update(|state| state.source = Some(source))?;
    let said = match source {
        Source::Packages => "components made from package registries",
        Source::Upstream => "components as upstream images",
    };
    let docker = if cx.docker.ours {
        "a Docker daemon of our own"
    } else {
        "the machine's Docker daemon"
    };
    cx.progress(format!("{said} ({why}); {docker}"));
    Ok(Outcome::new(format!("{said} ({why}); {docker}"))
        .fact("source", source)
        .fact("memory-gib", memory()?)
        .fact("free-disk-gib", free(&cx.folder)?)
        .fact("cores", std::thread::available_parallelism()?.get())
        .fact("installed", missing))
}

fn toolchains(cx: &Context) -> Vec<String> {
    let works =
        |program: &str, arguments: &[&str]| cx.run(&Command::new(program).args(arguments)).is_ok();
    TOOLCHAINS
        .iter()
        .filter(|(program, arguments, _)| !works(program, arguments))
        .map(|(program, _, needed)| format!("`{program}` does not answer; the run needs {needed}"))
        .collect()
}

fn memory_problem() -> Result<Vec<String>> {
    let memory = memory()?;
    Ok(if memory < MEMORY {
        vec![format!(
            "the machine has {memory} GiB of memory; the run takes up to {MEMORY}"
        )]
    } else {
        Vec::new()
    })
}

fn disk_problem(cx: &Context) -> Result<Vec<String>> {
    let needed = if cx.cache.join("node").exists() {
        DISK_WARM
    } else {
        DISK
    };
    let free = free(&cx.folder)?;
    Ok(if free < needed {
        vec![format!(
            "{free} GiB are free below {}; the run writes up to {needed}",
            cx.folder.display()
        )]
    } else {
        Vec::new()
    })
}

fn docker_problem(cx: &Context) -> Vec<String> {
    if cx.docker.ours && !is_root(cx) {
        return vec!["no Docker daemon answers, and only root can start one".into()];
    }
    Vec::new()
}

/// Says all that a person has to do, in one message.
fn advice(problems: &[String], packages: &[&str]) -> String {
    let mut lines = problems.to_vec();
    if !packages.is_empty() {
        let list = packages.join(" ");
        lines.push(format!(
            "packages are missing; as root on Debian or Ubuntu: apt-get install --no-install-recommends {list}"
        ));
    }
    format!("the machine is not ready:\n- {}", lines.join("\n- "))
}

fn find(cx: &Context, program: &str) -> Option<PathBuf> {
    let path = cx.environment.get("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
}

fn missing(cx: &Context) -> Vec<&'static str> {
    let programs = PROGRAMS
        .iter()
        .filter(|(program, _)| find(cx, program).is_none())
        .map(|(_, package)| *package);
    let files = FILES
        .iter()
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|(_, package)| *package);
    let mut missing: Vec<&str> = programs.chain(files).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

fn may_install(cx: &Context) -> bool {
    is_root(cx) && find(cx, "apt-get").is_some()
}

fn is_root(cx: &Context) -> bool {
    cx.output(&Command::new("id").arg("-u"))
        .is_ok_and(|id| id == "0")
}

fn install(cx: &Context, packages: &[&str]) -> Result<()> {
    cx.progress(format!("installing {}", packages.join(" ")));
    // The run starts what it needs by itself, where nobody else is disturbed.
    let policy = !Path::new(POLICY).exists();
    if policy {
        fs_err::write(POLICY, "#!/bin/sh\nexit 101\n")?;
        fs_err::set_permissions(POLICY, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    let installed = cx.run(&apt(cx).args(["update", "-qq"])).and_then(|_| {
        let install = ["install", "-y", "-qq", "--no-install-recommends"];
        cx.run(&apt(cx).args(install).args(packages))
    });
    if policy {
        fs_err::remove_file(POLICY)?;
    }
    installed?;
    let missing = missing(cx);
    if !missing.is_empty() {
        bail!(
            "still missing after the installation: {}",
            missing.join(" ")
        );
    }
    Ok(())
}

fn apt(cx: &Context) -> Command {
    cx.client("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
}

/// Looks whether a container registry answers: it does when it asks for credentials.
fn detect(cx: &Context) -> (Source, &'static str) {
    let curl = cx.client("curl").args([
        "--silent",
        "--output",
        "/dev/null",
        "--max-time",
        "5",
        "--write-out",
        "%{http_code}",
        REGISTRY,
    ]);
    match cx.output(&curl).as_deref() {
        Ok("200" | "401") => (Source::Upstream, "a container registry answers"),
        _ => (Source::Packages, "no container registry answers"),
    }
}

fn memory() -> Result<u64> {
    let text = fs_err::read_to_string("/proc/meminfo")?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .context("`/proc/meminfo` tells no `MemTotal`")?;
    let kib: u64 = kib.trim().trim_end_matches(" kB").parse()?;
    Ok(kib.div_ceil(1024 * 1024))
}

/// Gives the free space of a folder's file system, in GiB.
fn free(folder: &Path) -> Result<u64> {
    let call = Command::new("df")
        .args(["--output=avail", "--block-size=1G"])
        .arg(folder);
    let text = call.output()?.stdout;
    let last = text.lines().last().unwrap_or_default().trim();
    last.parse()
        .with_context(|| format!("`df` says `{last}` about free space"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_is_one_message() {
        let text = advice(
            &["`go` does not answer".into()],
            &["docker.io", "mmdebstrap"],
        );
        assert!(
            text.contains("- `go` does not answer\n- packages are missing"),
            "{text}"
        );
        assert!(text.ends_with("docker.io mmdebstrap"), "{text}");
    }

    #[test]
    fn the_machine_tells_memory_and_disk() {
        assert!(memory().unwrap() > 0);
        assert!(free(Path::new("/")).is_ok());
    }
}
