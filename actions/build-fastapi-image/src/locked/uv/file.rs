//! What stands in `uv.lock`.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use super::{normal, without_credentials};
use crate::locked::file_name;

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Lock {
    pub(super) version: u64,
    pub(super) requires_python: Option<String>,
    #[serde(default)]
    pub(super) supported_markers: Vec<String>,
    #[serde(default)]
    pub(super) options: Options,
    #[serde(default)]
    pub(super) manifest: Manifest,
    #[serde(default, rename = "package")]
    pub(super) packages: Vec<Package>,
}

/// How the packages were chosen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Options {
    pub(super) resolution_mode: Option<String>,
    pub(super) prerelease_mode: Option<String>,
    pub(super) fork_strategy: Option<String>,
    pub(super) exclude_newer: Option<String>,
    pub(super) exclude_newer_span: Option<String>,
}

/// What else they were chosen for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Manifest {
    pub(super) members: Vec<String>,
    pub(super) constraints: Vec<Value>,
    pub(super) overrides: Vec<Value>,
    pub(super) build_constraints: Vec<Value>,
    pub(super) excludes: Vec<Value>,
    pub(super) dependency_groups: BTreeMap<String, Vec<Value>>,
}

/// A package.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) source: Source,
    #[serde(default)]
    pub(super) dependencies: Vec<Dependency>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<Dependency>>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Vec<Dependency>>,
    pub(super) sdist: Option<File>,
    #[serde(default)]
    pub(super) wheels: Vec<File>,
    pub(super) metadata: Option<Metadata>,
}

/// Where a package comes from; one of these is there.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) registry: Option<String>,
    pub(super) url: Option<String>,
    pub(super) path: Option<String>,
    pub(super) git: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) editable: Option<String>,
    pub(super) r#virtual: Option<String>,
}

/// A package that another one needs.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    version: Option<String>,
    source: Option<Source>,
    #[serde(default)]
    pub(super) extra: Vec<String>,
    pub(super) marker: Option<String>,
}

/// A file of a package.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct File {
    pub(super) url: Option<String>,
    pub(super) path: Option<String>,
    pub(super) filename: Option<String>,
    pub(super) hash: Option<String>,
    pub(super) size: Option<u64>,
}

/// What a local package asked for when it was locked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Metadata {
    pub(super) requires_dist: Vec<Value>,
    pub(super) provides_extras: Option<Vec<String>>,
    pub(super) requires_dev: BTreeMap<String, Vec<Value>>,
}

impl Lock {
    /// Finds a package whose source is in the checkout.
    pub(super) fn local(&self, name: &str) -> Option<usize> {
        self.packages
            .iter()
            .position(|package| package.source.local().is_some() && normal(&package.name) == name)
    }

    /// Finds the package that a dependency means.
    pub(super) fn find(&self, dependency: &Dependency) -> Option<usize> {
        let name = normal(&dependency.name);
        let is_it = |package: &Package| {
            let version = dependency.version.is_none() || dependency.version == package.version;
            let source = dependency.source.as_ref();
            version
                && source.is_none_or(|source| *source == package.source)
                && normal(&package.name) == name
        };
        self.packages.iter().position(is_it)
    }
}

impl Package {
    /// Gives what an extra needs.
    pub(super) fn optional(&self, extra: &str) -> &[Dependency] {
        find(&self.optional_dependencies, extra)
    }

    /// Gives what a group needs.
    pub(super) fn group(&self, group: &str) -> &[Dependency] {
        find(&self.dev_dependencies, group)
    }

    /// Names its extras.
    pub(super) fn extras(&self) -> impl Iterator<Item = String> {
        let told = self.metadata.iter().flat_map(|m| &m.provides_extras);
        told.flatten()
            .chain(self.optional_dependencies.keys())
            .map(|name| normal(name))
    }

    /// Names its groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = String> {
        let told = self.metadata.iter().flat_map(|m| m.requires_dev.keys());
        told.chain(self.dev_dependencies.keys())
            .map(|name| normal(name))
    }
}

fn find<'a>(all: &'a BTreeMap<String, Vec<Dependency>>, name: &str) -> &'a [Dependency] {
    let name = normal(name);
    all.iter()
        .find(|(known, _)| normal(known) == name)
        .map_or(&[], |(_, found)| found)
}

impl Source {
    /// Gives the folder of a package whose source is in the checkout.
    pub(super) fn local(&self) -> Option<&str> {
        [&self.editable, &self.r#virtual, &self.directory]
            .into_iter()
            .find_map(|path| path.as_deref())
    }

    /// Says whether the package has dependencies and nothing to install.
    pub(super) fn is_virtual(&self) -> bool {
        self.r#virtual.is_some()
    }

    /// Says whether the package is one file, and not chosen from an index.
    pub(super) fn is_direct(&self) -> bool {
        self.url.is_some() || self.path.is_some()
    }

    /// Says where the package comes from.
    pub(super) fn shown(&self) -> Option<String> {
        let git = self.git.as_deref().map(|url| format!("git {url}"));
        let others = [&self.registry, &self.url, &self.path];
        let other = || others.into_iter().find_map(Clone::clone);
        git.or_else(other)
            .map(|source| without_credentials(&source))
    }
}

impl File {
    /// Names the file; `url` is where it is when the lock file tells that elsewhere.
    pub(super) fn name(&self, url: Option<&str>) -> Option<String> {
        let own = [&self.filename, &self.path, &self.url];
        let own = own.into_iter().find_map(|text| text.as_deref());
        own.or(url).map(file_name)
    }
}
