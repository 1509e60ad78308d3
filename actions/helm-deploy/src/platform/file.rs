//! `platform.yaml`: which releases run below the application, checked where it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use plan::Digest;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::error::{PlatformError, Wrong, wrong};
use super::order::order;
use crate::chart::is_built_in;
use crate::inputs::Name;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    /// The releases, which belong to this action.
    releases: Vec<Entry>,
    /// The cluster's add-ons, which belong to provision-infra.
    #[serde(default)]
    add_ons: BTreeSet<String>,
}

/// A release.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    /// Its name, which no other release of the file has.
    name: Spanned<Name>,
    /// Its namespace.
    namespace: Name,
    /// A built-in chart, a folder or archive, an `oci://` reference, or a name in `repository`.
    chart: Spanned<String>,
    /// Address of the repository that holds the chart.
    repository: Option<String>,
    /// Version of a chart from outside.
    version: Option<Spanned<String>>,
    /// Digest of the archive of a chart from outside.
    digest: Option<Spanned<String>>,
    /// Files with values, the later ones win.
    #[serde(default)]
    values: Vec<Spanned<PathBuf>>,
    /// What differs in an environment.
    #[serde(default)]
    environments: BTreeMap<String, Environment>,
    /// The releases that must be ready before.
    #[serde(default)]
    needs: Vec<Spanned<Name>>,
}

/// What differs in an environment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Environment {
    /// Files with values, which win over the release's own.
    #[serde(default)]
    values: Vec<Spanned<PathBuf>>,
}

/// The releases, each after those that it needs.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The file, as the input names it.
    pub file: PathBuf,
    /// The environment.
    pub environment: Option<String>,
    /// The releases.
    pub releases: Vec<Release>,
}

/// A release of the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub name: Name,
    /// Its namespace.
    pub namespace: Name,
    /// The chart, as the input `chart` takes it.
    pub chart: String,
    /// What a chart from outside is held to.
    pub pin: Option<Pin>,
    /// Files with values for the environment, relative to the workspace.
    pub values: Vec<PathBuf>,
    /// The releases that it needs, by their places; all are earlier.
    pub needs: Vec<usize>,
}

/// What a chart from outside is held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Address of the repository, when the chart is not in a registry.
    pub repository: Option<String>,
    /// The version.
    pub version: String,
    /// SHA-256 of the archive, which in a registry is the chart's layer.
    pub digest: Digest,
    /// The line of the digest.
    pub line: u64,
}

impl Platform {
    /// Reads a file's text; `file` is its name, `exists` says of a path, relative to the
    /// workspace, whether it is a file.
    pub fn parse(
        text: &str,
        file: &Path,
        environment: Option<&str>,
        exists: impl Fn(&Path) -> bool,
    ) -> Result<Self, PlatformError> {
        let wrong = |line: Option<u64>, error| wrong(file, line, error);
        let File {
            releases: entries,
            add_ons,
        } = read(text, file)?;
        check_environment(&entries, environment).map_err(|error| wrong(None, error))?;
        let mut places: BTreeMap<&Name, usize> = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            let name = &entry.name.value;
            let line = Some(line(&entry.name));
            if places.insert(name, place).is_some() {
                return Err(wrong(line, Wrong::Twice(name.clone())));
            }
            if add_ons.contains(name.as_str()) {
                return Err(wrong(line, Wrong::AddOn(name.clone())));
            }
        }
        let needs = needs(&entries, &places).map_err(|(line, error)| wrong(line, error))?;
        let order = order(&needs).map_err(|circle| {
            let first = circle.first().map(|one| line(&entries[*one].name));
            let names = circle.iter().map(|one| entries[*one].name.value.clone());
            wrong(first, Wrong::Circle(names.collect()))
        })?;
        let mut releases = Vec::new();
        for one in &order {
            let needs = order
                .iter()
                .enumerate()
                .filter(|(_, need)| needs[*one].contains(need));
            let needs = needs.map(|(place, _)| place).collect();
            let release = entries[*one].release(file, environment, needs, &exists);
            releases.push(release.map_err(|(line, error)| wrong(Some(line), error))?);
        }
        Ok(Self {
            file: file.into(),
            environment: environment.map(String::from),
            releases,
        })
    }

    /// Gives what each release needs.
    #[must_use]
    pub fn needs(&self) -> Vec<Vec<usize>> {
        let releases = self.releases.iter();
        releases.map(|release| release.needs.clone()).collect()
    }

    /// Gives the name of the whole: the file, and the environment when there is one.
    #[must_use]
    pub fn subject(&self) -> String {
        match &self.environment {
            Some(environment) => format!("{} ({environment})", self.file.display()),
            None => self.file.display().to_string(),
        }
    }
}

fn line<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line()
}

fn check_environment(entries: &[Entry], environment: Option<&str>) -> Result<(), Wrong> {
    let known = entries.iter().flat_map(|entry| entry.environments.keys());
    let known: BTreeSet<String> = known.cloned().collect();
    match environment {
        None if known.is_empty() => Ok(()),
        Some(name) if known.contains(name) => Ok(()),
        None => Err(Wrong::NoEnvironment(known.into_iter().collect())),
        Some(name) => Err(Wrong::UnknownEnvironment {
            wanted: name.into(),
            known: known.into_iter().collect(),
        }),
    }
}

/// Finds the places of what each release needs.
fn needs(
    entries: &[Entry],
    places: &BTreeMap<&Name, usize>,
) -> Result<Vec<Vec<usize>>, (Option<u64>, Wrong)> {
    let place = |entry: &Entry, need: &Spanned<Name>| {
        places.get(&need.value).copied().ok_or_else(|| {
            let wrong = Wrong::UnknownNeed {
                release: entry.name.value.clone(),
                need: need.value.clone(),
            };
            (Some(line(need)), wrong)
        })
    };
    let needs = entries
        .iter()
        .map(|entry| entry.needs.iter().map(|need| place(entry, need)).collect());
    needs.collect()
}

impl Entry {
    /// Takes what the environment needs of the entry; paths start at the file's folder.
    fn release(
        &self,
        file: &Path,
        environment: Option<&str>,
        needs: Vec<usize>,
        exists: impl Fn(&Path) -> bool,
    ) -> Result<Release, (u64, Wrong)> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let pin = if self.is_from_outside() {
            Some(self.pin()?)
        } else if self.version.is_some() || self.digest.is_some() {
            let chart = self.chart.value.clone();
            return Err((line(&self.chart), Wrong::NeedlessPin(chart)));
        } else {
            None
        };
        // What is wrong in one environment is found in all.
        let all = self.environments.values().flat_map(|one| &one.values);
        for values in self.values.iter().chain(all) {
            let path = folder.join(&values.value);
            if !exists(&path) {
                return Err((line(values), Wrong::NoFile(path)));
            }
        }
        let own = environment.and_then(|name| self.environments.get(name));
        let own = own.into_iter().flat_map(|one| &one.values);
        let values = self.values.iter().chain(own);
        Ok(Release {
            name: self.name.value.clone(),
            namespace: self.namespace.clone(),
            chart: self.place(folder, &exists)?,
            pin,
            values: values.map(|one| folder.join(&one.value)).collect(),
            needs,
        })
    }

    /// Gives the chart as the input `chart` takes it.
    fn place(&self, folder: &Path, exists: impl Fn(&Path) -> bool) -> Result<String, (u64, Wrong)> {
        let chart = &self.chart.value;
        if self.is_from_outside() || is_built_in(chart) {
            return Ok(chart.clone());
        }
        let path = folder.join(chart);
        let is_archive = path.extension().is_some_and(|end| end == "tgz") && exists(&path);
        if is_archive || exists(&path.join("Chart.yaml")) {
            Ok(path.display().to_string())
        } else {
            Err((line(&self.chart), Wrong::NoChart(path)))
        }
    }

    fn is_from_outside(&self) -> bool {
        self.chart.value.starts_with("oci://") || self.repository.is_some()
    }

    fn pin(&self) -> Result<Pin, (u64, Wrong)> {
        let Outside {
            repository,
            version,
            digest,
            ..
        } = self.outside()?;
        let line = line(&digest);
        Ok(Pin {
            repository,
            version: version.value,
            digest: digest
                .value
                .parse()
                .map_err(|error| (line, Wrong::NoDigest(error)))?,
            line,
        })
    }

    fn outside(&self) -> Result<Outside, (u64, Wrong)> {
        let lacks = |missing| {
            let chart = self.chart.value.clone();
            (line(&self.chart), Wrong::Unpinned { chart, missing })
        };
        Ok(Outside {
            release: self.name.value.clone(),
            chart: self.chart.value.clone(),
            repository: self.repository.clone(),
            version: self.version.clone().ok_or_else(|| lacks("version"))?,
            digest: self.digest.clone().ok_or_else(|| lacks("digest"))?,
        })
    }
}

/// A release whose chart comes from outside, as the file has it.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    /// The release.
    pub release: Name,
    /// The chart.
    pub chart: String,
    /// Address of the repository, when the chart is not in a registry.
    pub repository: Option<String>,
    /// The version.
    pub version: Spanned<String>,
    /// What stands where the digest belongs.
    pub digest: Spanned<String>,
}

/// Finds the releases whose charts come from outside, in the order of the file.
pub(crate) fn outside(text: &str, file: &Path) -> Result<Vec<Outside>, PlatformError> {
    let entries = read(text, file)?.releases;
    let outside = entries.iter().filter(|entry| entry.is_from_outside());
    let outside = outside.map(|entry| {
        entry
            .outside()
            .map_err(|(line, error)| wrong(file, Some(line), error))
    });
    outside.collect()
}

fn read(text: &str, file: &Path) -> Result<File, PlatformError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map(|location| location.line());
        wrong(file, line, Wrong::Form(error.without_snippet().to_string()))
    })
}
