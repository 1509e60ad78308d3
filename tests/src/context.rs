//! What every step gets: places, addresses, the log, and the means to run programs.

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use action_kit::{Command, Environment, Finished};
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::docker::Docker;
use crate::runner::Runner;
use crate::state::State;

/// The variables that say how package registries are reached, by their clients.
const CLIENT_SETTINGS: [&str; 33] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_PYTHON",
    "GOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GONOSUMCHECK",
    "GOFLAGS",
    "GOCACHE",
    "GOMODCACHE",
    "GOPATH",
    "PYENV_ROOT",
    "CARGO_HOME",
    "CARGO_TARGET_DIR",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUSTUP_AUTO_INSTALL",
];

/// Where components come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Only package registries answer: components are built or installed from packages
    Packages,
    /// A container registry answers: upstream images
    Upstream,
}

/// The run, as a step sees it.
pub struct Context {
    /// The checkout.
    pub root: PathBuf,
    /// The run's own folder, `target/e2e`.
    pub folder: PathBuf,
    /// Where what was built is kept between runs.
    pub cache: PathBuf,
    /// The Docker daemon of the run.
    pub docker: Docker,
    /// Where components shall come from, when the user says so.
    pub forced: Option<Source>,
    /// The variables of the process.
    pub environment: Environment,
    state: RefCell<State>,
    step: RefCell<String>,
    started: RefCell<Instant>,
    runtime: tokio::runtime::Runtime,
}

impl Context {
    /// Opens the run of this checkout.
    pub fn open(source: Option<Source>) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the workspace")?
            .to_path_buf();
        let environment = Environment::of_process();
        let folder = root.join("target/e2e");
        fs_err::create_dir_all(folder.join("logs"))?;
        let mut state = State::load(&folder.join("state.json"));
        state.source = source.or(state.source);
        let home = environment.path("HOME").unwrap_or_else(|| "/root".into());
        let cache = environment.path("FASTAPI_EKS_CACHE").unwrap_or_else(|| {
            environment
                .path("XDG_CACHE_HOME")
                .unwrap_or_else(|| home.join(".cache"))
                .join("fastapi-eks-actions")
        });
        Ok(Self {
            docker: Docker::find(&folder),
            root,
            folder,
            cache,
            forced: source,
            environment,
            state: RefCell::new(state),
            step: RefCell::new("e2e".into()),
            started: RefCell::new(Instant::now()),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        })
    }

    /// Gives where components come from; the step `doctor` has found it out.
    pub fn source(&self) -> Result<Source> {
        self.state
            .borrow()
            .source
            .context("where components come from is not known yet: run the step `doctor`")
    }

    /// Reads the state.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Changes the state, on disk as well.
    pub fn update(&self, change: impl FnOnce(&mut State)) -> Result<()> {
        let mut state = self.state.borrow_mut();
        change(&mut state);
        state.save(&self.folder.join("state.json"))
    }

    /// Gives a fact that an earlier step found out.
    pub fn fact(&self, step: &str, name: &str) -> Result<serde_json::Value> {
        let state = self.state.borrow();
        let fact = state
            .steps
            .get(step)
            .and_then(|done| done.facts.get(name))
            .cloned();
        fact.with_context(|| {
            format!("the step `{step}` has left no `{name}`: run it first (`--only {step}`)")
        })
    }

    /// Names the step that runs from now on.
    pub fn enter(&self, step: &str) {
        *self.step.borrow_mut() = step.into();
        *self.started.borrow_mut() = Instant::now();
    }

    /// Gives the file that the present step logs to.
    pub fn log_file(&self) -> PathBuf {
        self.folder
            .join("logs")
            .join(format!("{}.log", self.step.borrow()))
    }

    /// Tells progress within a step.
    pub fn progress(&self, text: impl AsRef<str>) {
        let seconds = self.started.borrow().elapsed().as_secs_f32();
        eprintln!("    {seconds:6.1}s  {}", text.as_ref());
        self.log(text.as_ref());
    }

    /// Writes to the step's log file only.
    pub fn log(&self, text: &str) {
        let file = fs_err::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.log_file());
        // A log that cannot be written (disk full) shows in the step itself.
        if let Ok(mut file) = file {
            let _ = writeln!(file, "{text}");
        }
    }

    /// Runs a program to its end; call and output go to the step's log while it runs.
    pub fn run(&self, command: &Command) -> Result<Finished> {
        crate::programs::run(self, command)
    }

    /// Runs a program whose output is secret: nothing but the call is logged.
    pub fn run_quietly(&self, command: &Command) -> Result<Finished> {
        self.log(&format!("$ {} (output not logged)", command.call()));
        command.output().map_err(Into::into)
    }

    /// Starts a call of a package registry's client, which reads how this machine reaches it.
    pub fn client(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let settings = CLIENT_SETTINGS
            .iter()
            .filter_map(|name| Some((name, self.environment.get(name)?)));
        settings.fold(Command::new(program), |command, (name, value)| {
            command.env(name, value)
        })
    }

    /// Runs a program and gives its standard output without the last newline.
    pub fn output(&self, command: &Command) -> Result<String> {
        Ok(self.run(command)?.stdout.trim_end().to_owned())
    }

    /// Tries again until it works or the time is over; the last error is the cause.
    #[expect(clippy::unused_self, reason = "a means of every step, like the others")]
    pub fn eventually<T>(
        &self,
        what: &str,
        limit: Duration,
        mut attempt: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(error) if started.elapsed() >= limit => {
                    return Err(error.context(format!("{what} within {} s", limit.as_secs())));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(300)),
            }
        }
    }

    /// Waits for a future.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Gives the path of a tool that the step `tools` has made.
    pub fn tool(&self, name: &str) -> Result<PathBuf> {
        crate::tools::path(self, name)
    }

    /// Gives the kubeconfig of the cluster.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Starts a call of kubectl against the cluster.
    pub fn kubectl(&self) -> Result<Command> {
        Ok(Command::new(self.tool("kubectl")?).env("KUBECONFIG", self.kubeconfig()))
    }

    /// Applies manifests by server-side apply.
    pub fn apply(&self, name: &str, manifests: &str) -> Result<()> {
        let file = self.folder.join("manifests").join(format!("{name}.yaml"));
        crate::state::write_whole(&file, manifests.as_bytes())?;
        let kubectl = self
            .kubectl()?
            .args(["apply", "--server-side", "--force-conflicts", "-f"])
            .arg(&file);
        self.run(&kubectl).map(|_| ())
    }

    /// Reads an object (or a list) from the cluster as JSON.
    pub fn get(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let text = self.output(
            &self
                .kubectl()?
                .arg("get")
                .args(arguments)
                .args(["-o", "json"]),
        )?;
        serde_json::from_str(&text).context("read what kubectl says")
    }

    /// Gives the means to run actions on a checkout.
    pub fn runner(&self, workspace: impl Into<PathBuf>) -> Runner {
        Runner {
            docker_host: self.docker.host.clone(),
            workspace: workspace.into(),
            folder: self.folder.join("actions"),
        }
    }

    /// Gives the file that lists the actions' images of this run.
    pub fn action_images(&self) -> PathBuf {
        self.folder.join("action-images.json")
    }

    /// Gives the reference, by digest, of an action's image as the action's user would name it.
    pub fn action_image(&self, action: &str) -> Result<String> {
        let missing = || format!("no image of `{action}` yet: run the step `images` first");
        let text = fs_err::read_to_string(self.action_images()).with_context(missing)?;
        let images: serde_json::Value = serde_json::from_str(&text).with_context(missing)?;
        let reference = images[action]["reference"].as_str().with_context(missing)?;
        Ok(reference.to_owned())
    }
}
