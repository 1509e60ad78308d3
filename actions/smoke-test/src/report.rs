//! What came of the requests: lines, JSON and Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use action_kit::{Outcome, Report};
use hurl::runner::{EntryResult, HurlResult, RunnerError, RunnerErrorKind};
use hurl_core::ast::SourceInfo;
use hurl_core::error::{DisplaySourceError, OutputFormat};
use serde::Serialize;

use crate::error::CheckFailed;
use crate::files::{Source, shown};

/// The results of all files.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) files: Vec<FileResult>,
}

/// The result of a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct FileResult {
    file: String,
    /// How many requests the file has; those after one that does not hold are not sent.
    written: usize,
    duration_ms: u64,
    requests: Vec<RequestResult>,
}

/// The result of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct RequestResult {
    line: u64,
    method: String,
    /// Without a query, which may hold what a log should not.
    url: String,
    status: Option<u32>,
    duration_ms: u64,
    /// How many HTTP requests were sent for it, redirects and retries among them.
    sent: usize,
    tries: usize,
    failures: Vec<CheckResult>,
}

/// A check that does not hold.
#[derive(Clone, Debug, Serialize)]
struct CheckResult {
    line: u64,
    what: String,
    shown: String,
    #[serde(skip)]
    hint: Option<String>,
    /// Why there was no answer at all.
    #[serde(skip)]
    no_answer: Option<String>,
}

impl Results {
    /// Counts the requests that hold.
    pub(crate) fn passed(&self) -> usize {
        self.files.iter().map(FileResult::passed).sum()
    }

    /// Counts the requests that do not hold.
    pub(crate) fn failed(&self) -> usize {
        self.files.iter().map(FileResult::failed).sum()
    }

    /// Writes the report.
    pub(crate) fn report(&self, duration: Duration) -> Report {
        let sent: usize = self
            .files
            .iter()
            .flat_map(|file| &file.requests)
            .map(|request| request.sent)
            .sum();
        let (passed, failed) = (self.passed(), self.failed());
        let report = Report::new(Outcome::Done)
            .output("passed", passed.to_string())
            .output("failed", failed.to_string())
            .output("requests", sent.to_string())
            .output("duration-ms", milliseconds(duration).to_string())
            .field("files", &self.files);
        if self.files.is_empty() {
            return report;
        }
        report.markdown(self.markdown()).line(format!(
            "{passed} of {} hold in {}",
            count(passed + failed, "request"),
            count(self.files.len(), "file")
        ))
    }

    fn markdown(&self) -> String {
        let (passed, failed) = (self.passed(), self.failed());
        let mut text = format!(
            "### Smoke test: {passed} of {} hold\n\n",
            count(passed + failed, "request")
        );
        text.push_str("| | file | request | status | ms |\n|---|---|---|---|---|\n");
        for file in &self.files {
            for request in &file.requests {
                let _ = writeln!(
                    text,
                    "| {} | {}:{} | {} | {} | {} |",
                    if request.failures.is_empty() {
                        "✓"
                    } else {
                        "✗"
                    },
                    file.file,
                    request.line,
                    request.name().replace('|', "\\|"),
                    request
                        .status
                        .map_or("–".into(), |status| status.to_string()),
                    request.duration_ms
                );
            }
            let left = file.written.saturating_sub(file.requests.len());
            if left > 0 {
                let _ = writeln!(text, "| – | {} | {left} not sent | | |", file.file);
            }
        }
        for failure in self
            .files
            .iter()
            .flat_map(|file| &file.requests)
            .flat_map(|request| &request.failures)
        {
            let _ = write!(
                text,
                "\n```text\n{}\n```\n",
                failure.shown.replace("```", "'''")
            );
        }
        text
    }
}

impl FileResult {
    /// Takes what matters from the engine's result; a request's last try counts.
    pub(crate) fn new(source: &Source, result: &HurlResult) -> Self {
        let requests = result
            .entries
            .chunk_by(|a, b| a.entry_index == b.entry_index)
            .filter_map(|tries| RequestResult::new(source, tries))
            .collect();
        Self {
            file: source.name.clone(),
            written: source.parsed.entries.len(),
            duration_ms: milliseconds(result.duration),
            requests,
        }
    }

    fn passed(&self) -> usize {
        self.requests.len() - self.failed()
    }

    /// Counts the requests that do not hold.
    pub(crate) fn failed(&self) -> usize {
        self.requests
            .iter()
            .filter(|request| !request.failures.is_empty())
            .count()
    }

    /// Writes the result in one line.
    pub(crate) fn line(&self) -> String {
        let (passed, failed) = (self.passed(), self.failed());
        let what = if failed == 0 {
            count(passed, "request") + if passed == 1 { " holds" } else { " hold" }
        } else {
            format!("{passed} of {} hold", count(self.written, "request"))
        };
        format!("{}: {what}, {} ms", self.file, self.duration_ms)
    }

    /// Gives what does not hold, as errors with positions.
    pub(crate) fn failures(&self) -> impl Iterator<Item = CheckFailed> {
        self.requests.iter().flat_map(move |request| {
            request.failures.iter().map(move |failure| CheckFailed {
                request: request.name(),
                answer: request.answer(),
                shown: failure.shown.clone(),
                name: self.file.clone(),
                line: failure.line,
                hint: failure.hint.clone(),
            })
        })
    }

    /// Gives the last request's status, and its answer in words.
    pub(crate) fn last_answer(&self) -> (Option<u32>, String) {
        let Some(request) = self.requests.last() else {
            return (None, "no request was sent".into());
        };
        let no_answer = request
            .failures
            .iter()
            .find_map(|failure| failure.no_answer.clone());
        let words = match request.status {
            Some(status) => format!("it answers {status}"),
            None => no_answer.unwrap_or_else(|| "it does not answer".into()),
        };
        (request.status, words)
    }
}

impl RequestResult {
    fn new(source: &Source, tries: &[EntryResult]) -> Option<Self> {
        let last = tries.last()?;
        let entry = source
            .parsed
            .entries
            .get(last.entry_index.to_zero_based())?;
        let call = last.calls.last();
        let (method, url) = match call {
            Some(call) => (
                call.request.method.clone(),
                without_query(&call.request.url.raw()).to_owned(),
            ),
            None => (
                entry.request.method.to_string(),
                without_query(&entry.request.url.to_string())
                    .replace("{{base_url}}", &source.base_url),
            ),
        };
        Some(Self {
            line: entry.request.url.source_info.start.line as u64,
            method,
            url,
            status: call.map(|call| call.response.status),
            duration_ms: milliseconds(last.transfer_duration),
            sent: tries.iter().map(|one| one.calls.len().max(1)).sum(),
            tries: tries.len(),
            failures: last
                .errors
                .iter()
                .map(|error| CheckResult::new(source, error, last.source_info))
                .collect(),
        })
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.url)
    }

    fn answer(&self) -> String {
        let tries = match self.tries {
            1 => String::new(),
            tries => format!(", {tries} tries"),
        };
        match self.status {
            Some(status) => format!("answered {status} in {} ms{tries}", self.duration_ms),
            None => format!("has no answer{tries}"),
        }
    }
}

impl CheckResult {
    fn new(source: &Source, error: &RunnerError, entry: SourceInfo) -> Self {
        let (hint, no_answer) = match &error.kind {
            RunnerErrorKind::TemplateVariableNotDefined { name } => (
                Some(format!("give `{name}` in `variables` or `secrets`, or capture it in an earlier request of the file")),
                None,
            ),
            RunnerErrorKind::Http(error) => (
                Some("nothing usable came back: look at `base-url`, `connect-to`, `cacert`, the ingress and the release's pods".into()),
                Some(plain(&error.message())),
            ),
            _ => (None, None),
        };
        let rendered = error.render(
            &source.name,
            &source.text,
            Some(entry),
            OutputFormat::Terminal(false),
        );
        Self {
            line: error.source_info.start.line as u64,
            what: error.description(),
            shown: shown(&rendered),
            hint,
            no_answer,
        }
    }
}

/// Gives libcurl's message without its number and times, which change from try to try.
fn plain(message: &str) -> String {
    let (message, _) = message.split_once(" after ").unwrap_or((message, ""));
    match message.split_once(") ") {
        Some((number, words)) if number.starts_with('(') => words.into(),
        _ => message.into(),
    }
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
