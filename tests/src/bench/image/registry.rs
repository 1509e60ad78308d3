//! The registry that images are pushed to: Debian's, behind a proxy that counts. It can be put back
//! to what it held before, so that everybody starts from the same.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result};
use oci_image::Platform;
use oci_registry::{Access, reference};

use super::meter::{Meter, Target};
use crate::bench::daemon::{Daemon, TIED};
use crate::components;
use crate::context::Context;

/// What is built.
pub const REPOSITORY: &str = "acme/orders";
/// The state with nothing but the base image.
pub const BASE_ONLY: &str = "base-only";
/// The component that everybody builds on.
const BASE: &str = "python";

/// A registry with a counting proxy before it.
pub struct Server {
    /// Counts what goes to the registry and comes from it.
    pub meter: Meter,
    /// The digest of the base image.
    pub base_digest: String,
    folder: PathBuf,
    address: SocketAddr,
    daemon: RefCell<Option<Daemon>>,
}

impl Server {
    /// Starts a registry that holds the base image.
    pub fn start(cx: &Context, folder: PathBuf) -> Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
        let address = free.local_addr()?;
        drop(free);
        let mut server = Self {
            meter: Meter::start(Target::Server(address))?,
            base_digest: String::new(),
            folder,
            address,
            daemon: RefCell::new(None),
        };
        fs_err::create_dir_all(server.data())?;
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: \"{address}\"}}\n",
            server.data().display()
        );
        fs_err::write(server.configuration(), text)?;
        server.serve(cx)?;
        let base = components::component(BASE)?;
        server.base_digest = components::publish_to(cx, base, &address.to_string())?.digest;
        server.keep(cx, BASE_ONLY)?;
        Ok(server)
    }

    /// Gives the address that clients use, which leads through the proxy.
    pub fn name(&self) -> String {
        self.meter.address.to_string()
    }

    /// Gives the reference of the base image.
    pub fn base(&self) -> Result<String> {
        let base = components::component(BASE)?;
        Ok(format!("{}/{}:{}", self.name(), base.path(), base.tag))
    }

    /// Gives the reference of what is built.
    pub fn image(&self) -> String {
        format!("{}/{REPOSITORY}:latest", self.name())
    }

    /// Gives the number of bytes that a first pull of the image takes that was pushed last; this
    /// goes past the proxy.
    pub fn size(&self, cx: &Context) -> Result<u64> {
        let address = self.address.to_string();
        let places = oci_registry::Registry::connect(Access::default().plain_http([&address]))?;
        let target = reference(&format!("{address}/{REPOSITORY}:latest"))?;
        let image = cx.block_on(places.image(&target, &Platform::linux_amd64()))?;
        Ok(image.size())
    }

    /// Remembers under a name what the registry holds now.
    pub fn keep(&self, cx: &Context, state: &str) -> Result<()> {
        self.daemon.replace(None);
        let kept = self.folder.join(state);
        if kept.exists() {
            fs_err::remove_dir_all(&kept)?;
        }
        let copy = Command::new("cp").arg("--archive");
        cx.run(&copy.arg(self.data()).arg(&kept))?;
        self.serve(cx)
    }

    /// Puts the registry back to what was remembered.
    pub fn restore(&self, cx: &Context, state: &str) -> Result<()> {
        self.daemon.replace(None);
        fs_err::remove_dir_all(self.data())?;
        let copy = Command::new("cp").arg("--archive");
        cx.run(&copy.arg(self.folder.join(state)).arg(self.data()))?;
        self.serve(cx)
    }

    fn serve(&self, cx: &Context) -> Result<()> {
        let command = Command::new(TIED[0])
            .args(&TIED[1..])
            .args(["docker-registry", "serve"])
            .arg(self.configuration());
        let daemon = Daemon::start(&command, &self.folder.join("log"))?;
        self.daemon.replace(Some(daemon));
        cx.eventually("the registry answers", Duration::from_secs(20), || {
            TcpStream::connect(self.address)
                .map(|_| ())
                .with_context(|| format!("connect to {}", self.address))
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("registry.yml")
    }
}
