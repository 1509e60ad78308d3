//! The first release: built twice to one digest, its database made, migrated, rolled out, verified.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::context::Context;
use crate::release::{self, DATABASE, NAMESPACE};
use crate::step::{Outcome, Step};
use crate::steps::platform;

pub fn step() -> Step {
    Step {
        name: "application",
        about: "build, migrate, deploy and verify the first release",
        cold: Duration::from_secs(240),
        warm: Duration::from_secs(120),
        run,
    }
}

/// Makes sure that the first release runs, on its own schema: whatever a killed run or a later
/// release left is replaced.
pub fn ensure(cx: &Context) -> Result<()> {
    let image = cx.fact("application", "image")?;
    let image = image.as_str().unwrap_or_default();
    let runs = release::running_image(cx).is_ok_and(|running| running == image);
    let checkout = release::checkout(cx, "orders-1", None)?;
    let plan = release::migrate_step(cx, "migrate-as-it-is", image, "plan")?;
    if runs && cx.runner(&checkout).attempt(&plan)?.code == 0 {
        return Ok(());
    }
    cx.progress("the first release is not what runs: starting from it again");
    run(cx).map(|_| ())
}

/// Removes what an earlier run released: a first release starts from nothing.
fn remove(cx: &Context) -> Result<()> {
    if cx.get(&["namespace", NAMESPACE]).is_err() {
        return Ok(());
    }
    let releases = cx.get(&["-n", NAMESPACE, "secrets", "-l", "owner=helm"])?;
    if releases["items"].as_array().is_none_or(Vec::is_empty) {
        return Ok(());
    }
    cx.progress("removing what an earlier run released");
    let kubectl = |arguments: &[&str]| cx.run(&cx.kubectl()?.args(arguments));
    // The operator ends the members and takes their volumes before the namespace goes.
    kubectl(&[
        "-n",
        NAMESPACE,
        "delete",
        "postgresqls.acid.zalan.do",
        "--all",
        "--timeout=120s",
    ])?;
    kubectl(&["delete", "namespace", NAMESPACE, "--timeout=180s"])?;
    platform::application_namespace(cx)
}

fn run(cx: &Context) -> Result<Outcome> {
    remove(cx)?;
    let checkout = release::checkout(cx, "orders-1", None)?;
    let built = release::build(cx, &checkout, "build")?;
    let image = built.output("image")?.to_owned();
    cx.progress(format!("built {image}"));
    // Another path, another time, and no layer of the first image to reuse: the same digest.
    let elsewhere = release::checkout(cx, "another-folder/orders-1", None)?;
    let again = release::build_step(cx, "build-again")?.with("cache-tag", "none");
    let again = cx.runner(&elsewhere).run(&again)?;
    if again.output("digest")? != built.output("digest")? {
        bail!(
            "the image differs when it is built from another path: {} and {}",
            image,
            again.output("image")?
        );
    }
    let verify = release::build_step(cx, "verify")?
        .with("mode", "verify")
        .with("image", &image);
    let verified = cx.runner(&checkout).run(&verify)?;
    let database = release::helm_step(cx, "database", DATABASE, "fastapi-database", "apply")?
        .with("values", "deploy/database.yaml");
    cx.runner(&checkout).run(&database)?;
    let members = platform::postgres_roles(cx, NAMESPACE, DATABASE)?;
    cx.progress(format!("PostgreSQL runs with {} members", members.len()));
    let released = release::roll_out(cx, &checkout, &image, "first")?;
    Ok(Outcome::new(format!(
        "revision {} by Alembic in a Job, {} smoke checks through the ingress",
        released.revision, released.checks
    ))
    .fact("image", &image)
    .fact("image-built-again", again.output("image")?)
    .fact("layers", &built.report["layers"])
    .fact("image-verified", &verified.report["checks"])
    .fact("postgresql", members)
    .fact("release", released))
}
