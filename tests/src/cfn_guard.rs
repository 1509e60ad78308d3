//! `cfn-guard`, which checks templates against rules: built from its crate, whose own lock file
//! pins what it is made of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::tools::key;

/// The program, and its crate.
pub const NAME: &str = "cfn-guard";
const VERSION: &str = "3.2.1";

/// Gives the program's place in the cache.
pub fn path(cx: &Context) -> Result<PathBuf> {
    let path = folder(cx).join(NAME);
    if !path.exists() {
        bail!("`{NAME}` is not built yet: run the step `tools`");
    }
    Ok(path)
}

/// Builds the program unless the cache holds it; says whether it did.
pub fn build(cx: &Context) -> Result<bool> {
    let folder = folder(cx);
    if folder.join(NAME).exists() {
        return Ok(false);
    }
    let parent = folder.parent().context("the cache has a folder of tools")?;
    let temporary = parent.join(format!(".{NAME}.{}", std::process::id()));
    // From the checkout, whose settings make it static.
    let cargo = cx
        .client("cargo")
        .args(["install", NAME, "--version", VERSION, "--locked", "--quiet"])
        .arg("--root")
        .arg(&temporary)
        .env("CARGO_TARGET_DIR", temporary.join("target"))
        .current_dir(&cx.root);
    cx.run(&cargo)?;
    fs_err::create_dir_all(&folder)?;
    fs_err::rename(temporary.join("bin").join(NAME), folder.join(NAME))?;
    fs_err::remove_dir_all(temporary)?;
    Ok(true)
}

fn folder(cx: &Context) -> PathBuf {
    let inputs = BTreeMap::from([("version".to_owned(), VERSION.into())]);
    cx.cache
        .join("tools")
        .join(format!("{NAME}-{}", key(&inputs)))
}
