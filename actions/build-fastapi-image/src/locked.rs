//! The packages of a project, as its lock file pins them, in whichever format it is.
//!
//! Reading is one thing and choosing another: [`Locked::packages`] asks neither the file system nor
//! an index nor a Python, so that equal lock files give equal packages.

mod choose;
mod marker;
mod poetry;
mod pylock;
mod requirements;
mod uv;
mod walk;
mod wheel;
mod wish;
mod workspace;

use std::fmt;
use std::path::{Path, PathBuf};

use oci_image::{Digest, Platform};
use pep508_rs::MarkerTree;
use serde::Serialize;

use crate::error::BuildError;
use crate::project::{self, Files, Place, Pyproject};
use crate::python::Version;
use workspace::Workspace;

/// What wrote a lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// uv.
    Uv,
    /// Any tool that follows PEP 751.
    Pylock,
    /// Poetry.
    Poetry,
    /// pip-tools, `uv pip compile` or an export.
    Requirements,
}

impl Format {
    /// Every format, the one that is taken first at the front.
    const ALL: [Self; 4] = [Self::Uv, Self::Pylock, Self::Poetry, Self::Requirements];

    /// Gives the name of the file.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Uv => "uv.lock",
            Self::Pylock => "pylock.toml",
            Self::Poetry => "poetry.lock",
            Self::Requirements => "requirements.txt",
        }
    }
}

/// What a lock file pins for a selection.
#[derive(Clone, Debug)]
pub(crate) struct Locked {
    pub(crate) format: Format,
    /// The file, from the folder that it is in.
    pub(crate) file: String,
    pub(crate) pins: Vec<Pin>,
    pub(crate) members: Vec<Member>,
    /// The versions of Python that it is for: any of them.
    pythons: Vec<String>,
    /// The environments that it is for; none means all.
    environments: Vec<MarkerTree>,
}

/// A package of the lock file that the selection can reach.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    /// The name, as indexes compare names.
    pub(crate) name: String,
    pub(crate) version: String,
    /// Where it is needed.
    pub(crate) marker: MarkerTree,
    pub(crate) files: Vec<LockedFile>,
    /// Where it comes from, for messages; without credentials.
    pub(crate) source: Option<String>,
    /// Whether it is the file at an address or in the checkout, and not one of an index.
    pub(crate) direct: bool,
}

/// A file that a lock file allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LockedFile {
    /// The name; a list of requirements tells none.
    pub(crate) name: Option<String>,
    pub(crate) sha256: Option<Digest>,
    pub(crate) size: Option<u64>,
    /// The address, or the path from the root of the checkout.
    #[serde(serialize_with = "wish::serialize_shown")]
    pub(crate) url: Option<String>,
}

/// A package whose source is in the checkout: the project itself, or one that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// Its folder, from the root of the checkout; empty for the root itself.
    pub(crate) folder: PathBuf,
    /// What goes on the import path: `src` in its folder, or else the folder.
    pub(crate) import_root: PathBuf,
    /// Whether it is the project itself.
    pub(crate) project: bool,
}

/// What of a lock file is wanted, beside what the project needs to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) package: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) extras: Vec<String>,
}

/// What packages are chosen for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) platform: Platform,
    pub(crate) python: Version,
    /// The version of glibc that is surely there.
    pub(crate) glibc: (u16, u16),
}

impl Target {
    /// Targets a platform with a glibc that every current Debian and Red Hat has.
    pub(crate) fn new(platform: Platform, python: Version) -> Self {
        Self {
            platform,
            python,
            glibc: (2, 28),
        }
    }

    /// Names the processor as Python does.
    fn machine(&self) -> &str {
        match self.platform.architecture.as_str() {
            "amd64" => "x86_64",
            "arm64" => "aarch64",
            other => other,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and Python {}", self.platform, self.python)
    }
}

/// A package as one platform gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The wheel; `None` when the lock file names no files.
    pub(crate) wheel: Option<LockedFile>,
    /// Every digest that the lock file allows, in order.
    pub(crate) hashes: Vec<Digest>,
    /// Whether the wheel is for any platform.
    pub(crate) pure: bool,
    /// Whether the wheel is taken from where it is, and not from an index.
    pub(crate) direct: bool,
    /// The address of the index, without credentials.
    #[serde(skip)]
    pub(crate) index: Option<String>,
}

/// Reads a project and its lock file; `shown` is the project's folder as the user named it.
pub(crate) fn read(
    root: &Path,
    folder: &Path,
    shown: &Path,
    selection: &Selection,
) -> Result<(Files, Locked), BuildError> {
    let place = Place::new(root, folder, shown);
    let pyproject = Pyproject::read(&place.folder, &place)?;
    let workspace = workspace::find(&place, pyproject.as_ref())?;
    let Some((format, file)) = lock_file(&place, &workspace) else {
        return Err(match pyproject {
            Some(_) => BuildError::NoLock(shown.into()),
            None => BuildError::NoProject(shown.into()),
        });
    };
    if format == Format::Uv {
        return uv::read(&place, &workspace, selection);
    }
    let pyproject = pyproject.unwrap_or_else(|| unnamed(&place));
    let source = Source {
        place: &place,
        pyproject: &pyproject,
        file: &file,
        selection,
    };
    source.has_package()?;
    let mut locked = match format {
        Format::Poetry => poetry::read(&source)?,
        Format::Pylock => pylock::read(&source)?,
        _ => requirements::read(&source)?,
    };
    locked.finish();
    let python_version = project::python_version(&[&place.folder])?;
    let mut files = Files {
        pyproject,
        python_version,
    };
    // Poetry says it elsewhere, and in its own words.
    let project = &mut files.pyproject.project;
    if let (None, [one]) = (&project.requires_python, &locked.pythons[..]) {
        project.requires_python = Some(one.clone());
    }
    Ok((files, locked))
}

/// Finds the lock file, and tells which one it is.
fn lock_file(place: &Place, workspace: &Workspace) -> Option<(Format, PathBuf)> {
    let files = Format::ALL.map(|format| match format {
        Format::Uv => (format, workspace.folder.join(format.word())),
        _ => (format, place.folder.join(format.word())),
    });
    let mut there = files.into_iter().filter(|(_, file)| file.is_file());
    let first = there.next()?;
    let word = first.0.word();
    let others: Vec<String> = there
        .map(|(other, _)| format!("`{}`", other.word()))
        .collect();
    if others.is_empty() {
        tracing::info!("packages of `{word}`");
    } else {
        tracing::info!("packages of `{word}`, not of {}", others.join(", "));
    }
    Some(first)
}

/// Makes up what a project without `pyproject.toml` would say.
fn unnamed(place: &Place) -> Pyproject {
    let mut pyproject = Pyproject::default();
    let name = place.folder.file_name().unwrap_or_default();
    pyproject.project.name = name.to_string_lossy().into_owned();
    pyproject
}

/// A lock file that belongs to one project.
struct Source<'a> {
    place: &'a Place,
    pyproject: &'a Pyproject,
    file: &'a Path,
    selection: &'a Selection,
}

impl Source<'_> {
    /// Gives the project itself.
    fn member(&self) -> Member {
        let project = &self.pyproject.project;
        let folder = self.place.relative(&self.place.folder);
        member(
            self.place,
            &project.name,
            project.version.clone(),
            folder,
            true,
        )
    }

    /// Gives a path that is told from the project's folder as one from the root of the checkout.
    fn inside(&self, name: &str, path: &str) -> Result<PathBuf, BuildError> {
        let full = project::normal(&self.place.folder.join(path));
        match full.strip_prefix(&self.place.root) {
            Ok(inside) => Ok(inside.into()),
            Err(_) => Err(BuildError::OutsideCheckout {
                name: name.into(),
                path: path.into(),
            }),
        }
    }

    /// Refuses another package than the only one that there is.
    fn has_package(&self) -> Result<(), BuildError> {
        match &self.selection.package {
            Some(package) => {
                let own = normal(&self.pyproject.project.name);
                has_choice("package", std::slice::from_ref(package), [own])
            }
            None => Ok(()),
        }
    }
}

/// Describes a package whose source is in the checkout.
fn member(
    place: &Place,
    name: &str,
    version: Option<String>,
    folder: PathBuf,
    project: bool,
) -> Member {
    let src = folder.join("src");
    Member {
        name: normal(name),
        version,
        import_root: if place.root.join(&src).is_dir() {
            src
        } else {
            folder.clone()
        },
        folder,
        project,
    }
}

/// Refuses what is not among the choices.
fn has_choice(
    kind: &'static str,
    asked: &[String],
    there: impl IntoIterator<Item = String>,
) -> Result<(), BuildError> {
    let mut there: Vec<String> = there.into_iter().collect();
    there.sort();
    there.dedup();
    match asked.iter().find(|name| !there.contains(&normal(name))) {
        Some(name) => Err(BuildError::NoChoice {
            kind,
            name: name.clone(),
            there,
        }),
        None => Ok(()),
    }
}

/// Gives the name of the file at an address or path.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    // A local version has a `+`, which addresses do not show.
    name.replace("%2B", "+").replace("%2b", "+")
}

/// Gives a name in the form in which indexes compare names.
pub(crate) fn normal(name: &str) -> String {
    let mut normal = String::new();
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.extend(c.to_lowercase());
        }
    }
    normal
}

#[cfg(test)]
mod tests;
