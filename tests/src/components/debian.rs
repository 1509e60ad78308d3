//! Debian's packages as root file systems, kept in the cache.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use action_kit::Command;
use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::state::write_whole;
use crate::tools;

/// Gives the file system that `mmdebstrap` makes of a suite as an archive; the name of its file is
/// a key of what it was made by. A hook writes the packages' versions to `$LIST`.
pub(super) fn root_file_system(
    cx: &Context,
    about: &str,
    suite: &str,
    arguments: &[String],
) -> Result<PathBuf> {
    let folder = cx.cache.join("rootfs");
    let inputs = BTreeMap::from([("arguments".to_owned(), arguments.join("\0").into_bytes())]);
    let file = folder.join(format!("{}.tar", tools::key(&inputs)));
    if file.exists() {
        return Ok(file);
    }
    fs_err::create_dir_all(&folder)?;
    cx.progress(format!("Debian {suite} with {about}, from packages"));
    let temporary = folder.join(format!(".{}.tar", std::process::id()));
    let list = folder.join(format!(".{}.packages", std::process::id()));
    let command = Command::new("mmdebstrap")
        .env("SOURCE_DATE_EPOCH", "0")
        .env("LIST", &list)
        .args(arguments)
        .arg(suite)
        .arg(&temporary);
    cx.run(&command)
        .context("install Debian packages into a folder")?;
    // The note goes first: the archive's presence says that both are whole.
    write_whole(&file.with_extension("packages"), &fs_err::read(&list)?)?;
    fs_err::remove_file(&list)?;
    fs_err::rename(&temporary, &file)?;
    Ok(file)
}

/// Gives the arguments for packages, without what an image does not need; signatures are checked,
/// but a mirror of a moving suite may lag behind its date.
pub(super) fn arguments(variant: &str, packages: &str) -> Vec<String> {
    let mut arguments: Vec<String> = ["--mode=root", "--format=tar"].map(Into::into).to_vec();
    arguments.push(format!("--variant={variant}"));
    arguments.push(format!("--include={packages}"));
    arguments.push("--aptopt=Apt::Install-Recommends \"false\"".into());
    arguments.push("--aptopt=Acquire::Check-Valid-Until \"false\"".into());
    for folder in ["man", "doc", "info", "locale"] {
        arguments.push(format!("--dpkgopt=path-exclude=/usr/share/{folder}/*"));
    }
    arguments
}

/// Gives the hook that lists the packages' versions.
pub(super) fn list_hook() -> String {
    "--customize-hook=chroot \"$1\" dpkg-query -W -f='${Package} ${Version}\\n' >\"$LIST\"".into()
}

/// Gives the hook that lists the versions of packages that were unpacked and not installed, as
/// those of another processor are: from the names of their archives.
pub(super) fn archives_hook() -> String {
    "--extract-hook=for file in \"$1\"/var/cache/apt/archives/*.deb; do basename \"$file\" .deb; done \
     | sed 's/_/ /; s/_[a-z0-9]*$//; s/%3a/:/' >\"$LIST\""
        .into()
}

/// Reads the versions of some packages of a root file system.
pub(super) fn versions(rootfs: &Path, wanted: &[&str]) -> Result<BTreeMap<String, String>> {
    let text = fs_err::read_to_string(rootfs.with_extension("packages"))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| wanted.contains(name))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect())
}
