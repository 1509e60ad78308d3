//! What Poetry 1 leaves to find out: which packages a project reaches.

use std::collections::{BTreeMap, BTreeSet};

use pep440_rs::VersionSpecifiers;
use pep508_rs::MarkerTree;
use toml::Value;

use super::{Reading, constraint, parsed, refused};
use crate::error::BuildError;
use crate::locked::walk::{self, Node};
use crate::locked::wish::{Origin, Wish};
use crate::locked::{marker, normal};

/// A package that is asked for, in Poetry's form: a version, or a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    value: &'a Value,
}

/// The packages that a table asks for, but for Python itself.
pub(super) struct Dependencies;

impl Dependencies {
    /// Lists them: one package may be asked for several times.
    pub(super) fn of<'a>(
        table: impl IntoIterator<Item = (&'a String, &'a Value)>,
    ) -> impl Iterator<Item = Wanted<'a>> {
        let all = table
            .into_iter()
            .filter(|(name, _)| name.as_str() != "python");
        all.flat_map(|(name, value)| {
            let values = match value {
                Value::Array(values) => &values[..],
                value => std::slice::from_ref(value),
            };
            values.iter().map(move |value| Wanted { name, value })
        })
    }
}

impl<'a> Wanted<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        self.value.get(key).and_then(Value::as_str)
    }

    /// Gives the ranges of versions, any of which will do; `None` when they cannot be read.
    pub(super) fn ranges(&self) -> Option<Vec<VersionSpecifiers>> {
        let text = self.value.as_str().or_else(|| self.text("version"));
        constraint::parse(text.unwrap_or("*"))
    }

    /// Says whether only an extra brings it.
    pub(super) fn is_optional(&self) -> bool {
        self.value.get("optional").and_then(Value::as_bool) == Some(true)
    }

    /// Gives the condition under which a package is asked for.
    pub(super) fn condition(&self, by: &str) -> Result<MarkerTree, BuildError> {
        let mut condition = MarkerTree::TRUE;
        if let Some(text) = self.text("markers") {
            condition.and(parsed(by, text)?);
        }
        if let Some(platform) = self.text("platform") {
            condition.and(parsed(by, &format!("sys_platform == '{platform}'"))?);
        }
        if let Some(text) = self.text("python") {
            let unknown = || refused(format!("`{by}` names Python `{text}`"));
            let mut any = MarkerTree::FALSE;
            for range in constraint::parse(text).ok_or_else(unknown)? {
                let mut all = MarkerTree::TRUE;
                for bound in range.iter() {
                    all.and(parsed(by, &as_marker(&bound.to_string()))?);
                }
                any.or(all);
            }
            condition.and(any);
        }
        Ok(condition)
    }

    fn extras(&self) -> impl Iterator<Item = String> {
        let extras = self.value.get("extras").and_then(Value::as_array);
        let extras = extras.into_iter().flatten().filter_map(Value::as_str);
        extras.map(normal)
    }
}

impl Reading<'_> {
    /// Gives the packages that are needed, by walking from what the project asks for.
    pub(super) fn walked(&self) -> Result<BTreeMap<usize, MarkerTree>, BuildError> {
        let mut starts = Vec::new();
        for wanted in self.wanted() {
            let marker = wanted.condition(wanted.name)?;
            starts.extend(
                self.nodes(&wanted)?
                    .into_iter()
                    .map(|node| (node, marker.clone())),
            );
        }
        for wish in self.project_wishes()? {
            starts.extend(
                self.found(&wish)
                    .into_iter()
                    .map(|node| (node, wish.marker.clone())),
            );
        }
        let reached = walk::walk(starts, |(index, extra)| {
            let package = &self.lock.package[*index];
            let active: BTreeSet<String> = extra.iter().cloned().collect();
            let mut edges = Vec::new();
            for wanted in Dependencies::of(&package.dependencies) {
                let marker = wanted.condition(&package.name)?;
                let marker = marker::with_extras(&marker, &active);
                let nodes = self.nodes(&wanted)?.into_iter();
                edges.extend(nodes.map(|node| (node, marker.clone())));
            }
            Ok::<_, BuildError>(edges)
        })?;
        Ok(walk::packages(reached))
    }

    /// Lists what the project asks for, with the chosen groups and extras.
    fn wanted(&self) -> Vec<Wanted<'_>> {
        let selection = self.source.selection;
        let has = |chosen: &[String], name: &str| {
            chosen.iter().any(|chosen| normal(chosen) == normal(name))
        };
        let extras = self.poetry.extras.iter();
        let brought: BTreeSet<String> = extras
            .filter(|(extra, _)| has(&selection.extras, extra))
            .flat_map(|(_, names)| names.iter().map(|name| normal(name)))
            .collect();
        let main = Dependencies::of(&self.poetry.dependencies);
        let mut wanted: Vec<Wanted<'_>> = main
            .filter(|wanted| !wanted.is_optional() || brought.contains(&normal(wanted.name)))
            .collect();
        for (name, group) in &self.poetry.group {
            if has(&selection.groups, name) {
                wanted.extend(Dependencies::of(&group.dependencies));
            }
        }
        if has(&selection.groups, "dev") {
            wanted.extend(Dependencies::of(&self.poetry.dev_dependencies));
        }
        wanted
    }

    /// Gives the packages that a wish of the lock file may mean, with their extras.
    fn nodes(&self, wanted: &Wanted<'_>) -> Result<Vec<Node>, BuildError> {
        let ranges = wanted
            .ranges()
            .ok_or_else(|| refused(format!("the versions of `{}` cannot be read", wanted.name)))?;
        let extras: Vec<String> = wanted.extras().collect();
        Ok(self.matching(&normal(wanted.name), &ranges, &extras))
    }

    fn found(&self, wish: &Wish) -> Vec<Node> {
        let extras: Vec<String> = wish.extras.iter().cloned().collect();
        let ranges = match wish.origin {
            Origin::Index => vec![wish.versions.clone()],
            _ => vec![VersionSpecifiers::empty()],
        };
        self.matching(&wish.name, &ranges, &extras)
    }

    fn matching(&self, name: &str, ranges: &[VersionSpecifiers], extras: &[String]) -> Vec<Node> {
        let named = self.lock.package.iter().enumerate();
        let named: Vec<_> = named
            .filter(|(_, package)| normal(&package.name) == name)
            .collect();
        let fits = |version: &str| {
            let version = version.parse::<pep440_rs::Version>();
            version.map_or(true, |v| ranges.iter().any(|range| range.contains(&v)))
        };
        // A single one was chosen for everybody, whatever else its version says.
        let single = named.len() == 1;
        named
            .into_iter()
            .filter(|(_, package)| single || fits(&package.version))
            .flat_map(|(index, _)| {
                let extras = extras.iter().map(|extra| Some(extra.clone()));
                std::iter::once(None)
                    .chain(extras)
                    .map(move |extra| (index, extra))
            })
            .collect()
    }
}

/// Writes a bound such as `>=3.11` as a marker.
fn as_marker(bound: &str) -> String {
    let end = bound.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let (operator, version) = bound.split_at(end);
    format!("python_full_version {operator} '{version}'")
}
