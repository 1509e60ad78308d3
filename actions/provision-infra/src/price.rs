//! What a plan's changes cost each month, by a small list of prices. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use plan::{Change, Operation};
use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use crate::observe::Observed;
use crate::stack::Values;
use crate::template::Template;

/// AWS bills hours; a month has so many on average.
const HOURS: f64 = 730.0;

/// The prices, in US dollars.
static PRICES: LazyLock<Prices> =
    LazyLock::new(|| serde_yaml::from_str(include_str!("prices.yaml")).unwrap_or_default());

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Prices {
    as_of: String,
    region: String,
    /// By type.
    hourly: BTreeMap<String, f64>,
    /// By type.
    monthly: BTreeMap<String, f64>,
    /// By instance type, each hour.
    instances: BTreeMap<String, f64>,
}

/// What changes cost, in US dollars each month, before traffic and storage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bill {
    /// What is made costs so much.
    pub more: f64,
    /// What is deleted has cost so much.
    pub less: f64,
    /// Instance types that are made and have no price here.
    pub unknown: Vec<String>,
}

/// Estimates the changes of layers. What is changed where it is, or replaced by its like, costs
/// what it did.
#[must_use]
pub fn bill(observations: &[Observed], changes: &[Change]) -> Bill {
    let mut bill = Bill::default();
    for change in changes {
        let layer = observations
            .iter()
            .find(|observed| observed.layer.stack == change.part);
        let flat = flat(&change.kind);
        match change.operation {
            Operation::Create => {
                let nodes = layer.and_then(|observed| Nodes::of(observed, &change.target));
                match nodes {
                    Some(nodes) => nodes.add_to(&mut bill),
                    None => bill.more += flat,
                }
            }
            Operation::Delete => bill.less += flat,
            Operation::Update | Operation::Replace | Operation::Run => {}
        }
    }
    bill
}

/// What one resource of a type costs each month, whatever its properties are.
fn flat(kind: &str) -> f64 {
    let hourly = PRICES.hourly.get(kind).map(|price| price * HOURS);
    let price = hourly.or_else(|| PRICES.monthly.get(kind).copied());
    price.unwrap_or_default()
}

/// The nodes of a node group that is made.
struct Nodes {
    instance: String,
    count: f64,
}

impl Nodes {
    fn of(observed: &Observed, logical_id: &str) -> Option<Self> {
        let template = &observed.layer.template;
        let properties = template.properties.get(logical_id)?;
        let text = |value: &Value| text(value, template, &observed.parameters);
        // EKS takes the first type that is to be had.
        let instances = text(properties.get("InstanceTypes")?)?;
        let count = text(properties.get("ScalingConfig")?.get("DesiredSize")?)?;
        Some(Self {
            instance: instances.split(',').next()?.to_owned(),
            count: count.parse().ok()?,
        })
    }

    fn add_to(self, bill: &mut Bill) {
        match PRICES.instances.get(&self.instance) {
            Some(price) => bill.more += price * HOURS * self.count,
            None if bill.unknown.contains(&self.instance) => {}
            None => bill.unknown.push(self.instance),
        }
    }
}

/// Gives the text of a value: itself, or that of the parameter which it refers to.
pub(crate) fn text(value: &Value, template: &Template, parameters: &Values) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Sequence(values) => {
            let texts = values.iter().map(|value| text(value, template, parameters));
            Some(texts.collect::<Option<Vec<_>>>()?.join(","))
        }
        Value::Tagged(tagged) if tagged.tag == "Ref" => {
            let name = tagged.value.as_str()?;
            let given = parameters.get(name).cloned();
            given.or_else(|| text(template.defaults.get(name)?, template, parameters))
        }
        Value::Tagged(tagged) if tagged.tag == "Split" => {
            text(tagged.value.get(1)?, template, parameters)
        }
        _ => None,
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Prices { as_of, region, .. } = &*PRICES;
        let source =
            format!("at the list prices of {region} ({as_of}), before traffic and storage");
        let mut parts = Vec::new();
        if self.more >= 0.005 {
            parts.push(format!("{:.2} USD a month more", self.more));
        }
        if self.less >= 0.005 {
            parts.push(format!("{:.2} USD a month less", self.less));
        }
        if parts.is_empty() {
            parts.push("nothing more".into());
        }
        write!(f, "Costs about {} {source}.", parts.join(" and "))?;
        if !self.unknown.is_empty() {
            write!(
                f,
                " Nodes without a known price: {}.",
                self.unknown.join(", ")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Layer;
    use crate::observe::Offer;

    const TEMPLATE: &str = "\
Parameters:
  Types: {Type: String, Default: 'm6i.large,m5.large'}
  Count: {Type: Number, Default: 2}
Resources:
  Application:
    Type: AWS::EKS::Nodegroup
    Properties:
      InstanceTypes: !Split [',', !Ref Types]
      ScalingConfig: {MinSize: 1, DesiredSize: !Ref Count, MaxSize: 9}
  Bastion:
    Type: AWS::EKS::Nodegroup
    Properties:
      InstanceTypes: [t9.small]
      ScalingConfig: {MinSize: 1, DesiredSize: 1, MaxSize: 1}
";

    fn nodes(parameters: &[(&str, &str)]) -> Observed {
        let parameters = parameters.iter();
        Observed {
            layer: Layer {
                name: "nodes".into(),
                stack: "shop-test-nodes".into(),
                template: Template::parse(TEMPLATE).expect("a template"),
            },
            found: None,
            parameters: parameters
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            unknown: Vec::new(),
            remains: Vec::new(),
            offer: Offer::Later,
        }
    }

    fn change(operation: Operation, kind: &str, target: &str) -> Change {
        Change::new(operation, kind, target).part("shop-test-nodes")
    }

    #[test]
    fn nodes_cost_what_their_type_and_number_say() {
        let make = |target: &str| change(Operation::Create, "AWS::EKS::Nodegroup", target);
        let bill_of =
            |parameters: &[(&str, &str)], target: &str| bill(&[nodes(parameters)], &[make(target)]);
        assert_eq!(
            bill_of(&[], "Application").to_string(),
            "Costs about 140.16 USD a month more at the list prices of us-east-1 (2026-04), before \
             traffic and storage."
        );
        let given = [("Types", "r6i.large"), ("Count", "3")];
        assert!(
            bill_of(&given, "Application")
                .to_string()
                .contains(" 275.94 USD")
        );
        assert_eq!(bill_of(&[], "Bastion").unknown, ["t9.small"]);
    }

    #[test]
    fn what_is_made_costs_more_and_what_goes_costs_less() {
        let changes = [
            change(Operation::Create, "AWS::EC2::NatGateway", "NatA"),
            change(Operation::Create, "AWS::EC2::VPC", "Vpc"),
            change(Operation::Update, "AWS::EKS::Cluster", "Cluster"),
            change(Operation::Replace, "AWS::KMS::Key", "Key"),
            change(Operation::Delete, "AWS::CloudWatch::Dashboard", "Board"),
        ];
        assert_eq!(
            bill(&[], &changes).to_string(),
            "Costs about 32.85 USD a month more and 3.00 USD a month less at the list prices of \
             us-east-1 (2026-04), before traffic and storage."
        );
        assert!(
            bill(&[], &changes[1..4])
                .to_string()
                .starts_with("Costs about nothing more")
        );
    }
}
