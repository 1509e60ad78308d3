//! What a contender writes, in memory: on a disk, a build would also pay for what was removed before
//! it, and for what the machine still writes.

use std::path::{Path, PathBuf};

use action_kit::Command;
use anyhow::{Context as _, Result};

/// A folder in memory; it goes when this is dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// Makes the folder, empty.
    pub fn create(folder: &Path) -> Result<Self> {
        release(folder);
        fs_err::create_dir_all(folder)?;
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", "mode=0755", "tmpfs"])
            .arg(folder)
            .output()
            .context("make a folder in memory\nhint: it takes root")?;
        Ok(Self(folder.into()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        release(&self.0);
    }
}

/// Lets go of what a run that was killed left in a folder, if anything.
pub fn release(folder: &Path) {
    // It goes as soon as nobody uses it; where there is none, there is nothing to do.
    let _ = Command::new("umount").arg("--lazy").arg(folder).output();
}
