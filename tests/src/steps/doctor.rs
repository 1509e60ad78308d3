//! What is here, what is missing, and where components will come from.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use action_kit::Command;
use anyhow::{Result, bail};

use crate::context::{Context, Source};
use crate::step::{Outcome, Step};

/// Debian's packages that the run calls: program (or file) → package.
const PROGRAMS: [(&str, &str); 14] = [
    ("dockerd", "docker.io"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("mmdebstrap", "mmdebstrap"),
    ("jq", "jq"),
    ("docker-registry", "docker-registry"),
    ("gcc", "gcc"),
    ("unzip", "unzip"),
    ("pkg-config", "pkg-config"),
];

/// Debian's packages that hold no program: file → package.
const FILES: [(&str, &str); 5] = [
    ("/bin/busybox", "busybox-static"),
    ("/usr/include/libxml2/libxml/parser.h", "libxml2-dev"),
    ("/usr/include/unicode/uversion.h", "libicu-dev"),
    ("/usr/include/lzma.h", "liblzma-dev"),
    ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
];

/// Programs that cannot be installed from Debian in a version that serves.
const TOOLCHAINS: [(&str, &str); 3] = [
    (
        "go",
        "Go 1.26 or later, from go.dev or your package manager",
    ),
    ("cargo", "Rust, by rustup"),
    ("python3", "Python 3.11 or later"),
];

/// An end-to-end run takes this much memory at its peak, in GiB.
const MEMORY: u64 = 12;

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
    for (program, from) in TOOLCHAINS {
        if find(cx, program).is_none() {
            bail!("`{program}` is not on PATH; the run needs {from}");
        }
    }
    let memory = memory()?;
    if memory < MEMORY {
        bail!("the machine has {memory} GiB of memory; the run takes up to {MEMORY}");
    }
    let missing = missing(cx);
    if !missing.is_empty() {
        install(cx, &missing)?;
    }
    let source = match cx.source() {
        Ok(source) => source,
        Err(_) => detect(cx),
    };
    cx.update(|state| state.source = Some(source))?;
    let said = match source {
        Source::Packages => "components from package registries (no container registry answers)",
        Source::Upstream => "components as upstream images (a container registry answers)",
    };
    cx.progress(said);
    let docker = if cx.docker.ours {
        "a Docker daemon of our own"
    } else {
        "the machine's Docker daemon"
    };
    Ok(Outcome::new(format!("{said}; {docker}"))
        .fact("source", source)
        .fact("memory-gib", memory)
        .fact("cores", std::thread::available_parallelism()?.get())
        .fact("installed", missing))
}

fn find(cx: &Context, program: &str) -> Option<std::path::PathBuf> {
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

fn install(cx: &Context, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    let root = cx.output(&Command::new("id").arg("-u"))? == "0";
    if !root || find(cx, "apt-get").is_none() {
        bail!(
            "these packages are missing: {list}\nhint: as root on Debian or Ubuntu: apt-get install {list}"
        );
    }
    cx.progress(format!("installing {list}"));
    cx.run(&apt().args(["update", "-qq"]))?;
    cx.run(
        &apt()
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages),
    )?;
    let missing = missing(cx);
    if !missing.is_empty() {
        bail!(
            "still missing after the installation: {}",
            missing.join(" ")
        );
    }
    Ok(())
}

fn apt() -> Command {
    // A run level of 1 keeps packages from starting their services.
    Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1")
}

/// Looks whether a container registry answers. A name that does not resolve is an answer too.
fn detect(cx: &Context) -> Source {
    let host = "registry-1.docker.io:443";
    let answers = host
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .is_some_and(|address| {
            TcpStream::connect_timeout(&address, Duration::from_secs(3)).is_ok()
        });
    cx.log(&format!("{host} answers: {answers}"));
    if answers {
        Source::Upstream
    } else {
        Source::Packages
    }
}

fn memory() -> Result<u64> {
    let text = fs_err::read_to_string("/proc/meminfo")?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .unwrap_or_default();
    let kib: u64 = kib.trim().trim_end_matches(" kB").parse()?;
    Ok(kib.div_ceil(1024 * 1024))
}
