//! What goes wrong in practice, done on purpose: each ends with its documented exit status, names
//! the cause and the next step, and leaves nothing half-done behind.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Serialize;

use crate::context::Context;
use crate::gallery;
use crate::release;
use crate::runner::{ActionStep, Ran};
use crate::step::{Outcome, Step};
use crate::steps::application;
use crate::traffic::{Tally, Traffic};

/// A digest that no image has.
const NO_SUCH_DIGEST: &str =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A version whose probes are content, and whose every other answer is an error.
const BROKEN: &str = r#"
command: [python3, -c]
args:
  - |
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path in ("/healthz", "/readyz") else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

    ThreadingHTTPServer(("", 8000), Broken).serve_forever()
"#;
/// Requests a second, of which the broken version gets its share.
const RATE: u32 = 50;

/// What is expected of a step that must not work.
struct Expected<'a> {
    what: &'a str,
    code: i32,
    reason: &'a str,
    says: &'a [&'a str],
}

/// A refusal that was seen, for the report.
#[derive(Serialize)]
struct Refusal {
    what: String,
    exit_status: i32,
    failure_reason: String,
    seconds: f64,
    message: String,
}

pub fn step() -> Step {
    Step {
        name: "refusals",
        about: "break each part on purpose and read what the actions say",
        cold: Duration::from_secs(150),
        warm: Duration::from_secs(120),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    application::ensure(cx)?;
    let checkout = release::checkout(cx, "orders-1", None)?;
    // It has namespaces of its own, and mostly waits.
    let gallery = thread::spawn(gallery::quick);
    let (broken_version, traffic) = broken_version(cx, &checkout)?;
    let refusals = vec![
        broken_version,
        stale_lock(cx, &checkout)?,
        missing_image(cx, &checkout)?,
        failing_migration(cx)?,
        failing_check(cx, &checkout)?,
    ];
    let gallery = gallery
        .join()
        .map_err(|_| anyhow!("the gallery panicked"))??;
    // Nothing was left half-done: the release that ran before still holds.
    let smoke = cx
        .runner(&checkout)
        .run(&release::smoke_step(cx, "smoke-after-refusals")?)?;
    let real = format!(
        "{} failures by the actions' images, each named; the release still passes {} checks",
        refusals.len() + gallery.len(),
        smoke.output("passed")?
    );
    Ok(Outcome::new(real)
        .fact("refusals", refusals)
        .fact("traffic-of-a-broken-version", traffic)
        .fact("gallery", gallery))
}

/// Deploys a broken version in steps, under traffic: its first step is its last, and it is not
/// asked again.
fn broken_version(cx: &Context, checkout: &Path) -> Result<(Refusal, Tally)> {
    fs_err::write(checkout.join("deploy/broken.yaml"), BROKEN)?;
    let image = cx.fact("application", "image")?;
    let image = image.as_str().context("the application's image")?;
    let step = release::deploy_step(cx, "deploy-broken", image, "apply")?
        .with("values", "deploy/values.yaml\ndeploy/broken.yaml");
    let ingress = format!("http://{}", release::ingress(cx)?);
    let traffic = Traffic::start(&ingress, release::HOST, RATE);
    let refusal = expect(
        cx,
        checkout,
        &release::in_steps(cx, step, "5,50")?,
        &Expected {
            what: "a version that answers with errors",
            code: 1,
            reason: "checks-failed",
            says: &["fails at step 5 %", "500", "again", "hint"],
        },
    );
    // The traffic ends whatever came of the release.
    let tally = traffic.finish();
    let (refusal, tally) = (refusal?, tally?);
    cx.progress(format!(
        "{} requests sent, {} failed",
        tally.sent, tally.failed
    ));
    if tally.failed == 0 || tally.failed * 20 > tally.sent {
        bail!(
            "a version with 5 % of the requests failed {} of {}: {:?}",
            tally.failed,
            tally.sent,
            tally.reasons
        );
    }
    Ok((refusal, tally))
}

fn stale_lock(cx: &Context, good: &Path) -> Result<Refusal> {
    let checkout = release::checkout(cx, "orders-stale", Some("stale-lock"))?;
    fs_err::copy(good.join("uv.lock"), checkout.join("uv.lock"))?;
    expect(
        cx,
        &checkout,
        &release::build_step(cx, "build-stale-lock")?,
        &Expected {
            what: "a lock that does not match",
            code: 2,
            reason: "invalid-input",
            says: &["uv.lock", "uv lock"],
        },
    )
}

fn missing_image(cx: &Context, checkout: &Path) -> Result<Refusal> {
    let current = cx.fact("application", "image")?;
    let current = current.as_str().context("the application's image")?;
    let (repository, _) = current
        .split_once('@')
        .context("the application's image has a digest")?;
    let image = format!("{repository}@{NO_SUCH_DIGEST}");
    let refusal = expect(
        cx,
        checkout,
        &release::deploy_step(cx, "deploy-missing-image", &image, "apply")?,
        &Expected {
            what: "an image that does not exist",
            code: 1,
            reason: "checks-failed",
            says: &[NO_SUCH_DIGEST, "hint"],
        },
    )?;
    let running = release::running_image(cx)?;
    if running.ends_with(NO_SUCH_DIGEST) {
        bail!("the release still names the image that does not exist: it was not rolled back");
    }
    Ok(refusal)
}

fn failing_migration(cx: &Context) -> Result<Refusal> {
    let checkout = release::checkout(cx, "orders-failing", Some("failing-migration"))?;
    let built = release::build(cx, &checkout, "build-failing-migration")?;
    let runner = cx.runner(&checkout);
    let image = built.output("image")?;
    let before = runner.run(&release::migrate_step(
        cx,
        "migrate-failing-before",
        image,
        "plan",
    )?)?;
    let refusal = expect(
        cx,
        &checkout,
        &release::migrate_step(cx, "migrate-failing", image, "apply")?,
        &Expected {
            what: "a migration that fails",
            code: 1,
            reason: "remote-failed",
            says: &["0006", "hint"],
        },
    )?;
    let after = runner.run(&release::migrate_step(
        cx,
        "migrate-failing-after",
        image,
        "plan",
    )?)?;
    if before.output("revision-before")? != after.output("revision-before")? {
        bail!("the failed migration has moved the schema");
    }
    Ok(refusal)
}

fn failing_check(cx: &Context, checkout: &Path) -> Result<Refusal> {
    let file = checkout.join("deploy/broken/teapot.hurl");
    fs_err::create_dir_all(file.parent().context("the file has a folder")?)?;
    fs_err::write(&file, "GET {{base_url}}/healthz\nHTTP 418\n")?;
    expect(
        cx,
        checkout,
        &release::smoke_step(cx, "smoke-failing")?.with("files", "deploy/broken/*.hurl"),
        &Expected {
            what: "a smoke check that fails",
            code: 1,
            reason: "checks-failed",
            says: &["deploy/broken/teapot.hurl", "418", "200"],
        },
    )
}

/// Runs a step that must not work, and compares what it says.
fn expect(
    cx: &Context,
    checkout: &Path,
    step: &ActionStep,
    expected: &Expected<'_>,
) -> Result<Refusal> {
    cx.progress(expected.what);
    let ran: Ran = cx.runner(checkout).attempt(step)?;
    let reason = ran
        .outputs
        .get("failure-reason")
        .cloned()
        .unwrap_or_default();
    if ran.code != expected.code || reason != expected.reason {
        bail!(
            "{}: `{}` ended with {} ({reason}), not with {} ({})\n{}",
            expected.what,
            step.action,
            ran.code,
            expected.code,
            expected.reason,
            ran.log
        );
    }
    for words in expected.says {
        if !ran.log.contains(words) {
            bail!(
                "{}: `{}` does not say `{words}`:\n{}",
                expected.what,
                step.action,
                ran.log
            );
        }
    }
    let message = ran.report["error"][0]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    Ok(Refusal {
        what: expected.what.into(),
        exit_status: ran.code,
        failure_reason: reason,
        seconds: ran.took.as_secs_f64(),
        message,
    })
}
