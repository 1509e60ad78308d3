//! The project's `pyproject.toml` and `uv.lock`, as far as an image depends on them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::BuildError;

/// What `pyproject.toml` says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Pyproject {
    #[serde(default)]
    pub(crate) project: Project,
    #[serde(default)]
    pub(crate) tool: Tool,
}

/// The project itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) requires_python: Option<String>,
    pub(crate) dependencies: Vec<String>,
    pub(crate) dynamic: Vec<String>,
}

/// What is said to tools.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Tool {
    #[serde(default)]
    pub(crate) fastapi: FastApi,
}

/// What is said to `fastapi`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct FastApi {
    pub(crate) entrypoint: Option<String>,
}

/// What `uv.lock` says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Lock {
    #[serde(default, rename = "package")]
    pub(crate) packages: Vec<Locked>,
}

/// A package of the lock file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Locked {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) source: BTreeMap<String, toml::Value>,
    #[serde(default)]
    pub(crate) metadata: Metadata,
}

/// What a local package asked for when it was locked.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    #[serde(default, rename = "requires-dist")]
    pub(crate) requires: Vec<Requirement>,
}

/// One such wish.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Requirement {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) specifier: String,
    #[serde(default)]
    pub(crate) marker: String,
}

/// Both files of a project.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) pyproject: Pyproject,
    pub(crate) lock: Lock,
    pub(crate) python_version: Option<String>,
}

/// Reads the files; `shown` is the folder as the user named it.
pub(crate) fn read(folder: &Path, shown: &Path) -> Result<Files, BuildError> {
    let (pyproject, lock) = (folder.join("pyproject.toml"), folder.join("uv.lock"));
    if !pyproject.is_file() {
        return Err(BuildError::NoProject(shown.into()));
    }
    if !lock.is_file() {
        return Err(BuildError::NoLock(shown.into()));
    }
    let version = folder.join(".python-version");
    let python_version = if version.is_file() {
        let text = text(&version)?;
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        line.map(String::from)
    } else {
        None
    };
    Ok(Files {
        pyproject: parse(&pyproject, &shown.join("pyproject.toml"))?,
        lock: parse(&lock, &shown.join("uv.lock"))?,
        python_version,
    })
}

fn parse<T: DeserializeOwned>(path: &Path, shown: &Path) -> Result<T, BuildError> {
    let text = text(path)?;
    toml::from_str(&text).map_err(|source| {
        let before = source.span().and_then(|span| text.get(..span.start));
        BuildError::Toml {
            file: shown.into(),
            line: before.map(|before| before.matches('\n').count() as u64 + 1),
            source: Box::new(source),
        }
    })
}

fn text(path: &Path) -> Result<String, BuildError> {
    fs_err::read_to_string(path).map_err(BuildError::file("read the project"))
}
