//! Where charts come from: this program, a folder or archive, a registry, a repository.

use std::path::{Path, PathBuf};

use crate::error::DeployError;

/// Paths and texts of the built-in charts.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/charts.rs"));

/// A chart that Helm can be pointed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chart {
    /// One that this program carries.
    BuiltIn(String),
    /// A folder or an archive.
    Path(PathBuf),
    /// A reference in a registry.
    Registry(String),
    /// A name in a repository.
    Repository {
        /// The repository's address.
        url: String,
        /// The chart.
        name: String,
    },
}

impl Chart {
    /// Tells from the inputs which sort of chart is meant; a path starts at `workspace`.
    pub(crate) fn find(
        text: &str,
        repository: Option<&str>,
        workspace: &Path,
    ) -> Result<Self, DeployError> {
        if let Some(url) = repository {
            return Ok(Self::Repository {
                url: url.into(),
                name: text.into(),
            });
        }
        if text.starts_with("oci://") {
            return Ok(Self::Registry(text.into()));
        }
        if is_built_in(text) {
            return Ok(Self::BuiltIn(text.into()));
        }
        let path = workspace.join(text);
        if path.join("Chart.yaml").is_file()
            || (path.is_file() && path.extension().is_some_and(|end| end == "tgz"))
        {
            return Ok(Self::Path(path));
        }
        Err(DeployError::UnknownChart {
            chart: text.into(),
            built_in: built_in().collect::<Vec<_>>().join("`, `"),
        })
    }

    /// Gives the words by which `helm` is pointed to the chart; a built-in one is unpacked into
    /// `scratch` first.
    pub(crate) fn arguments(&self, scratch: &Path) -> Result<Vec<String>, DeployError> {
        Ok(match self {
            Self::BuiltIn(name) => vec![unpack(name, scratch)?.display().to_string()],
            Self::Path(path) => vec![path.display().to_string()],
            Self::Registry(reference) => vec![reference.clone()],
            Self::Repository { url, name } => vec![name.clone(), "--repo".into(), url.clone()],
        })
    }
}

/// Says whether a built-in chart has this name.
pub(crate) fn is_built_in(name: &str) -> bool {
    built_in().any(|known| known == name)
}

fn built_in() -> impl Iterator<Item = &'static str> {
    FILES
        .iter()
        .filter_map(|(path, _)| path.strip_suffix("/Chart.yaml"))
}

fn unpack(name: &str, scratch: &Path) -> Result<PathBuf, DeployError> {
    let root = scratch.join("charts");
    for (path, text) in FILES {
        if !path.starts_with(&format!("{name}/")) {
            continue;
        }
        let file = root.join(path);
        let folder = file.parent().unwrap_or(&root);
        fs_err::create_dir_all(folder)
            .and_then(|()| fs_err::write(&file, text))
            .map_err(DeployError::Scratch)?;
    }
    Ok(root.join(name))
}
