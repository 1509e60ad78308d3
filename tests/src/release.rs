//! The application pipeline: build, migrate, deploy and verify, by the actions' images.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use crate::canary;
use crate::context::Context;
use crate::proxy;
use crate::runner::{ActionStep, Ran};
use crate::steps::registry;

/// Where the application runs.
pub const NAMESPACE: &str = "orders";
/// The Helm release of the application.
pub const RELEASE: &str = "orders";
/// The Helm release of its database, and the name of the `postgresql` resource.
pub const DATABASE: &str = "orders-db";
/// The name that the ingress routes by.
pub const HOST: &str = "orders.example.test";
/// The port of the ingress on every node.
pub const INGRESS_PORT: u16 = 30080;

/// What tells uv where packages come from.
const INDEX_VARIABLES: [&str; 4] = [
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
];

/// What a release came to.
#[derive(Clone, Debug, Serialize)]
pub struct Release {
    /// The image, by digest.
    pub image: String,
    /// The migrations that were applied now.
    pub applied: Vec<String>,
    /// The schema's revision.
    pub revision: String,
    /// The Helm revision.
    pub helm_revision: String,
    /// What came of the requests that helm-deploy sent meanwhile; nothing for a first release.
    pub traffic: Value,
    /// The steps in which the requests went to it; none for a first release.
    pub steps: Value,
    /// Smoke checks that passed.
    pub checks: u64,
}

/// Makes the checkout that the actions work on: the application at its root, as in a user's
/// repository.
pub fn checkout(cx: &Context, name: &str, variant: Option<&str>) -> Result<PathBuf> {
    let folder = cx.folder.join(name);
    if folder.exists() {
        fs_err::remove_dir_all(&folder)?;
    }
    copy(&cx.root.join("tests/app"), &folder)?;
    if let Some(variant) = variant {
        copy(&cx.root.join("tests/app-variants").join(variant), &folder)?;
    }
    fs_err::copy(cx.kubeconfig(), folder.join(".kubeconfig"))?;
    lock(cx, &folder)?;
    Ok(folder)
}

/// Locks a project. A lock holds the addresses of the index that made it, so it is made on the spot.
pub fn lock(cx: &Context, folder: &Path) -> Result<()> {
    let lock = cx
        .client(cx.tool("uv")?)
        .args(["lock", "--quiet", "--project"])
        .arg(folder);
    cx.run(
        &lock
            .args(["--python", ">=3.11"])
            .env("UV_PYTHON_DOWNLOADS", "never"),
    )
    .map(|_| ())
}

/// Copies a tree, but for what tools leave behind.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    const LEFT_BEHIND: [&str; 6] = [
        ".venv",
        "__pycache__",
        ".pytest_cache",
        ".ruff_cache",
        "uv.lock",
        ".fastapi-eks-actions",
    ];
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_BEHIND.iter().any(|left| name == *left) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(&name))?;
        } else {
            fs_err::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

/// Builds the image of a checkout and gives its reference by digest.
pub fn build(cx: &Context, checkout: &Path, id: &str) -> Result<Ran> {
    cx.runner(checkout).run(&build_step(cx, id)?)
}

/// The step that builds an image.
pub fn build_step(cx: &Context, id: &str) -> Result<ActionStep> {
    let name = registry::name();
    let step = ActionStep::new(
        "build-fastapi-image",
        id,
        &cx.action_image("build-fastapi-image")?,
    )
    .with("image", format!("{name}/acme/orders"))
    .with("base-image", format!("{name}/library/python:3.14-slim"))
    .with("plain-http", &name);
    let step = INDEX_VARIABLES
        .iter()
        .filter_map(|name| Some((*name, cx.environment.get(name)?)))
        .fold(step, |step, (name, value)| step.env(name, value));
    Ok(proxy::variables(cx)?
        .into_iter()
        .fold(step, |step, (name, value)| step.env(name, value)))
}

/// The step that plans or applies the migrations of an image.
pub fn migrate_step(cx: &Context, id: &str, image: &str, mode: &str) -> Result<ActionStep> {
    Ok(
        ActionStep::new("db-migrate", id, &cx.action_image("db-migrate")?)
            .with("mode", mode)
            .with("image", image)
            .with("namespace", NAMESPACE)
            .with("kubeconfig", ".kubeconfig")
            .with("postgresql", DATABASE)
            .with("database", "orders")
            .with("role", "orders"),
    )
}

/// The step that plans or applies the application's chart.
pub fn deploy_step(cx: &Context, id: &str, image: &str, mode: &str) -> Result<ActionStep> {
    Ok(helm_step(cx, id, RELEASE, "fastapi-app", mode)?
        .with("image", image)
        .with("values", "deploy/values.yaml"))
}

/// Lets a step that deploys do so in steps, while requests through the ingress must not fail.
pub fn in_steps(cx: &Context, step: ActionStep, percents: &str) -> Result<ActionStep> {
    Ok(step
        .with("steps", percents)
        .with("step-seconds", "5")
        .with("traffic-url", format!("http://{HOST}/orders?limit=5"))
        .with("traffic-connect-to", ingress(cx)?))
}

/// The step that plans or applies a chart.
pub fn helm_step(
    cx: &Context,
    id: &str,
    release: &str,
    chart: &str,
    mode: &str,
) -> Result<ActionStep> {
    Ok(
        ActionStep::new("helm-deploy", id, &cx.action_image("helm-deploy")?)
            .with("mode", mode)
            .with("release", release)
            .with("chart", chart)
            .with("namespace", NAMESPACE)
            .with("kubeconfig", ".kubeconfig"),
    )
}

/// The step that verifies the release through the ingress.
pub fn smoke_step(cx: &Context, id: &str) -> Result<ActionStep> {
    Ok(
        ActionStep::new("smoke-test", id, &cx.action_image("smoke-test")?)
            .with("base-url", format!("http://{HOST}"))
            .with("connect-to", ingress(cx)?)
            .with("secrets", format!("token={}", canary::value("smoke-token"))),
    )
}

/// Gives the image that runs now.
pub fn running_image(cx: &Context) -> Result<String> {
    let deployment = cx.get(&["-n", NAMESPACE, "deployment", RELEASE])?;
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    image
        .as_str()
        .map(String::from)
        .context("the deployment names no image")
}

/// Gives `ADDRESS:PORT` of the ingress on a node.
pub fn ingress(cx: &Context) -> Result<String> {
    let nodes = cx.get(&["nodes", "-l", "topology.kubernetes.io/zone"])?;
    let addresses = nodes["items"][0]["status"]["addresses"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let internal = addresses
        .iter()
        .find(|address| address["type"] == "InternalIP");
    let address = internal
        .and_then(|address| address["address"].as_str())
        .context("a node has no address")?;
    Ok(format!("{address}:{INGRESS_PORT}"))
}

/// Takes an image through migration, rollout and verification: plan first, and apply what the
/// plan's digest names.
pub fn roll_out(cx: &Context, checkout: &Path, image: &str, prefix: &str) -> Result<Release> {
    let runner = cx.runner(checkout);
    let id = |name: &str| format!("{prefix}-{name}");
    let plan = runner.run(&migrate_step(cx, &id("migrate-plan"), image, "plan")?)?;
    let apply = migrate_step(cx, &id("migrate"), image, "apply")?
        .with("plan-digest", plan.output("plan-digest")?);
    let migrated = runner.run(&apply)?;
    cx.progress(format!(
        "migrations applied: {}",
        applied(&migrated).join(", ")
    ));
    let plan = runner.run(&deploy_step(cx, &id("deploy-plan"), image, "plan")?)?;
    let apply = in_steps(cx, deploy_step(cx, &id("deploy"), image, "apply")?, "20,50")?
        .with("plan-digest", plan.output("plan-digest")?);
    let deployed = runner.run(&apply)?;
    cx.progress(format!(
        "rolled out revision {}",
        deployed.output("revision")?
    ));
    let smoke = runner.run(&smoke_step(cx, &id("smoke"))?)?;
    Ok(Release {
        image: image.to_owned(),
        applied: applied(&migrated),
        revision: migrated.output("revision-after")?.to_owned(),
        helm_revision: deployed.output("revision")?.to_owned(),
        traffic: deployed.report["traffic"].clone(),
        steps: deployed.report["steps"].clone(),
        checks: smoke
            .output("passed")?
            .parse()
            .context("count the checks that passed")?,
    })
}

/// Gives the revisions that a migration applied.
fn applied(migrated: &Ran) -> Vec<String> {
    let applied = &migrated.report["applied"];
    let text = |value: &Value| {
        value
            .as_str()
            .map(String::from)
            .or_else(|| value["revision"].as_str().map(String::from))
    };
    applied
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(text)
        .collect()
}
