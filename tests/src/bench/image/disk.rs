//! What a contender writes, on a disk of its own: on that of the machine a build would also pay for
//! what was removed before it, by others.

use std::path::{Path, PathBuf};

use action_kit::Command;
use anyhow::{Context as _, Result};

/// How large the disk is, in bytes; it takes what is written to it.
const SIZE: u64 = 16 << 30;

/// A new file system in a folder; both go when this is dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// Makes the folder, empty.
    pub fn create(folder: &Path) -> Result<Self> {
        remove(folder);
        fs_err::create_dir_all(folder)?;
        let image = image(folder);
        fs_err::File::create(&image)?.set_len(SIZE)?;
        let make = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image);
        let mount = Command::new("mount").args(["-o", "loop"]);
        let mount = mount.arg(&image).arg(folder);
        make.output()
            .and_then(|_| mount.output())
            .context("make a disk\nhint: it takes root, e2fsprogs and a loop device")?;
        Ok(Self(folder.into()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes the disk in a folder, also that of a run that was killed.
pub fn remove(folder: &Path) {
    // It goes as soon as nobody uses it; where there is none, there is nothing to do.
    let _ = Command::new("umount").arg("--lazy").arg(folder).output();
    let _ = fs_err::remove_file(image(folder));
}

fn image(folder: &Path) -> PathBuf {
    folder.with_extension("ext4")
}
