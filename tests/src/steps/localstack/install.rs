//! The Python environment that LocalStack runs in, kept in the cache.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::python;
use crate::context::Context;
use crate::tools;

/// Nothing newer is installed, whatever the constraints leave open.
const EXCLUDE_NEWER: &str = "2026-02-27";

/// An environment that is whole.
pub struct Installed {
    /// What it is made of.
    pub key: String,
    /// The interpreter in it.
    pub python: PathBuf,
    /// The interpreter below it, for the report.
    pub interpreter: String,
}

/// Makes sure that the environment of this checkout's extension is there.
pub fn ensure(cx: &Context) -> Result<Installed> {
    let interpreter = python::find(cx)?;
    let package = cx.root.join("tests/localstack");
    let mut inputs = BTreeMap::from([
        (
            "interpreter".to_owned(),
            interpreter.program.as_os_str().as_encoded_bytes().to_vec(),
        ),
        (
            "version".to_owned(),
            interpreter.version.clone().into_bytes(),
        ),
        ("exclude-newer".to_owned(), EXCLUDE_NEWER.into()),
    ]);
    for name in ["pyproject.toml", "constraints.txt"] {
        inputs.insert(name.into(), fs_err::read(package.join(name))?);
    }
    read_sources(&package, &package.join("src"), &mut inputs)?;
    let key = tools::key(&inputs);
    let folder = cx.cache.join("localstack").join(&key);
    if !folder.exists() {
        cx.progress(format!(
            "LocalStack from packages, for {}",
            interpreter.version
        ));
        install(cx, &interpreter.program, &package, &folder)?;
    }
    Ok(Installed {
        key,
        python: folder.join("bin/python"),
        interpreter: interpreter.version,
    })
}

fn install(cx: &Context, interpreter: &Path, package: &Path, folder: &Path) -> Result<()> {
    let temporary = folder.with_file_name(format!(".venv.{}", std::process::id()));
    let uv = || {
        Ok::<_, anyhow::Error>(
            cx.client(cx.tool("uv")?)
                .env("UV_PYTHON_DOWNLOADS", "never"),
        )
    };
    // Renamed when it is whole, so its scripts must not hold its place.
    let venv = uv()?
        .args(["venv", "--quiet", "--clear", "--relocatable", "--python"])
        .arg(interpreter)
        .arg(&temporary);
    cx.run(&venv)?;
    let install = uv()?
        .args([
            "pip",
            "install",
            "--quiet",
            "--exclude-newer",
            EXCLUDE_NEWER,
        ])
        .arg("--constraints")
        .arg(package.join("constraints.txt"))
        .arg("--python")
        .arg(temporary.join("bin/python"))
        .arg(format!("{}[test]", package.display()));
    cx.run(&install).context("install LocalStack")?;
    fs_err::rename(&temporary, folder)?;
    Ok(())
}

/// Reads the extension's sources, but for what Python leaves behind.
fn read_sources(root: &Path, folder: &Path, inputs: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            read_sources(root, &path, inputs)?;
        } else if path.extension().is_some_and(|extension| extension == "py") {
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            inputs.insert(name, fs_err::read(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_made_of_all_sources_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs_err::create_dir_all(root.join("src/a/__pycache__")).unwrap();
        fs_err::write(root.join("src/a/b.py"), "b").unwrap();
        fs_err::write(root.join("src/a/__pycache__/b.pyc"), "compiled").unwrap();
        let mut inputs = BTreeMap::new();
        read_sources(root, &root.join("src"), &mut inputs).unwrap();
        assert_eq!(
            inputs,
            BTreeMap::from([("src/a/b.py".to_owned(), b"b".to_vec())])
        );
    }
}
