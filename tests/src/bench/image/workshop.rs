//! What a contender keeps on the machine between builds, and the calls that build.

use std::path::PathBuf;
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result};

use super::contender::{Contender, Tool};
use super::disk::Disk;
use super::index::Index;
use super::project::Project;
use super::registry::{self, Server};
use crate::bench::daemon::{Daemon, TIED};
use crate::bench::group::Group;
use crate::context::Context;

/// buildah has a fixed place for images and for what it knows of registries: for this call alone a
/// folder of ours, the first word, lies there. The rest of the words is the call.
const APART: &str = r#"mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/containers &&
mount --bind "$1" /var/lib/containers && shift && exec "$@""#;

/// What is the same for everybody.
pub struct Site<'a> {
    /// The run.
    pub cx: &'a Context,
    /// What is built.
    pub project: Project,
    /// Where it is pushed to.
    pub server: Server,
    /// Where packages come from.
    pub index: Index,
    /// Counts what processes take.
    pub group: Group,
    /// The folder that holds `uv` for builds in containers: a copy, since buildah refuses a program
    /// that somebody runs meanwhile.
    pub uv: PathBuf,
    /// The folder for what is kept between builds.
    pub folder: PathBuf,
}

/// A contender's place of work.
pub struct Workshop<'a> {
    site: &'a Site<'a>,
    contender: &'a Contender,
    daemon: Option<Daemon>,
    /// It goes after the daemon.
    _disk: Disk,
}

impl<'a> Workshop<'a> {
    /// Opens a place of work where nothing was ever built.
    pub fn open(site: &'a Site<'a>, contender: &'a Contender) -> Result<Self> {
        let disk = Disk::create(&site.folder)?;
        for folder in ["home", "tmp", "state", "helpers"] {
            fs_err::create_dir_all(site.folder.join(folder))?;
        }
        let mut workshop = Self {
            site,
            contender,
            daemon: None,
            _disk: disk,
        };
        match contender.tool {
            Tool::Action => {}
            Tool::BuildKit => workshop.daemon = Some(workshop.buildkitd()?),
            Tool::Buildah => workshop.settle_buildah()?,
        }
        Ok(workshop)
    }

    /// Builds the project as it is now, and pushes the image.
    pub fn build(&self) -> Result<()> {
        match self.contender.tool {
            Tool::Action => self.site.cx.run(&self.action()?).map(|_| ()),
            Tool::BuildKit => self.site.cx.run(&self.buildctl()?).map(|_| ()),
            Tool::Buildah => {
                self.site.cx.run(&self.buildah_build()?)?;
                let push = self.buildah()?.arg("push");
                let push = push
                    .args(self.buildah_access())
                    .arg(self.site.server.image());
                self.site.cx.run(&push).map(|_| ())
            }
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.site.folder.join(name)
    }

    /// Starts a call that is counted.
    fn counted(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let shell = Command::new("sh")
            .env("HOME", self.at("home"))
            .env("TMPDIR", self.at("tmp"));
        self.site.group.enter(shell, program)
    }

    fn action(&self) -> Result<Command> {
        let site = self.site;
        let program = std::env::current_exe()?.with_file_name("build-fastapi-image");
        let uv = site.cx.tool("uv")?;
        let path = site.cx.environment.get("PATH").unwrap_or_default();
        let beside = uv.parent().context("`uv` is in a folder")?;
        let call = self
            .counted(program)
            .arg("--path")
            .arg(&site.project.folder)
            .args(["--platforms", "linux/amd64", "--tags", "latest"])
            .args([
                "--image",
                &format!("{}/{}", site.server.name(), registry::REPOSITORY),
            ])
            .args(["--base-image", &site.server.base()?])
            .args(["--plain-http", &site.server.name()])
            .env("PATH", format!("{}:{path}", beside.display()));
        Ok(site
            .index
            .variables
            .iter()
            .fold(call, |call, (name, value)| call.env(name, value)))
    }

    /// Starts BuildKit's daemon. Its start is not measured: a runner that offers BuildKit has it up.
    /// What it mounts is its own, and goes with it.
    fn buildkitd(&self) -> Result<Daemon> {
        let site = self.site;
        let configuration = self.at("buildkitd.toml");
        let text = format!(
            "root = \"{root}\"\n\
             [grpc]\naddress = [\"{socket}\"]\n\
             [worker.oci]\nbinary = \"{runtime}\"\nnetworkMode = \"host\"\nsnapshotter = \"overlayfs\"\n\
             defaultCgroupParent = \"{group}\"\n\
             [worker.containerd]\nenabled = false\n\
             [registry.\"{registry}\"]\nhttp = true\n",
            root = self.at("state").display(),
            socket = self.socket(),
            runtime = site.cx.tool("runcwrap")?.display(),
            group = site.group.name,
            registry = site.server.name(),
        );
        fs_err::write(&configuration, text)?;
        let command = self
            .counted("unshare")
            .args(["--mount", "--propagation", "private"])
            .args(TIED)
            .arg(site.cx.tool("buildkitd")?)
            .arg("--config")
            .arg(configuration);
        let log = site.cx.folder.join("logs/buildkitd.log");
        let daemon = Daemon::start(&command, &log)?;
        let workers = Command::new(site.cx.tool("buildctl")?).args([
            "--addr",
            &self.socket(),
            "debug",
            "workers",
        ]);
        site.cx
            .eventually("buildkitd answers", Duration::from_secs(30), || {
                site.cx.run(&workers)
            })
            .with_context(|| format!("its log is {}", log.display()))?;
        Ok(daemon)
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.at("buildkitd.sock").display())
    }

    fn buildctl(&self) -> Result<Command> {
        let site = self.site;
        let (image, project) = (site.server.image(), site.project.folder.display());
        let dockerfiles = site.cx.root.join("tests/bench");
        let mut call = self
            .counted(site.cx.tool("buildctl")?)
            .args(["--addr", &self.socket(), "build", "--progress", "plain"])
            .args(["--frontend", "dockerfile.v0"])
            .args(["--local", &format!("context={project}")])
            .args(["--local", &format!("dockerfile={}", dockerfiles.display())])
            .args(["--opt", &format!("filename={}", self.contender.dockerfile)])
            .args(["--opt", &format!("build-arg:BASE={}", site.server.base()?)])
            .args(["--opt", "context:uv=local:uv"])
            .args(["--local", &format!("uv={}", site.uv.display())])
            .args(["--output", &format!("type=image,name={image},push=true")]);
        for (id, file) in site.index.secrets() {
            call = call.args(["--secret", &format!("id={id},src={}", file.display())]);
        }
        if self.contender.cache {
            let place = format!("type=registry,ref={}", self.cache(":latest"));
            call = call
                .args(["--import-cache", &place])
                .args(["--export-cache", &format!("{place},mode=max")]);
        }
        Ok(call)
    }

    /// Writes what buildah reads from the machine elsewhere.
    fn settle_buildah(&self) -> Result<()> {
        let policy = r#"{ "default": [{ "type": "insecureAcceptAnything" }] }"#;
        fs_err::write(self.at("policy.json"), policy)?;
        // It asks for the program that lays out networks even where none is laid out.
        fs_err::os::unix::fs::symlink("/bin/true", self.at("helpers/netavark"))?;
        let text = format!(
            "[engine]\ncgroup_manager = \"cgroupfs\"\nhelper_binaries_dir = [\"{}\"]\n",
            self.at("helpers").display()
        );
        fs_err::write(self.at("containers.conf"), text)?;
        Ok(())
    }

    fn buildah(&self) -> Result<Command> {
        Ok(self
            .counted("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                APART,
                "sh",
            ])
            .arg(self.at("state"))
            .arg(self.site.cx.tool("buildah")?)
            .args(["--storage-driver", "overlay", "--runroot"])
            .arg(self.at("run"))
            .env("CONTAINERS_CONF", self.at("containers.conf")))
    }

    fn buildah_access(&self) -> [String; 3] {
        let policy = self.at("policy.json").display().to_string();
        [
            "--tls-verify=false".into(),
            "--signature-policy".into(),
            policy,
        ]
    }

    fn buildah_build(&self) -> Result<Command> {
        let site = self.site;
        let dockerfile = site
            .cx
            .root
            .join("tests/bench")
            .join(self.contender.dockerfile);
        let mut call = self
            .buildah()?
            .arg("build")
            .args(self.buildah_access())
            .args([
                "--layers",
                "--isolation",
                "oci",
                "--network",
                "host",
                "--runtime",
            ])
            .arg(site.cx.tool("runcwrap")?)
            .args(["--cgroup-parent", &format!("/{}/run", site.group.name)])
            .args(["--build-arg", &format!("BASE={}", site.server.base()?)])
            .args(["--build-context", &format!("uv={}", site.uv.display())])
            .args(["--tag", &site.server.image()]);
        for (id, file) in site.index.secrets() {
            call = call.args(["--secret", &format!("id={id},src={}", file.display())]);
        }
        if self.contender.cache {
            let place = self.cache("");
            call = call.args(["--cache-from", &place, "--cache-to", &place]);
        }
        Ok(call.arg("--file").arg(dockerfile).arg(&site.project.folder))
    }

    /// Names the repository for intermediate layers.
    fn cache(&self, tag: &str) -> String {
        format!(
            "{}/{}-cache{tag}",
            self.site.server.name(),
            registry::REPOSITORY
        )
    }
}
