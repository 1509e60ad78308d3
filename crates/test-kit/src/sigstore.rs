//! A Sigstore of one's own: the program that `tests/tools/sigstore` is.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Step, tool};

/// Who signs in tests, unless another workflow is asked for.
pub const SIGNER: &str =
    "https://github.com/octo-org/orders/.github/workflows/application.yml@refs/heads/main";

/// An issuer of tokens, a certificate authority with its log, a log of signatures, a timestamp
/// authority and a repository of trust. It ends when it is dropped, or the process ends.
#[derive(Debug)]
pub struct Sigstore {
    process: Child,
    told: Value,
    folder: TempDir,
}

impl Sigstore {
    /// Starts one, with keys that nobody else has.
    ///
    /// # Panics
    /// When the program is not there, or does not start.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the server is started with nothing in between"
    )]
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("sigstore-").expect("a folder for Sigstore");
        let log = fs_err::File::create(folder.path().join("sigstore.log")).expect("a log file");
        let mut process = Command::new(tool("sigstore", "sigstore"))
            .arg(folder.path())
            // It ends when this pipe does.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.into_file())
            .spawn()
            .expect("the program starts");
        let stdout = process.stdout.take().expect("its output");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let told = serde_json::from_str(&line).unwrap_or_else(|error| {
            let log =
                fs_err::read_to_string(folder.path().join("sigstore.log")).unwrap_or_default();
            panic!("Sigstore says `{line}` ({error}):\n{log}")
        });
        Self {
            process,
            told,
            folder,
        }
    }

    fn told(&self, name: &str) -> &str {
        self.told[name].as_str().expect("what Sigstore tells")
    }

    /// Gives the address of the repository of trust.
    #[must_use]
    pub fn mirror(&self) -> &str {
        self.told("tuf-mirror")
    }

    /// Gives the file with the first root of the repository of trust.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        PathBuf::from(self.told("tuf-root"))
    }

    /// Gives who vouches for the workflows.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.told("issuer")
    }

    /// Gives what a job that may ask for tokens has in its environment; `claims` replaces claims of
    /// the token.
    #[must_use]
    pub fn variables(&self, claims: &[(&str, &str)]) -> [(&'static str, String); 2] {
        let mut url = format!("{}?api-version=2.0", self.told("token-url"));
        for (name, value) in claims {
            url = format!("{url}&{name}={value}");
        }
        [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", self.told("token").into()),
        ]
    }

    /// Lets a step use this Sigstore, for tokens and for trust.
    #[must_use]
    pub fn known_to(&self, step: Step, claims: &[(&str, &str)]) -> Step {
        let step = step
            .input("tuf-mirror", self.mirror())
            .input("tuf-root", self.root().display().to_string());
        let variables = self.variables(claims).into_iter();
        variables.fold(step, |step, (name, value)| step.env(name, value))
    }

    /// Lets Sigstore's own library for Go, which cosign has, verify a bundle about a SHA-256.
    ///
    /// # Errors
    /// What it says when it does not believe that `identity` has signed.
    ///
    /// # Panics
    /// When the program is not there.
    #[expect(
        clippy::disallowed_methods,
        reason = "the program is started with nothing in between"
    )]
    pub fn believes(&self, bundle: &[u8], sha256: &str, identity: &str) -> Result<(), String> {
        let file = self.folder.path().join("bundle.json");
        fs_err::write(&file, bundle).expect("a file");
        let output = Command::new(tool("sigstore", "sigstore"))
            .args(["verify", self.told("trusted-root")])
            .arg(&file)
            .args([sha256, identity, self.issuer()])
            .output()
            .expect("the program starts");
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Gives what it wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs_err::read_to_string(self.folder.path().join("sigstore.log")).unwrap_or_default()
    }
}

impl Drop for Sigstore {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
