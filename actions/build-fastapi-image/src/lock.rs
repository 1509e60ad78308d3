//! How a lock file differs from what the project asks for now.

use std::collections::{BTreeMap, BTreeSet};

use crate::project::{Files, Locked};

/// Lists what differs, in the words of `pyproject.toml`: what uv's own refusal does not say.
pub(crate) fn differences(files: &Files) -> Vec<String> {
    let project = &files.pyproject.project;
    if project.dynamic.iter().any(|field| field == "dependencies") {
        return Vec::new();
    }
    let wanted = grouped(project.dependencies.iter().map(|text| split(text)));
    let Some(root) = root(files) else {
        return Vec::new();
    };
    // What an extra asks for has a marker that names it; it stands elsewhere in the project.
    let requires = root.metadata.requires.iter();
    let locked = grouped(
        requires
            .filter(|requirement| !requirement.marker.contains("extra =="))
            .map(|requirement| (normal(&requirement.name), sorted(&requirement.specifier))),
    );
    let mut differences = Vec::new();
    for (name, specifiers) in &wanted {
        match locked.get(name) {
            None => differences.push(format!("`{name}` is new")),
            Some(old) if old != specifiers => differences.push(format!(
                "`{name}` was {}, is {}",
                shown(old),
                shown(specifiers)
            )),
            Some(_) => {}
        }
    }
    for name in locked.keys() {
        if !wanted.contains_key(name) {
            differences.push(format!("`{name}` is gone"));
        }
    }
    differences
}

/// Says whether the lock file holds a package.
pub(crate) fn holds(files: &Files, name: &str) -> bool {
    files
        .lock
        .packages
        .iter()
        .any(|package| normal(&package.name) == name)
}

fn root(files: &Files) -> Option<&Locked> {
    let name = normal(&files.pyproject.project.name);
    files.lock.packages.iter().find(|package| {
        let local = ["virtual", "editable", "directory"]
            .iter()
            .any(|kind| package.source.contains_key(*kind));
        local && normal(&package.name) == name
    })
}

/// A package may be asked for several times, for different platforms.
fn grouped(all: impl Iterator<Item = (String, String)>) -> BTreeMap<String, BTreeSet<String>> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, specifier) in all {
        groups.entry(name).or_default().insert(specifier);
    }
    groups
}

/// Splits a requirement into its name and its specifier.
fn split(requirement: &str) -> (String, String) {
    let text = requirement.split(';').next().unwrap_or_default().trim();
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = text.find(|c| !named(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim();
    let rest = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, rest)| rest),
        None => rest,
    };
    let rest = rest.trim().trim_start_matches('(').trim_end_matches(')');
    // What comes from an address has no specifier in the lock file either.
    let specifier = if rest.starts_with('@') { "" } else { rest };
    (normal(name), sorted(specifier))
}

fn sorted(specifier: &str) -> String {
    let mut clauses: Vec<String> = specifier
        .split(',')
        .map(|clause| clause.split_whitespace().collect())
        .filter(|clause: &String| !clause.is_empty())
        .collect();
    clauses.sort();
    clauses.join(",")
}

fn shown(specifiers: &BTreeSet<String>) -> String {
    let shown: Vec<String> = specifiers
        .iter()
        .map(|specifier| match specifier.as_str() {
            "" => "any version".into(),
            specifier => format!("`{specifier}`"),
        })
        .collect();
    shown.join(" or ")
}

/// Gives a name in the form in which indexes compare names.
fn normal(name: &str) -> String {
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
mod tests {
    use super::*;

    fn files(dependencies: &str, requires: &str) -> Files {
        let pyproject = format!("[project]\nname = \"Or.ders\"\ndependencies = [{dependencies}]");
        let lock = format!(
            "[[package]]\nname = \"or-ders\"\nsource = {{ virtual = \".\" }}\n[package.metadata]\nrequires-dist = [{requires}]"
        );
        Files {
            pyproject: toml::from_str(&pyproject).expect("a project"),
            lock: toml::from_str(&lock).expect("a lock"),
            python_version: None,
        }
    }

    #[test]
    fn equal_in_other_words() {
        let files = files(
            r#""Fast_API[all] >=0.1, <1 ; python_version > '3'", "x @ https://example.com/x.whl""#,
            r#"{ name = "fast-api", extras = ["all"], specifier = "<1,>=0.1" }, { name = "x", url = "https://example.com/x.whl" }, { name = "y", marker = "extra == 'test'" }"#,
        );
        assert_eq!(differences(&files), Vec::<String>::new());
    }

    #[test]
    fn differences_by_name() {
        let files = files(
            r#""fastapi>=0.120", "httpx", "same>=1""#,
            r#"{ name = "fastapi", specifier = ">=0.110" }, { name = "requests" }, { name = "same", specifier = ">=1" }"#,
        );
        assert_eq!(
            differences(&files),
            [
                "`fastapi` was `>=0.110`, is `>=0.120`",
                "`httpx` is new",
                "`requests` is gone"
            ]
        );
    }
}
