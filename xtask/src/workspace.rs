//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell;

/// Gives the workspace's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// Lists the actions: every folder of `actions/` is one.
pub(crate) fn actions() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(root().join("actions"))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Builds the programs of all actions as they are shipped, and gives the folder that holds them.
pub(crate) fn build_actions() -> Result<PathBuf> {
    let mut arguments: Vec<String> = ["build", "--release", "--workspace"]
        .map(String::from)
        .to_vec();
    for action in actions()? {
        arguments.extend(["--bin".into(), action]);
    }
    shell::run("cargo", &arguments)?;
    program_folder()
}

/// Gives the folder that `cargo build --release` puts programs into.
pub(crate) fn program_folder() -> Result<PathBuf> {
    // The target is explicit (.cargo/config.toml), so the folder is named after it.
    let version = shell::output("rustc", &["-vV"])?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("`rustc -vV` names no host")?;
    Ok(PathBuf::from(metadata()?.target_directory)
        .join(host)
        .join("release"))
}

/// The parts of `cargo metadata` that the commands use.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) resolve: Resolve,
    pub(crate) target_directory: String,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
pub(crate) struct DependencyKind {
    /// `None` is a normal dependency.
    pub(crate) kind: Option<String>,
}

/// Asks cargo for the graph of dependencies.
pub(crate) fn metadata() -> Result<Metadata> {
    let text = shell::output("cargo", &["metadata", "--format-version", "1", "--locked"])?;
    serde_json::from_str(&text).context("read what `cargo metadata` says")
}
