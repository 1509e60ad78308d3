//! Debian's `docker-registry`, on a free port of the loopback interface.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use action_kit::Command;
use tempfile::TempDir;

/// A registry that ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    process: Child,
    folder: TempDir,
}

impl Server {
    /// Starts a registry that anybody may use.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// Starts a registry that only `user` with the password `canary-password` may use.
    pub(crate) fn start_protected() -> Self {
        // The password's bcrypt, as `htpasswd -B` writes it.
        let users = "user:$2b$05$zg/Yjceww8gYbn29eP.5EOIMD8TzHi/ordoz2rrBRp6z33okcHjuO\n";
        Self::with(users)
    }

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
            config.push_str(&format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                file.display()
            ));
        }
        let file = folder.path().join("config.yml");
        fs_err::write(&file, config).expect("the configuration");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .to_std()
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

    /// Lists the tags of a repository, as the registry's own files tell.
    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
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
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Finds an address that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}
