//! The infrastructure pipeline by the action's image: planned, applied as reviewed, unchanged when
//! applied again; and read back by another client.

mod found;

use std::path::{Path, PathBuf};
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result, ensure};

use self::found::{Found, LAYERS, TIERS, ZONES};
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
/// The name that clients know it by.
const DOMAIN: &str = "orders.example.com";
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
        .with("resolver", localstack::resolver_for_actions(cx))
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
    let service_role = bootstrap(cx, &checkout)?;
    let changes = apply_as_reviewed(cx, &checkout)?;
    let again = cx
        .runner(&checkout)
        .run(&action(cx, "infra-again", "apply")?)?;
    expect_outcome(&again, "unchanged")?;
    let found = read_back(cx)?;
    found.check(&service_role)?;
    let server = check_access(cx, &checkout, &found)?;
    let refusal = refuse_broken_template(cx, &checkout)?;
    read_back(cx)?
        .check(&service_role)
        .context("after a template was refused")?;
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

/// Applies what an administrator does once; gives the role that the environment is made as.
fn bootstrap(cx: &Context, checkout: &Path) -> Result<String> {
    let step = action(cx, "infra-bootstrap", "apply")?.with("scope", "bootstrap");
    let applied = cx.runner(checkout).run(&step)?;
    let stacks: serde_json::Value = serde_json::from_str(applied.output("stacks")?)?;
    let role = &stacks[format!("{NAME}-bootstrap")]["ServiceRoleArn"];
    let role = role.as_str().context("find the service role")?;
    Ok(role.to_owned())
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
    let reason = ran
        .outputs
        .get("failure-reason")
        .cloned()
        .unwrap_or_default();
    Ok(format!("exit status {}: {reason}", ran.code))
}
