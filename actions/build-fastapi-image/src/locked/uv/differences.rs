//! How `uv.lock` differs from what the projects ask for now, in the words of `pyproject.toml`.
//!
//! uv finds that out by resolving again, with a Python and an index. The lock file holds what was
//! asked for when it was made, and that is enough: requirements are compared by what they mean, in
//! a sample of environments, so that another spelling is no difference.

mod settings;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pep440_rs::VersionSpecifiers;
use pep508_rs::{MarkerEnvironment, MarkerTree};
use toml::Value;

use super::file::{Metadata, Package};
use super::{Reading, normal, parsed};
use crate::error::BuildError;
use crate::locked::marker;
use crate::locked::wish::{self, Origin, Wish};
use crate::project::{self, Pyproject};
use crate::python::fits;
use wishes::Wishes;

/// What a wish belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Context {
    /// What the project needs to run.
    Runtime,
    Extra(String),
    Group(String),
    /// A list in the settings of uv, by its name.
    List(&'static str),
}

/// Lists what differs.
pub(super) fn between(read: &Reading<'_>) -> Result<Vec<String>, BuildError> {
    let locked_python = read.lock.requires_python.as_deref().unwrap_or_default();
    let samples = marker::samples(|python| fits(python, locked_python));
    let mut projects = BTreeMap::new();
    for (name, folder) in &read.workspace.members {
        projects.insert(name.clone(), folder.clone());
    }
    for package in &read.lock.packages {
        if let Some(path) = package.source.local() {
            let folder = project::normal(&read.workspace.folder.join(path));
            // What is outside of the checkout is refused when it turns out to be needed.
            if folder.starts_with(&read.place.root) {
                projects.entry(normal(&package.name)).or_insert(folder);
            }
        }
    }
    let mut differences = settings::members(read);
    let mut pythons = Vec::new();
    for (name, folder) in &projects {
        let Some(pyproject) = Pyproject::read(folder, read.place)? else {
            differences.push(format!("`{name}` is gone"));
            continue;
        };
        if read.workspace.members.contains_key(name) {
            pythons.push(pyproject.clone());
        }
        let Some(index) = read.lock.local(name) else {
            differences.push(format!("`{name}` is new"));
            continue;
        };
        let project = One {
            read,
            samples: &samples,
            pyproject: &pyproject,
            folder,
            package: &read.lock.packages[index],
        };
        differences.extend(project.differences()?);
    }
    differences.extend(settings::python(read, &pythons));
    differences.extend(settings::lists(read, &samples)?);
    differences.extend(settings::options(read, &samples)?);
    let mut seen = BTreeSet::new();
    differences.retain(|difference| seen.insert(difference.clone()));
    Ok(differences)
}

/// A project, and the package that the lock file has for it.
struct One<'a> {
    read: &'a Reading<'a>,
    samples: &'a [MarkerEnvironment],
    pyproject: &'a Pyproject,
    folder: &'a Path,
    package: &'a Package,
}

impl One<'_> {
    fn differences(&self) -> Result<Vec<String>, BuildError> {
        let name = normal(&self.package.name);
        let mut differences = Vec::new();
        if let (Some(locked), Some(version)) =
            (&self.package.version, &self.pyproject.project.version)
            && !self.pyproject.is_dynamic("version")
            && !same_version(locked, version)
        {
            differences.push(format!("`{name}` was {locked}, is {version}"));
        }
        let wanted = self.wanted()?.flat(&name);
        let Some(metadata) = &self.package.metadata else {
            differences.extend(self.unknown(&wanted));
            return Ok(differences);
        };
        differences.extend(self.extras(metadata));
        let locked = self.locked(metadata, &wanted)?.flat(&name);
        let owner = (self.folder != self.read.place.folder).then_some(name.as_str());
        differences.extend(wanted.differences(&locked, owner));
        Ok(differences)
    }

    /// Gives what `pyproject.toml` asks for.
    fn wanted(&self) -> Result<Wishes<'_>, BuildError> {
        let mut wishes = Wishes::new(self.samples);
        let project = &self.pyproject.project;
        let mut add = |context: Context, texts: &[String]| -> Result<(), BuildError> {
            for wish in Wish::all(
                texts.iter().map(String::as_str),
                self.read.place,
                self.folder,
            )? {
                for wish in self.by_sources(wish, &context)? {
                    wishes.add(context.clone(), wish);
                }
            }
            Ok(())
        };
        if !self.pyproject.is_dynamic("dependencies") {
            add(Context::Runtime, &project.dependencies)?;
        }
        if !self.pyproject.is_dynamic("optional-dependencies") {
            for (extra, texts) in &project.optional_dependencies {
                add(Context::Extra(normal(extra)), texts)?;
            }
        }
        for (group, texts) in wish::groups(self.pyproject) {
            add(Context::Group(group), &texts)?;
        }
        Ok(wishes)
    }

    /// Gives what the lock file says was asked for.
    fn locked(&self, metadata: &Metadata, wanted: &Wishes<'_>) -> Result<Wishes<'_>, BuildError> {
        let mut wishes = Wishes::new(self.samples);
        let told = metadata.provides_extras.iter().flatten();
        let extras: BTreeSet<String> = told.map(|e| normal(e)).chain(wanted.extras()).collect();
        for value in &metadata.requires_dist {
            let wish = self.read.wish(value)?;
            let without = marker::with_extras(&wish.marker, &BTreeSet::new());
            for extra in &extras {
                if self.pyproject.is_dynamic("optional-dependencies") {
                    break;
                }
                let active = BTreeSet::from([extra.clone()]);
                let mut only = marker::with_extras(&wish.marker, &active);
                only.and(without.negate());
                let context = Context::Extra(extra.clone());
                wishes.add(
                    context,
                    Wish {
                        marker: only,
                        ..wish.clone()
                    },
                );
            }
            if !self.pyproject.is_dynamic("dependencies") {
                wishes.add(
                    Context::Runtime,
                    Wish {
                        marker: without,
                        ..wish
                    },
                );
            }
        }
        for (group, values) in &metadata.requires_dev {
            for value in values {
                wishes.add(Context::Group(normal(group)), self.read.wish(value)?);
            }
        }
        Ok(wishes)
    }

    /// Compares names with what is needed, where the lock file leaves out what was asked for.
    fn unknown(&self, wanted: &Wishes<'_>) -> Vec<String> {
        let needed = self.package.dependencies.iter();
        let needed: BTreeSet<String> = needed.map(|needed| normal(&needed.name)).collect();
        let new = wanted.always().filter(|name| !needed.contains(*name));
        new.map(|name| format!("`{name}` is new")).collect()
    }

    fn extras(&self, metadata: &Metadata) -> Vec<String> {
        let Some(locked) = &metadata.provides_extras else {
            return Vec::new();
        };
        if self.pyproject.is_dynamic("optional-dependencies") {
            return Vec::new();
        }
        let locked: BTreeSet<String> = locked.iter().map(|extra| normal(extra)).collect();
        let wanted = self.pyproject.project.optional_dependencies.keys();
        let wanted: BTreeSet<String> = wanted.map(|extra| normal(extra)).collect();
        let new = wanted
            .difference(&locked)
            .map(|extra| format!("extra `{extra}` is new"));
        let gone = locked
            .difference(&wanted)
            .map(|extra| format!("extra `{extra}` is gone"));
        new.chain(gone).collect()
    }

    /// Splits a wish into those that uv makes of it: one for each source, and one for what no
    /// source covers.
    fn by_sources(&self, wish: Wish, context: &Context) -> Result<Vec<Wish>, BuildError> {
        let find = |sources: &BTreeMap<String, Value>| {
            let mut sources = sources.iter();
            let found = sources.find(|(name, _)| normal(name) == wish.name);
            found.map(|(_, value)| match value {
                Value::Array(values) => values.clone(),
                value => vec![value.clone()],
            })
        };
        let own = find(&self.pyproject.tool.uv.sources).map(|found| (found, self.folder));
        let shared = || {
            let root = &self.read.workspace.folder;
            let found = find(&self.read.workspace.pyproject.tool.uv.sources)?;
            Some((found, root.as_path()))
        };
        let Some((sources, folder)) = own.or_else(shared) else {
            return Ok(vec![self.in_group(wish, context)?]);
        };
        let mut rest = wish.marker.clone();
        let mut all = Vec::new();
        for source in &sources {
            let text = |key: &str| source.get(key).and_then(Value::as_str);
            let elsewhere = match context {
                Context::Extra(extra) => text("group").is_some() || other(text("extra"), extra),
                Context::Group(group) => text("extra").is_some() || other(text("group"), group),
                _ => text("extra").or(text("group")).is_some(),
            };
            if elsewhere {
                continue;
            }
            let mut marker = match text("marker") {
                Some(text) => parsed(text)?,
                None => MarkerTree::TRUE,
            };
            rest.and(marker.negate());
            marker.and(wish.marker.clone());
            let mut one = Wish {
                marker,
                ..wish.clone()
            };
            one.origin = self.origin(source, &wish.name, folder);
            if one.origin != Origin::Index {
                one.versions = VersionSpecifiers::empty();
            }
            all.push(self.in_group(one, context)?);
        }
        let rest = Wish {
            marker: rest,
            ..wish
        };
        all.push(self.in_group(rest, context)?);
        Ok(all)
    }

    /// Adds what the settings of a group say about Python.
    fn in_group(&self, mut wish: Wish, context: &Context) -> Result<Wish, BuildError> {
        let Context::Group(group) = context else {
            return Ok(wish);
        };
        let mut settings = self.pyproject.tool.uv.dependency_groups.iter();
        let found = settings.find(|(name, _)| normal(name) == *group);
        let python = found.and_then(|(_, settings)| settings.requires_python.as_deref());
        for clause in python.unwrap_or_default().split(',') {
            let clause = clause.trim();
            let end = clause.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
            let (operator, version) = clause.split_at(end);
            if !operator.is_empty() {
                let text = format!("python_full_version {operator} '{version}'");
                wish.marker.and(parsed(&text)?);
            }
        }
        Ok(wish)
    }

    fn origin(&self, source: &Value, name: &str, folder: &Path) -> Origin {
        let text = |key: &str| source.get(key).and_then(Value::as_str);
        let member = source
            .get("workspace")
            .and_then(|_| self.read.workspace.members.get(name));
        if let Some(member) = member {
            Origin::Path(member.clone())
        } else if let Some(path) = text("path") {
            Origin::Path(project::normal(&folder.join(path)))
        } else if let Some(url) = text("url") {
            Origin::of_url(url)
        } else if text("git").is_some() {
            Origin::Git
        } else {
            Origin::Index
        }
    }
}

fn other(named: Option<&str>, here: &str) -> bool {
    named.is_some_and(|named| normal(named) != here)
}

fn same_version(one: &str, other: &str) -> bool {
    let parse = |text: &str| text.parse::<pep440_rs::Version>();
    match (parse(one), parse(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
