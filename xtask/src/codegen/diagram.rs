//! A Mermaid diagram of CloudFormation templates, from what their resources refer to.
//!
//! What joins two things (a route, a policy, the role of a service) is an arrow and no box.
//! Every other type is a box, so that a new template appears by itself.

mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use serde_yaml::{Mapping, Value};

use template::{Resource, Template};

/// How the names of types end that only join others, or say something about them.
const JOINTS: [&str; 16] = [
    "AccessEntry",
    "Alias",
    "Association",
    "Associations",
    "Attachment",
    "EIP",
    "Egress",
    "Ingress",
    "InstanceProfile",
    "LaunchTemplate",
    "Policy",
    "Record",
    "RecordSet",
    "Route",
    "RouteTable",
    "SecurityGroup",
];
/// How the names of types end that hold data.
const STORES: [&str; 6] = [
    "Bucket",
    "BackupVault",
    "DBInstance",
    "LogGroup",
    "Repository",
    "Volume",
];
const ROLE: &str = "AWS::IAM::Role";
const SUBNET: &str = "AWS::EC2::Subnet";
const VPC: &str = "AWS::EC2::VPC";
/// So many of a type, outside the zones, become one box.
const CROWD: usize = 4;
/// A box names so many.
const NAMED: usize = 8;

/// A resource: the numbers of its template and of itself.
type Key = (usize, usize);

/// Where a resource is drawn: in a zone of a VPC, in a VPC, or only in its stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Stack,
    Vpc(Key),
    Zone(Key, usize),
}

/// Draws the templates of a folder.
pub(super) fn of_folder(folder: &Path) -> Result<String> {
    let mut files: Vec<_> = fs_err::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    let templates = files
        .iter()
        .map(|file| {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            Template::parse(&name, &fs_err::read_to_string(file)?)
        })
        .collect::<Result<Vec<_>>>()?;
    render(&templates)
}

/// Draws templates.
fn render(templates: &[Template]) -> Result<String> {
    let mut diagram = Diagram::read(templates)?;
    diagram.place();
    diagram.gather();
    Ok(diagram.text())
}

struct Diagram<'a> {
    templates: &'a [Template],
    resources: BTreeMap<Key, Resource>,
    /// What each box points to.
    arrows: BTreeMap<Key, BTreeSet<Key>>,
    places: BTreeMap<Key, Place>,
    /// The boxes that stand for several resources.
    crowds: BTreeMap<Key, Vec<Key>>,
}

impl<'a> Diagram<'a> {
    /// Finds the boxes and what they refer to, in whatever stack that is.
    fn read(templates: &'a [Template]) -> Result<Self> {
        let mut resources = BTreeMap::new();
        for (index, template) in templates.iter().enumerate() {
            let all = template.resources()?.into_iter().enumerate();
            resources.extend(all.map(|(number, resource)| ((index, number), resource)));
        }
        let find = |index: usize, name: &str| -> Option<Key> {
            let here = resources.range((index, 0)..(index + 1, 0));
            here.into_iter()
                .find(|(_, resource)| resource.name == name)
                .map(|(key, _)| *key)
        };
        // A parameter that an output of another stack has the name of is what that refers to.
        let resolve = |index: usize, name: String| -> Vec<Key> {
            if let Some(key) = find(index, &name) {
                return vec![key];
            }
            let others = templates.iter().enumerate().filter(|(at, _)| *at != index);
            others
                .flat_map(|(at, other)| other.output(&name).into_iter().map(move |own| (at, own)))
                .filter_map(|(at, own)| find(at, &own))
                .collect()
        };
        let names = |(index, _): Key, properties: &Mapping| -> BTreeSet<Key> {
            let names = templates[index].references(properties).into_iter();
            names.flat_map(|name| resolve(index, name)).collect()
        };
        let direct: BTreeMap<Key, BTreeSet<Key>> = resources
            .iter()
            .map(|(key, resource)| (*key, names(*key, &resource.properties)))
            .collect();
        let arrows = resources
            .iter()
            .filter(|(_, resource)| is_box(resource))
            .map(|(key, _)| (*key, beyond_joints(*key, &resources, &direct)))
            .collect();
        Ok(Self {
            templates,
            arrows,
            places: BTreeMap::new(),
            crowds: BTreeMap::new(),
            resources,
        }
        .with_routes(&direct))
    }

    /// Adds the arrows from subnets to where their route tables lead.
    fn with_routes(mut self, direct: &BTreeMap<Key, BTreeSet<Key>>) -> Self {
        let of = |kind: &str, keys: &BTreeSet<Key>| -> BTreeSet<Key> {
            let kept = keys.iter().filter(|key| self.resources[key].r#type == kind);
            kept.copied().collect()
        };
        let mut routes: Vec<(Key, Key)> = Vec::new();
        for (key, targets) in direct {
            if self.resources[key].r#type != "AWS::EC2::SubnetRouteTableAssociation" {
                continue;
            }
            let tables = of("AWS::EC2::RouteTable", targets);
            for (route, leads) in direct {
                if self.resources[route].r#type != "AWS::EC2::Route" || leads.is_disjoint(&tables) {
                    continue;
                }
                let gateways = leads.iter().filter(|key| is_box(&self.resources[key]));
                for gateway in gateways {
                    routes.extend(of(SUBNET, targets).into_iter().map(|one| (one, *gateway)));
                }
            }
        }
        for (subnet, gateway) in routes {
            self.arrows.entry(subnet).or_default().insert(gateway);
        }
        self
    }

    /// Decides where each box is drawn.
    fn place(&mut self) {
        let mut zones: BTreeMap<Key, Vec<&Value>> = BTreeMap::new();
        for (key, resource) in &self.resources {
            let vpc = self.referred(*key, VPC).next();
            if let (SUBNET, Some(vpc)) = (resource.r#type.as_str(), vpc) {
                let known = zones.entry(vpc).or_default();
                let zone = resource.properties.get("AvailabilityZone");
                let place = zone.map_or(Place::Vpc(vpc), |zone| {
                    let number = known.iter().position(|other| *other == zone);
                    if number.is_none() {
                        known.push(zone);
                    }
                    Place::Zone(vpc, number.unwrap_or(known.len() - 1))
                });
                self.places.insert(*key, place);
            }
        }
        let mut boxes: Vec<Key> = self.arrows.keys().copied().collect();
        boxes.retain(|key| !self.is_vpc(*key));
        for key in boxes {
            let of_subnets: BTreeSet<Place> = self
                .referred(key, SUBNET)
                .filter_map(|subnet| self.places.get(&subnet).copied())
                .collect();
            let vpc = self.referred(key, VPC).next();
            let place = match (of_subnets.len(), of_subnets.first(), vpc) {
                (1, Some(place), _) => *place,
                (_, Some(Place::Zone(vpc, _) | Place::Vpc(vpc)), _) => Place::Vpc(*vpc),
                (_, _, Some(vpc)) => Place::Vpc(vpc),
                _ => Place::Stack,
            };
            self.places.entry(key).or_insert(place);
        }
    }

    /// Gives what a box refers to in its own stack, of one type.
    fn referred<'b>(&'b self, key: Key, kind: &'b str) -> impl Iterator<Item = Key> + 'b {
        let targets = self.arrows.get(&key).into_iter().flatten().copied();
        targets.filter(move |(index, number)| {
            *index == key.0 && self.resources[&(*index, *number)].r#type == kind
        })
    }

    fn is_vpc(&self, key: Key) -> bool {
        self.resources[&key].r#type == VPC
    }

    /// Makes one box of a crowd of the same type, and takes away arrows that say nothing.
    fn gather(&mut self) {
        let mut alike: BTreeMap<(usize, Place, &str), Vec<Key>> = BTreeMap::new();
        for (key, place) in &self.places {
            if !matches!(place, Place::Zone(..)) {
                let kind = self.resources[key].r#type.as_str();
                alike.entry((key.0, *place, kind)).or_default().push(*key);
            }
        }
        let crowds = alike.into_values().filter(|keys| keys.len() >= CROWD);
        self.crowds = crowds.map(|keys| (keys[0], keys)).collect();
        let mut first = BTreeMap::new();
        for (head, keys) in &self.crowds {
            first.extend(keys.iter().map(|key| (*key, *head)));
        }
        let mut arrows: BTreeMap<Key, BTreeSet<Key>> = BTreeMap::new();
        for (from, targets) in &self.arrows {
            let head = *first.get(from).unwrap_or(from);
            let inside = match self.places.get(from) {
                Some(Place::Vpc(vpc) | Place::Zone(vpc, _)) => Some(vpc),
                _ => None,
            };
            for to in targets.iter().filter(|to| inside != Some(*to)) {
                let to = *first.get(to).unwrap_or(to);
                if to != head {
                    arrows.entry(head).or_default().insert(to);
                }
            }
        }
        self.arrows = arrows;
        self.places
            .retain(|key, _| first.get(key).is_none_or(|head| head == key));
    }

    fn text(&self) -> String {
        let mut text = String::from("```mermaid\nflowchart TB\n");
        for (index, template) in self.templates.iter().enumerate() {
            let _ = writeln!(
                text,
                "  subgraph {}[\"stack {}\"]",
                id(&template.name),
                template.name
            );
            self.boxes(index, Place::Stack, 2, &mut text);
            let own = self.resources.range((index, 0)..(index + 1, 0));
            for (vpc, resource) in own.filter(|(key, _)| self.is_vpc(**key)) {
                let label = self.label(*vpc, resource);
                let _ = writeln!(text, "    subgraph {}[\"{label}\"]", self.id(*vpc));
                self.boxes(index, Place::Vpc(*vpc), 3, &mut text);
                for zone in 0..self.zones(*vpc) {
                    let letter = char::from(b'A' + u8::try_from(zone).unwrap_or_default());
                    let name = format!("{}_zone_{letter}", self.id(*vpc));
                    let _ = writeln!(text, "      subgraph {name}[\"zone {letter}\"]");
                    self.boxes(index, Place::Zone(*vpc, zone), 4, &mut text);
                    text.push_str("      end\n");
                }
                text.push_str("    end\n");
            }
            text.push_str("  end\n");
        }
        self.lines(&mut text);
        let optional = self.places.keys().filter(|key| self.is_optional(**key));
        let optional: Vec<String> = optional.map(|key| self.id(*key)).collect();
        if !optional.is_empty() {
            text.push_str("  classDef optional stroke-dasharray: 5 5\n");
            let _ = writeln!(text, "  class {} optional", optional.join(","));
        }
        text.push_str("```\n");
        text
    }

    fn zones(&self, vpc: Key) -> usize {
        let zones = self.places.values().filter_map(|place| match place {
            Place::Zone(of, zone) if *of == vpc => Some(zone + 1),
            _ => None,
        });
        zones.max().unwrap_or_default()
    }

    fn boxes(&self, index: usize, place: Place, depth: usize, text: &mut String) {
        let here = self.places.iter().filter(|(_, at)| **at == place);
        for (key, _) in here.filter(|(key, _)| key.0 == index) {
            let resource = &self.resources[key];
            let label = self.label(*key, resource);
            let (open, close) = if ends_in(&resource.r#type, &STORES) {
                ("[(", ")]")
            } else {
                ("[", "]")
            };
            let indent = "  ".repeat(depth);
            let _ = writeln!(text, "{indent}{}{open}\"{label}\"{close}", self.id(*key));
        }
    }

    /// Writes the arrows; those that lead to the same are one line.
    fn lines(&self, text: &mut String) {
        let mut same: BTreeMap<&BTreeSet<Key>, Vec<String>> = BTreeMap::new();
        for (from, targets) in self.arrows.iter().filter(|(from, _)| !self.is_vpc(**from)) {
            same.entry(targets).or_default().push(self.id(*from));
        }
        for (targets, from) in same {
            let targets: Vec<String> = targets.iter().map(|key| self.id(*key)).collect();
            let _ = writeln!(text, "  {} --> {}", from.join(" & "), targets.join(" & "));
        }
    }

    fn label(&self, key: Key, resource: &Resource) -> String {
        let kind = resource.r#type.trim_start_matches("AWS::");
        if let Some(crowd) = self.crowds.get(&key) {
            let names: Vec<&str> = crowd
                .iter()
                .map(|key| self.resources[key].name.as_str())
                .collect();
            let list = (names.len() <= NAMED).then(|| format!("<br/>{}", names.join("<br/>")));
            return format!("{} × {kind}{}", names.len(), list.unwrap_or_default());
        }
        let network = resource.properties.get("CidrBlock");
        let network = network.and_then(|cidr| self.templates[key.0].text(cidr));
        format!(
            "{}<br/>{}",
            resource.name,
            network.as_deref().unwrap_or(kind)
        )
    }

    /// Says whether a resource is there only when a setting asks for it.
    fn is_optional(&self, key: Key) -> bool {
        let condition = self.resources[&key].condition.as_ref();
        condition.is_some_and(|name| self.templates[key.0].holds(name) != Some(true))
    }

    fn id(&self, key: Key) -> String {
        let stack = id(&self.templates[key.0].name);
        format!("{stack}_{}", self.resources[&key].name)
    }
}

fn id(name: &str) -> String {
    name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
}

fn ends_in(kind: &str, names: &[&str]) -> bool {
    let last = kind.rsplit("::").next().unwrap_or(kind);
    names.iter().any(|name| last.ends_with(name))
}

/// Says whether a resource is a box. A role is one when people or workflows take it.
fn is_box(resource: &Resource) -> bool {
    if resource.r#type == ROLE {
        let trust = resource.properties.get("AssumeRolePolicyDocument");
        let statements = trust.and_then(|trust| trust.get("Statement")?.as_sequence());
        return statements.into_iter().flatten().any(|statement| {
            let principal = statement.get("Principal");
            principal.is_some_and(|one| one.get("AWS").is_some() || one.get("Federated").is_some())
        });
    }
    !ends_in(&resource.r#type, &JOINTS)
}

/// Gives the boxes that a resource refers to, itself or by what joins it to them.
fn beyond_joints(
    start: Key,
    resources: &BTreeMap<Key, Resource>,
    direct: &BTreeMap<Key, BTreeSet<Key>>,
) -> BTreeSet<Key> {
    let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut open = vec![start];
    while let Some(key) = open.pop() {
        for target in &direct[&key] {
            if is_box(&resources[target]) {
                found.insert(*target);
            } else if seen.insert(*target) {
                open.push(*target);
            }
        }
    }
    found.remove(&start);
    found
}

#[cfg(test)]
mod tests;
