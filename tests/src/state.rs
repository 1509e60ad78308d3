//! What is remembered between runs, and the lock that keeps two runs apart.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::Source;

/// The state of a run, kept in `target/e2e/state.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Where components come from, as detected or forced.
    pub source: Option<Source>,
    /// What each step did when it last ended.
    pub steps: BTreeMap<String, Done>,
}

/// How a step ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Whether it worked.
    pub ok: bool,
    /// Wall time, in seconds.
    pub seconds: f64,
    /// What ran for real, or the error.
    pub real: String,
    /// Facts for the report and for later steps.
    pub facts: BTreeMap<String, Value>,
}

impl State {
    /// Reads the state; one that a newer or older program wrote counts as none.
    pub fn load(file: &Path) -> Self {
        let text = fs_err::read_to_string(file).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Writes the state whole or not at all.
    pub fn save(&self, file: &Path) -> Result<()> {
        write_whole(file, serde_json::to_string_pretty(self)?.as_bytes())
    }
}

/// Writes a file under another name and renames it, so that nobody sees half of it.
pub fn write_whole(file: &Path, bytes: &[u8]) -> Result<()> {
    let folder = file.parent().context("a file has a folder")?;
    fs_err::create_dir_all(folder)?;
    let temporary = folder.join(format!(
        ".{}.{}",
        std::process::id(),
        file.file_name().unwrap_or_default().display()
    ));
    fs_err::write(&temporary, bytes)?;
    fs_err::rename(&temporary, file)?;
    Ok(())
}

/// Removes what killed runs left half-written in a cache: names that begin with a dot and end with
/// the id of a process that is gone.
pub fn sweep(folder: &Path, depth: u32) -> Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let writer = name
            .strip_prefix('.')
            .and_then(|name| name.rsplit_once('.'));
        let gone = |id: &str| id.parse::<u32>().is_ok() && !Path::new("/proc").join(id).exists();
        if writer.is_some_and(|(_, id)| gone(id)) {
            if path.is_dir() {
                fs_err::remove_dir_all(path)?;
            } else {
                fs_err::remove_file(path)?;
            }
        } else if depth > 0 && path.is_dir() && !path.is_symlink() {
            sweep(&path, depth - 1)?;
        }
    }
    Ok(())
}

/// Takes the lock of the state folder; `None` when another run holds it.
pub fn lock(folder: &Path) -> Result<Option<fs_err::File>> {
    fs_err::create_dir_all(folder)?;
    let file = fs_err::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))?;
    match file.file().try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error).context("lock the state folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_survives_and_a_broken_one_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/state.json");
        let mut state = State::default();
        state.steps.insert(
            "cluster".into(),
            Done {
                ok: true,
                seconds: 1.5,
                ..Done::default()
            },
        );
        state.save(&file).unwrap();
        assert_eq!(State::load(&file), state);
        fs_err::write(&file, "{").unwrap();
        assert_eq!(State::load(&file), State::default());
    }

    #[test]
    fn only_what_nobody_writes_any_more_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join("kube-1").join(name);
        fs_err::create_dir_all(file(".uv.4999999")).unwrap();
        let own = format!(".kube.{}", std::process::id());
        for name in ["kube", ".kube.4999999", &own, ".gitignore", "notes.4999999"] {
            fs_err::write(file(name), "").unwrap();
        }
        sweep(folder.path(), 0).unwrap();
        assert!(file(".kube.4999999").exists());
        sweep(folder.path(), 1).unwrap();
        let mut left: Vec<_> = fs_err::read_dir(folder.path().join("kube-1"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort_unstable();
        assert_eq!(left, [".gitignore", &own, "kube", "notes.4999999"]);
    }

    #[test]
    fn the_lock_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        assert!(held.is_some() && lock(folder.path()).unwrap().is_none());
        drop(held);
        assert!(lock(folder.path()).unwrap().is_some());
    }
}
