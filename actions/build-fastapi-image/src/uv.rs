//! What `uv` is asked to do: check the lock file, list its packages, install them.

use std::path::{Path, PathBuf};

use action_kit::{Command, CommandError, Environment, Finished, Secret};
use oci_image::Platform;

use crate::error::BuildError;
use crate::exclude::Excluded;
use crate::inputs::Request;
use crate::lock;
use crate::observe::{self, Observed};
use crate::plan::Plan;
use crate::root::{CERTIFICATES, Root};

/// The variables that tell uv about indexes, proxies and caches.
const PASSED: [&str; 18] = [
    "UV_CACHE_DIR",
    "UV_CONFIG_FILE",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_HTTP_TIMEOUT",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NO_CACHE",
    "UV_OFFLINE",
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "NETRC",
    "SSL_CERT_DIR",
];
/// What the variables with an index's own credentials start with.
const INDEX_CREDENTIALS: &str = "UV_INDEX_";
/// Where Debian and most images keep the certificates.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The folder inside a root that uv works in.
const PROJECT: &str = "/tmp/project";

/// uv, with a Python to ask.
#[derive(Debug)]
pub(crate) struct Uv<'a> {
    folder: PathBuf,
    variables: Vec<(String, String)>,
    certificates: PathBuf,
    python: Python<'a>,
}

#[derive(Debug)]
enum Python<'a> {
    /// One of this machine.
    Own(String),
    /// The base image's, inside its root.
    Base(&'a Root, String),
}

/// Says whether uv finds a Python on this machine that the project can be locked with.
pub(crate) fn own_python(request: &Request) -> Option<String> {
    let command = Command::new("uv")
        .args(["python", "find", "--color", "never"])
        .env("UV_PYTHON_DOWNLOADS", "never")
        .current_dir(&request.folder);
    let found = command.output().ok()?.stdout.trim().to_owned();
    (!found.is_empty()).then_some(found)
}

impl<'a> Uv<'a> {
    /// Prepares uv with a Python of this machine.
    pub(crate) fn with_own(request: &Request, python: String) -> Self {
        let (variables, certificates) = settings(&request.environment);
        Self {
            folder: request.folder.clone(),
            variables,
            certificates,
            python: Python::Own(python),
        }
    }

    /// Prepares uv inside the base image's file system, with its Python.
    pub(crate) fn with_base(
        request: &Request,
        observed: &Observed,
        root: &'a Root,
    ) -> Result<Self, BuildError> {
        let (variables, certificates) = settings(&request.environment);
        root.connect(&certificates)?;
        let doing = || BuildError::file("prepare uv in the base image's file system");
        let program = program(&request.environment)
            .ok_or_else(|| BuildError::NoInterpreter(observed.base.name.clone()))?;
        fs_err::copy(program, root.at("/tmp/uv")).map_err(doing())?;
        // More than the image gets: wheels of the project's own, say.
        let mut paths = Vec::new();
        observe::list(&request.folder, "", &Excluded::always(), &mut paths).map_err(doing())?;
        paths.push("uv.lock".into());
        for path in paths {
            let from = request.folder.join(&path);
            if !from.is_file() {
                continue;
            }
            let to = root.at(PROJECT).join(path);
            let folder = to.parent().unwrap_or(Path::new("/"));
            fs_err::create_dir_all(folder).map_err(doing())?;
            fs_err::copy(from, to).map_err(doing())?;
        }
        Ok(Self {
            folder: request.folder.clone(),
            variables,
            certificates,
            python: Python::Base(root, request.python.clone()),
        })
    }

    /// Refuses a lock file that does not match the project.
    pub(crate) async fn check_lock(&self, observed: &Observed) -> Result<(), BuildError> {
        let differences = lock::differences(&observed.files);
        let checked = self
            .with_python(&["lock", "--check", "--no-progress", "--color", "never"])?
            .output_async()
            .await;
        match checked {
            Ok(_) => Ok(()),
            // Without the index uv cannot say what would change; the files themselves may tell.
            Err(CommandError::Status { tail, .. })
                if tail.contains("needs to be updated") || !differences.is_empty() =>
            {
                Err(BuildError::LockMismatch { differences })
            }
            Err(error) => Err(BuildError::LockCheck(error)),
        }
    }

    /// Lists the packages, pinned, with the digests of their files.
    pub(crate) async fn requirements(&self) -> Result<String, BuildError> {
        let command = Command::new("uv")
            .args(["export", "--frozen", "--no-dev", "--no-emit-project"])
            .args([
                "--no-header",
                "--no-annotate",
                "--no-progress",
                "--color",
                "never",
            ])
            .current_dir(&self.folder);
        let Finished { stdout, .. } = self
            .with_settings(command)
            .output_async()
            .await
            .map_err(BuildError::Export)?;
        Ok(stdout)
    }

    /// Installs the packages into a folder of the root.
    pub(crate) async fn install(
        &self,
        plan: &Plan,
        platform: &Platform,
        root: &Root,
        requirements: &str,
        target: &str,
    ) -> Result<(), BuildError> {
        let doing = || BuildError::file("write the list of packages");
        let list = root.at("/tmp/requirements.txt");
        fs_err::create_dir_all(root.at("/tmp")).map_err(doing())?;
        fs_err::write(&list, requirements).map_err(doing())?;
        let (list, target) = match &self.python {
            Python::Own(_) => (list, root.at(target)),
            Python::Base(..) => ("/tmp/requirements.txt".into(), target.into()),
        };
        let words = [
            "pip",
            "install",
            "--require-hashes",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--link-mode",
            "copy",
            "--no-compile-bytecode",
            "--no-progress",
            "--color",
            "never",
            "--python-platform",
            wheel_platform(platform),
            "--python-version",
            &plan.python.to_string(),
        ];
        let command = self
            .with_python(&words)?
            .arg("--target")
            .arg(target)
            .arg("--requirement")
            .arg(list);
        match command.output_async().await {
            Ok(_) => Ok(()),
            Err(error) => Err(refused(error, plan)),
        }
    }

    fn with_python(&self, words: &[&str]) -> Result<Command, BuildError> {
        let (command, python) = match &self.python {
            Python::Own(python) => (Command::new("uv").current_dir(&self.folder), python),
            Python::Base(root, python) => (root.command(PROJECT, "/tmp/uv")?, python),
        };
        let command = command
            .args(words)
            .args(["--python", python])
            .env("UV_PYTHON_DOWNLOADS", "never");
        Ok(self.with_settings(command))
    }

    fn with_settings(&self, command: Command) -> Command {
        let command = self
            .variables
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value));
        match (&self.python, self.certificates.is_file()) {
            (_, false) => command,
            (Python::Own(_), true) => command.env("SSL_CERT_FILE", &self.certificates),
            (Python::Base(..), true) => command.env("SSL_CERT_FILE", CERTIFICATES),
        }
    }
}

/// Picks what uv needs from the environment; nothing else of it reaches uv.
fn settings(environment: &Environment) -> (Vec<(String, String)>, PathBuf) {
    let mut variables: Vec<(String, String)> = PASSED
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), environment.get(name)?.to_owned())))
        .collect();
    variables.extend(
        environment
            .starting_with(INDEX_CREDENTIALS)
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let certificates = environment
        .path("SSL_CERT_FILE")
        .unwrap_or_else(|| AUTHORITIES.into());
    (variables, certificates)
}

/// Gives the passwords of indexes, so that a log can leave them out.
pub(crate) fn index_passwords(environment: &Environment) -> Vec<Secret> {
    environment
        .starting_with(INDEX_CREDENTIALS)
        .filter(|(name, _)| name.ends_with("_PASSWORD"))
        .map(|(_, value)| Secret::new(value))
        .collect()
}

fn program(environment: &Environment) -> Option<PathBuf> {
    environment
        .get("PATH")?
        .split(':')
        .map(|folder| Path::new(folder).join("uv"))
        .find(|program| program.is_file())
}

/// Gives uv's word for the platform: wheels for a C library as old as that run on every current
/// Debian and Red Hat.
fn wheel_platform(platform: &Platform) -> &'static str {
    match platform.architecture.as_str() {
        "arm64" => "aarch64-manylinux_2_28",
        _ => "x86_64-manylinux_2_28",
    }
}

/// Says why uv did not install, as far as its words tell.
fn refused(error: CommandError, plan: &Plan) -> BuildError {
    let CommandError::Status { tail, .. } = &error else {
        return BuildError::Install(error);
    };
    let detail = || {
        let (_, cause) = tail.split_once("error: ").unwrap_or(("", tail));
        let words: Vec<&str> = cause
            .split_whitespace()
            .filter(|word| !word.chars().all(|c| "×╰─▶├│".contains(c)))
            .collect();
        words.join(" ")
    };
    let lower = tail.to_lowercase();
    if lower.contains("hash mismatch") {
        return BuildError::HashMismatch { detail: detail() };
    }
    if lower.contains("no wheels")
        || lower.contains("no usable wheels")
        || lower.contains("has no wheel")
    {
        return BuildError::NoWheel {
            platform: plan.platform.clone(),
            python: plan.python.to_string(),
            detail: detail(),
        };
    }
    BuildError::Install(error)
}
