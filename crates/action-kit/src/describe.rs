//! What an action is, as data: `action.yml`, tables and help are written from it.

use clap::{Arg, Args};
use serde::{Deserialize, Serialize};

use crate::inputs;

/// What clap cannot know of an action.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// The action's folder and program, in kebab-case.
    pub name: &'static str,
    /// The name in the marketplace.
    pub title: &'static str,
    /// One or two sentences.
    pub description: &'static str,
    /// The outputs beyond those that every action has: name and description.
    pub outputs: &'static [(&'static str, &'static str)],
    /// A Feather icon that GitHub supports.
    pub icon: &'static str,
    /// One of GitHub's branding colours.
    pub color: &'static str,
}

/// The outputs that every action has.
pub(crate) const COMMON_OUTPUTS: [(&str, &str); 4] = [
    (
        "outcome",
        "How it ended: `done`, `unchanged`, `planned`, `refused` or `failed`",
    ),
    (
        "failure-reason",
        "Why it did not succeed, as a documented word; empty when it did",
    ),
    (
        "plan-digest",
        "Digest of the plan, for a review to approve; empty where there is no plan",
    ),
    (
        "report",
        "Path of the JSON report, relative to the workspace",
    ),
];

/// An action, described for generators.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The action's folder and program.
    pub name: String,
    /// The name in the marketplace.
    pub title: String,
    /// One or two sentences.
    pub description: String,
    /// A Feather icon.
    pub icon: String,
    /// A branding colour.
    pub color: String,
    /// The inputs, in the order of the struct.
    pub inputs: Vec<InputDescription>,
    /// The outputs, the common ones first.
    pub outputs: Vec<OutputDescription>,
}

/// An input of an action.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputDescription {
    /// The name, in kebab-case.
    pub name: String,
    /// What it means, from the field's doc comment.
    pub description: String,
    /// Whether there is no way to go on without it.
    pub required: bool,
    /// The value when it is not given.
    pub default: Option<String>,
    /// The values that it may have, when they are few.
    pub choices: Vec<String>,
    /// Whether it holds one item a line.
    pub list: bool,
    /// Whether the value must not be shown.
    pub secret: bool,
}

/// An output of an action.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputDescription {
    /// The name, in kebab-case.
    pub name: String,
    /// What it means.
    pub description: String,
}

impl Description {
    /// Describes an action from its metadata and the struct of its inputs.
    #[must_use]
    pub fn of<I: Args>(metadata: &Metadata) -> Self {
        let command = inputs::command::<I>(metadata);
        Self {
            name: metadata.name.into(),
            title: metadata.title.into(),
            description: metadata.description.into(),
            icon: metadata.icon.into(),
            color: metadata.color.into(),
            inputs: command.get_arguments().filter_map(input).collect(),
            outputs: COMMON_OUTPUTS
                .iter()
                .chain(metadata.outputs)
                .map(|(name, description)| OutputDescription {
                    name: (*name).into(),
                    description: (*description).into(),
                })
                .collect(),
        }
    }
}

fn input(arg: &Arg) -> Option<InputDescription> {
    let name = arg.get_long()?;
    if matches!(name, "help" | "version") || arg.is_hide_set() {
        return None;
    }
    let description = arg
        .get_long_help()
        .or_else(|| arg.get_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    let defaults: Vec<String> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    Some(InputDescription {
        name: name.into(),
        description: description.split_whitespace().collect::<Vec<_>>().join(" "),
        required: arg.is_required_set(),
        default: (!defaults.is_empty()).then(|| defaults.join("\n")),
        choices: if inputs::is_boolean(arg) {
            vec!["true".into(), "false".into()]
        } else {
            arg.get_possible_values()
                .iter()
                .map(|value| value.get_name().to_owned())
                .collect()
        },
        list: inputs::is_list(arg),
        secret: inputs::is_secret(arg),
    })
}
