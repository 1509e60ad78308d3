//! `uv`, from its wheel: pinned and checked by `tests/tools/uv/requirements.txt`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use action_kit::Command;
use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::tools::key;

/// The wheel that holds a static program.
const PLATFORM: &str = "musllinux_1_1_x86_64";

/// Gives the program's place in the cache.
pub fn path(cx: &Context) -> Result<PathBuf> {
    let path = folder(cx)?.join("uv");
    if !path.exists() {
        bail!("`uv` is not here yet: run the step `tools`");
    }
    Ok(path)
}

/// Fetches the program unless the cache holds it; says whether it did.
pub fn fetch(cx: &Context) -> Result<bool> {
    let folder = folder(cx)?;
    if folder.join("uv").exists() {
        return Ok(false);
    }
    let parent = folder.parent().context("the cache has a folder of tools")?;
    let temporary = parent.join(format!(".uv.{}", std::process::id()));
    fs_err::create_dir_all(&temporary)?;
    // pip compares the wheel with the checksum before it keeps it.
    let pip = cx.client("python3").args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
    ]);
    let pip = pip
        .args(["--only-binary", ":all:", "--platform", PLATFORM, "--dest"])
        .arg(&temporary);
    cx.run(&pip.arg("--requirement").arg(requirements(cx)))?;
    let script = "cd \"$1\" && unzip -q -j uv-*.whl '*.data/scripts/uv' && chmod 755 uv && rm uv-*.whl && ./uv --version";
    cx.run(
        &Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&temporary),
    )?;
    if let Err(error) = fs_err::rename(&temporary, &folder) {
        // Another run was faster; what it fetched passed the same check.
        fs_err::remove_dir_all(&temporary)?;
        path(cx).map_err(|_| error)?;
    }
    Ok(true)
}

fn folder(cx: &Context) -> Result<PathBuf> {
    let inputs = BTreeMap::from([
        ("requirements".to_owned(), fs_err::read(requirements(cx))?),
        ("platform".to_owned(), PLATFORM.into()),
    ]);
    Ok(cx.cache.join("tools").join(format!("uv-{}", key(&inputs))))
}

fn requirements(cx: &Context) -> PathBuf {
    cx.root.join("tests/tools/uv/requirements.txt")
}
