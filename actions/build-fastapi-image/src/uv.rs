//! What `uv` is asked to do: fetch wheels, check their digests, install them.

use std::path::{Path, PathBuf};

use action_kit::{Command, CommandError, Environment, Secret};
use oci_image::Platform;

use crate::error::BuildError;
use crate::inputs::Request;
use crate::places::{self, INDEX_CREDENTIALS};
use crate::plan::Plan;

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
/// What uv says of a file in a wheel that would land outside of where the wheel is unpacked.
const UNSAFE: &str = "Skipping unsafe file name:";
/// What it says of a script that would.
const UNSAFE_SCRIPT: &str = "Script path must resolve to a file within the scripts directory:";
/// Where Debian and most images keep the certificates.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// uv, with a Python to ask what wheels it takes.
#[derive(Clone, Debug)]
pub(crate) struct Uv {
    folder: PathBuf,
    variables: Vec<(String, String)>,
    certificates: PathBuf,
    python: PathBuf,
    /// Whether wheels come from an index that somebody set, wherever the lock file has them from.
    pub(crate) has_index: bool,
}

/// Says whether uv finds a Python on this machine.
pub(crate) fn own_python(request: &Request) -> Option<PathBuf> {
    let command = Command::new("uv")
        .args(["python", "find", "--color", "never"])
        .env("UV_PYTHON_DOWNLOADS", "never")
        .current_dir(&request.folder);
    let found = command.output().ok()?.stdout.trim().to_owned();
    (!found.is_empty()).then(|| found.into())
}

impl Uv {
    /// Prepares uv: its settings come from the project and the step's environment.
    pub(crate) fn new(request: &Request, python: PathBuf) -> Self {
        let (variables, certificates) = settings(&request.environment);
        Self {
            folder: request.folder.clone(),
            variables,
            certificates,
            python,
            has_index: places::are_set(request),
        }
    }

    /// Installs packages, as a list of requirements or a `pylock.toml` with the digests of their
    /// files, into a folder.
    pub(crate) async fn install(
        &self,
        plan: &Plan,
        platform: &Platform,
        list: &Path,
        folder: &Path,
    ) -> Result<(), BuildError> {
        let words = [
            "pip",
            "install",
            "--require-hashes",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--link-mode",
            "hardlink",
            "--no-compile-bytecode",
            "--reinstall",
            "--no-progress",
            "--color",
            "never",
            "--python-platform",
            wheel_platform(platform),
            "--python-version",
            &plan.python.to_string(),
        ];
        let command = Command::new("uv")
            .current_dir(&self.folder)
            .args(words)
            .arg("--python")
            .arg(&self.python)
            .arg("--target")
            .arg(folder)
            .arg("--requirement")
            .arg(list)
            .env("UV_PYTHON_DOWNLOADS", "never")
            // Where it tells of files that it left out.
            .env("RUST_LOG", "uv_extract=warn");
        let command = self
            .variables
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value));
        let command = if self.certificates.is_file() {
            command.env("SSL_CERT_FILE", &self.certificates)
        } else {
            command
        };
        let finished = command
            .output_async()
            .await
            .map_err(|error| refused(error, plan, platform))?;
        match finished.stderr.split_once(UNSAFE) {
            Some((_, rest)) => Err(BuildError::Outside(
                rest.lines().next().unwrap_or_default().trim().to_owned(),
            )),
            None => Ok(()),
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

/// Gives uv's word for the platform: wheels for a C library as old as that run on every current
/// Debian and Red Hat.
fn wheel_platform(platform: &Platform) -> &'static str {
    match platform.architecture.as_str() {
        "arm64" => "aarch64-manylinux_2_28",
        _ => "x86_64-manylinux_2_28",
    }
}

/// Says why uv did not install, as far as its words tell.
fn refused(error: CommandError, plan: &Plan, platform: &Platform) -> BuildError {
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
    if let Some((_, path)) = tail.split_once(UNSAFE_SCRIPT) {
        return BuildError::Outside(path.lines().next().unwrap_or_default().trim().to_owned());
    }
    let lower = tail.to_lowercase();
    if lower.contains("hash mismatch") {
        return BuildError::HashMismatch { detail: detail() };
    }
    if lower.contains("no wheels")
        || lower.contains("no usable wheels")
        || lower.contains("has no wheel")
    {
        return BuildError::NoWheel {
            platform: platform.to_string(),
            python: plan.python.to_string(),
            detail: detail(),
        };
    }
    BuildError::Install(error)
}
