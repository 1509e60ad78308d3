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
    fn the_lock_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        assert!(held.is_some() && lock(folder.path()).unwrap().is_none());
        drop(held);
        assert!(lock(folder.path()).unwrap().is_some());
    }
}
