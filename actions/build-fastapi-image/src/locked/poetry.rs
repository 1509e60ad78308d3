//! `poetry.lock`: of Poetry 2, which says of each package where it is needed, and of Poetry 1,
//! where that is found out by walking from what `pyproject.toml` asks for.

mod constraint;
mod content;
mod one;

use std::collections::{BTreeMap, BTreeSet};

use pep508_rs::MarkerTree;
use serde::Deserialize;
use toml::{Table, Value};

use super::wish::{Wish, unmet, without_credentials};
use super::{
    Format, Locked, LockedFile, Member, Pin, Source, file_name, has_choice, marker, normal, wish,
};
use crate::error::BuildError;
use crate::project::{self, Poetry};
use one::Dependencies;

/// What `poetry.lock` says.
#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
    metadata: Metadata,
}

/// How it was made.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    lock_version: String,
    #[serde(default)]
    python_versions: String,
    #[serde(default)]
    content_hash: String,
    /// The files of each package, where Poetry 1.0 has them.
    #[serde(default)]
    files: BTreeMap<String, Vec<File>>,
}

/// A package.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    version: String,
    /// The groups that need it, since Poetry 2.
    groups: Option<Vec<String>>,
    /// Where it is needed: a marker, or one for each group.
    markers: Option<Value>,
    #[serde(default)]
    files: Vec<File>,
    #[serde(default)]
    dependencies: Table,
    #[serde(default)]
    source: Provenance,
}

/// A file of a package.
#[derive(Clone, Debug, Deserialize)]
struct File {
    file: String,
    hash: String,
}

/// Where a package comes from, when that is not the usual index.
#[derive(Debug, Default, Deserialize)]
struct Provenance {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    url: String,
}

/// Reads what the lock file pins.
pub(super) fn read(source: &Source<'_>) -> Result<Locked, BuildError> {
    let lock: Lock = project::parse(source.file, &source.place.shown(source.file))?;
    if !lock.metadata.lock_version.starts_with(['1', '2']) {
        return Err(BuildError::LockVersion {
            lock: Format::Poetry.word().into(),
            found: lock.metadata.lock_version,
            reads: "1 or 2",
        });
    }
    let reading = Reading {
        source,
        lock: &lock,
        poetry: source.pyproject.tool.poetry.clone().unwrap_or_default(),
    };
    let groups = reading.groups();
    has_choice("group", &source.selection.groups, groups)?;
    let optional = source.pyproject.project.optional_dependencies.keys();
    let extras = reading
        .poetry
        .extras
        .keys()
        .chain(lock.extras.keys())
        .chain(optional);
    has_choice(
        "extra",
        &source.selection.extras,
        extras.map(|extra| normal(extra)),
    )?;
    let reached = if lock.package.iter().any(|package| package.groups.is_some()) {
        reading.told()?
    } else {
        reading.walked()?
    };
    let locked = reading.locked(reached)?;
    reading.is_fresh(&locked)?;
    Ok(locked)
}

/// A lock file that is read for a project.
struct Reading<'a> {
    source: &'a Source<'a>,
    lock: &'a Lock,
    poetry: Poetry,
}

impl Reading<'_> {
    /// Names the groups, whoever says that they exist.
    fn groups(&self) -> impl Iterator<Item = String> {
        let old = (!self.poetry.dev_dependencies.is_empty()).then(|| "dev".to_owned());
        let own = self.poetry.group.keys();
        let locked = self.lock.package.iter().flat_map(|package| &package.groups);
        own.chain(self.source.pyproject.dependency_groups.keys())
            .chain(locked.flatten())
            .map(|group| normal(group))
            .filter(|group| group != "main")
            .chain(old)
    }

    /// Gives the packages that are needed, as the lock file tells.
    fn told(&self) -> Result<BTreeMap<usize, MarkerTree>, BuildError> {
        let selection = self.source.selection;
        let mut groups: BTreeSet<String> = selection.groups.iter().map(|g| normal(g)).collect();
        groups.insert("main".into());
        let extras: BTreeSet<String> = selection.extras.iter().map(|e| normal(e)).collect();
        let mut reached = BTreeMap::new();
        for (index, package) in self.lock.package.iter().enumerate() {
            let mut where_needed = MarkerTree::FALSE;
            for group in package.groups.iter().flatten() {
                if !groups.contains(&normal(group)) {
                    continue;
                }
                let text = match &package.markers {
                    Some(Value::Table(each)) => each.get(group).and_then(Value::as_str),
                    other => other.as_ref().and_then(Value::as_str),
                };
                let marker = match text {
                    Some(text) => marker::with_extras(&parsed(&package.name, text)?, &extras),
                    None => MarkerTree::TRUE,
                };
                where_needed.or(marker);
            }
            if !where_needed.is_false() {
                reached.insert(index, where_needed);
            }
        }
        Ok(reached)
    }

    fn locked(&self, reached: BTreeMap<usize, MarkerTree>) -> Result<Locked, BuildError> {
        let (mut pins, mut members) = (Vec::new(), vec![self.source.member()]);
        for (index, marker) in reached {
            let package = &self.lock.package[index];
            match package.source.r#type.as_str() {
                "directory" => members.push(self.member(package)?),
                _ => pins.push(self.pin(package, marker)?),
            }
        }
        let pythons = match self.lock.metadata.python_versions.as_str() {
            "" => Vec::new(),
            text => constraint::parse(text)
                .ok_or_else(|| refused(format!("it is for Python `{text}`")))?
                .iter()
                .map(ToString::to_string)
                .collect(),
        };
        Ok(Locked {
            format: Format::Poetry,
            file: Format::Poetry.word().into(),
            pins,
            members,
            pythons,
            environments: Vec::new(),
        })
    }

    fn pin(&self, package: &Package, marker: MarkerTree) -> Result<Pin, BuildError> {
        let Provenance { r#type, url } = &package.source;
        let place = match r#type.as_str() {
            "file" => Some(self.inside(&package.name, url)?.display().to_string()),
            "url" => Some(url.clone()),
            _ => None,
        };
        let old = self.lock.metadata.files.get(&package.name);
        let files = package.files.iter().chain(old.into_iter().flatten());
        let files: Vec<&File> = match r#type.as_str() {
            "git" => Vec::new(),
            "file" | "url" => {
                let name = file_name(url);
                files.filter(|file| file.file == name).collect()
            }
            _ => files.collect(),
        };
        let source = match r#type.as_str() {
            "" => None,
            "git" => Some(format!("git {}", without_credentials(url))),
            _ => Some(without_credentials(url)),
        };
        Ok(Pin {
            name: normal(&package.name),
            version: package.version.clone(),
            marker,
            files: files
                .into_iter()
                .map(|file| LockedFile {
                    name: Some(file.file.clone()),
                    sha256: file.hash.parse().ok(),
                    size: None,
                    url: place.clone(),
                })
                .collect(),
            source,
            direct: place.is_some(),
        })
    }

    fn member(&self, package: &Package) -> Result<Member, BuildError> {
        let folder = self.inside(&package.name, &package.source.url)?;
        let version = Some(package.version.clone());
        Ok(super::member(
            self.source.place,
            &package.name,
            version,
            folder,
            false,
        ))
    }

    /// Gives a path of the lock file from the root of the checkout.
    fn inside(&self, name: &str, path: &str) -> Result<std::path::PathBuf, BuildError> {
        self.source.inside(name, path)
    }

    /// Refuses a lock file that was made from another `pyproject.toml`, as Poetry does.
    fn is_fresh(&self, locked: &Locked) -> Result<(), BuildError> {
        let file = self.source.place.folder.join("pyproject.toml");
        let shown = self.source.place.shown(&file);
        let content: Table = project::parse(&file, &shown)?;
        let by = content::made_by(&project::text(self.source.file)?);
        if content::digests(&content, by).contains(&self.lock.metadata.content_hash) {
            return Ok(());
        }
        let mut wishes = self.project_wishes()?;
        wishes.extend(self.own_wishes()?);
        Err(BuildError::Outdated {
            lock: Format::Poetry.word().into(),
            differences: unmet(&wishes, locked),
            command: Some("poetry lock"),
        })
    }

    /// Gives what `[project]` asks for.
    fn project_wishes(&self) -> Result<Vec<Wish>, BuildError> {
        let texts = self.source.pyproject.project.dependencies.iter();
        let place = self.source.place;
        Wish::all(texts.map(String::as_str), place, &place.folder)
    }

    /// Gives what `[tool.poetry.dependencies]` asks for, as far as it names one range of versions.
    fn own_wishes(&self) -> Result<Vec<Wish>, BuildError> {
        let mut wishes = Vec::new();
        for wanted in Dependencies::of(&self.poetry.dependencies) {
            let marker = wanted.condition(wanted.name)?;
            let ranges = wanted.ranges().unwrap_or_default();
            if let ([versions], false) = (&ranges[..], wanted.is_optional()) {
                wishes.push(Wish {
                    name: normal(wanted.name),
                    extras: BTreeSet::new(),
                    versions: versions.clone(),
                    origin: wish::Origin::Index,
                    marker,
                });
            }
        }
        Ok(wishes)
    }
}

fn parsed(package: &str, text: &str) -> Result<MarkerTree, BuildError> {
    marker::parse(text).map_err(|why| refused(format!("the marker `{text}` of `{package}`: {why}")))
}

fn refused(what: String) -> BuildError {
    BuildError::Locked {
        lock: Format::Poetry.word().into(),
        what,
    }
}
