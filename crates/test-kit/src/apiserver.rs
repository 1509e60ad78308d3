//! A bare Kubernetes API server: etcd and kube-apiserver on free loopback ports, no nodes.
//!
//! Enough for everything that only the API server does (server-side apply, dry runs, leases,
//! Helm's own records), in three seconds and without a container. The programs are those that
//! `cargo xtask e2e` builds and keeps.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(90);
/// Whoever holds it may do everything, on a server that only this machine reaches.
const TOKEN: &str = "administrator-of-a-test";

static RUNNING: Mutex<Weak<ApiServer>> = Mutex::new(Weak::new());

/// A running API server; it ends when the last one who uses it drops it, or the process ends.
#[derive(Debug)]
pub struct ApiServer {
    folder: TempDir,
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl ApiServer {
    /// Gives the API server that the tests of this process share, and starts it when there is
    /// none. Each test uses namespaces of its own.
    ///
    /// # Panics
    /// When the programs are not there, or do not start.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = running.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start());
        *running = Arc::downgrade(&server);
        server
    }

    /// Starts an API server of its own.
    ///
    /// # Panics
    /// When the programs are not there, or do not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("apiserver-").expect("a folder for the API server");
        let (stop, stopped) = channel();
        let (ready, started) = channel();
        let path = folder.path().to_owned();
        // Children get a signal when the thread that started them ends, so it lives as long.
        let keeper = std::thread::spawn(move || keep(&path, &ready, &stopped));
        let server = Self {
            folder,
            stop: Some(stop),
            keeper: Some(keeper),
        };
        assert!(
            started.recv().is_ok(),
            "the API server does not start:\n{}",
            fs_err::read_to_string(server.folder.path().join("kube-apiserver.log"))
                .unwrap_or_default()
        );
        server
    }

    /// Gives the path of a kubeconfig for its administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Runs `kubectl` and gives its standard output.
    ///
    /// # Panics
    /// When it ends badly.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = kubectl(self.folder.path(), arguments);
        assert!(
            output.status.success(),
            "kubectl {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Gives the path of a program that `cargo xtask e2e` builds: `tool("helm", "helm")`.
///
/// # Panics
/// When it was not built.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "a test asks for the machine's own folders"
)]
pub fn tool(package: &str, program: &str) -> PathBuf {
    let own = std::env::var_os("FASTAPI_EKS_CACHE").map(PathBuf::from);
    let shared = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = own
        .or_else(|| Some(shared.or_else(home)?.join("fastapi-eks-actions")))
        .expect("HOME is set");
    let prefix = format!("{package}-");
    let entries = fs_err::read_dir(cache.join("tools")).into_iter().flatten();
    // Several versions lie side by side: the newest is the one of this checkout.
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let key = name.strip_prefix(&prefix).unwrap_or_default();
            key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
        .map(|entry| entry.path().join(program))
        .filter(|path| path.is_file())
        .max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok())
        .unwrap_or_else(|| {
            panic!(
                "`{program}` is not in {}: `cargo xtask e2e --only tools` builds it",
                cache.join("tools").display()
            )
        })
}

fn keep(folder: &Path, ready: &Sender<()>, stop: &Receiver<()>) {
    let mut children = run(folder);
    let started = Instant::now();
    while started.elapsed() < PATIENCE
        && children
            .iter_mut()
            .all(|child| matches!(child.try_wait(), Ok(None)))
    {
        if kubectl(folder, &["get", "--raw", "/readyz"])
            .status
            .success()
        {
            let _ = ready.send(());
            // Ends when the server is dropped.
            let _ = stop.recv();
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    for child in &mut children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn run(folder: &Path) -> Vec<Child> {
    let [etcd_port, peer_port, port] = free_ports();
    let certificates = folder.join("certificates");
    prepare(folder, &certificates, port);
    let etcd = format!("http://127.0.0.1:{etcd_port}");
    let peers = format!("http://127.0.0.1:{peer_port}");
    let data = folder.join("etcd").display().to_string();
    vec![
        daemon(
            folder,
            "etcd",
            &tool("etcd", "etcd"),
            &[
                "--data-dir",
                &data,
                "--unsafe-no-fsync",
                "--listen-client-urls",
                &etcd,
                "--advertise-client-urls",
                &etcd,
                "--listen-peer-urls",
                &peers,
            ],
        ),
        server(folder, &certificates, &etcd, port),
    ]
}

/// Writes what the API server and its clients read.
fn prepare(folder: &Path, certificates: &Path, port: u16) {
    let write = |name: &str, text: String| {
        fs_err::write(folder.join(name), text).expect("a file for the API server");
    };
    write(
        "tokens.csv",
        format!("{TOKEN},admin,admin,system:masters\n"),
    );
    write(
        "kubeconfig",
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             contexts: [{{name: test, context: {{cluster: test, user: admin}}}}]\n\
             clusters: [{{name: test, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority: '{}'}}}}]\n\
             users: [{{name: admin, user: {{token: {TOKEN}}}}}]\n",
            certificates.join("apiserver.crt").display()
        ),
    );
    // A version in the file keeps kubeadm from asking the internet for the newest.
    write(
        "kubeadm.yaml",
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n\
             kubernetesVersion: v1.35.0\ncertificatesDir: {}\n",
            certificates.display()
        ),
    );
    let mut keys = program(&tool("kube", "kubeadm"));
    let made = keys
        .args(["init", "phase", "certs", "sa", "--config"])
        .arg(folder.join("kubeadm.yaml"))
        .output()
        .expect("kubeadm starts");
    assert!(
        made.status.success(),
        "make the key of service accounts: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}

fn server(folder: &Path, certificates: &Path, etcd: &str, port: u16) -> Child {
    let key = certificates.join("sa.key").display().to_string();
    let tokens = folder.join("tokens.csv").display().to_string();
    daemon(
        folder,
        "kube-apiserver",
        &tool("kube", "kube-apiserver"),
        &[
            "--etcd-servers",
            etcd,
            "--bind-address=127.0.0.1",
            "--secure-port",
            &port.to_string(),
            "--cert-dir",
            &certificates.display().to_string(),
            "--token-auth-file",
            &tokens,
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file",
            &key,
            "--service-account-signing-key-file",
            &key,
            "--service-cluster-ip-range=10.0.0.0/24",
            // There is no controller that would make service accounts.
            "--disable-admission-plugins=ServiceAccount",
        ],
    )
}

fn daemon(folder: &Path, name: &str, path: &Path, arguments: &[&str]) -> Child {
    let log = fs_err::File::create(folder.join(format!("{name}.log"))).expect("a log file");
    // `setpriv` (util-linux) lets it end with the tests, however they end.
    program(Path::new("setpriv"))
        .args(["--pdeathsig", "KILL"])
        .arg(path)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.into_file())
        .spawn()
        .expect("setpriv of util-linux starts")
}

fn kubectl(folder: &Path, arguments: &[&str]) -> std::process::Output {
    program(&tool("kube", "kubectl"))
        .arg("--kubeconfig")
        .arg(folder.join("kubeconfig"))
        .args(arguments)
        .output()
        .expect("kubectl starts")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the kit's command belongs to what is tested"
)]
fn program(path: &Path) -> Command {
    Command::new(path)
}

/// Asks the kernel for ports that nobody uses, all at once so that they differ.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}
