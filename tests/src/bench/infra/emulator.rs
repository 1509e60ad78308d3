//! A LocalStack of its own for each run.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result, bail};

use crate::bench::daemon::{Daemon, TIED};
use crate::context::Context;
use crate::steps::localstack;

/// What the network consists of, as `tests/bench/network/emulator.py` counts it.
pub const NETWORK: [(&str, i64); 13] = [
    ("VPC", 1),
    ("subnets", 12),
    ("internet gateway", 1),
    ("attachment", 1),
    ("route tables", 4),
    ("routes", 4),
    ("associations", 12),
    ("addresses", 3),
    ("NAT gateways", 3),
    ("endpoint", 1),
    ("log group", 1),
    ("role", 1),
    ("flow log", 1),
];
/// How long LocalStack may take to answer.
const START: Duration = Duration::from_secs(120);

/// How much there is of what a network consists of.
pub type Counts = BTreeMap<String, i64>;

/// A LocalStack that has made a network before, and has none.
pub struct Emulator<'a> {
    /// Where it answers.
    pub endpoint: String,
    cx: &'a Context,
    python: PathBuf,
    _daemon: Daemon,
}

impl<'a> Emulator<'a> {
    /// Starts it; its files are in a folder that is emptied first.
    pub fn start(cx: &'a Context, folder: &Path) -> Result<Self> {
        if folder.exists() {
            fs_err::remove_dir_all(folder)?;
        }
        fs_err::create_dir_all(folder)?;
        let python = localstack::install(cx)?;
        let free = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
        let port = free.local_addr()?.port();
        drop(free);
        let tied = Command::new(TIED[0]).args(&TIED[1..]).arg(&python);
        let daemon = Daemon::start(
            &localstack::command(tied, folder, port),
            &cx.folder.join("logs/bench-localstack.log"),
        )?;
        let emulator = Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            cx,
            python,
            _daemon: daemon,
        };
        cx.eventually("LocalStack answers", START, || {
            localstack::health(&emulator.endpoint)
        })?;
        let template = cx.root.join("actions/provision-infra/stacks/network.yaml");
        cx.run(&emulator.script().arg("warm").arg(template))
            .context("warm LocalStack up")?;
        Ok(emulator)
    }

    /// Counts what there is.
    pub fn count(&self) -> Result<Counts> {
        let text = self.cx.output(&self.script().arg("count"))?;
        serde_json::from_str(&text).context("read what there is")
    }

    /// Makes sure that the network has come to what was there before, and nothing else.
    pub fn check(&self, before: &Counts) -> Result<()> {
        compare(before, &self.count()?)
    }

    fn script(&self) -> Command {
        let script = self.cx.root.join("tests/bench/network/emulator.py");
        client(&self.python, &self.endpoint).arg(script)
    }
}

/// Starts a call of what asks an emulator.
pub fn client(program: impl AsRef<std::ffi::OsStr>, endpoint: &str) -> Command {
    Command::new(program)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", localstack::REGION)
}

fn compare(before: &Counts, after: &Counts) -> Result<()> {
    for (what, expected) in NETWORK {
        let count = |counts: &Counts| counts.get(what).copied().unwrap_or_default();
        let made = count(after) - count(before);
        if made != expected {
            bail!("the network has {made} {what} in place of {expected}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_network_is_no_comparison() {
        let before = Counts::from([("VPC".into(), 1), ("subnets".into(), 3)]);
        let mut after: Counts = NETWORK
            .iter()
            .map(|(what, count)| ((*what).to_owned(), *count))
            .collect();
        let error = compare(&before, &after).unwrap_err().to_string();
        assert_eq!(error, "the network has 0 VPC in place of 1");
        after.insert("VPC".into(), 2);
        after.insert("subnets".into(), 15);
        compare(&before, &after).unwrap();
        after.insert("role".into(), 2);
        let error = compare(&before, &after).unwrap_err().to_string();
        assert_eq!(error, "the network has 2 role in place of 1");
    }
}
