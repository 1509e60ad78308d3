//! Programs that checks run and that are not Rust: fetched by the ordinary clients of their
//! registries, pinned and checked by what `tests/tools/<name>` holds, kept under `target/tools`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{shell, workspace};

/// Installs a program that comes as a wheel, and gives its path.
pub(crate) fn from_wheel(name: &str, platform: &str) -> Result<PathBuf> {
    let requirements = room(name).join("requirements.txt");
    let folder = folder(name)?;
    let program = folder.join("bin").join(name);
    let installed = folder.join("requirements.txt");
    // The pinned file is copied last: it says that the folder is whole, and of what version.
    if fs_err::read(&installed).ok() == Some(fs_err::read(&requirements)?) {
        return Ok(program);
    }
    if folder.exists() {
        fs_err::remove_dir_all(&folder)?;
    }
    let [pip, target] = [
        "-m pip install --quiet --root-user-action=ignore --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --platform",
        "--target",
    ];
    let mut arguments: Vec<&str> = pip.split(' ').collect();
    let (folder_text, requirements_text) = (text(&folder)?, text(&requirements)?);
    arguments.extend([
        platform,
        target,
        folder_text,
        "--requirement",
        requirements_text,
    ]);
    shell::run("python3", &arguments).with_context(|| {
        format!("install `{name}`: it needs `python3` with pip (Debian: python3-pip)")
    })?;
    fs_err::copy(&requirements, &installed)?;
    Ok(program)
}

/// Builds a program from its Go module, and gives its path; Go's own cache makes it quick.
pub(crate) fn from_go(name: &str, package: &str) -> Result<PathBuf> {
    let program = folder(name)?.join(name);
    let (room, output) = (room(name), program.clone());
    shell::run(
        "go",
        &[
            "-C",
            text(&room)?,
            "build",
            "-trimpath",
            "-o",
            text(&output)?,
            package,
        ],
    )
    .with_context(|| format!("build `{name}`: it needs Go"))?;
    Ok(program)
}

fn room(name: &str) -> PathBuf {
    workspace::root().join("tests/tools").join(name)
}

fn folder(name: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(workspace::metadata()?.target_directory)
        .join("tools")
        .join(name))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("`{}` is not UTF-8", path.display()))
}
