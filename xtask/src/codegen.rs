//! `cargo xtask codegen`: files that are written from the actions' own descriptions.

mod action_yml;
mod diagram;
mod readme;
mod workloads;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use similar::TextDiff;

use crate::{shell, workspace};

/// Writes the schema of `infrastructure.yaml`, which only the action's tests know. The whole
/// workspace is named for its features: what was compiled before serves here.
const SCHEMA: [&str; 9] = [
    "WRITE_GENERATED=1",
    "cargo",
    "test",
    "--quiet",
    "--release",
    "--locked",
    "--workspace",
    "--lib",
    "config::schema",
];
/// Where a release lists its images: action → reference by digest.
const RELEASED_IMAGES: &str = "actions/images.json";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Change nothing, and fail with the difference when a file is not what would be written
    #[arg(long)]
    pub(crate) check: bool,
    /// Do not build the actions first
    #[arg(long)]
    pub(crate) no_build: bool,
}

/// What `<action> describe` prints.
#[derive(Deserialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the words are those of action.yml"
)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) icon: String,
    pub(crate) color: String,
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Output>,
}

#[derive(Deserialize)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) required: bool,
    pub(crate) default: Option<String>,
    pub(crate) choices: Vec<String>,
    pub(crate) list: bool,
    pub(crate) secret: bool,
}

#[derive(Deserialize)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) description: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = if arguments.no_build {
        workspace::program_folder()?
    } else {
        workspace::build_actions()?
    };
    let root = workspace::root();
    let released: BTreeMap<String, String> =
        serde_json::from_str(&fs_err::read_to_string(root.join(RELEASED_IMAGES))?)
            .with_context(|| format!("read `{RELEASED_IMAGES}`"))?;
    let mut descriptions = Vec::new();
    for action in workspace::actions()? {
        let program = folder.join(&action);
        let text = shell::output(&program.to_string_lossy(), &["describe"])?;
        let description: Description = serde_json::from_str(&text)
            .with_context(|| format!("read what `{action} describe` says"))?;
        let image = released
            .get(&action)
            .cloned()
            .unwrap_or_else(|| unreleased(&action));
        let place = root.join("actions").join(&action);
        ensure(
            &place.join("action.yml"),
            &action_yml::render(&description, &image),
            arguments.check,
        )?;
        let page = place.join("README.md");
        let mut text = readme::with_tables(&fs_err::read_to_string(&page)?, &description)
            .with_context(|| format!("generate the tables of `{}`", page.display()))?;
        let stacks = place.join("stacks");
        if stacks.is_dir() {
            text = readme::with_diagram(&text, &diagram::of_folder(&stacks)?)
                .with_context(|| format!("generate the diagram of `{}`", page.display()))?;
        }
        if action == "helm-deploy" {
            let table = workloads::table(
                &root.join("tests/platform/workloads.yaml"),
                &root.join("actions/provision-infra/stacks"),
            )?;
            text = readme::with_workloads(&text, &table)?;
        }
        ensure(&page, &text, arguments.check)?;
        descriptions.push(description);
    }
    let page = root.join("README.md");
    let text = readme::with_actions(&fs_err::read_to_string(&page)?, &descriptions)?;
    ensure(&page, &text, arguments.check)?;
    if arguments.check {
        // A test of the action compares its schema.
        return Ok(());
    }
    shell::run("env", &SCHEMA)
}

/// Names the image of an action that no release has pushed yet.
fn unreleased(action: &str) -> String {
    format!("ghcr.io/OWNER/fastapi-eks-actions/{action}:not-released-yet")
}

/// Writes a generated file, or checks that it is what would be written. Every generated file
/// goes through here.
fn ensure(path: &Path, text: &str, check: bool) -> Result<()> {
    let old = if path.is_file() {
        fs_err::read_to_string(path)?
    } else {
        String::new()
    };
    if old == text {
        return Ok(());
    }
    let name = path
        .strip_prefix(workspace::root())
        .unwrap_or(path)
        .display();
    if check {
        let diff = TextDiff::from_lines(old.as_str(), text);
        let diff = diff
            .unified_diff()
            .context_radius(2)
            .header("checked in", "generated")
            .to_string();
        bail!(
            "`{name}` is not what would be generated:\n{diff}\nhint: run `cargo xtask codegen` and commit the result"
        );
    }
    fs_err::write(path, text)?;
    println!("wrote {name}");
    Ok(())
}
