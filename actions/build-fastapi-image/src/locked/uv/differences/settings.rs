//! What concerns a whole workspace: its projects, Python, and the settings of uv.

use std::collections::BTreeSet;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{MarkerEnvironment, MarkerTree};
use toml::Value;

use super::wishes::Wishes;
use super::{Context, Reading, normal};
use crate::error::BuildError;
use crate::locked::uv::{parsed, parsed_all, refused};
use crate::locked::wish::{self, Origin, Wish};
use crate::project::{self, Pyproject};

/// Compares the projects of a workspace.
pub(super) fn members(read: &Reading<'_>) -> Vec<String> {
    let locked = &read.lock.manifest.members;
    let locked: BTreeSet<String> = locked.iter().map(|name| normal(name)).collect();
    // A single project is not listed.
    if locked.is_empty() {
        return Vec::new();
    }
    let gone = locked.iter();
    gone.filter(|name| !read.workspace.members.contains_key(*name))
        .map(|name| format!("`{name}` is gone"))
        .collect()
}

/// Compares what the projects and the lock file say about Python.
pub(super) fn python(read: &Reading<'_>, projects: &[Pyproject]) -> Option<String> {
    let settings = projects
        .iter()
        .flat_map(|one| one.tool.uv.dependency_groups.values());
    // uv narrows the whole workspace by those of groups, but not always.
    if settings
        .into_iter()
        .any(|group| group.requires_python.is_some())
    {
        return None;
    }
    let wanted = projects
        .iter()
        .filter_map(|one| one.project.requires_python.as_ref());
    let wanted: Vec<&String> = wanted.collect();
    let parsed: Result<Vec<VersionSpecifiers>, _> =
        wanted.iter().map(|text| text.parse()).collect();
    let (old, parsed) = (read.lock.requires_python.as_ref()?, parsed.ok()?);
    let locked: VersionSpecifiers = old.parse().ok()?;
    let bounds = parsed.iter().chain([&locked]).flat_map(|all| all.iter());
    let near = bounds.flat_map(|bound| {
        let part = |index| bound.version().release().get(index).copied().unwrap_or(0);
        let (major, minor, patch) = (part(0), part(1), part(2));
        [
            [major, minor, 0],
            [major, minor, patch],
            [major, minor, patch + 1],
            [major, minor + 1, 0],
        ]
    });
    let usual = (0..30).map(|minor| [3, minor, 0]);
    let same = near.chain(usual).map(Version::new).all(|version| {
        locked.contains(&version) == parsed.iter().all(|all| all.contains(&version))
    });
    if same || wanted.is_empty() {
        return None;
    }
    let texts: BTreeSet<String> = wanted.iter().map(|text| format!("`{text}`")).collect();
    let texts = Vec::from_iter(texts).join(" and ");
    Some(format!("`requires-python` was `{old}`, is {texts}"))
}

/// Compares the lists of requirements in the settings of uv.
pub(super) fn lists(
    read: &Reading<'_>,
    samples: &[MarkerEnvironment],
) -> Result<Vec<String>, BuildError> {
    let (uv, manifest) = (&read.workspace.pyproject.tool.uv, &read.lock.manifest);
    let lists = [
        (
            "constraint-dependencies",
            &uv.constraint_dependencies,
            &manifest.constraints,
        ),
        (
            "override-dependencies",
            &uv.override_dependencies,
            &manifest.overrides,
        ),
        (
            "build-constraint-dependencies",
            &uv.build_constraint_dependencies,
            &manifest.build_constraints,
        ),
        (
            "exclude-dependencies",
            &uv.exclude_dependencies,
            &manifest.excludes,
        ),
    ];
    let mut differences = Vec::new();
    for (name, wanted, locked) in lists {
        let of_package = |value: &Value| value.get("package").is_some();
        if wanted.iter().chain(locked).any(of_package) {
            continue;
        }
        let mut old = Wishes::new(samples);
        for value in locked {
            old.add(Context::List(name), anywhere(read.wish(value)?));
        }
        let mut new = Wishes::new(samples);
        for wish in Wish::all(wish::texts(wanted), read.place, &read.workspace.folder)? {
            new.add(Context::List(name), anywhere(wish));
        }
        differences.extend(new.differences(&old, None));
    }
    Ok(differences)
}

/// Forgets where a package comes from: `tool.uv.sources` may say it elsewhere.
fn anywhere(wish: Wish) -> Wish {
    Wish {
        origin: Origin::Index,
        ..wish
    }
}

/// Compares the settings that `pyproject.toml` has; others may come from files and variables that
/// are not of the project.
pub(super) fn options(
    read: &Reading<'_>,
    samples: &[MarkerEnvironment],
) -> Result<Vec<String>, BuildError> {
    let (uv, locked) = (&read.workspace.pyproject.tool.uv, &read.lock.options);
    let mut differences = Vec::new();
    let environments = match &uv.environments {
        Some(Value::Array(texts)) => texts.clone(),
        other => other.iter().cloned().collect(),
    };
    let texts: Vec<String> = wish::texts(&environments).map(String::from).collect();
    let wanted = covered(&parsed_all(&texts)?, samples);
    if wanted != covered(&parsed_all(&read.lock.supported_markers)?, samples) {
        differences.push("`environments` has changed".into());
    }
    // uv reads that file instead.
    if read.workspace.folder.join("uv.toml").is_file() {
        return Ok(differences);
    }
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(String::from);
    let settings = [
        (
            "resolution",
            uv.resolution.clone(),
            &locked.resolution_mode,
            "highest",
        ),
        (
            "prerelease",
            text(&uv.prerelease),
            &locked.prerelease_mode,
            "if-necessary-or-explicit",
        ),
        (
            "fork-strategy",
            uv.fork_strategy.clone(),
            &locked.fork_strategy,
            "requires-python",
        ),
    ];
    for (name, wanted, locked, default) in settings {
        let old = locked.as_deref().unwrap_or(default);
        if let Some(new) = wanted.filter(|new| new != old) {
            differences.push(format!("`{name}` was `{old}`, is `{new}`"));
        }
    }
    let (old, new) = (&locked.exclude_newer, text(&uv.exclude_newer));
    if let (Some(old), Some(new), None) = (old, new, &locked.exclude_newer_span) {
        // Other spellings of a time, and spans of time, are uv's to understand.
        let comparable = old.len() == new.len() && new.ends_with('Z') && old.ends_with('Z');
        if comparable && *old != new {
            differences.push(format!("`exclude-newer` was `{old}`, is `{new}`"));
        }
    }
    Ok(differences)
}

fn covered(markers: &[MarkerTree], samples: &[MarkerEnvironment]) -> Vec<bool> {
    let covers = |sample| markers.iter().any(|marker| marker.evaluate(sample, &[]));
    samples
        .iter()
        .map(|sample| markers.is_empty() || covers(sample))
        .collect()
}

impl Reading<'_> {
    /// Reads a requirement that the lock file says was asked for.
    pub(super) fn wish(&self, value: &Value) -> Result<Wish, BuildError> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        // An excluded package is a name only.
        let name = value.as_str().or(text("name")).unwrap_or_default();
        let paths = ["editable", "virtual", "directory", "path"];
        let origin = if let Some(path) = paths.into_iter().find_map(text) {
            Origin::Path(project::normal(&self.workspace.folder.join(path)))
        } else if let Some(url) = text("url") {
            Origin::of_url(url)
        } else if text("git").is_some() {
            Origin::Git
        } else {
            Origin::Index
        };
        let extras = value.get("extras").and_then(Value::as_array);
        let extras = extras.into_iter().flatten().filter_map(Value::as_str);
        let versions = text("specifier").unwrap_or_default();
        Ok(Wish {
            name: normal(name),
            extras: extras.map(normal).collect(),
            versions: versions
                .parse()
                .map_err(|_| refused(format!("`{name}` was asked for as `{versions}`")))?,
            origin,
            marker: match text("marker") {
                Some(marker) => parsed(marker)?,
                None => MarkerTree::TRUE,
            },
        })
    }
}
