//! Verifies a release from outside: `.hurl` files, run in this process against a base address.
//!
//! The checks start when the release says that it is ready, every file is parsed before the first
//! request is sent, and what does not hold is shown with file, line, expected and got. Bodies and
//! secrets are never logged.

mod check;
mod error;
mod files;
mod inputs;
mod ready;
mod report;
mod variables;

use std::time::Instant;

use action_kit::{Context, Failed, Metadata, Report};

pub use error::SmokeError;
pub use inputs::Inputs;

use check::Session;
use report::Results;

/// Describes the action.
pub const METADATA: Metadata = Metadata {
    name: "smoke-test",
    title: "Smoke test",
    description: "Verifies a release with Hurl files: plain-text HTTP requests and what their answers must be.",
    outputs: &[
        ("passed", "How many requests of the files hold"),
        ("failed", "How many requests of the files do not hold"),
        (
            "requests",
            "How many HTTP requests were sent, with redirects and retries",
        ),
        ("duration-ms", "How long the checks took, in milliseconds"),
    ],
    icon: "check-circle",
    color: "green",
};

/// Waits for the release, runs the files one after the other and reports on each request.
pub async fn run(inputs: Inputs, context: Context) -> Result<Report, Failed> {
    let deadline = Instant::now() + inputs.timeout();
    let base_url = inputs.base_url.to_string();
    let files = files::find(&inputs.files, &context.environment.workspace(), &base_url)?;
    let session = Session::new(&inputs, &context, deadline)?;
    ready::wait(&inputs, &session).await?;

    let started = Instant::now();
    let mut results = Results::default();
    for file in files {
        let name = file.name.clone();
        let Some(result) = check::run(file, &session).await? else {
            let late = SmokeError::TimedOut {
                file: name,
                seconds: inputs.timeout_seconds,
            };
            return Err(Failed::from(late).with(results.report(started.elapsed())));
        };
        context.console.progress(result.line());
        for failure in result.failures() {
            context.console.failure(&Failed::from(failure));
        }
        results.files.push(result);
    }
    let report = results.report(started.elapsed());
    match results.failed() {
        0 => Ok(report),
        failed => Err(Failed::from(SmokeError::ChecksFailed {
            failed,
            checked: results.passed() + failed,
        })
        .with(report)),
    }
}
