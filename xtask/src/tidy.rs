//! `cargo xtask tidy`: boundaries are absences, and this proves them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use anyhow::{Result, bail};

use crate::workspace::{self, Metadata};
use crate::{shell, workspace::Package};

/// Crates that make every computation testable without a server reach none of these, not even
/// through another crate.
const PURE: [&str; 2] = ["plan", "oci-image"];
const INPUT_OUTPUT: [&str; 8] = [
    "tokio",
    "mio",
    "hyper",
    "reqwest",
    "socket2",
    "fs-err",
    "oci-client",
    "kube-client",
];
/// The largest file that anybody should have to read.
const LARGEST_FILE: usize = 600;

pub(crate) fn run() -> Result<()> {
    let metadata = workspace::metadata()?;
    let mut findings = boundaries(&Graph::of(&metadata));
    findings.extend(files()?);
    findings.extend(rooms()?);
    if findings.is_empty() {
        return Ok(());
    }
    bail!(
        "{} finding(s):\n  {}",
        findings.len(),
        findings.join("\n  ")
    )
}

/// The workspace's normal and build dependencies.
struct Graph<'a> {
    members: BTreeMap<&'a str, Room>,
    names: BTreeMap<&'a str, &'a str>,
    edges: BTreeMap<&'a str, Vec<&'a str>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Room {
    Crate,
    Action,
    Xtask,
    Tests,
}

impl<'a> Graph<'a> {
    fn of(metadata: &'a Metadata) -> Self {
        let members: BTreeSet<&str> = metadata
            .workspace_members
            .iter()
            .map(String::as_str)
            .collect();
        Self {
            members: metadata
                .packages
                .iter()
                .filter(|package| members.contains(package.id.as_str()))
                .map(|package| (package.id.as_str(), room(package)))
                .collect(),
            names: metadata
                .packages
                .iter()
                .map(|package| (package.id.as_str(), package.name.as_str()))
                .collect(),
            edges: metadata
                .resolve
                .nodes
                .iter()
                .map(|node| {
                    let normal = node.deps.iter().filter(|dependency| {
                        dependency
                            .dep_kinds
                            .iter()
                            .any(|kind| kind.kind.as_deref() != Some("dev"))
                    });
                    (
                        node.id.as_str(),
                        normal.map(|dependency| dependency.pkg.as_str()).collect(),
                    )
                })
                .collect(),
        }
    }

    /// Finds the shortest way from one package to one that `forbidden` names.
    fn path(&self, from: &'a str, forbidden: impl Fn(&str) -> bool) -> Option<Vec<&'a str>> {
        let mut ways = VecDeque::from([vec![from]]);
        let mut seen = BTreeSet::from([from]);
        while let Some(way) = ways.pop_front() {
            let last = way[way.len() - 1];
            if last != from && forbidden(last) {
                return Some(way.iter().map(|id| self.names[id]).collect());
            }
            for next in self.edges.get(last).into_iter().flatten() {
                if seen.insert(next) {
                    ways.push_back([way.as_slice(), &[next]].concat());
                }
            }
        }
        None
    }
}

fn room(package: &Package) -> Room {
    let path = package
        .manifest_path
        .strip_prefix(workspace::root())
        .unwrap_or(&package.manifest_path);
    match path.iter().next().and_then(|first| first.to_str()) {
        Some("actions") => Room::Action,
        Some("xtask") => Room::Xtask,
        Some("tests") => Room::Tests,
        _ => Room::Crate,
    }
}

fn boundaries(graph: &Graph<'_>) -> Vec<String> {
    let mut findings = Vec::new();
    for (id, room) in &graph.members {
        let name = graph.names[id];
        let way = graph.path(id, |other| graph.members.get(other) == Some(&Room::Action));
        if let Some(way) = way {
            findings.push(format!("`{name}` links an action: {}", way.join(" → ")));
        }
        if *room == Room::Crate && name != "test-kit" || *room == Room::Action {
            let way = graph.path(id, |other| graph.names[other] == "test-kit");
            if let Some(way) = way {
                findings.push(format!(
                    "`{name}` ships what only tests may use: {}",
                    way.join(" → ")
                ));
            }
        }
        if PURE.contains(&name) {
            let way = graph.path(id, |other| INPUT_OUTPUT.contains(&graph.names[other]));
            if let Some(way) = way {
                findings.push(format!(
                    "`{name}` is pure and reaches input or output: {}",
                    way.join(" → ")
                ));
            }
        }
    }
    findings
}

/// Looks at every file that git tracks.
fn files() -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for name in shell::output("git", &["ls-files", "-z"])?
        .split('\0')
        .filter(|name| !name.is_empty())
    {
        let path = workspace::root().join(name);
        let Ok(text) = fs_err::read_to_string(&path) else {
            continue;
        };
        let extension = Path::new(name)
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        if matches!(extension, "rs" | "py" | "sh") {
            let lines = text.lines().count();
            if lines > LARGEST_FILE {
                findings.push(format!("{name}: {lines} lines; at most {LARGEST_FILE}"));
            }
            if extension == "rs" && name.contains("src/") && !text.contains("//!") {
                findings.push(format!("{name}: no `//!` that says what the module is for"));
            }
        }
        if !matches!(extension, "sum" | "lock") {
            let trailing = text.lines().position(|line| line.ends_with([' ', '\t']));
            if let (Some(line), false) = (trailing, extension == "md") {
                findings.push(format!("{name}:{}: trailing blanks", line + 1));
            }
            if !text.is_empty() && !text.ends_with('\n') {
                findings.push(format!("{name}: no newline at the end"));
            }
        }
        if text.contains("\u{2028}") || text.contains(&"<".repeat(7)) {
            findings.push(format!(
                "{name}: left over from a merge, or a stray separator"
            ));
        }
    }
    Ok(findings)
}

/// Every room has what `ls` should answer with.
fn rooms() -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for action in workspace::actions()? {
        for file in [
            "action.yml",
            "README.md",
            "src/main.rs",
            "src/lib.rs",
            "src/inputs.rs",
            "tests/it/main.rs",
        ] {
            if !workspace::root()
                .join("actions")
                .join(&action)
                .join(file)
                .is_file()
            {
                findings.push(format!("actions/{action}: `{file}` is missing"));
            }
        }
    }
    Ok(findings)
}
