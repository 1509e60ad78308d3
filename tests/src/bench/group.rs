//! A control group of our own: what all processes of a build take together, daemons and containers
//! included.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result};

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// What the names of our groups begin with; the rest is the id of a run's process.
const PREFIX: &str = "fastapi-eks-bench-";
/// The member that holds our own processes; containers get groups beside it.
const MEMBER: &str = "main";
/// How often memory is looked at.
const PACE: Duration = Duration::from_millis(20);
/// The file that lists the processes of a group.
const PROCESSES: &str = "cgroup.procs";
/// Enters the group of the first word, and becomes the program after it.
const ENTER: &str = r#"echo $$ >"$1" && shift && exec "$@""#;

/// A control group; it goes when this is dropped.
pub struct Group {
    /// Its path below the root, for programs that make groups for containers.
    pub name: String,
    folder: PathBuf,
    first_version: bool,
}

impl Group {
    /// Makes the group of this process.
    pub fn create() -> Result<Self> {
        let name = format!("{PREFIX}{}", std::process::id());
        let root = Path::new(ROOT);
        let first_version = !root.join("cgroup.controllers").exists();
        let all = if first_version {
            root.join("cpuacct")
        } else {
            root.into()
        };
        sweep(&all)?;
        let folder = all.join(&name);
        fs_err::create_dir_all(folder.join(MEMBER))
            .context("make a control group\nhint: it takes root")?;
        Ok(Self {
            name,
            folder,
            first_version,
        })
    }

    /// Lets a shell enter the group and become a program.
    pub fn enter(&self, shell: Command, program: impl AsRef<std::ffi::OsStr>) -> Command {
        shell
            .args(["-c", ENTER, "sh"])
            .arg(self.folder.join(MEMBER).join(PROCESSES))
            .arg(program)
    }

    /// Gives the processor time that everything in the group has taken so far.
    pub fn processor_time(&self) -> Result<Duration> {
        if self.first_version {
            let text = fs_err::read_to_string(self.folder.join("cpuacct.usage"))?;
            return Ok(Duration::from_nanos(text.trim().parse()?));
        }
        let text = fs_err::read_to_string(self.folder.join("cpu.stat"))?;
        let time = field(&text, "usage_usec").context("`cpu.stat` tells no `usage_usec`")?;
        Ok(Duration::from_micros(time))
    }

    /// Starts to watch how much memory is taken.
    pub fn watch(&self) -> Watch {
        let (stop, peak) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (stopped, highest) = (Arc::clone(&stop), Arc::clone(&peak));
        let folder = self.folder.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                highest.fetch_max(held(&folder), Ordering::Relaxed);
                thread::sleep(PACE);
            }
        });
        Watch { stop, peak, thread }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Processes that were just ended take a moment to leave.
        for _ in 0..50 {
            if remove_everywhere(&self.name).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        eprintln!("warning: the control group `{}` is left behind", self.name);
    }
}

/// A look at memory that is under way.
pub struct Watch {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Watch {
    /// Ends it, and gives the highest sum that was seen.
    pub fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        self.peak.load(Ordering::Relaxed)
    }
}

/// Removes the groups of runs that were killed.
fn sweep(all: &Path) -> Result<()> {
    for entry in fs_err::read_dir(all)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let run = name.strip_prefix(PREFIX);
        if run.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            remove_everywhere(&name)?;
        }
    }
    Ok(())
}

/// Removes a group; a runtime makes those of a container in every hierarchy.
fn remove_everywhere(name: &str) -> Result<()> {
    let mut folders = vec![Path::new(ROOT).join(name)];
    for entry in fs_err::read_dir(ROOT)? {
        folders.push(entry?.path().join(name));
    }
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        remove(folder)?;
    }
    Ok(())
}

/// Removes a group with those below it; their files go by themselves.
fn remove(folder: &Path) -> Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove(&path)?;
        }
    }
    fs_err::remove_dir(folder)?;
    Ok(())
}

/// Sums up, in bytes, what the processes of a group and of those below it hold alone: neither
/// programs nor files, which the kernel gives up when it needs room. The kernel's own sum for a
/// group lags behind by more than a short build takes.
fn held(group: &Path) -> u64 {
    let mut sum = 0;
    // Processes and groups may go at any time.
    let text = fs_err::read_to_string(group.join(PROCESSES)).unwrap_or_default();
    for process in text.lines() {
        let status = fs_err::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        sum += field(&status, "RssAnon:").unwrap_or_default() * 1024;
    }
    for entry in fs_err::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sum += held(&entry.path());
        }
    }
    sum
}

/// Finds the number after a word at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.next()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_the_word_before_them() {
        assert_eq!(field("usage_usec 12\nuser_usec 7\n", "user_usec"), Some(7));
        let status = "Name:\tsh\nVmRSS:\t  900 kB\nRssAnon:\t  120 kB\n";
        assert_eq!(field(status, "RssAnon:"), Some(120));
        assert_eq!(field(status, "RssShmem:"), None);
    }

    #[test]
    fn what_processes_of_a_group_hold_is_summed_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(PROCESSES);
        let below = folder.path().join("below");
        fs_err::create_dir_all(&below).unwrap();
        assert_eq!(held(folder.path()), 0);
        let own = std::process::id().to_string();
        fs_err::write(file, format!("{own}\n4999999\n")).unwrap();
        let once = held(folder.path());
        assert!(once > 0);
        fs_err::write(below.join(PROCESSES), own).unwrap();
        assert!(held(folder.path()) > once);
    }
}
