//! The way from `main` to an action's function and back to the runner.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, FromArgMatches};
use serde_json::{Value, json};
use thiserror::Error;

use crate::describe::{COMMON_OUTPUTS, Description, Metadata};
use crate::failure::{Failed, Failure, Reason};
use crate::inputs::{self, Parsed};
use crate::outputs::{append_output, append_summary};
use crate::report::{Outcome, Report};
use crate::{Common, Console, Environment, Format};

/// What an action's function gets beside its inputs.
#[derive(Clone, Debug)]
pub struct Context {
    /// The log.
    pub console: Console,
    /// The variables of the process.
    pub environment: Environment,
}

impl Context {
    /// Resolves a path that an input names: relative ones start at the workspace.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.environment.workspace().join(path)
    }
}

/// The run was ended from outside.
#[derive(Debug, Error)]
#[error("{signal} arrived: the run was cancelled")]
struct Cancelled {
    signal: &'static str,
}

impl Failure for Cancelled {
    fn reason(&self) -> Reason {
        Reason::Cancelled
    }

    fn hints(&self) -> Vec<String> {
        vec!["run it again: it goes on from what is there".into()]
    }
}

/// The runtime could not be started.
#[derive(Debug, Error)]
#[error("start the asynchronous runtime")]
struct NoRuntime(#[source] std::io::Error);

impl Failure for NoRuntime {
    fn reason(&self) -> Reason {
        Reason::Bug
    }
}

/// Runs an action: parses the inputs, runs the function, and writes outputs, summary, report
/// and log. `describe` as the only argument prints the [`Description`] as JSON instead.
pub fn main<I, F>(metadata: &Metadata, action: F) -> ExitCode
where
    I: Args + FromArgMatches + AsRef<Common>,
    F: AsyncFnOnce(I, Context) -> Result<Report, Failed>,
{
    let environment = Environment::of_process();
    let console = Console::of_process(&environment);
    console.install(&environment);
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments.len() == 1 && arguments[0] == "describe" {
        let description = serde_json::to_string_pretty(&Description::of::<I>(metadata));
        console.result(description.unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let context = Context {
        console,
        environment,
    };
    let (inputs, secrets) = match inputs::parse::<I>(metadata, arguments, &context.environment) {
        Ok(Parsed::Inputs(inputs, secrets)) => (inputs, secrets),
        Ok(Parsed::Text(text)) => {
            context.console.result(text);
            return ExitCode::SUCCESS;
        }
        Err(error) => return finish(metadata, &context, &Common::default(), Err(error.into())),
    };
    for secret in &secrets {
        context.console.hide(secret);
    }
    let common = inputs.as_ref().clone();
    let result = run(action, inputs, context.clone());
    finish(metadata, &context, &common, result)
}

fn run<I, F>(action: F, inputs: I, context: Context) -> Result<Report, Failed>
where
    F: AsyncFnOnce(I, Context) -> Result<Report, Failed>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(NoRuntime)?;
    runtime.block_on(async {
        tokio::select! {
            result = action(inputs, context) => result,
            signal = ended_from_outside() => Err(Cancelled { signal }.into()),
        }
    })
}

async fn ended_from_outside() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

fn finish(
    metadata: &Metadata,
    context: &Context,
    common: &Common,
    result: Result<Report, Failed>,
) -> ExitCode {
    let (report, failed) = match result {
        Ok(report) => (report, None),
        Err(failed) => (failure_report(metadata, &failed), Some(failed)),
    };
    if let Some(failed) = &failed {
        context.console.failure(failed);
    }
    let mut status = failed
        .as_ref()
        .map_or(0, |failed| failed.reason().exit_status());
    if let Err(failed) = write(metadata, context, common, &report, failed.as_ref()) {
        context.console.failure(&failed);
        status = status.max(failed.reason().exit_status());
    }
    ExitCode::from(status)
}

fn failure_report(metadata: &Metadata, failed: &Failed) -> Report {
    let outcome = if failed.reason().exit_status() == 3 {
        Outcome::Refused
    } else {
        Outcome::Failed
    };
    let mut markdown = format!("### {}: {}\n\n", metadata.title, outcome);
    for (depth, text) in failed.chain().iter().enumerate() {
        let _ = writeln!(
            markdown,
            "{}- {}",
            "  ".repeat(depth),
            text.replace('\n', " ")
        );
    }
    for hint in failed.hints() {
        let _ = writeln!(markdown, "\n> hint: {hint}");
    }
    let mut report = failed
        .report()
        .cloned()
        .unwrap_or_else(|| Report::new(outcome));
    report.outcome = outcome;
    let mut found = std::mem::take(&mut report.markdown);
    if !found.is_empty() {
        found.insert(0, '\n');
    }
    report
        .field("error", failed.chain())
        .field("hints", failed.hints())
        .field("failure-reason", failed.reason())
        .markdown(markdown)
        .markdown(found)
}

fn write(
    metadata: &Metadata,
    context: &Context,
    common: &Common,
    report: &Report,
    failed: Option<&Failed>,
) -> Result<(), Failed> {
    let Context {
        console,
        environment,
    } = context;
    let mut json = json!({ "action": metadata.name, "outcome": report.outcome });
    if let Value::Object(object) = &mut json {
        object.extend(report.json.clone());
    }
    let json = console.redact(&serde_json::to_string_pretty(&json).unwrap_or_default());
    let default = environment
        .in_actions()
        .then(|| PathBuf::from(".fastapi-eks-actions").join(format!("{}.json", metadata.name)));
    let file = common.report.clone().or(default);
    if let Some(file) = &file {
        write_file(&context.path(file), &json)?;
    }
    if let Some(outputs) = environment.path("GITHUB_OUTPUT") {
        let mut values = report.outputs.clone();
        values.insert("outcome".into(), report.outcome.to_string());
        if let Some(failed) = failed {
            values.insert("failure-reason".into(), failed.reason().to_string());
        }
        if let Some(file) = &file {
            values.insert("report".into(), file.display().to_string());
        }
        for (name, value) in &values {
            debug_assert!(
                COMMON_OUTPUTS
                    .iter()
                    .chain(metadata.outputs)
                    .any(|(declared, _)| declared == name),
                "output `{name}` is not declared"
            );
            append_output(&outputs, name, &console.redact(value))?;
        }
    }
    if let Some(summary) = environment.path("GITHUB_STEP_SUMMARY")
        && !report.markdown.is_empty()
    {
        append_summary(&summary, &console.redact(&report.markdown))?;
    }
    match common.format {
        Format::Json => console.result(json),
        Format::Text if !report.lines.is_empty() => console.result(report.lines.join("\n")),
        Format::Text => {}
    }
    Ok(())
}

/// The JSON report cannot be written.
#[derive(Debug, Error)]
#[error("write the report to `{}`", file.display())]
struct ReportError {
    file: PathBuf,
    source: std::io::Error,
}

impl Failure for ReportError {
    fn reason(&self) -> Reason {
        Reason::InvalidInput
    }

    fn hints(&self) -> Vec<String> {
        vec!["`report` names a file that this user may create".into()]
    }
}

fn write_file(file: &Path, text: &str) -> Result<(), Failed> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)
        .and_then(|()| fs_err::write(file, format!("{text}\n")))
        .map_err(|source| {
            ReportError {
                file: file.into(),
                source,
            }
            .into()
        })
}
