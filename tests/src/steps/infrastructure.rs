//! The infrastructure pipeline by the action's image: planned, applied as reviewed, unchanged when
//! applied again; and read back by another client.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use super::localstack;
use crate::canary;
use crate::context::Context;
use crate::runner::{ActionStep, Ran};
use crate::state::write_whole;
use crate::step::{Outcome, Step};

/// The environment in `deploy/infrastructure.yaml`.
const ENVIRONMENT: &str = "e2e";
/// Its full name, which is the cluster's as well.
const NAME: &str = "orders-e2e";
/// Its layers, by name.
const LAYERS: [&str; 3] = ["cluster", "data", "network"];
/// What each zone has a subnet of.
const TIERS: [&str; 4] = ["admin", "application", "database", "public"];
/// How many zones there are, and NAT gateways in them.
const ZONES: usize = 3;
/// Where the action writes its kubeconfig, in the checkout.
const KUBECONFIG: &str = ".fastapi-eks-actions/kubeconfig";

pub fn step() -> Step {
    Step {
        name: "infrastructure",
        about: "plan, apply and read back the stacks",
        cold: Duration::from_secs(45),
        warm: Duration::from_secs(30),
        run,
    }
}

/// Gives a step of `provision-infra` on the run's environment.
pub fn action(cx: &Context, id: &str, mode: &str) -> Result<ActionStep> {
    let image = cx.action_image("provision-infra")?;
    Ok(ActionStep::new("provision-infra", id, &image)
        .with("mode", mode)
        .with("environment", ENVIRONMENT)
        .env("AWS_ENDPOINT_URL", localstack::endpoint_for_actions(cx))
        .env("AWS_REGION", localstack::REGION)
        // LocalStack reads the account from this, and takes any secret.
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", canary::value("aws-secret-access-key"))
        .env("AWS_SESSION_TOKEN", canary::value("aws-session-token")))
}

/// Makes the checkout that the action works on.
pub fn checkout(cx: &Context, name: &str) -> Result<PathBuf> {
    let folder = cx.folder.join(name);
    let file = "deploy/infrastructure.yaml";
    let text = fs_err::read(cx.root.join("tests/app").join(file))?;
    write_whole(&folder.join(file), &text)?;
    Ok(folder)
}

fn run(cx: &Context) -> Result<Outcome> {
    let checkout = checkout(cx, "infrastructure")?;
    let changes = apply_as_reviewed(cx, &checkout)?;
    let again = cx
        .runner(&checkout)
        .run(&action(cx, "infra-again", "apply")?)?;
    expect_outcome(&again, "unchanged")?;
    let found = read_back(cx)?;
    found.check()?;
    let server = check_access(cx, &checkout, &found)?;
    let refusal = refuse_broken_template(cx, &checkout)?;
    let types = found.types();
    let count: usize = types.values().sum();
    cx.progress(format!(
        "{count} resources of {} types are there",
        types.len()
    ));
    Ok(Outcome::new(format!(
        "{count} CloudFormation resources of {} types; {ZONES} zones × {} subnets and {} NAT gateways seen through EC2; unchanged when applied again",
        types.len(),
        TIERS.len(),
        found.network.nat_gateways.len()
    ))
    .fact("changes", changes)
    .fact("resources", types)
    .fact("subnets", found.network.places())
    .fact("nat_gateways", &found.network.nat_gateways)
    .fact("cluster", NAME)
    .fact("kubernetes_server", server)
    .fact("refusal", refusal))
}

/// Plans, and applies what the plan's digest names; gives the number of changes.
fn apply_as_reviewed(cx: &Context, checkout: &Path) -> Result<u64> {
    let runner = cx.runner(checkout);
    let plan = runner.run(&action(cx, "infra-plan", "plan")?)?;
    let changes = plan
        .output("changes")?
        .parse()
        .context("count the changes")?;
    cx.progress(format!("{changes} changes are planned"));
    let apply =
        action(cx, "infra-apply", "apply")?.with("plan-digest", plan.output("plan-digest")?);
    let applied = runner.run(&apply)?;
    expect_outcome(&applied, if changes == 0 { "unchanged" } else { "done" })?;
    Ok(changes)
}

fn expect_outcome(ran: &Ran, wanted: &str) -> Result<()> {
    let outcome = ran.output("outcome")?;
    ensure!(
        outcome == wanted,
        "the action says `{outcome}`, not `{wanted}`; its log: {}",
        ran.log_file.display()
    );
    Ok(())
}

/// Reads the environment with AWS's client for Python: another program than made it.
fn read_back(cx: &Context) -> Result<Found> {
    let command = Command::new(localstack::python(cx)?)
        .arg(cx.root.join("tests/localstack/read_back.py"))
        .arg(NAME)
        .env("AWS_ENDPOINT_URL", localstack::endpoint())
        .env("AWS_DEFAULT_REGION", localstack::REGION)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    serde_json::from_str(&cx.output(&command)?).context("read what was read back")
}

/// Takes the kubeconfig that the action writes to the API server that it names.
fn check_access(cx: &Context, checkout: &Path, found: &Found) -> Result<String> {
    let wrote = cx
        .runner(checkout)
        .run(&action(cx, "infra-kubeconfig", "kubeconfig")?)?;
    let file = checkout.join(wrote.output("kubeconfig")?);
    ensure!(
        file == checkout.join(KUBECONFIG),
        "the kubeconfig is at {}",
        file.display()
    );
    let cluster = found.cluster.as_ref().context("EKS has no cluster")?;
    let authority = cx.folder.join("eks-ca.crt");
    let decode = Command::new("sh")
        .args([
            "-c",
            "printf %s \"$1\" | base64 -d >\"$2\"",
            "sh",
            &cluster.certificate_authority,
        ])
        .arg(&authority);
    cx.run(&decode)?;
    // The cluster does not know AWS's tokens: who asks is its own administrator.
    let kubectl = cx
        .kubectl()?
        .args(["get", "--raw", "/version", "--server"])
        .arg(&cluster.endpoint)
        .arg("--certificate-authority")
        .arg(&authority);
    let version: serde_json::Value = serde_json::from_str(&cx.output(&kubectl)?)?;
    let version = version["gitVersion"].as_str().unwrap_or_default();
    ensure!(
        version
            .trim_start_matches('v')
            .starts_with(&cluster.version),
        "EKS says {}, its API server {version}",
        cluster.version
    );
    let text = fs_err::read_to_string(&file)?;
    ensure!(
        text.contains(&cluster.endpoint) && text.contains(&cluster.certificate_authority),
        "the kubeconfig names another API server than {}",
        cluster.endpoint
    );
    // It holds a token.
    fs_err::remove_file(&file)?;
    Ok(format!("Kubernetes {version}"))
}

/// Breaks a template: the action must name the file and what is wrong, and nothing may change.
fn refuse_broken_template(cx: &Context, checkout: &Path) -> Result<String> {
    let stacks = cx.root.join("actions/provision-infra/stacks");
    for name in LAYERS {
        let text = fs_err::read_to_string(stacks.join(format!("{name}.yaml")))?;
        let broken = text.replace("AWS::EC2::InternetGateway\n", "AWS::EC2::InterwebGateway\n");
        write_whole(
            &checkout.join(format!("broken/{name}.yaml")),
            broken.as_bytes(),
        )?;
    }
    let step = action(cx, "infra-broken", "apply")?.with("stacks", "broken");
    let ran = cx.runner(checkout).attempt(&step)?;
    ensure!(ran.code != 0, "a template with an unknown type was applied");
    ensure!(
        ran.log.contains("InterwebGateway"),
        "the action does not say what is wrong with the template; its log: {}",
        ran.log_file.display()
    );
    read_back(cx)?
        .check()
        .context("after a template was refused")?;
    let reason = ran
        .outputs
        .get("failure-reason")
        .cloned()
        .unwrap_or_default();
    Ok(format!("exit status {}: {reason}", ran.code))
}

/// What was read back.
#[derive(Debug, Deserialize)]
struct Found {
    stacks: BTreeMap<String, Stack>,
    network: Network,
    cluster: Option<Cluster>,
    data: Option<Data>,
}

/// What holds data.
#[derive(Debug, Deserialize)]
struct Data {
    versioning: String,
    locked_days: u32,
    encryption: String,
    tags: String,
    scan: bool,
    backup_vaults: Vec<String>,
    backup_selections: usize,
}

#[derive(Debug, Deserialize)]
struct Stack {
    status: String,
    types: BTreeMap<String, usize>,
    incomplete: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Network {
    vpcs: Vec<String>,
    subnets: Vec<Subnet>,
    nat_gateways: Vec<String>,
    endpoints: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Subnet {
    zone: String,
    tier: String,
    cidr: String,
}

#[derive(Debug, Deserialize)]
struct Cluster {
    status: String,
    version: String,
    endpoint: String,
    certificate_authority: String,
    encrypted: Vec<Vec<String>>,
    access_entries: usize,
}

impl Found {
    /// Counts the resources of all stacks by type.
    fn types(&self) -> BTreeMap<&str, usize> {
        let mut types = BTreeMap::new();
        for (name, count) in self.stacks.values().flat_map(|stack| &stack.types) {
            *types.entry(name.as_str()).or_default() += count;
        }
        types
    }

    /// Compares what is there with the architecture.
    fn check(&self) -> Result<()> {
        let names: Vec<&str> = self.stacks.keys().map(String::as_str).collect();
        ensure!(
            names == LAYERS.map(|layer| format!("{NAME}-{layer}")),
            "the stacks are {names:?}"
        );
        for (name, stack) in &self.stacks {
            if !matches!(stack.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE")
                || !stack.incomplete.is_empty()
            {
                bail!(
                    "the stack `{name}` is {}, without {:?}",
                    stack.status,
                    stack.incomplete
                );
            }
        }
        self.network.check()?;
        let cluster = self.cluster.as_ref().context("EKS has no cluster")?;
        ensure!(
            cluster.status == "ACTIVE"
                && cluster.encrypted == [["secrets"]]
                && cluster.access_entries == 2,
            "the cluster is not what the template says: {cluster:?}"
        );
        self.data.as_ref().context("there is no data")?.check()
    }
}

impl Data {
    fn check(&self) -> Result<()> {
        ensure!(
            self.versioning == "Enabled" && self.locked_days > 0 && self.encryption == "aws:kms",
            "the bucket of backups is not what the template says: {self:?}"
        );
        ensure!(
            self.tags.starts_with("IMMUTABLE") && self.scan,
            "the image repository is not what the template says: {self:?}"
        );
        ensure!(
            self.backup_vaults.len() == 1
                && self.backup_vaults[0].starts_with(NAME)
                && self.backup_selections == 1,
            "volumes are not backed up as the template says: {self:?}"
        );
        Ok(())
    }
}

impl Network {
    /// Gives the networks of the subnets by zone and tier.
    fn places(&self) -> BTreeMap<&str, BTreeMap<&str, &str>> {
        let mut places: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for subnet in &self.subnets {
            places
                .entry(&subnet.zone)
                .or_default()
                .insert(&subnet.tier, &subnet.cidr);
        }
        places
    }

    fn check(&self) -> Result<()> {
        ensure!(self.vpcs.len() == 1, "there are {} VPCs", self.vpcs.len());
        let places = self.places();
        let whole = places.values().all(|tiers| tiers.keys().eq(TIERS.iter()));
        ensure!(
            places.len() == ZONES && whole && self.subnets.len() == ZONES * TIERS.len(),
            "the subnets are {places:?}"
        );
        let zones: BTreeSet<&str> = self.nat_gateways.iter().map(String::as_str).collect();
        ensure!(
            self.nat_gateways.len() == ZONES && zones.iter().eq(places.keys()),
            "the NAT gateways that are available are in {:?}",
            self.nat_gateways
        );
        let s3 = format!("com.amazonaws.{}.s3", localstack::REGION);
        ensure!(
            self.endpoints.contains(&s3),
            "S3 has no endpoint: {:?}",
            self.endpoints
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        let zones = ["a", "b", "c"];
        let subnets = zones.iter().flat_map(|zone| {
            TIERS.map(|tier| Subnet {
                zone: (*zone).into(),
                tier: tier.into(),
                cidr: "10.0.0.0/20".into(),
            })
        });
        Network {
            vpcs: vec!["10.0.0.0/16".into()],
            subnets: subnets.collect(),
            nat_gateways: zones.map(String::from).into(),
            endpoints: vec!["com.amazonaws.eu-west-1.s3".into()],
        }
    }

    #[test]
    fn a_network_is_three_zones_of_four_subnets_with_a_gateway_each() {
        network().check().unwrap();
        let mut lacking = network();
        lacking.subnets.remove(5);
        assert!(lacking.check().unwrap_err().to_string().contains("subnets"));
        let mut twice = network();
        twice.nat_gateways[2] = "a".into();
        assert!(twice.check().unwrap_err().to_string().contains("NAT"));
        let mut wrong = network();
        wrong.subnets[0].tier = "public".into();
        assert!(wrong.check().is_err());
    }

    #[test]
    fn backups_are_versioned_and_images_keep_their_tags() {
        let data = || Data {
            versioning: "Enabled".into(),
            locked_days: 7,
            encryption: "aws:kms".into(),
            tags: "IMMUTABLE_WITH_EXCLUSION".into(),
            scan: true,
            backup_vaults: vec!["orders-e2e-1".into()],
            backup_selections: 1,
        };
        data().check().unwrap();
        let complaint = |data: Data| data.check().unwrap_err().to_string();
        let open = Data {
            locked_days: 0,
            ..data()
        };
        assert!(complaint(open).contains("bucket"));
        let moving = Data {
            tags: "MUTABLE".into(),
            ..data()
        };
        assert!(complaint(moving).contains("repository"));
        let nothing = Data {
            backup_selections: 0,
            ..data()
        };
        assert!(complaint(nothing).contains("volumes"));
    }

    #[test]
    fn a_resource_that_is_not_complete_is_told() {
        let stack = |incomplete: &[&str]| Stack {
            status: "CREATE_COMPLETE".into(),
            types: BTreeMap::from([("AWS::EC2::VPC".into(), 1)]),
            incomplete: incomplete.iter().map(ToString::to_string).collect(),
        };
        let mut stacks: BTreeMap<String, Stack> = LAYERS
            .map(|layer| (format!("{NAME}-{layer}"), stack(&[])))
            .into();
        stacks.insert("orders-e2e-cluster".into(), stack(&["Cluster"]));
        let mut found = Found {
            stacks,
            network: network(),
            cluster: None,
            data: None,
        };
        assert_eq!(
            found.types(),
            BTreeMap::from([("AWS::EC2::VPC", LAYERS.len())])
        );
        assert!(found.check().unwrap_err().to_string().contains("Cluster"));
        found.stacks.remove("orders-e2e-cluster");
        assert!(
            found
                .check()
                .unwrap_err()
                .to_string()
                .contains("the stacks are")
        );
    }
}
