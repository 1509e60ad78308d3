//! The servers that integration tests call: started by the package `e2e`, ended after the tests.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{shell, workspace};

/// Servers that run for the tests; they end when this is dropped, unless they ran before.
pub(crate) struct Services {
    program: String,
    started: Started,
}

/// What `e2e services start` prints.
#[derive(Deserialize)]
struct Started {
    endpoint: String,
    python: String,
}

impl Services {
    /// Installs what the tests and the build need, and starts the servers.
    pub(crate) fn start() -> Result<Self> {
        let build = [
            "build",
            "--release",
            "--workspace",
            "--locked",
            "--bin",
            "e2e",
        ];
        shell::run("cargo", &build)?;
        let program = workspace::program_folder()?
            .join("e2e")
            .to_string_lossy()
            .into_owned();
        let text = shell::stdout(&program, &["services", "start"])?;
        let started = serde_json::from_str(&text).context("read what `e2e services start` says")?;
        Ok(Self { program, started })
    }

    /// Runs the tests that are not Rust: the LocalStack extension's, and the database image's.
    pub(crate) fn python_tests(&self) -> Result<()> {
        let extension = workspace::root().join("tests/localstack");
        let pytest = ["-m", "pytest", "-p", "no:cacheprovider"];
        shell::run_in(&extension, &self.started.python, &pytest)?;
        let unittest = [
            "-m",
            "unittest",
            "discover",
            "--start-directory",
            "tests/images/postgres",
        ];
        shell::run("python3", &unittest)
    }

    /// Runs every test of the workspace.
    pub(crate) fn rust_tests(&self) -> Result<()> {
        let endpoint = format!("LOCALSTACK_ENDPOINT={}", self.started.endpoint);
        shell::run(
            "env",
            &[
                &endpoint,
                "cargo",
                "test",
                "--release",
                "--workspace",
                "--locked",
            ],
        )
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if let Err(error) = shell::run(&self.program, &["services", "stop"]) {
            eprintln!("warning: {error:#}");
        }
    }
}
