//! The layers of an environment: one stack each, in the order in which they depend on each other.
//!
//! A new layer is a template and one row of [`LAYERS`]. Its parameters are found by name: first in
//! what `infrastructure.yaml` says, then among the outputs of the layers before it, else the
//! template's default holds.
//!
//! The bootstrap layer comes before all others and is not the pipeline's: an administrator applies
//! it by itself ([`Scope::Bootstrap`]), because it says what the pipeline may do.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use action_kit::{Failure, Position, Reason};
use thiserror::Error;

use crate::config::Target;
use crate::inputs::Scope;
use crate::settings::settings;
use crate::stack::Values;
use crate::template::Template;

/// The layers, each with its built-in template.
const LAYERS: [(&str, &str); 8] = [
    // First, so that its name servers can be entered where they must be while the rest is made.
    ("zone", include_str!("../stacks/zone.yaml")),
    ("network", include_str!("../stacks/network.yaml")),
    ("data", include_str!("../stacks/data.yaml")),
    ("cluster", include_str!("../stacks/cluster.yaml")),
    ("nodes", include_str!("../stacks/nodes.yaml")),
    ("add-ons", include_str!("../stacks/add-ons.yaml")),
    ("edge", include_str!("../stacks/edge.yaml")),
    (
        "observability",
        include_str!("../stacks/observability.yaml"),
    ),
];
/// The layer that an administrator applies.
const BOOTSTRAP: [(&str, &str); 1] = [("bootstrap", include_str!("../stacks/bootstrap.yaml"))];

/// The layers that only some environments have, each with the parameters whose settings ask for it.
const OPTIONAL: [(&str, &[&str]); 2] = [
    ("zone", &["ZoneName"]),
    ("edge", &["CertificateArn", "Domain1"]),
];

/// A layer of an environment.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The name.
    pub name: String,
    /// The stack's name.
    pub stack: String,
    /// The template.
    pub template: Template,
}

/// The templates cannot be used.
#[derive(Debug, Error)]
pub enum LayerError {
    /// A template cannot be read.
    #[error("read the template `{}`", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder has a template that no layer uses.
    #[error("the template `{}` belongs to no layer", file.display())]
    UnknownLayer {
        /// The file.
        file: PathBuf,
    },
    /// The folder has no template.
    #[error("the folder `{}` has no template of a layer", folder.display())]
    NoTemplate {
        /// The folder.
        folder: PathBuf,
    },
    /// A template is no template.
    #[error("parse the template `{}`", file.display())]
    Unparsable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: serde_yaml::Error,
    },
    /// Nobody knows a parameter's value.
    #[error(
        "the template of the layer `{layer}` wants the parameter `{parameter}`, which neither \
         `infrastructure.yaml` nor an earlier layer gives"
    )]
    UnknownParameter {
        /// The layer.
        layer: String,
        /// The parameter.
        parameter: String,
    },
}

impl Failure for LayerError {
    fn reason(&self) -> Reason {
        Reason::InvalidInput
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Unreadable { .. } | Self::UnknownLayer { .. } | Self::NoTemplate { .. } => {
                let names = BOOTSTRAP.iter().chain(&LAYERS);
                let files: Vec<String> = names.map(|(name, _)| format!("{name}.yaml")).collect();
                return vec![format!(
                    "the folder in the input `stacks` holds one file for each layer that is \
                     wanted: {}",
                    files.join(", ")
                )];
            }
            Self::Unparsable { .. } => "correct the template's YAML; `cfn-lint` says more",
            Self::UnknownParameter { .. } => {
                "give the parameter a default, or name it after an output of an earlier layer"
            }
        };
        vec![hint.into()]
    }

    fn position(&self) -> Option<Position> {
        match self {
            Self::Unparsable { file, source } => Some(Position {
                file: file.clone(),
                line: source.location().map(|place| place.line() as u64),
            }),
            _ => None,
        }
    }
}

/// Gives the built-in layers of a scope.
fn built_in(scope: Scope) -> &'static [(&'static str, &'static str)] {
    match scope {
        Scope::Environment => &LAYERS,
        Scope::Bootstrap => &BOOTSTRAP,
    }
}

/// Says whether an environment with these settings has a layer.
fn is_wanted(layer: &str, settings: &Values) -> bool {
    let optional = OPTIONAL.iter().find(|(name, _)| *name == layer);
    optional.is_none_or(|(_, asking)| asking.iter().any(|name| settings.contains_key(*name)))
}

/// Says whether a layer comes before the cluster's, and goes after it.
#[must_use]
pub fn is_below_cluster(layer: &str) -> bool {
    let mut below = LAYERS.iter().take_while(|(name, _)| *name != "cluster");
    below.any(|(name, _)| *name == layer)
}

/// Gives the names of the stacks of a scope, those of layers that are not wanted now among them.
#[must_use]
pub fn stack_names(target: &Target, scope: Scope) -> Vec<String> {
    let layers = built_in(scope).iter();
    layers
        .map(|(name, _)| format!("{}-{name}", target.name()))
        .collect()
}

/// Loads the layers of a scope that the environment wants, and makes sure that every parameter of
/// theirs has a source.
pub fn load(
    target: &Target,
    scope: Scope,
    workspace: &Path,
    folder: Option<&Path>,
) -> Result<Vec<Layer>, LayerError> {
    let settings = settings(target);
    let mut layers = load_all(target, scope, workspace, folder)?;
    layers.retain(|layer| is_wanted(&layer.name, &settings));
    check(&settings, &layers)?;
    Ok(layers)
}

/// Loads the layers of a scope that no setting asks for.
pub fn load_dropped(
    target: &Target,
    scope: Scope,
    workspace: &Path,
    folder: Option<&Path>,
) -> Result<Vec<Layer>, LayerError> {
    let settings = settings(target);
    let mut layers = load_all(target, scope, workspace, folder)?;
    layers.retain(|layer| !is_wanted(&layer.name, &settings));
    Ok(layers)
}

/// Loads all layers of a scope: the built-in ones, or those that a folder of the workspace has. A
/// layer that is not wanted any more may still have a stack.
pub fn load_all(
    target: &Target,
    scope: Scope,
    workspace: &Path,
    folder: Option<&Path>,
) -> Result<Vec<Layer>, LayerError> {
    let bodies = match folder {
        None => built_in(scope)
            .iter()
            .map(|(name, body)| {
                let file = Path::new("stacks").join(format!("{name}.yaml"));
                (*name, file, (*body).to_owned())
            })
            .collect(),
        Some(folder) => read(scope, workspace, folder)?,
    };
    bodies
        .into_iter()
        .map(|(name, file, body)| {
            Ok(Layer {
                name: name.into(),
                stack: format!("{}-{name}", target.name()),
                template: Template::parse(body)
                    .map_err(|source| LayerError::Unparsable { file, source })?,
            })
        })
        .collect()
}

/// Reads the templates of a folder, in the order of the layers.
fn read(
    scope: Scope,
    workspace: &Path,
    folder: &Path,
) -> Result<Vec<(&'static str, PathBuf, String)>, LayerError> {
    let unreadable = |file: &Path, source| LayerError::Unreadable {
        file: file.into(),
        source,
    };
    let mut names: Vec<OsString> = fs_err::read_dir(workspace.join(folder))
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
        .map_err(|source| unreadable(folder, source))?;
    names.retain(|name| Path::new(name).extension() == Some(OsStr::new("yaml")));
    let mut bodies = Vec::new();
    for (name, _) in BOOTSTRAP.iter().chain(&LAYERS) {
        let file_name = OsString::from(format!("{name}.yaml"));
        let there = names.contains(&file_name);
        names.retain(|name| *name != file_name);
        if !there || !built_in(scope).iter().any(|(known, _)| known == name) {
            continue;
        }
        let file = folder.join(file_name);
        let body = fs_err::read_to_string(workspace.join(&file))
            .map_err(|source| unreadable(&file, source))?;
        bodies.push((*name, file, body));
    }
    match names.into_iter().min() {
        Some(name) => Err(LayerError::UnknownLayer {
            file: folder.join(name),
        }),
        None if bodies.is_empty() => Err(LayerError::NoTemplate {
            folder: folder.into(),
        }),
        None => Ok(bodies),
    }
}

/// Makes sure that every parameter has a source, before anything is asked of AWS.
fn check(settings: &Values, layers: &[Layer]) -> Result<(), LayerError> {
    let mut known: Vec<String> = settings.keys().cloned().collect();
    for layer in layers {
        for (parameter, has_default) in &layer.template.parameters {
            if !has_default && !known.contains(parameter) {
                return Err(LayerError::UnknownParameter {
                    layer: layer.name.clone(),
                    parameter: parameter.clone(),
                });
            }
        }
        known.extend(layer.template.outputs.iter().cloned());
    }
    Ok(())
}

/// Outputs of the layers so far; one whose stack is still to be made has no value yet.
pub type Outputs = BTreeMap<String, Option<String>>;

/// Gives a layer's parameters as far as they are known, and the names of the others.
#[must_use]
pub fn parameters(layer: &Layer, settings: &Values, outputs: &Outputs) -> (Values, Vec<String>) {
    let mut known = Values::new();
    let mut unknown = Vec::new();
    for (name, has_default) in &layer.template.parameters {
        let value = settings.get(name).cloned().map(Some);
        match value.or_else(|| outputs.get(name).cloned()) {
            Some(Some(value)) => {
                known.insert(name.clone(), value);
            }
            None if *has_default => {}
            _ => unknown.push(name.clone()),
        }
    }
    (known, unknown)
}
