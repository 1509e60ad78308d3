//! `cargo xtask workflows`: the workflows and the starter workflows are what GitHub accepts, name
//! inputs and outputs that exist, and give away no rights.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{programs, shell, workspace};

const WORKFLOWS: &str = ".github/workflows";
const STARTERS: &str = "workflows-templates";
/// How a starter workflow calls ours, and how a checkout of ours would.
const OURS: &str = "OWNER/fastapi-eks-actions/";
const VERSION: &str = "@v1";
const ZIZMOR: [&str; 5] = [
    "--offline",
    "--no-progress",
    "--quiet",
    "--persona=pedantic",
    "--config=.github/zizmor.yml",
];
const ACTIONLINT: &str = "github.com/rhysd/actionlint/cmd/actionlint";

/// What GitHub shows of a starter workflow.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Properties {
    name: String,
    description: String,
    icon_name: String,
    #[serde(rename = "creator")]
    _creator: String,
    categories: Vec<String>,
    #[serde(default, rename = "filePatterns")]
    _file_patterns: Vec<String>,
}

pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    properties(&root.join(STARTERS))?;
    let copy = Path::new(&workspace::metadata()?.target_directory).join("workflows");
    let files = checkable_copy(&root, &copy)?;
    let actionlint = programs::from_go("actionlint", ACTIONLINT)?;
    let mut arguments = vec!["-no-color".to_owned()];
    arguments.extend(files);
    let actionlint = actionlint.to_string_lossy().into_owned();
    shell::run_in(&copy, &actionlint, &arguments)?;
    let zizmor = programs::from_wheel("zizmor", "manylinux_2_28_x86_64")?;
    let mut arguments = ZIZMOR.map(String::from).to_vec();
    for folder in [WORKFLOWS, STARTERS] {
        let files = yaml_files(&root.join(folder))?;
        arguments.extend(files.iter().map(|(name, _)| format!("{folder}/{name}")));
    }
    shell::run(&zizmor.to_string_lossy(), &arguments)
}

/// Copies what actionlint reads, with references that it can follow: it knows neither `$/…`, nor
/// what a starter workflow calls, but compares `./…` with the inputs and outputs found there.
fn checkable_copy(root: &Path, copy: &Path) -> Result<Vec<String>> {
    if copy.exists() {
        fs_err::remove_dir_all(copy)?;
    }
    let workflows = copy.join(WORKFLOWS);
    fs_err::create_dir_all(&workflows)?;
    // The folder is a project of its own to actionlint when it is one to git.
    fs_err::create_dir_all(copy.join(".git"))?;
    for action in workspace::actions()? {
        let (from, to) = (
            root.join("actions").join(&action),
            copy.join("actions").join(&action),
        );
        fs_err::create_dir_all(&to)?;
        fs_err::copy(from.join("action.yml"), to.join("action.yml"))?;
    }
    let mut files = Vec::new();
    for (folder, prefix) in [(WORKFLOWS, ""), (STARTERS, "starter-")] {
        for (name, text) in yaml_files(&root.join(folder))? {
            let text = text
                .replace("uses: $/", "uses: ./")
                .replace("$default-branch", "main")
                .lines()
                .map(|line| followable(line) + "\n")
                .collect::<String>();
            fs_err::write(workflows.join(format!("{prefix}{name}")), text)?;
            files.push(format!("{WORKFLOWS}/{prefix}{name}"));
        }
    }
    Ok(files)
}

fn followable(line: &str) -> String {
    match line.strip_suffix(VERSION) {
        Some(line) => line.replace(OURS, "./"),
        None => line.to_owned(),
    }
}

/// Every starter workflow has its properties, and every properties file its workflow and icon.
fn properties(folder: &Path) -> Result<()> {
    for (name, _) in yaml_files(folder)? {
        let file = folder.join(name.replace(".yml", ".properties.json"));
        let text = fs_err::read_to_string(&file)?;
        let properties: Properties =
            serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        let icon = folder.join(format!("{}.svg", properties.icon_name));
        if !icon.is_file() {
            bail!("{}: no icon {}", file.display(), icon.display());
        }
        let texts = [&properties.name, &properties.description];
        if texts.iter().any(|text| text.is_empty()) || properties.categories.is_empty() {
            bail!(
                "{}: a name, a description and a category are shown",
                file.display()
            );
        }
    }
    Ok(())
}

fn yaml_files(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            files.push((name, fs_err::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}
