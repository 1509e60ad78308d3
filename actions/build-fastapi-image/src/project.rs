//! The project's `pyproject.toml`, as far as an image depends on it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Value;

use crate::error::BuildError;

/// What `pyproject.toml` says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Pyproject {
    pub(crate) project: Project,
    /// Requirements, or tables that include another group.
    pub(crate) dependency_groups: BTreeMap<String, Vec<Value>>,
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
    pub(crate) optional_dependencies: BTreeMap<String, Vec<String>>,
    pub(crate) dynamic: Vec<String>,
    /// An SPDX expression, or the older table.
    pub(crate) license: Option<Value>,
    pub(crate) urls: BTreeMap<String, String>,
}

/// What is said to tools.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tool {
    pub(crate) fastapi: FastApi,
    pub(crate) uv: Uv,
    pub(crate) poetry: Option<Poetry>,
}

/// What is said to `fastapi`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct FastApi {
    pub(crate) entrypoint: Option<String>,
}

/// What is said to uv.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Uv {
    pub(crate) workspace: Option<Workspace>,
    /// A table, or a list of them, for each package.
    pub(crate) sources: BTreeMap<String, Value>,
    pub(crate) dev_dependencies: Vec<Value>,
    pub(crate) constraint_dependencies: Vec<Value>,
    pub(crate) override_dependencies: Vec<Value>,
    pub(crate) build_constraint_dependencies: Vec<Value>,
    pub(crate) exclude_dependencies: Vec<Value>,
    pub(crate) dependency_groups: BTreeMap<String, GroupSettings>,
    pub(crate) environments: Option<Value>,
    pub(crate) resolution: Option<String>,
    pub(crate) prerelease: Option<Value>,
    pub(crate) fork_strategy: Option<String>,
    pub(crate) exclude_newer: Option<Value>,
    pub(crate) managed: Option<bool>,
}

/// A workspace of uv.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Workspace {
    pub(crate) members: Vec<String>,
    pub(crate) exclude: Vec<String>,
}

/// What is said of a group of dependencies.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct GroupSettings {
    pub(crate) requires_python: Option<String>,
}

/// What is said to Poetry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Poetry {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
    /// A version, a table, or a list of tables, for each package.
    pub(crate) dependencies: BTreeMap<String, Value>,
    pub(crate) dev_dependencies: BTreeMap<String, Value>,
    pub(crate) group: BTreeMap<String, PoetryGroup>,
    pub(crate) extras: BTreeMap<String, Vec<String>>,
}

/// A group of dependencies in Poetry's form.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PoetryGroup {
    pub(crate) dependencies: BTreeMap<String, Value>,
}

/// What a project says beside its lock file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) pyproject: Pyproject,
    pub(crate) python_version: Option<String>,
}

/// Where a project is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The checkout: nothing outside of it is read.
    pub(crate) root: PathBuf,
    /// The project's folder.
    pub(crate) folder: PathBuf,
    /// The same folder, as the user named it.
    pub(crate) named: PathBuf,
}

impl Place {
    /// Places a project; one outside of the checkout is a checkout of its own.
    pub(crate) fn new(root: &Path, folder: &Path, named: &Path) -> Self {
        let root = normal(root);
        let folder = normal(folder);
        Self {
            root: if folder.starts_with(&root) {
                root
            } else {
                folder.clone()
            },
            folder,
            named: named.into(),
        }
    }

    /// Gives the place of another project in the checkout.
    pub(crate) fn moved_to(&self, folder: &Path) -> Self {
        Self {
            root: self.root.clone(),
            named: self.shown(folder),
            folder: folder.into(),
        }
    }

    /// Gives a path as messages show it.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.folder) {
            Ok(rest) => normal(&self.named.join(rest)),
            Err(_) => self.relative(path),
        }
    }

    /// Gives a path from the root of the checkout.
    pub(crate) fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).into()
    }
}

/// Takes `.` and `..` out of a path, without asking the file system.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

impl Pyproject {
    /// Reads the file of a folder, when there is one.
    pub(crate) fn read(folder: &Path, place: &Place) -> Result<Option<Self>, BuildError> {
        let file = folder.join("pyproject.toml");
        if !file.is_file() {
            return Ok(None);
        }
        let mut pyproject: Self = parse(&file, &place.shown(&file))?;
        if let Some(poetry) = &pyproject.tool.poetry {
            let project = &mut pyproject.project;
            if project.name.is_empty() {
                project.name = poetry.name.clone().unwrap_or_default();
            }
            project.version = project.version.take().or(poetry.version.clone());
            project.description = project.description.take().or(poetry.description.clone());
        }
        Ok(Some(pyproject))
    }

    /// Says whether a field is filled in by a build, so that the file does not tell it.
    pub(crate) fn is_dynamic(&self, field: &str) -> bool {
        self.project.dynamic.iter().any(|dynamic| dynamic == field)
    }
}

/// Reads the version of Python that a project wants, from the first folder that says one.
pub(crate) fn python_version(folders: &[&Path]) -> Result<Option<String>, BuildError> {
    let files = folders.iter().map(|folder| folder.join(".python-version"));
    let Some(file) = files.into_iter().find(|file| file.is_file()) else {
        return Ok(None);
    };
    let text = text(&file)?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    Ok(line.map(String::from))
}

/// Parses a file, so that what is wrong in it is told by its line.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, shown: &Path) -> Result<T, BuildError> {
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

/// Reads a file of the project.
pub(crate) fn text(path: &Path) -> Result<String, BuildError> {
    fs_err::read_to_string(path).map_err(BuildError::file("read the project"))
}
