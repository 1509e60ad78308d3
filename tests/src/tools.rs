//! Programs that are built from Go modules: pinned by `go.mod`, checked by `go.sum`, kept in the
//! cache by what they are made of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use action_kit::Command;
use anyhow::{Context as _, Result, bail};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::state::write_whole;
use crate::{cfn_guard, uv};

/// The Kubernetes version of the node image, in standard support on EKS.
pub const KUBERNETES: &str = "v1.35.4";

/// A program that is built from a Go module in `tests/tools/<name>`.
pub struct GoTool {
    /// The folder and the program.
    pub name: &'static str,
    /// The package to build.
    pub package: &'static str,
    /// Variables that the linker sets (`-X`).
    pub set: &'static [(&'static str, &'static str)],
    /// Other names that the program answers to, as links beside it.
    pub links: &'static [&'static str],
    /// Build tags, separated by commas.
    pub tags: &'static str,
    /// Whether parts of it are in C.
    pub c: bool,
}

const fn tool(name: &'static str, package: &'static str) -> GoTool {
    GoTool {
        name,
        package,
        set: &[],
        links: &[],
        tags: "",
        c: false,
    }
}

/// The programs that the cluster, the actions and the checks need, in the order in which they are
/// built.
pub const CLUSTER_TOOLS: [GoTool; 11] = [
    tool("runcwrap", "."),
    tool("kind", "sigs.k8s.io/kind"),
    GoTool {
        name: "helm",
        package: "helm.sh/helm/v4/cmd/helm",
        set: &[("helm.sh/helm/v4/internal/version.version", "v4.3.1")],
        ..tool("", "")
    },
    GoTool {
        name: "kube",
        package: ".",
        set: &[
            ("k8s.io/component-base/version.gitVersion", KUBERNETES),
            ("k8s.io/component-base/version.gitMajor", "1"),
            ("k8s.io/component-base/version.gitMinor", "35"),
            ("k8s.io/component-base/version.gitTreeState", "archive"),
            (
                "k8s.io/component-base/version.buildDate",
                "2026-01-01T00:00:00Z",
            ),
            ("k8s.io/client-go/pkg/version.gitVersion", KUBERNETES),
            ("k8s.io/client-go/pkg/version.gitMajor", "1"),
            ("k8s.io/client-go/pkg/version.gitMinor", "35"),
            ("k8s.io/client-go/pkg/version.gitTreeState", "archive"),
            (
                "k8s.io/client-go/pkg/version.buildDate",
                "2026-01-01T00:00:00Z",
            ),
        ],
        links: &[
            "kubectl",
            "kubeadm",
            "kubelet",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
        ],
        ..tool("", "")
    },
    tool("etcd", "go.etcd.io/etcd/server/v3"),
    tool("etcdctl", "go.etcd.io/etcd/etcdctl/v3"),
    tool("coredns", "."),
    tool(
        "local-path-provisioner",
        "github.com/rancher/local-path-provisioner",
    ),
    tool("node-network", "."),
    tool("crane", "github.com/google/go-containerregistry/cmd/crane"),
    tool("sigstore", "."),
];

/// The programs of the platform.
pub const PLATFORM_TOOLS: [GoTool; 4] = [
    GoTool {
        name: "traefik",
        package: "github.com/traefik/traefik/v3/cmd/traefik",
        set: &[(
            "github.com/traefik/traefik/v3/pkg/version.Version",
            "3.6.12",
        )],
        ..tool("", "")
    },
    GoTool {
        name: "cert-manager",
        package: ".",
        set: &[(
            "github.com/cert-manager/cert-manager/pkg/util.AppVersion",
            "v1.20.2",
        )],
        ..tool("", "")
    },
    tool(
        "metrics-server",
        "sigs.k8s.io/metrics-server/cmd/metrics-server",
    ),
    tool(
        "postgres-operator",
        "github.com/zalando/postgres-operator/cmd",
    ),
];

/// The programs that build-fastapi-image is compared with, beside what runs containers for them.
pub const IMAGE_BENCH_TOOLS: [GoTool; 4] = [
    tool("runcwrap", "."),
    tool("buildkitd", "github.com/moby/buildkit/cmd/buildkitd"),
    tool("buildctl", "github.com/moby/buildkit/cmd/buildctl"),
    // Without C it forgets what a registry holds, and compresses every layer again.
    GoTool {
        tags: "containers_image_openpgp,exclude_graphdriver_btrfs,exclude_graphdriver_devicemapper",
        c: true,
        ..tool("buildah", "github.com/containers/buildah/cmd/buildah")
    },
];

/// The programs that provision-infra is compared with.
pub const INFRA_BENCH_TOOLS: [GoTool; 2] = [
    tool("terraform", "github.com/hashicorp/terraform"),
    tool(
        "terraform-provider-aws",
        "github.com/hashicorp/terraform-provider-aws",
    ),
];

fn all() -> impl Iterator<Item = &'static GoTool> {
    CLUSTER_TOOLS
        .iter()
        .chain(&PLATFORM_TOOLS)
        .chain(&IMAGE_BENCH_TOOLS)
        .chain(&INFRA_BENCH_TOOLS)
}

/// Gives the path of a built program, or of one of its other names.
pub fn path(cx: &Context, name: &str) -> Result<PathBuf> {
    match name {
        "uv" => return uv::path(cx),
        cfn_guard::NAME => return cfn_guard::path(cx),
        _ => {}
    }
    let tool = all()
        .find(|tool| tool.name == name || tool.links.contains(&name))
        .with_context(|| format!("no tool is called `{name}`"))?;
    let path = folder(cx, tool)?.join(name);
    if !path.exists() {
        bail!("`{name}` is not built yet: run the step `tools`");
    }
    Ok(path)
}

/// Builds a program unless the cache holds it; says whether it did.
pub fn build(cx: &Context, tool: &GoTool) -> Result<bool> {
    let folder = folder(cx, tool)?;
    let checksum = folder.join("sha256");
    if is_whole(&folder.join(tool.name), &checksum) {
        return Ok(false);
    }
    fs_err::create_dir_all(&folder)?;
    let temporary = folder.join(format!(".{}.{}", tool.name, std::process::id()));
    let mut flags = String::from("-s -w");
    for (name, value) in tool.set {
        let _ = write!(flags, " -X {name}={value}");
    }
    let go = [
        "build",
        "-mod=readonly",
        "-buildvcs=false",
        "-trimpath",
        // The linker leaves it out anyway.
        "-gcflags=all=-dwarf=false",
        "-ldflags",
        &flags,
        "-tags",
        tool.tags,
        "-o",
    ];
    let workspace = workspace(cx, tool)?.map_or("off".into(), PathBuf::into_os_string);
    cx.run(
        &go_command(cx)
            .env("GOWORK", workspace)
            // The compiler may take more memory, to collect it less often.
            .env("GOGC", "400")
            .env("CGO_ENABLED", if tool.c { "1" } else { "0" })
            .args(go)
            .arg(&temporary)
            .arg(tool.package)
            .current_dir(source(cx, tool)),
    )?;
    let digest = hex(&Sha256::digest(fs_err::read(&temporary)?));
    fs_err::rename(&temporary, folder.join(tool.name))?;
    for link in tool.links {
        let link = folder.join(link);
        if !link.exists() {
            fs_err::os::unix::fs::symlink(tool.name, link)?;
        }
    }
    write_whole(&checksum, digest.as_bytes())?;
    Ok(true)
}

/// Starts a call of `go` that reads the machine's module settings and caches.
pub fn go_command(cx: &Context) -> Command {
    cx.client("go")
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
}

fn is_whole(program: &Path, checksum: &Path) -> bool {
    let (Ok(bytes), Ok(expected)) = (fs_err::read(program), fs_err::read_to_string(checksum))
    else {
        return false;
    };
    hex(&Sha256::digest(bytes)) == expected
}

/// Gives the cache folder of a program: named after everything that it is made of.
fn folder(cx: &Context, tool: &GoTool) -> Result<PathBuf> {
    let mut inputs = BTreeMap::from([("package".to_owned(), tool.package.as_bytes().to_vec())]);
    for (name, value) in tool.set {
        inputs.insert(format!("set {name}"), value.as_bytes().to_vec());
    }
    if !tool.tags.is_empty() {
        inputs.insert("tags".into(), tool.tags.into());
    }
    if tool.c {
        inputs.insert("C".into(), Vec::new());
    }
    for entry in fs_err::read_dir(source(cx, tool))? {
        let path = entry?.path();
        inputs.insert(
            format!("file {}", path.file_name().unwrap_or_default().display()),
            fs_err::read(&path)?,
        );
    }
    if let Some(workspace) = workspace(cx, tool)? {
        let sums = workspace.with_extension("work.sum");
        inputs.insert("workspace".into(), fs_err::read(&workspace)?);
        inputs.insert("workspace's sums".into(), fs_err::read(sums)?);
        for member in members(&fs_err::read_to_string(&workspace)?) {
            let module = cx.root.join("tests/tools").join(member).join("go.mod");
            inputs.insert(format!("member {member}"), fs_err::read(module)?);
        }
    }
    Ok(cx
        .cache
        .join("tools")
        .join(format!("{}-{}", tool.name, key(&inputs))))
}

/// Gives the Go workspace that a program is built in: its members share the versions of what they
/// import, so that it is compiled once.
fn workspace(cx: &Context, tool: &GoTool) -> Result<Option<PathBuf>> {
    let file = cx.root.join("tests/tools/workspace/go.work");
    let text = fs_err::read_to_string(&file)?;
    let member = members(&text).any(|member| member == tool.name);
    Ok(member.then_some(file))
}

/// Lists the members of a Go workspace, which are folders beside its own: one above them would be
/// what `go` takes for every program.
fn members(workspace: &str) -> impl Iterator<Item = &str> {
    workspace
        .lines()
        .filter_map(|line| line.trim().strip_prefix("../"))
}

fn source(cx: &Context, tool: &GoTool) -> PathBuf {
    cx.root.join("tests/tools").join(module(tool))
}

/// Gives the folder of a program's module; some modules have two programs.
fn module(tool: &GoTool) -> &'static str {
    match tool.name {
        "etcdctl" => "etcd",
        "buildkitd" | "buildctl" => "buildkit",
        name => name,
    }
}

/// Names a set of inputs by 16 hexadecimal digits.
pub fn key(inputs: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in inputs {
        // Lengths keep one input from running into the next.
        hash.update(format!("{}:{name}{}:", name.len(), value.len()));
        hash.update(value);
    }
    hex(&hash.finalize())[..16].to_owned()
}

/// Writes bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_changes_with_every_input_and_with_nothing_else() {
        let inputs = |pairs: &[(&str, &str)]| {
            key(&pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect())
        };
        let base = inputs(&[("a", "1"), ("b", "2")]);
        assert_eq!(base, inputs(&[("b", "2"), ("a", "1")]));
        assert_eq!(base.len(), 16);
        for other in [
            inputs(&[("a", "1"), ("b", "3")]),
            inputs(&[("a", "12"), ("b", "")]),
            inputs(&[("a", "1")]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn every_tool_has_a_module_with_checksums() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for tool in all() {
            let folder = root.join("tools").join(module(tool));
            assert!(folder.join("go.mod").is_file(), "{}", tool.name);
            assert!(
                folder.join("go.sum").is_file() || tool.name == "runcwrap",
                "{}",
                tool.name
            );
        }
    }
}
