//! What an environment is to consist of, as far as an account must have room for it: from
//! `infrastructure.yaml` and the templates. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

use crate::conditions::is_there;
use crate::config::{AddOnVersion, KubernetesVersion, Target, Zones};
use crate::layers::{Layer, Outputs, parameters};
use crate::price::text;
use crate::stack::{Stack, Values};
use crate::template::Template;

/// The type of node groups.
const NODE_GROUP: &str = "AWS::EKS::Nodegroup";
/// The end of the names of the parameters that name subnets, after their kind.
const SUBNETS: &str = "SubnetIds";
/// The zones, as names end in them.
const ZONES: [&str; 3] = ["A", "B", "C"];

/// What there is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The Kubernetes minor.
    pub kubernetes: KubernetesVersion,
    /// The zones, when the file names them.
    pub zones: Option<Zones>,
    /// The node groups.
    pub groups: Vec<Group>,
    /// The add-ons, with the versions that the file names.
    pub add_ons: Vec<(&'static str, Option<AddOnVersion>)>,
    /// How many resources of a type there are to be.
    pub resources: BTreeMap<String, usize>,
    /// The subnets by their kind, in the order of zones.
    pub subnets: BTreeMap<String, Vec<Place>>,
}

/// A node group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name in the template.
    pub name: String,
    /// Its instance types, the one that is wanted most first.
    pub kinds: Vec<String>,
    /// How many nodes it has at least.
    pub min: u32,
    /// How many nodes it has at most.
    pub max: u32,
    /// The kind of its subnets.
    pub subnets: String,
    /// Its zones, counted from 0.
    pub zones: Vec<usize>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is there.
    Made {
        /// Its identifier.
        id: String,
    },
    /// It is to be made, with so many addresses for nodes and pods.
    Planned {
        /// How many.
        addresses: u32,
    },
}

impl Wanted {
    /// Reads what is wanted; `given` are the parameters that the file and the bootstrap layer set,
    /// `stacks` those that live.
    #[must_use]
    pub fn of(target: &Target, layers: &[Layer], given: &Values, stacks: &[Stack]) -> Self {
        let mut wanted = Self {
            kubernetes: target.settings.kubernetes_version.clone(),
            zones: target.settings.zones.clone(),
            groups: Vec::new(),
            add_ons: target.settings.add_ons.versions(),
            resources: BTreeMap::new(),
            subnets: BTreeMap::new(),
        };
        let mut outputs = Outputs::new();
        for layer in layers {
            let template = &layer.template;
            let (known, unknown) = parameters(layer, given, &outputs);
            for resource in &template.resources {
                if !is_there(template, &resource.logical_id, &known, &unknown) {
                    continue;
                }
                let count = wanted.resources.entry(resource.kind.clone()).or_default();
                *count += 1;
                if resource.kind == NODE_GROUP {
                    wanted
                        .groups
                        .extend(group(template, &resource.logical_id, &known));
                }
            }
            let stack = stacks.iter().find(|stack| stack.name == layer.stack);
            let names = template.outputs.iter().map(|name| (name.clone(), None));
            outputs.extend(names);
            let values = stack.map(|stack| stack.outputs.clone()).unwrap_or_default();
            outputs.extend(values.into_iter().map(|(name, value)| (name, Some(value))));
        }
        let kinds: BTreeSet<&String> = wanted.groups.iter().map(|group| &group.subnets).collect();
        let subnets = kinds
            .into_iter()
            .map(|kind| (kind.clone(), places(kind, given, &outputs)));
        wanted.subnets = subnets.collect();
        wanted
    }

    /// Gives all instance types.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<String> {
        let kinds = self.groups.iter().flat_map(|group| &group.kinds);
        kinds.cloned().collect()
    }

    /// Gives how many resources of a type there are to be.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.resources.get(kind).copied().unwrap_or_default()
    }
}

fn group(template: &Template, name: &str, known: &Values) -> Option<Group> {
    let properties = template.properties.get(name)?;
    let text = |value: &Value| text(value, template, known);
    let sizes = properties.get("ScalingConfig")?;
    let size = |name: &str| text(sizes.get(name)?)?.parse().ok();
    let (parameter, zone) = subnets(properties.get("Subnets")?)?;
    Some(Group {
        name: name.into(),
        kinds: text(properties.get("InstanceTypes")?)?
            .split(',')
            .map(String::from)
            .collect(),
        min: size("MinSize")?,
        max: size("MaxSize")?,
        subnets: parameter.strip_suffix(SUBNETS)?.into(),
        zones: zone.map_or_else(|| (0..ZONES.len()).collect(), |zone| vec![zone]),
    })
}

/// Finds the parameter that names subnets, and which of them is selected.
fn subnets(value: &Value) -> Option<(&str, Option<usize>)> {
    match value {
        Value::Sequence(values) => subnets(values.first()?),
        Value::Tagged(tagged) if tagged.tag == "Ref" => Some((tagged.value.as_str()?, None)),
        Value::Tagged(tagged) if tagged.tag == "Split" => subnets(tagged.value.get(1)?),
        Value::Tagged(tagged) if tagged.tag == "Select" => {
            let zone = usize::try_from(tagged.value.get(0)?.as_u64()?).ok()?;
            Some((subnets(tagged.value.get(1)?)?.0, Some(zone)))
        }
        _ => None,
    }
}

/// Gives the subnets of a kind: those that the network has, else those that it is to have.
fn places(kind: &str, given: &Values, outputs: &Outputs) -> Vec<Place> {
    if let Some(Some(made)) = outputs.get(&format!("{kind}{SUBNETS}")) {
        let made = made.split(',').map(|id| Place::Made { id: id.into() });
        return made.collect();
    }
    let planned = ZONES.iter().filter_map(|zone| {
        let network = given.get(&format!("{kind}Cidr{zone}"))?;
        let prefix: u32 = network.split_once('/')?.1.parse().ok()?;
        // AWS keeps the first four addresses of a subnet, and the last one.
        let addresses = 2u32
            .checked_pow(32u32.checked_sub(prefix)?)?
            .saturating_sub(5);
        Some(Place::Planned { addresses })
    });
    planned.collect()
}
