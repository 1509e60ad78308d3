//! What a project asks for, in one form however it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};

use pep440_rs::VersionSpecifiers;
use pep508_rs::{MarkerTree, Pep508Error, Pep508Url, Requirement, VersionOrUrl};
use serde::{Serialize, Serializer};
use toml::Value;

use super::{Locked, marker, normal};
use crate::error::BuildError;
use crate::project::{self, Place, Pyproject};

/// A package that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) name: String,
    pub(super) extras: BTreeSet<String>,
    pub(super) versions: VersionSpecifiers,
    pub(super) origin: Origin,
    pub(super) marker: MarkerTree,
}

/// Where a package comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// A package index.
    Index,
    /// An address, without credentials and fragment.
    Address(String),
    /// A git repository.
    Git,
    /// A file or folder, from the folder of the lock file.
    Path(PathBuf),
}

/// An address as it was written: variables in it are nobody's business here.
#[derive(Clone, Debug)]
struct Written(String);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pep508Url for Written {
    type Err = Infallible;

    fn parse_url(url: &str, _: Option<&Path>) -> Result<Self, Self::Err> {
        Ok(Self(url.into()))
    }
}

impl Wish {
    /// Reads a requirement; the error is the reason, without the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let requirement: Requirement<Written> = text
            .parse()
            .map_err(|error: Pep508Error<Written>| error.message.to_string())?;
        let (versions, origin) = match requirement.version_or_url {
            None => (VersionSpecifiers::empty(), Origin::Index),
            Some(VersionOrUrl::VersionSpecifier(versions)) => (versions, Origin::Index),
            Some(VersionOrUrl::Url(Written(url))) => {
                (VersionSpecifiers::empty(), Origin::of_url(&url))
            }
        };
        Ok(Self {
            name: requirement.name.to_string(),
            extras: requirement.extras.iter().map(ToString::to_string).collect(),
            versions,
            origin,
            marker: requirement.marker,
        })
    }

    /// Reads requirements of the `pyproject.toml` in a folder.
    pub(super) fn all<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        place: &Place,
        folder: &Path,
    ) -> Result<Vec<Self>, BuildError> {
        let file = folder.join("pyproject.toml");
        let parse = |text: &str| {
            Self::parse(text).map_err(|why| BuildError::Requirement {
                line: line(&file, text),
                file: place.shown(&file),
                // What stands behind `@` may hold a password.
                requirement: text.split('@').next().unwrap_or_default().trim().into(),
                why,
            })
        };
        texts.into_iter().map(parse).collect()
    }
}

/// Finds the line that a text stands in.
fn line(file: &Path, text: &str) -> Option<u64> {
    let whole = project::text(file).ok()?;
    let mut lines = (1..).zip(whole.lines());
    lines
        .find(|(_, line)| line.contains(text))
        .map(|(number, _)| number)
}

impl Origin {
    /// Says where an address leads.
    pub(super) fn of_url(url: &str) -> Self {
        if url.starts_with("git+") {
            return Self::Git;
        }
        Self::Address(without_credentials(url.split('#').next().unwrap_or(url)))
    }
}

/// Takes the user and the password out of an address.
pub(super) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.into();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}

/// Serialises an address as reports may show it.
#[expect(clippy::ref_option, reason = "serde passes the field like this")]
pub(super) fn serialize_shown<S: Serializer>(
    url: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    url.as_deref()
        .map(without_credentials)
        .serialize(serializer)
}

/// Gives the texts in a list of values.
pub(super) fn texts(values: &[Value]) -> impl Iterator<Item = &str> {
    values.iter().filter_map(Value::as_str)
}

/// Gives the groups of a project, each with what the groups that it includes bring.
pub(super) fn groups(pyproject: &Pyproject) -> BTreeMap<String, Vec<String>> {
    let mut own: BTreeMap<String, &[Value]> = pyproject
        .dependency_groups
        .iter()
        .map(|(name, items)| (normal(name), &items[..]))
        .collect();
    let old = &pyproject.tool.uv.dev_dependencies;
    let dev = own.get("dev").copied().unwrap_or_default();
    let dev: Vec<Value> = dev.iter().chain(old).cloned().collect();
    if !old.is_empty() {
        own.insert("dev".into(), &dev);
    }
    own.keys()
        .map(|name| {
            let mut members = Vec::new();
            gather(name, &own, &mut BTreeSet::new(), &mut members);
            (name.clone(), members)
        })
        .collect()
}

fn gather(
    name: &str,
    own: &BTreeMap<String, &[Value]>,
    seen: &mut BTreeSet<String>,
    members: &mut Vec<String>,
) {
    if !seen.insert(name.into()) {
        return;
    }
    for item in own.get(name).copied().unwrap_or_default() {
        let included = item.get("include-group").and_then(Value::as_str);
        if let Some(included) = included {
            gather(&normal(included), own, seen, members);
        } else if let Some(text) = item.as_str() {
            members.push(text.into());
        }
    }
}

/// Says which wishes a lock file does not meet, as far as that holds in every environment.
///
/// For lock files that do not say what they were made from.
pub(super) fn unmet(wishes: &[Wish], locked: &Locked) -> Vec<String> {
    let everywhere: Vec<_> = marker::samples(|_| true)
        .into_iter()
        .filter(marker::is_linux)
        .collect();
    let mut unmet = Vec::new();
    for wish in wishes {
        let always = everywhere
            .iter()
            .all(|environment| wish.marker.evaluate(environment, &[]));
        if !always || locked.members.iter().any(|member| member.name == wish.name) {
            continue;
        }
        let pins: Vec<_> = locked
            .pins
            .iter()
            .filter(|pin| pin.name == wish.name)
            .collect();
        let Some(first) = pins.first() else {
            unmet.push(format!("`{}` is new", wish.name));
            continue;
        };
        let fits = |version: &str| match version.parse() {
            Ok(version) => wish.versions.contains(&version),
            Err(_) => true,
        };
        if !pins.iter().any(|pin| fits(&pin.version)) {
            let wanted = wish.versions.to_string();
            unmet.push(format!(
                "`{}` is locked at {}, `{wanted}` is asked for",
                wish.name, first.version
            ));
        }
    }
    unmet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_without_credentials() {
        let cases = [
            ("https://a:b@host/x@1.whl", "https://host/x@1.whl"),
            ("https://host:8080?x", "https://host:8080?x"),
            ("wheels/x.whl", "wheels/x.whl"),
        ];
        for (url, expected) in cases {
            assert_eq!(without_credentials(url), expected);
        }
    }

    #[test]
    fn groups_in_groups() {
        let pyproject = r#"
            [dependency-groups]
            Dev = ["pytest", {include-group = "lint"}]
            lint = ["ruff", {include-group = "dev"}]
            [tool.uv]
            dev-dependencies = ["mypy"]
        "#;
        let groups = groups(&toml::from_str(pyproject).expect("a project"));
        assert_eq!(groups["dev"], ["pytest", "ruff", "mypy"]);
        assert_eq!(groups["lint"], ["ruff", "pytest", "mypy"]);
    }
}
