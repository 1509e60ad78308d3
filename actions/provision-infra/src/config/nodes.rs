//! The machines of an environment.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::names::{EntryNetwork, Size, is_plain};

/// How many application nodes there are when the file does not say: what the template says.
const FEWEST: u16 = 3;
const MOST: u16 = 9;
/// How many instance types EKS takes for a group.
const TYPES: usize = 20;
/// How many networks the template has a place for.
const NETWORKS: usize = 3;

/// The three kinds of nodes.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Nodes {
    /// What the application and the platform run on.
    #[serde(default)]
    pub application: ApplicationNodes,
    /// What databases run on, and nothing else.
    #[serde(default)]
    pub database: DatabaseNodes,
    /// The node that people enter.
    #[serde(default)]
    pub bastion: BastionNodes,
}

/// Nodes whose number an autoscaler changes.
#[derive(Clone, Debug, Default)]
pub struct ApplicationNodes {
    instance_types: Option<InstanceTypes>,
    min: Option<Size>,
    max: Option<Size>,
    disk_gib: Option<Size>,
}

/// Nodes of which each zone has a number.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DatabaseNodes {
    /// What machines they are.
    pub instance_types: Option<InstanceTypes>,
    /// How many each zone has.
    pub per_zone: Option<Size>,
    /// How large their root volumes are.
    pub disk_gib: Option<Size>,
}

/// One node.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BastionNodes {
    /// What machine it is.
    pub instance_types: Option<InstanceTypes>,
    /// How large its root volume is.
    pub disk_gib: Option<Size>,
    /// Who reaches it by a public entry; nobody has none.
    #[serde(default)]
    pub allow: AllowList,
}

/// A few networks that people come from.
#[derive(Clone, Debug, Default)]
pub struct AllowList(Vec<EntryNetwork>);

impl<'de> Deserialize<'de> for AllowList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let networks = Vec::<EntryNetwork>::deserialize(deserializer)?;
        let count = networks.len();
        if count > NETWORKS {
            return Err(D::Error::custom(format!(
                "{count} networks are named: there is a place for {NETWORKS}"
            )));
        }
        Ok(Self(networks))
    }
}

impl<'de> Deserialize<'de> for ApplicationNodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        struct Written {
            instance_types: Option<InstanceTypes>,
            min: Option<Size>,
            max: Option<Size>,
            disk_gib: Option<Size>,
        }
        let written = Written::deserialize(deserializer)?;
        let min = written.min.map_or(FEWEST, Size::get);
        let max = written.max.map_or(MOST, Size::get);
        if min > max {
            return Err(D::Error::custom(format!(
                "there are to be at least {min} nodes, and at most {max}"
            )));
        }
        Ok(Self {
            instance_types: written.instance_types,
            min: written.min,
            max: written.max,
            disk_gib: written.disk_gib,
        })
    }
}

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Architecture {
    X86,
    Arm,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86 => "x86_64",
            Self::Arm => "arm64",
        })
    }
}

/// The name of an instance type.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InstanceType(String);

impl FromStr for InstanceType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let holds = text.split_once('.').is_some_and(|(family, size)| {
            family.starts_with(|first: char| first.is_ascii_lowercase())
                && family.contains(|character: char| character.is_ascii_digit())
                && is_plain(family, "-")
                && is_plain(size, "-")
                && text == text.to_ascii_lowercase()
        });
        if holds {
            return Ok(Self(text.into()));
        }
        Err(format!("`{text}` is no instance type, such as `m6i.large`"))
    }
}

impl InstanceType {
    /// Reads the instruction set: Graviton has a `g` after the number of its generation, `a1` was
    /// the first of them.
    fn architecture(&self) -> Architecture {
        let (family, _) = self.0.split_once('.').unwrap_or_default();
        let number = family.find(|character: char| character.is_ascii_digit());
        let attributes = &family[number.unwrap_or_default()..];
        if family == "a1" || attributes.contains('g') {
            Architecture::Arm
        } else {
            Architecture::X86
        }
    }
}

/// Instance types of one architecture, in the order in which they are wanted.
#[derive(Clone, Debug)]
pub struct InstanceTypes {
    types: Vec<InstanceType>,
    architecture: Architecture,
}

impl<'de> Deserialize<'de> for InstanceTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Vec::<String>::deserialize(deserializer)?;
        let types: Vec<InstanceType> = written
            .iter()
            .map(|text| text.parse().map_err(D::Error::custom))
            .collect::<Result<_, _>>()?;
        let [first, others @ ..] = types.as_slice() else {
            return Err(D::Error::custom("no instance type is named"));
        };
        if types.len() > TYPES {
            return Err(D::Error::custom(format!(
                "{} instance types are named: a group has at most {TYPES}",
                types.len()
            )));
        }
        let architecture = first.architecture();
        if let Some(other) = others.iter().find(|one| one.architecture() != architecture) {
            return Err(D::Error::custom(format!(
                "`{}` is {architecture} and `{}` is {}: a group has one architecture",
                first.0,
                other.0,
                other.architecture()
            )));
        }
        Ok(Self {
            types,
            architecture,
        })
    }
}

impl Nodes {
    /// Gives the parameters that the file sets.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let kinds = [
            (
                "Application",
                &self.application.instance_types,
                self.application.disk_gib,
            ),
            (
                "Database",
                &self.database.instance_types,
                self.database.disk_gib,
            ),
            (
                "Bastion",
                &self.bastion.instance_types,
                self.bastion.disk_gib,
            ),
        ];
        let mut parameters = Vec::new();
        for (kind, types, disk) in kinds {
            if let Some(InstanceTypes {
                types,
                architecture,
            }) = types
            {
                let names: Vec<&str> = types.iter().map(|one| one.0.as_str()).collect();
                parameters.push((format!("{kind}InstanceTypes"), names.join(",")));
                parameters.push((format!("{kind}Architecture"), architecture.to_string()));
            }
            parameters.extend(disk.map(|disk| (format!("{kind}DiskGib"), disk.to_string())));
        }
        let numbers = [
            ("ApplicationNodesMin", self.application.min),
            ("ApplicationNodesMax", self.application.max),
            ("DatabaseNodesPerZone", self.database.per_zone),
        ];
        parameters.extend(
            numbers
                .into_iter()
                .filter_map(|(name, number)| Some((name.to_owned(), number?.to_string()))),
        );
        let networks = self.bastion.allow.0.iter().zip(1..);
        parameters.extend(
            networks
                .map(|(network, place)| (format!("BastionNetwork{place}"), network.to_string())),
        );
        parameters
    }
}
