//! `pylock.toml`: the format of PEP 751, which several tools write.

use std::collections::{BTreeMap, BTreeSet};

use pep508_rs::MarkerTree;
use serde::Deserialize;
use toml::Table;

use super::wish::{Wish, unmet, without_credentials};
use super::{
    Format, Locked, LockedFile, Member, Pin, Source, file_name, has_choice, marker, normal,
};
use crate::error::BuildError;
use crate::project;

/// What `pylock.toml` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Lock {
    #[serde(rename = "lock-version")]
    version: String,
    #[serde(default)]
    environments: Vec<String>,
    requires_python: Option<String>,
    #[serde(default)]
    extras: Vec<String>,
    #[serde(default)]
    dependency_groups: Vec<String>,
    #[serde(default)]
    default_groups: Vec<String>,
    #[serde(default)]
    packages: Vec<Package>,
}

/// A package.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    index: Option<String>,
    vcs: Option<Table>,
    directory: Option<Directory>,
    archive: Option<File>,
    sdist: Option<File>,
    #[serde(default)]
    wheels: Vec<File>,
}

/// A package whose source is in the checkout.
#[derive(Debug, Deserialize)]
struct Directory {
    path: String,
    subdirectory: Option<String>,
}

/// A file of a package.
#[derive(Clone, Debug, Deserialize)]
struct File {
    name: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Reads what the lock file pins.
pub(super) fn read(source: &Source<'_>) -> Result<Locked, BuildError> {
    let lock: Lock = project::parse(source.file, &source.place.shown(source.file))?;
    if !lock.version.starts_with("1.") {
        return Err(BuildError::LockVersion {
            lock: Format::Pylock.word().into(),
            found: lock.version,
            reads: "1.0",
        });
    }
    let selection = source.selection;
    let names = |names: &[String]| names.iter().map(|name| normal(name)).collect::<Vec<_>>();
    has_choice("extra", &selection.extras, names(&lock.extras))?;
    has_choice("group", &selection.groups, names(&lock.dependency_groups))?;
    let groups = lock.default_groups.iter().chain(&selection.groups);
    let groups = groups.map(|name| marker::group(&normal(name)));
    let active: BTreeSet<String> = names(&selection.extras).into_iter().chain(groups).collect();
    let (mut pins, mut members) = (Vec::new(), vec![source.member()]);
    for package in &lock.packages {
        let condition = match &package.marker {
            Some(text) => marker::with_extras(&parsed(&package.name, text)?, &active),
            None => MarkerTree::TRUE,
        };
        if condition.is_false() {
            continue;
        }
        match &package.directory {
            Some(directory) => members.extend(member(source, package, directory)?),
            None => pins.push(pin(source, package, condition)?),
        }
    }
    let environments = lock.environments.iter();
    let locked = Locked {
        format: Format::Pylock,
        file: Format::Pylock.word().into(),
        pins,
        members,
        pythons: lock.requires_python.into_iter().collect(),
        environments: environments
            .map(|text| parsed("environments", text))
            .collect::<Result<_, _>>()?,
    };
    is_fresh(source, &locked)?;
    Ok(locked)
}

/// Refuses a list that lacks what the project asks for: all that can be said of formats that do
/// not tell what they were made from.
pub(super) fn is_fresh(source: &Source<'_>, locked: &Locked) -> Result<(), BuildError> {
    let project = &source.pyproject.project;
    let texts = project.dependencies.iter().map(String::as_str);
    let wishes = Wish::all(texts, source.place, &source.place.folder)?;
    let differences = unmet(&wishes, locked);
    if differences.is_empty() {
        return Ok(());
    }
    Err(BuildError::Outdated {
        lock: locked.file.clone(),
        differences,
        command: None,
    })
}

fn member(
    source: &Source<'_>,
    package: &Package,
    directory: &Directory,
) -> Result<Option<Member>, BuildError> {
    let folder = source.inside(&package.name, &directory.path)?;
    let folder = match &directory.subdirectory {
        Some(below) => folder.join(below),
        None => folder,
    };
    // The project itself is there whether or not it is listed.
    if folder == source.place.relative(&source.place.folder) {
        return Ok(None);
    }
    let version = package.version.clone();
    Ok(Some(super::member(
        source.place,
        &package.name,
        version,
        folder,
        false,
    )))
}

fn pin(source: &Source<'_>, package: &Package, marker: MarkerTree) -> Result<Pin, BuildError> {
    let mut direct = package.archive.is_some();
    let mut files = Vec::new();
    for file in package
        .wheels
        .iter()
        .chain(&package.sdist)
        .chain(&package.archive)
    {
        let url = match (&file.url, &file.path) {
            (Some(url), _) => Some(url.clone()),
            (None, Some(path)) => {
                direct = true;
                Some(source.inside(&package.name, path)?.display().to_string())
            }
            (None, None) => None,
        };
        files.push(LockedFile {
            name: file.name.clone().or(url.as_deref().map(file_name)),
            sha256: file
                .hashes
                .get("sha256")
                .and_then(|digits| format!("sha256:{digits}").parse().ok()),
            size: file.size,
            url,
        });
    }
    let repository = package.vcs.as_ref().map(|vcs| {
        let url = vcs.get("url").and_then(toml::Value::as_str);
        format!("git {}", without_credentials(url.unwrap_or_default()))
    });
    let archive = package
        .archive
        .as_ref()
        .and_then(|archive| archive.url.clone());
    let index = package.index.clone().or(archive);
    Ok(Pin {
        name: normal(&package.name),
        version: package.version.clone().unwrap_or_default(),
        marker,
        files,
        source: repository.or(index.map(|url| without_credentials(&url))),
        direct,
    })
}

fn parsed(what: &str, text: &str) -> Result<MarkerTree, BuildError> {
    marker::parse(text).map_err(|why| BuildError::Locked {
        lock: Format::Pylock.word().into(),
        what: format!("the marker `{text}` of `{what}`: {why}"),
    })
}
