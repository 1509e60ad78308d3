//! Recognisable values in place of secrets, and the search for them in everything that a run
//! produces.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use flate2::read::MultiGzDecoder;
use memchr::memmem;

/// What every canary begins with.
const PREFIX: &str = "fastapi-eks-canary-";
/// How often the processes of the machine are looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Gives the canary that stands for a secret.
pub fn value(name: &str) -> String {
    format!("{PREFIX}{name}-5f1d7c93ab")
}

/// Gives the variables with which every action runs: credentials that a job may have.
pub fn variables() -> BTreeMap<String, String> {
    [
        "GITHUB_TOKEN",
        "ACTIONS_RUNTIME_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "DEPLOY_KEY",
    ]
    .into_iter()
    .map(|name| (name.to_owned(), value(&name.to_lowercase())))
    .collect()
}

/// Where a secret was found.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Found {
    /// The file, and the secret's name; never its value.
    pub place: String,
}

/// What is searched for: the canaries, and true secrets by name.
#[derive(Debug)]
pub struct Search {
    needles: Vec<(String, Vec<u8>)>,
}

impl Search {
    /// Starts with the canaries.
    pub fn new() -> Self {
        Self {
            needles: vec![("a canary".into(), PREFIX.into())],
        }
    }

    /// Adds a secret that the run has made itself.
    #[must_use]
    pub fn and(mut self, name: &str, value: &[u8]) -> Self {
        self.needles.push((name.into(), value.into()));
        self
    }

    /// Searches every file below a folder, but for what `skip` says; compressed ones are
    /// searched as they are and unpacked. Gives what was found, and how many files were searched.
    pub fn folder(
        &self,
        folder: &Path,
        skip: impl Fn(&Path) -> bool,
    ) -> Result<(Vec<Found>, usize)> {
        let mut found = Vec::new();
        let mut count = 0;
        let mut folders = vec![folder.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(&folder)? {
                let entry = entry?;
                let path = entry.path();
                let kind = entry
                    .file_type()
                    .with_context(|| path.display().to_string())?;
                if skip(&path) {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    count += 1;
                    found.extend(self.file(&path)?);
                }
            }
        }
        Ok((found, count))
    }

    fn file(&self, path: &Path) -> Result<Vec<Found>> {
        let bytes = fs_err::read(path)?;
        let mut names = self.names(&bytes);
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut unpacked = Vec::new();
            MultiGzDecoder::new(&bytes[..])
                .read_to_end(&mut unpacked)
                .with_context(|| format!("unpack {}", path.display()))?;
            names.extend(self.names(&unpacked));
            // What compression left as it is shows in both forms.
            names.sort_unstable();
            names.dedup();
        }
        Ok(names
            .into_iter()
            .map(|name| Found {
                place: format!("{name} in {}", path.display()),
            })
            .collect())
    }

    fn names(&self, bytes: &[u8]) -> Vec<&str> {
        self.needles
            .iter()
            .filter(|(_, needle)| memmem::find(bytes, needle).is_some())
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// Looks at the arguments of every process of the machine until it is finished.
pub struct ProcessWatch {
    stop: mpsc::Sender<()>,
    thread: thread::JoinHandle<Vec<String>>,
}

impl ProcessWatch {
    /// Starts to look for canaries.
    pub fn start() -> Self {
        Self::start_for(PREFIX)
    }

    fn start_for(needle: &'static str) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut found = Vec::new();
            while stopped.recv_timeout(INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
                found.extend(look(needle.as_bytes()));
            }
            found.sort();
            found.dedup();
            found
        });
        Self { stop, thread }
    }

    /// Ends the look-out, and gives the programs whose arguments held a canary.
    pub fn finish(self) -> Vec<String> {
        drop(self.stop);
        self.thread
            .join()
            .unwrap_or_else(|_| vec!["the look-out itself failed".into()])
    }
}

fn look(needle: &[u8]) -> Vec<String> {
    let Ok(processes) = fs_err::read_dir("/proc") else {
        return vec!["/proc cannot be read".into()];
    };
    processes
        .filter_map(|entry| fs_err::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|arguments| memmem::find(arguments, needle).is_some())
        .map(|arguments| {
            let program = arguments
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default();
            String::from_utf8_lossy(program).into_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::process::CommandExt;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_secret_is_found_in_plain_and_in_compressed_files() {
        let folder = tempfile::tempdir().unwrap();
        let secret = value("password");
        fs_err::create_dir_all(folder.path().join("a/b")).unwrap();
        fs_err::write(folder.path().join("a/b/log"), format!("x{secret}y")).unwrap();
        let mut layer = GzEncoder::new(Vec::new(), Compression::fast());
        layer
            .write_all(format!("layer {secret} and hunter22").as_bytes())
            .unwrap();
        fs_err::write(folder.path().join("layer"), layer.finish().unwrap()).unwrap();
        fs_err::write(folder.path().join("kept"), &secret).unwrap();
        fs_err::write(folder.path().join("clean"), "nothing").unwrap();
        let search = Search::new().and("the password", b"hunter22");
        let (mut found, count) = search
            .folder(folder.path(), |path| path.ends_with("kept"))
            .unwrap();
        found.sort_by(|a, b| a.place.cmp(&b.place));
        assert_eq!(count, 3);
        let places: Vec<&str> = found
            .iter()
            .map(|found| found.place.split(" in ").next().unwrap())
            .collect();
        assert_eq!(places, ["a canary", "a canary", "the password"]);
        assert!(found.iter().all(|found| !found.place.contains(&secret)));
    }

    #[test]
    fn a_secret_among_the_arguments_of_a_process_is_seen() {
        // Not a canary: a run that goes on at the same time must not see it.
        let watch = ProcessWatch::start_for("only-this-test-5f1d");
        let mut sleep = std::process::Command::new("sleep");
        sleep.arg("1").arg0("only-this-test-5f1d");
        let mut child = sleep.spawn().unwrap();
        child.wait().unwrap();
        assert!(!watch.finish().is_empty());
    }
}
