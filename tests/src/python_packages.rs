//! Python packages, pinned and checked by `tests/tools/<name>/requirements.txt`, in a folder of the
//! cache.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::tools::key;

/// A folder of packages.
pub struct Packages {
    /// The folder below `tests/tools`; what it has beside the requirements is installed as well.
    pub name: &'static str,
    /// Whether the packages are compiled, which helps those that are started often.
    pub compiled: bool,
}

/// GitHub's published description of its API, which tests compare a fake with.
pub const GITHUB_SCHEMAS: Packages = Packages {
    name: "github-schemas",
    compiled: false,
};
/// The AWS CLI, which provision-infra is compared with.
pub const AWS_CLI: Packages = Packages {
    name: "awscli",
    compiled: true,
};
/// The file that pins packages.
const REQUIREMENTS: &str = "requirements.txt";

/// Fetches packages unless the cache holds them; says whether it did.
pub fn fetch(cx: &Context, packages: &Packages) -> Result<bool> {
    let name = packages.name;
    let (files, folder) = (files(cx, packages)?, folder(cx, packages)?);
    if folder.exists() {
        return Ok(false);
    }
    let temporary = folder.with_file_name(format!(".{name}.{}", std::process::id()));
    let pip = cx.client("python3").args([
        "-m",
        "pip",
        "install",
        if packages.compiled {
            "--compile"
        } else {
            "--no-compile"
        },
        "--quiet",
        "--root-user-action=ignore",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
        "--target",
    ]);
    let requirements = cx.root.join("tests/tools").join(name).join(REQUIREMENTS);
    let pip = pip.arg(&temporary).arg("--requirement").arg(requirements);
    cx.run(&pip)
        .with_context(|| format!("install the packages of `{name}`"))?;
    for (file, bytes) in files.iter().filter(|(file, _)| *file != REQUIREMENTS) {
        fs_err::write(temporary.join(file), bytes)?;
    }
    if let Err(error) = fs_err::rename(&temporary, &folder) {
        // Another run was faster; what it fetched passed the same check.
        fs_err::remove_dir_all(&temporary)?;
        if !folder.exists() {
            return Err(error.into());
        }
    }
    Ok(true)
}

/// Gives the folder of packages: named after what pins them and, since some are compiled for one
/// version of Python, after that.
pub fn folder(cx: &Context, packages: &Packages) -> Result<PathBuf> {
    let mut inputs = files(cx, packages)?;
    let python = cx.run(&cx.client("python3").args(["--version"]))?;
    inputs.insert("python".into(), python.stdout.into());
    let name = format!("{}-{}", packages.name, key(&inputs));
    Ok(cx.cache.join("tools").join(name))
}

fn files(cx: &Context, packages: &Packages) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs_err::read_dir(cx.root.join("tests/tools").join(packages.name))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().display().to_string();
        files.insert(name, fs_err::read(&path)?);
    }
    Ok(files)
}
