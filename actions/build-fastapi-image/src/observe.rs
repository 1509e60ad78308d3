//! What is there: the project's files, the application, the base image.

use std::path::Path;

use action_kit::Failed;
use oci_registry::Registry;

use crate::app::{self, App};
use crate::base::{self, Base};
use crate::error::BuildError;
use crate::exclude::Excluded;
use crate::inputs::Request;
use crate::project::{self, Files};
use crate::python::{Version, fits};

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) files: Files,
    pub(crate) app: App,
    pub(crate) base: Base,
    /// The application's files, from the project's folder, in order.
    pub(crate) paths: Vec<String>,
}

/// Looks at the project and at the base image.
pub(crate) async fn observe(request: &Request, registry: &Registry) -> Result<Observed, Failed> {
    let files = project::read(&request.folder, &request.shown_folder)?;
    let app = app::find(&request.folder, request.app.as_deref(), &files.pyproject)?;
    let excluded = excluded(request)?;
    let mut paths = Vec::new();
    list(&request.folder, "", &excluded, &mut paths)
        .map_err(BuildError::file("list the project's files"))?;
    paths.sort();
    let name = match &request.base_image {
        Some(name) => name.clone(),
        None => format!(
            "docker.io/library/python:{}-slim",
            version(request, &files)?
        ),
    };
    let base = base::find(&name, &request.layout_base, &request.platform, registry).await?;
    Ok(Observed {
        files,
        app,
        base,
        paths,
    })
}

/// Chooses Python's version for the default base image.
fn version(request: &Request, files: &Files) -> Result<Version, BuildError> {
    let asked = request
        .python_version
        .as_ref()
        .or(files.python_version.as_ref());
    if let Some(text) = asked {
        return Version::parse(text)
            .map(|version| version.minor())
            .ok_or_else(|| BuildError::PythonVersion(text.clone()));
    }
    let specifier = files.pyproject.project.requires_python.as_deref();
    let known = ["3.14", "3.13", "3.12", "3.11", "3.10"];
    let mut versions = known.iter().filter_map(|text| Version::parse(text));
    versions
        .find(|version| fits(version, specifier.unwrap_or_default()))
        .ok_or_else(|| BuildError::PythonVersion(specifier.unwrap_or_default().into()))
}

fn excluded(request: &Request) -> Result<Excluded, BuildError> {
    let file = request.folder.join(".dockerignore");
    let text = if file.is_file() {
        fs_err::read_to_string(&file).map_err(BuildError::file("read `.dockerignore`"))?
    } else {
        String::new()
    };
    Ok(Excluded::new(&text, &request.exclude))
}

/// Lists a folder's files, but for the excluded ones.
pub(crate) fn list(
    folder: &Path,
    below: &str,
    excluded: &Excluded,
    paths: &mut Vec<String>,
) -> std::io::Result<()> {
    for entry in fs_err::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(std::io::Error::other(format!(
                "the name of `{}` is not UTF-8",
                entry.path().display()
            )));
        };
        let path = if below.is_empty() {
            name.to_owned()
        } else {
            format!("{below}/{name}")
        };
        let out = excluded.excludes(&path);
        let kind = entry.file_type()?;
        if kind.is_dir() && (!out || excluded.has_exceptions()) {
            list(folder, &path, excluded, paths)?;
        } else if !kind.is_dir() && !out {
            paths.push(path);
        }
    }
    Ok(())
}
