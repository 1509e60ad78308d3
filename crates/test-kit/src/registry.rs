//! A real registry: Debian's `docker-registry`, on a free port of the loopback interface.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A registry that ends with the test.
#[derive(Debug)]
pub struct RegistryServer {
    /// Where it listens, without HTTPS.
    pub address: SocketAddr,
    process: Child,
    folder: TempDir,
}

impl RegistryServer {
    /// Starts a registry that anybody may use.
    ///
    /// # Panics
    /// When `docker-registry` is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with("")
    }

    /// Starts a registry that only `user` with the password `canary-password` may use.
    ///
    /// # Panics
    /// When `docker-registry` is not installed, or does not start.
    #[must_use]
    pub fn start_protected() -> Self {
        // The password's bcrypt, as `htpasswd -B` writes it.
        let users = "user:$2b$05$zg/Yjceww8gYbn29eP.5EOIMD8TzHi/ordoz2rrBRp6z33okcHjuO\n";
        Self::with(users)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the server is started with nothing in between"
    )]
    fn with(users: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let address = free_address();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            folder.path().join("data").display()
        );
        if !users.is_empty() {
            let file = folder.path().join("users");
            fs_err::write(&file, users).expect("the users");
            let _ = write!(
                config,
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                file.display()
            );
        }
        let file = folder.path().join("config.yml");
        fs_err::write(&file, config).expect("the configuration");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`docker-registry` is missing: apt-get install docker-registry");
        let mut server = Self {
            address,
            process,
            folder,
        };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(self.address).is_err() {
            if let Ok(Some(status)) = self.process.try_wait() {
                panic!("docker-registry ended with {status}");
            }
            assert!(Instant::now() < deadline, "docker-registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Deletes a manifest from a repository, as the registry's own files tell.
    ///
    /// # Panics
    /// When it is not there.
    pub fn forget(&self, repository: &str, digest: &str) {
        let folder = self.folder.path().join(format!(
            "data/docker/registry/v2/repositories/{repository}/_manifests/revisions/sha256/{digest}"
        ));
        fs_err::remove_dir_all(folder).expect("the manifest");
    }

    /// Lists the tags of a repository, as the registry's own files tell.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let folder = self.folder.path().join(format!(
            "data/docker/registry/v2/repositories/{repository}/_manifests/tags"
        ));
        let Ok(entries) = fs_err::read_dir(folder) else {
            return Vec::new();
        };
        let mut tags: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        tags.sort();
        tags
    }

    /// Lists the tags that somebody chose: without those that list what is attached to an image, where
    /// a registry keeps no such list itself.
    #[must_use]
    pub fn chosen_tags(&self, repository: &str) -> Vec<String> {
        let mut tags = self.tags(repository);
        tags.retain(|tag| !tag.starts_with("sha256-"));
        tags
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Finds an address that nobody listens on.
///
/// # Panics
/// When the machine has no free port.
#[must_use]
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}
