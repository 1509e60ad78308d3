//! A server that runs as long as it is needed, and no longer.

use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use action_kit::Command;
use anyhow::{Context as _, Result};

/// How long it may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(20);
/// How often it is looked whether it has ended.
const PACE: Duration = Duration::from_millis(20);
/// What makes a program end with the one that started it, whatever ends that.
pub const TIED: [&str; 3] = ["setpriv", "--pdeathsig", "KILL"];

/// A server; it ends when this is dropped.
pub struct Daemon(Child);

impl Daemon {
    /// Starts a server; what it says is added to a file.
    pub fn start(command: &Command, log: &Path) -> Result<Self> {
        let log = fs_err::OpenOptions::new()
            .append(true)
            .create(true)
            .open(log)?
            .into_parts()
            .0;
        let child = command
            .to_std()
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start `{}`", command.call()))?;
        Ok(Self(child))
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        let started = Instant::now();
        while started.elapsed() < limit {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(PACE);
        }
        false
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        // It may have ended by itself.
        let _ = Command::new("kill").args(["-TERM", &id]).output();
        if !self.ends_within(GRACE) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_ends_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let shell = Command::new("sh").args(["-c", "echo here; exec sleep 600"]);
        let mut daemon = Daemon::start(&shell, &log).unwrap();
        let id = daemon.0.id();
        while fs_err::read_to_string(&log).unwrap() != "here\n" {
            thread::sleep(PACE);
        }
        assert!(!daemon.ends_within(Duration::from_millis(50)));
        drop(daemon);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }
}
