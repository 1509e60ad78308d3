//! Which workspace of uv a project belongs to: its lock file is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glob::Pattern;

use super::normal;
use crate::error::BuildError;
use crate::project::{self, Place, Pyproject};

/// A workspace; a project of its own is one as well.
#[derive(Clone, Debug)]
pub(super) struct Workspace {
    pub(super) folder: PathBuf,
    /// What its `pyproject.toml` says.
    pub(super) pyproject: Pyproject,
    /// Its projects, by name.
    pub(super) members: BTreeMap<String, PathBuf>,
}

/// Finds the workspace of a project, within the checkout.
pub(super) fn find(place: &Place, own: Option<&Pyproject>) -> Result<Workspace, BuildError> {
    let own = own.cloned().unwrap_or_default();
    let is_root = own.tool.uv.workspace.is_some();
    let above = place.folder.ancestors().skip(1).filter(|_| !is_root);
    for folder in above.take_while(|folder| folder.starts_with(&place.root)) {
        let Some(pyproject) = Pyproject::read(folder, place)? else {
            continue;
        };
        // The first project above decides, as uv has it.
        if !holds(folder, &pyproject, &place.folder)? {
            break;
        }
        return with_members(place, folder.into(), pyproject);
    }
    with_members(place, place.folder.clone(), own)
}

/// Says whether a folder is one of a workspace's projects.
fn holds(root: &Path, pyproject: &Pyproject, folder: &Path) -> Result<bool, BuildError> {
    let Some(workspace) = &pyproject.tool.uv.workspace else {
        return Ok(false);
    };
    let any = |patterns: &[String]| -> Result<bool, BuildError> {
        let matches = |text: &String| {
            let pattern = Pattern::new(&below(root, text)).map_err(|source| refused(text, source));
            pattern.map(|pattern| pattern.matches_path(folder))
        };
        Ok(patterns
            .iter()
            .map(matches)
            .collect::<Result<Vec<_>, _>>()?
            .contains(&true))
    };
    Ok(any(&workspace.members)? && !any(&workspace.exclude)?)
}

fn with_members(
    place: &Place,
    folder: PathBuf,
    pyproject: Pyproject,
) -> Result<Workspace, BuildError> {
    let workspace = pyproject.tool.uv.workspace.clone().unwrap_or_default();
    let mut folders = vec![folder.clone()];
    for text in &workspace.members {
        let found = glob::glob(&below(&folder, text)).map_err(|source| refused(text, source))?;
        folders.extend(found.flatten().map(|found| project::normal(&found)));
    }
    let mut members = BTreeMap::new();
    for member in folders {
        if member != folder && !holds(&folder, &pyproject, &member)? {
            continue;
        }
        let Some(read) = Pyproject::read(&member, place)? else {
            continue;
        };
        if !read.project.name.is_empty() && read.tool.uv.managed != Some(false) {
            members.insert(normal(&read.project.name), member);
        }
    }
    Ok(Workspace {
        folder,
        pyproject,
        members,
    })
}

/// Makes a pattern for paths below a folder.
fn below(folder: &Path, text: &str) -> String {
    let folder = Pattern::escape(&folder.to_string_lossy());
    let text = project::normal(Path::new(text));
    format!("{folder}/{}", text.display())
}

fn refused(text: &str, source: glob::PatternError) -> BuildError {
    BuildError::Pattern {
        pattern: text.into(),
        source: Box::new(source),
    }
}
