//! What `infrastructure.yaml` gives to templates: the names of their parameters and the values.

use crate::config::{Cidr, Edge, Nat, Settings, Target};
use crate::stack::Values;

/// The kinds of subnets, in the order in which they divide the VPC's network.
const SUBNETS: [&str; 4] = ["Public", "Application", "Database", "Admin"];

/// Gives the parameters that the file sets; for the others the templates' defaults hold.
#[must_use]
pub fn settings(target: &Target) -> Values {
    let settings = &target.settings;
    let named = [
        ("Project", target.project.to_string()),
        ("Environment", target.environment.to_string()),
    ];
    let mut values: Values = named
        .into_iter()
        .chain(cluster(settings))
        .chain(settings.backup.parameters())
        .chain(trust(target))
        .chain(optional(settings))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    values.extend(network(settings));
    values.extend(settings.alerts.parameters());
    values.extend(settings.nodes.parameters());
    values.extend(settings.add_ons.parameters());
    values.extend(settings.edge.iter().flat_map(Edge::parameters));
    values
}

fn network(settings: &Settings) -> Values {
    let nat = match settings.nat {
        Nat::PerZone => "per-zone",
        Nat::Single => "single",
    };
    let mut values = Values::from([
        ("VpcCidr".to_owned(), settings.cidr.to_string()),
        ("NatMode".to_owned(), nat.to_owned()),
    ]);
    let subnets = SUBNETS
        .iter()
        .flat_map(|kind| ["A", "B", "C"].map(|zone| format!("{kind}Cidr{zone}")));
    values.extend(subnets.zip(settings.cidr.sixteenths()));
    if let Some(zones) = &settings.zones {
        let names = ["A", "B", "C"].map(|zone| format!("Zone{zone}"));
        values.extend(names.into_iter().zip(zones.0.clone()));
    }
    values
}

fn cluster(settings: &Settings) -> [(&'static str, String); 4] {
    let public = &settings.endpoint_access.public;
    let networks: Vec<&str> = public.iter().map(Cidr::as_str).collect();
    let protection = settings.deletion_protection;
    [
        ("KubernetesVersion", settings.kubernetes_version.to_string()),
        ("EndpointPublicAccess", (!public.is_empty()).to_string()),
        ("PublicAccessCidrs", networks.join(",")),
        ("DeletionProtection", protection.to_string()),
    ]
}

/// Gives whose workflows may manage the environment.
fn trust(target: &Target) -> Vec<(&'static str, String)> {
    let Some(github) = &target.github else {
        return Vec::new();
    };
    let provider = target.settings.github_provider_arn.as_ref();
    vec![
        ("GithubSubject", github.subject()),
        ("GithubBranch", github.branch.to_string()),
        ("GithubEnvironment", target.github_environment().to_owned()),
        (
            "GithubProviderArn",
            provider.map(ToString::to_string).unwrap_or_default(),
        ),
    ]
}

/// Gives what the file need not say.
fn optional(settings: &Settings) -> impl Iterator<Item = (&'static str, String)> {
    let retention = settings.log_retention_days.map(|days| days.to_string());
    let administrator = settings.administrator_principal_arn.clone();
    [
        ("LogRetentionDays", retention.clone()),
        ("FlowLogRetentionDays", retention),
        ("AdministratorPrincipalArn", administrator),
        ("DeployPrincipalArn", settings.deploy_principal_arn.clone()),
        ("ImageCount", settings.image_count.map(|n| n.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}
