//! LocalStack with the extension that makes the stacks' resources for real (`tests/localstack`).

mod install;
mod python;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use action_kit::Command;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::context::Context;
use crate::http;
use crate::programs;
use crate::step::{Outcome, Step};

/// Where LocalStack answers.
pub const PORT: u16 = 4566;
/// The region of everything.
pub const REGION: &str = "eu-west-1";
/// The background program's name.
const NAME: &str = "localstack";
/// How long it may take to answer.
const START: Duration = Duration::from_secs(120);

pub fn step() -> Step {
    Step {
        name: "localstack",
        about: "install LocalStack with the project's extension, and start it",
        cold: Duration::from_secs(120),
        warm: Duration::from_secs(15),
        run,
    }
}

/// Gives the address at which programs of the machine reach LocalStack.
pub fn endpoint() -> String {
    format!("http://127.0.0.1:{PORT}")
}

/// Gives the address at which the actions' containers reach LocalStack.
pub fn endpoint_for_actions(cx: &Context) -> String {
    format!("http://{}:{PORT}", cx.docker.machine())
}

/// Gives the address at which the actions' containers ask who is asked for the zones of Route 53.
pub fn resolver_for_actions(cx: &Context) -> String {
    format!("{}:{PORT}", cx.docker.machine())
}

/// Gives the Python that LocalStack runs in; AWS's client for Python is there as well.
pub fn python(cx: &Context) -> Result<PathBuf> {
    let python = cx.fact(NAME, "python")?;
    let python = python.as_str().context("the path of Python")?;
    Ok(python.into())
}

/// Says whether a LocalStack of this checkout runs.
pub fn answers(cx: &Context) -> bool {
    programs::runs(cx, NAME) && health(&endpoint()).is_ok()
}

/// Makes sure that LocalStack is installed; gives the Python that it runs in.
pub fn install(cx: &Context) -> Result<PathBuf> {
    Ok(install::ensure(cx)?.python)
}

/// Lets a Python become LocalStack, which is to answer at a port and to keep its files in a folder.
pub fn command(python: Command, folder: &Path, port: u16) -> Command {
    python
        .args(["-m", "localstack_eks", "--port"])
        .arg(port.to_string())
        .arg("--folder")
        .arg(folder)
        .current_dir(folder)
}

/// Ends LocalStack, and with it everything that was made in it.
pub fn stop(cx: &Context) -> Result<()> {
    programs::stop(cx, NAME)?;
    let folder = folder(cx);
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    Ok(())
}

fn run(cx: &Context) -> Result<Outcome> {
    let installed = install::ensure(cx)?;
    let started = Instant::now();
    let reused = is_ours(cx, &installed.key) && health(&endpoint()).is_ok();
    if !reused {
        start(cx, &installed)?;
    }
    let health = cx.eventually("LocalStack answers", START, || {
        if !programs::runs(cx, NAME) {
            bail!("it has ended: read {}", programs::log(cx, NAME).display());
        }
        health(&endpoint())
    })?;
    let version = health["version"].as_str().unwrap_or_default();
    let state = if reused { "already up" } else { "started" };
    let seconds = started.elapsed().as_secs_f64();
    cx.progress(format!("LocalStack {version} is {state} at {}", endpoint()));
    Ok(Outcome::new(format!(
        "LocalStack {version} with the project's CloudFormation and EKS, on {}, {state} in {seconds:.0} s",
        installed.interpreter
    ))
    .fact("endpoint", endpoint())
    .fact("version", version)
    .fact("python", installed.python))
}

/// Says whether what runs is what was installed.
fn is_ours(cx: &Context, key: &str) -> bool {
    let noted = fs_err::read_to_string(note(&folder(cx))).unwrap_or_default();
    programs::runs(cx, NAME) && noted == key
}

fn start(cx: &Context, installed: &install::Installed) -> Result<()> {
    stop(cx)?;
    if health(&endpoint()).is_ok() {
        bail!("something else answers at {}: end it first", endpoint());
    }
    let folder = folder(cx);
    fs_err::create_dir_all(&folder)?;
    let command = command(Command::new(&installed.python), &folder, PORT)
        .arg("--kubeconfig")
        .arg(cx.kubeconfig());
    programs::start(cx, NAME, &command)?;
    fs_err::write(note(&folder), &installed.key)?;
    Ok(())
}

/// Asks LocalStack how it is: it must be ours, with the services of the extension.
pub fn health(endpoint: &str) -> Result<Value> {
    let text = http::client(Duration::from_secs(5), true)
        .get(format!("{endpoint}/_localstack/health"))
        .call()
        .context("ask LocalStack how it is")?
        .body_mut()
        .read_to_string()?;
    let health: Value = serde_json::from_str(&text).context("read what LocalStack says")?;
    if health["services"]["eks"].is_null() {
        bail!("LocalStack has no EKS: the extension is not loaded");
    }
    Ok(health)
}

fn folder(cx: &Context) -> PathBuf {
    cx.folder.join(NAME)
}

fn note(folder: &Path) -> PathBuf {
    folder.join("installation")
}
