//! `uv.lock`: the packages that a project of a workspace reaches.

mod differences;
mod file;

use std::collections::BTreeSet;
use std::path::PathBuf;

use pep508_rs::MarkerTree;

use super::walk::{self, Node};
use super::wish::without_credentials;
use super::workspace::Workspace;
use super::{Format, Locked, LockedFile, Member, Pin, Selection, has_choice, marker, normal, wish};
use crate::error::BuildError;
use crate::project::{self, Files, Place, Pyproject};
use file::{Dependency, Lock, Package};

/// Reads a project and what the lock file of its workspace pins for it.
pub(super) fn read(
    place: &Place,
    workspace: &Workspace,
    selection: &Selection,
) -> Result<(Files, Locked), BuildError> {
    let word = Format::Uv.word();
    let path = workspace.folder.join(word);
    let lock: Lock = project::parse(&path, &place.shown(&path))?;
    if lock.version != 1 {
        return Err(BuildError::LockVersion {
            lock: word.into(),
            found: lock.version.to_string(),
            reads: "1",
        });
    }
    let (name, folder) = chosen(place, workspace, selection)?;
    let place = place.moved_to(&folder);
    let pyproject = Pyproject::read(&folder, &place)?.unwrap_or_default();
    let read = Reading {
        lock: &lock,
        place: &place,
        workspace,
    };
    let differences = differences::between(&read)?;
    let root = lock.local(&name);
    let (Some(root), []) = (root, &differences[..]) else {
        return Err(BuildError::Outdated {
            lock: word.into(),
            differences,
            command: Some("uv lock"),
        });
    };
    let package = &lock.packages[root];
    let optional = pyproject.project.optional_dependencies.keys();
    let extras = package.extras().chain(optional.map(|name| normal(name)));
    has_choice("extra", &selection.extras, extras)?;
    let groups = package.groups().chain(wish::groups(&pyproject).into_keys());
    has_choice("group", &selection.groups, groups)?;
    let (pins, members) = read.select(root, selection)?;
    let mut locked = Locked {
        format: Format::Uv,
        file: word.into(),
        pins,
        members,
        pythons: lock.requires_python.iter().cloned().collect(),
        environments: parsed_all(&lock.supported_markers)?,
    };
    locked.finish();
    let python_version = project::python_version(&[&folder, &workspace.folder])?;
    let files = Files {
        pyproject,
        python_version,
    };
    Ok((files, locked))
}

/// Chooses the project: the one that is named, or the one in the folder.
fn chosen(
    place: &Place,
    workspace: &Workspace,
    selection: &Selection,
) -> Result<(String, PathBuf), BuildError> {
    let there = || workspace.members.keys().cloned();
    if let Some(package) = &selection.package {
        let name = normal(package);
        has_choice("package", std::slice::from_ref(package), there())?;
        if let Some(folder) = workspace.members.get(&name) {
            return Ok((name, folder.clone()));
        }
    }
    let own = workspace
        .members
        .iter()
        .find(|(_, folder)| **folder == place.folder);
    match own {
        Some((name, folder)) => Ok((name.clone(), folder.clone())),
        None => Err(BuildError::NoMember {
            file: place.shown(&place.folder.join("pyproject.toml")),
            there: there().collect(),
        }),
    }
}

/// A lock file that is read for a project.
struct Reading<'a> {
    lock: &'a Lock,
    place: &'a Place,
    workspace: &'a Workspace,
}

impl Reading<'_> {
    /// Walks from the project to all that it needs.
    fn select(
        &self,
        root: usize,
        selection: &Selection,
    ) -> Result<(Vec<Pin>, Vec<Member>), BuildError> {
        let active = self.active(root, selection);
        let extras = selection.extras.iter().map(|extra| Some(normal(extra)));
        let nodes = std::iter::once(None).chain(extras);
        let mut starts: Vec<(Node, MarkerTree)> = nodes
            .map(|extra| ((root, extra), MarkerTree::TRUE))
            .collect();
        let package = &self.lock.packages[root];
        for group in &selection.groups {
            starts.extend(self.edges(package.group(group), &active)?);
        }
        let reached = walk::walk(starts, |node| self.edges(self.dependencies(node), &active))?;
        let (mut pins, mut members) = (Vec::new(), Vec::new());
        for (index, marker) in walk::packages(reached) {
            let package = &self.lock.packages[index];
            match package.source.local() {
                None => pins.push(self.pin(package, marker)?),
                // What is virtual has dependencies only.
                Some(_) if index != root && package.source.is_virtual() => {}
                Some(path) => members.push(self.member(package, path, index == root)?),
            }
        }
        Ok((pins, members))
    }

    fn dependencies(&self, (index, extra): &Node) -> &[Dependency] {
        let package = &self.lock.packages[*index];
        match extra {
            Some(extra) => package.optional(extra),
            None => &package.dependencies,
        }
    }

    /// Gives where dependencies lead, and on which condition.
    fn edges(
        &self,
        dependencies: &[Dependency],
        active: &BTreeSet<String>,
    ) -> Result<Vec<(Node, MarkerTree)>, BuildError> {
        let mut edges = Vec::new();
        for dependency in dependencies {
            let marker = match &dependency.marker {
                Some(text) => marker::with_extras(&parsed(text)?, active),
                None => MarkerTree::TRUE,
            };
            let nodes = self.nodes(dependency)?;
            edges.extend(nodes.into_iter().map(|node| (node, marker.clone())));
        }
        Ok(edges)
    }

    fn nodes(&self, dependency: &Dependency) -> Result<Vec<Node>, BuildError> {
        let Some(index) = self.lock.find(dependency) else {
            return Err(refused(format!(
                "`{}` is needed and is not in it",
                dependency.name
            )));
        };
        let extras = dependency.extra.iter().map(|extra| Some(normal(extra)));
        Ok(std::iter::once(None)
            .chain(extras)
            .map(|extra| (index, extra))
            .collect())
    }

    /// Names the extras, groups and projects that are chosen, as the markers of conflicting ones
    /// do.
    fn active(&self, root: usize, selection: &Selection) -> BTreeSet<String> {
        let code = |kind: &str, package: &Package, name: &str| {
            format!("{kind}-{}-{}-{name}", package.name.len(), package.name)
        };
        let package = &self.lock.packages[root];
        let groups = selection.groups.iter().map(|group| normal(group));
        let mut starts = vec![(root, None)];
        starts.extend(selection.extras.iter().map(|e| (root, Some(normal(e)))));
        for group in &selection.groups {
            let nodes = package.group(group).iter();
            starts.extend(
                nodes
                    .filter_map(|dependency| self.nodes(dependency).ok())
                    .flatten(),
            );
        }
        let reached = walk::closure(starts, |node| {
            let dependencies = self.dependencies(node).iter();
            dependencies
                .filter_map(|dependency| self.nodes(dependency).ok())
                .flatten()
                .collect()
        });
        let mut active: BTreeSet<String> =
            groups.map(|group| code("group", package, &group)).collect();
        for (index, extra) in reached {
            let package = &self.lock.packages[index];
            match extra {
                Some(extra) => active.insert(code("extra", package, &extra)),
                None => active.insert(format!("project-{}-{}", package.name.len(), package.name)),
            };
        }
        active
    }

    fn pin(&self, package: &Package, marker: MarkerTree) -> Result<Pin, BuildError> {
        let direct = package.source.is_direct();
        let place = |file: &file::File| -> Result<LockedFile, BuildError> {
            let url = match (&package.source.path, &package.source.url, &file.url) {
                (Some(path), ..) => {
                    let path = self.inside(&package.name, path)?;
                    Some(path.display().to_string())
                }
                (_, Some(url), _) | (_, _, Some(url)) => Some(url.clone()),
                _ => None,
            };
            Ok(LockedFile {
                name: file.name(url.as_deref()),
                sha256: file.hash.as_deref().and_then(|hash| hash.parse().ok()),
                size: file.size,
                url,
            })
        };
        let files = package.wheels.iter().chain(&package.sdist);
        Ok(Pin {
            name: normal(&package.name),
            version: package.version.clone().unwrap_or_default(),
            marker,
            files: files.map(place).collect::<Result<_, _>>()?,
            source: package.source.shown(),
            direct,
        })
    }

    fn member(&self, package: &Package, path: &str, project: bool) -> Result<Member, BuildError> {
        let folder = self.inside(&package.name, path)?;
        let (name, version) = (&package.name, package.version.clone());
        Ok(super::member(self.place, name, version, folder, project))
    }

    /// Gives a path of the lock file from the root of the checkout.
    fn inside(&self, name: &str, path: &str) -> Result<PathBuf, BuildError> {
        let full = project::normal(&self.workspace.folder.join(path));
        match full.strip_prefix(&self.place.root) {
            Ok(inside) => Ok(inside.into()),
            Err(_) => Err(BuildError::OutsideCheckout {
                name: name.into(),
                path: path.into(),
            }),
        }
    }
}

fn parsed(text: &str) -> Result<MarkerTree, BuildError> {
    marker::parse(text).map_err(|why| refused(format!("its marker `{text}`: {why}")))
}

fn parsed_all(texts: &[String]) -> Result<Vec<MarkerTree>, BuildError> {
    texts.iter().map(|text| parsed(text)).collect()
}

fn refused(what: String) -> BuildError {
    BuildError::Locked {
        lock: Format::Uv.word().into(),
        what,
    }
}
