//! GitHub's published description of its API, which tests compare a fake with: Python packages,
//! pinned and checked by `tests/tools/github-schemas/requirements.txt`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::tools::key;

const CHECK: &str = "check.py";

/// Fetches the packages unless the cache holds them; says whether it did.
pub fn fetch(cx: &Context) -> Result<bool> {
    let room = cx.root.join("tests/tools/github-schemas");
    let (requirements, check) = (room.join("requirements.txt"), room.join(CHECK));
    // Some of the packages are compiled for one version of Python.
    let python = cx.run(&cx.client("python3").args(["--version"]))?;
    let inputs = BTreeMap::from([
        ("requirements".to_owned(), fs_err::read(&requirements)?),
        ("check".to_owned(), fs_err::read(&check)?),
        ("python".to_owned(), python.stdout.into()),
    ]);
    let name = format!("github-schemas-{}", key(&inputs));
    let folder: PathBuf = cx.cache.join("tools").join(name);
    if folder.join(CHECK).exists() {
        return Ok(false);
    }
    let temporary = folder.with_file_name(format!(".github-schemas.{}", std::process::id()));
    let pip = cx.client("python3").args([
        "-m",
        "pip",
        "install",
        "--no-compile",
        "--quiet",
        "--root-user-action=ignore",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
        "--target",
    ]);
    let pip = pip.arg(&temporary).arg("--requirement").arg(&requirements);
    cx.run(&pip).context("install the models of GitHub's API")?;
    fs_err::copy(&check, temporary.join(CHECK))?;
    if let Err(error) = fs_err::rename(&temporary, &folder) {
        // Another run was faster; what it fetched passed the same check.
        fs_err::remove_dir_all(&temporary)?;
        if !folder.join(CHECK).exists() {
            return Err(error.into());
        }
    }
    Ok(true)
}
