//! An application's container on its own: locked down as in the cluster, with nothing around it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::context::Context;
use crate::http;

/// How long an application may take to answer its first request.
const START: Duration = Duration::from_secs(30);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The port that the images listen on.
const PORT: u16 = 8000;

/// A container that runs; it is removed when it is dropped.
pub struct Alone<'a> {
    cx: &'a Context,
    name: String,
    /// Where it answers, as `address:port`.
    pub address: String,
}

impl<'a> Alone<'a> {
    /// Starts an image with a read-only root file system and without capabilities, and waits until
    /// it answers at `path`.
    pub fn start(
        cx: &'a Context,
        name: &str,
        image: &str,
        variables: &[&str],
        path: &str,
    ) -> Result<Self> {
        let name = format!("fastapi-eks-{name}");
        let mut alone = Self {
            cx,
            name,
            address: String::new(),
        };
        // What a killed run left behind.
        alone.remove();
        let run = cx.docker.command().args(["run", "--detach", "--read-only"]);
        let run = run.args(["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]);
        let run = variables
            .iter()
            .fold(run, |run, variable| run.args(["--env", variable]));
        cx.run(&run.args(["--name", &alone.name, image]))?;
        let state = alone.inspect()?;
        let networks = state["NetworkSettings"]["Networks"].as_object();
        let address = networks
            .into_iter()
            .flatten()
            .find_map(|(_, network)| network["IPAddress"].as_str())
            .filter(|address| !address.is_empty());
        let Some(address) = address else {
            bail!("`{image}` ended at once:\n{}", alone.log());
        };
        alone.address = format!("{address}:{PORT}");
        cx.eventually(&format!("`{image}` answers"), START, || alone.get(path))
            .with_context(|| alone.log())?;
        Ok(alone)
    }

    /// Asks for a path; gives what is answered with status 200.
    pub fn get(&self, path: &str) -> Result<String> {
        let url = format!("http://{}{path}", self.address);
        let client = http::client(PATIENCE, true);
        Ok(client.get(url).call()?.body_mut().read_to_string()?)
    }

    /// Sends a signal to the first process.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let kill = ["kill", "--signal", signal, &self.name];
        self.cx
            .run(&self.cx.docker.command().args(kill))
            .map(|_| ())
    }

    /// Waits for the end; gives the exit status.
    pub fn wait(&self) -> Result<i32> {
        let text = self
            .cx
            .output(&self.cx.docker.command().args(["wait", &self.name]))?;
        text.parse()
            .with_context(|| format!("`docker wait` says `{text}`"))
    }

    /// Gives what Docker knows of the container.
    pub fn inspect(&self) -> Result<Value> {
        let text = self
            .cx
            .output(&self.cx.docker.command().args(["inspect", &self.name]))?;
        let all: Vec<Value> = serde_json::from_str(&text)?;
        all.into_iter().next().context("Docker inspects nothing")
    }

    /// Gives what the container has written.
    pub fn log(&self) -> String {
        let logs = self.cx.docker.command().args(["logs", &self.name]);
        self.cx
            .run(&logs)
            .map(|said| said.stdout + &said.stderr)
            .unwrap_or_default()
    }

    fn remove(&self) {
        let _ = self
            .cx
            .docker
            .command()
            .args(["rm", "--force", &self.name])
            .output();
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}
