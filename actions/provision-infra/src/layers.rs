//! The layers of an environment: one stack each, in the order in which they depend on each other.
//!
//! A new layer is a template and one row of [`LAYERS`]. Its parameters are found by name: first in
//! what `infrastructure.yaml` says, then among the outputs of the layers before it, else the
//! template's default holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use action_kit::{Failure, Position, Reason};
use thiserror::Error;

use crate::config::{Nat, Target};
use crate::stack::Values;
use crate::template::Template;

/// The layers, each with its built-in template.
const LAYERS: [(&str, &str); 2] = [
    ("network", include_str!("../stacks/network.yaml")),
    ("cluster", include_str!("../stacks/cluster.yaml")),
];

/// The kinds of subnets, in the order in which they divide the VPC's network.
const SUBNETS: [&str; 4] = ["Public", "Application", "Database", "Admin"];

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
            Self::Unreadable { .. } => {
                "the folder in the input `stacks` holds one file per layer: network.yaml, cluster.yaml"
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

/// Loads the layers of a target, from a folder of the workspace when one is given.
pub fn load(
    target: &Target,
    workspace: &Path,
    folder: Option<&Path>,
) -> Result<Vec<Layer>, LayerError> {
    let mut layers = Vec::new();
    for (name, built_in) in LAYERS {
        let file = folder
            .unwrap_or(Path::new("stacks"))
            .join(format!("{name}.yaml"));
        let body = match folder {
            None => built_in.to_owned(),
            Some(_) => fs_err::read_to_string(workspace.join(&file)).map_err(|source| {
                LayerError::Unreadable {
                    file: file.clone(),
                    source,
                }
            })?,
        };
        layers.push(Layer {
            name: name.into(),
            stack: format!("{}-{name}", target.name()),
            template: Template::parse(body)
                .map_err(|source| LayerError::Unparsable { file, source })?,
        });
    }
    check(target, &layers)?;
    Ok(layers)
}

/// Makes sure that every parameter has a source, before anything is asked of AWS.
fn check(target: &Target, layers: &[Layer]) -> Result<(), LayerError> {
    let mut known: Vec<String> = settings(target).into_keys().collect();
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

/// What `infrastructure.yaml` gives to templates.
#[must_use]
pub fn settings(target: &Target) -> Values {
    let settings = &target.settings;
    let public: Vec<&str> = settings
        .endpoint_access
        .public
        .iter()
        .map(crate::config::Cidr::as_str)
        .collect();
    let nat = match settings.nat {
        Nat::PerZone => "per-zone",
        Nat::Single => "single",
    };
    let mut values = Values::from(
        [
            ("Project", target.project.to_string()),
            ("Environment", target.environment.to_string()),
            ("VpcCidr", settings.cidr.to_string()),
            ("NatMode", nat.into()),
            ("KubernetesVersion", settings.kubernetes_version.to_string()),
            ("EndpointPublicAccess", (!public.is_empty()).to_string()),
            ("PublicAccessCidrs", public.join(",")),
            (
                "DeletionProtection",
                settings.deletion_protection.to_string(),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let retention = settings.log_retention_days.map(|days| days.to_string());
    let optional = [
        ("LogRetentionDays", &retention),
        ("FlowLogRetentionDays", &retention),
        (
            "AdministratorPrincipalArn",
            &settings.administrator_principal_arn,
        ),
        ("DeployPrincipalArn", &settings.deploy_principal_arn),
    ];
    for (name, value) in optional {
        values.extend(value.clone().map(|value| (name.to_owned(), value)));
    }
    values.retain(|_, value| !value.is_empty());
    let blocks = settings.cidr.sixteenths();
    let subnets = SUBNETS
        .iter()
        .flat_map(|kind| ["A", "B", "C"].map(|zone| format!("{kind}Cidr{zone}")));
    values.extend(subnets.zip(blocks));
    if let Some(zones) = &settings.zones {
        let names = ["A", "B", "C"].map(|zone| format!("Zone{zone}"));
        values.extend(names.into_iter().zip(zones.0.clone()));
    }
    values
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
