//! The log: workflow commands for a runner, plain lines for a terminal, secrets for nobody.

use std::fmt;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::{Failed, Position};
use crate::{Environment, Secret};

/// Variables that hold credentials whoever set them.
const WELL_KNOWN_SECRETS: [&str; 6] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
];

/// Shorter values would blacken ordinary words.
const SHORTEST_SECRET: usize = 4;
/// Lines of a multi-line secret that are shorter (`kind: Config`) tell nothing.
const SHORTEST_SECRET_LINE: usize = 20;

tokio::task_local! {
    /// How every line of this work begins.
    static BEGINNING: String;
}

/// Does work whose log lines begin with a name, since those of other work stand between them.
pub async fn named<F: Future>(name: &str, work: F) -> F::Output {
    BEGINNING.scope(format!("[{name}] "), work).await
}

fn beginning() -> String {
    BEGINNING.try_with(Clone::clone).unwrap_or_default()
}

/// Where an action writes its log and its result.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

struct Inner {
    in_actions: bool,
    colour: bool,
    started: Instant,
    secrets: RwLock<Vec<String>>,
    log: Mutex<Box<dyn Write + Send>>,
    result: Mutex<Box<dyn Write + Send>>,
}

impl Console {
    /// Opens the console of this process: everything to standard output under a runner (which
    /// does not keep the order of two streams), else the log to standard error.
    #[must_use]
    pub fn of_process(environment: &Environment) -> Self {
        let in_actions = environment.in_actions();
        let colour =
            !in_actions && environment.get("NO_COLOR").is_none() && std::io::stderr().is_terminal();
        let log: Box<dyn Write + Send> = if in_actions {
            Box::new(std::io::stdout())
        } else {
            Box::new(std::io::stderr())
        };
        Self::new(environment, colour, log, Box::new(std::io::stdout()))
    }

    /// Opens a console on two sinks.
    #[must_use]
    pub fn new(
        environment: &Environment,
        colour: bool,
        log: Box<dyn Write + Send>,
        result: Box<dyn Write + Send>,
    ) -> Self {
        let console = Self(Arc::new(Inner {
            in_actions: environment.in_actions(),
            colour,
            started: Instant::now(),
            secrets: RwLock::default(),
            log: Mutex::new(log),
            result: Mutex::new(result),
        }));
        for name in WELL_KNOWN_SECRETS {
            if let Some(value) = environment.get(name) {
                console.hide(&Secret::new(value));
            }
        }
        console
    }

    /// Sends the `tracing` events of this process to the console, `info` and above, or `debug`
    /// where the runner's debug logging is on. `RUST_LOG` overrides.
    pub fn install(&self, environment: &Environment) {
        let default = if environment.get("RUNNER_DEBUG") == Some("1") {
            "debug"
        } else {
            "info"
        };
        let directives = environment
            .get("RUST_LOG")
            .map_or_else(|| format!("warn,{default}"), String::from);
        // A request that is refused is an answer: who asked tells it.
        let quiet = "hyper=warn,hyper_util=warn,rustls=warn,tower=warn,h2=warn,aws_config=warn,\
                     aws_smithy_runtime=warn,aws_smithy_runtime_api=warn,aws_runtime=warn,aws_sdk_sts=warn,\
                     kube_client=off,kube_runtime=warn,oci_client=warn,reqwest=warn";
        let filter = EnvFilter::new(format!("{directives},{quiet}"));
        // A second installation (two runs in one test process) keeps the first.
        let _ = tracing_subscriber::registry()
            .with(filter)
            .with(EventLines(self.clone()))
            .try_init();
    }

    /// Keeps a value out of everything that is written from now on, and tells the runner.
    pub fn hide(&self, secret: &Secret) {
        let whole = secret.expose().trim();
        let mut values: Vec<String> = whole
            .lines()
            .map(str::trim)
            .filter(|line| {
                line.len() >= SHORTEST_SECRET_LINE
                    || (*line == whole && line.len() >= SHORTEST_SECRET)
            })
            .map(String::from)
            .collect();
        if values.is_empty() {
            return;
        }
        if self.0.in_actions {
            for value in &values {
                let mut log = self.0.log.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = writeln!(log, "::add-mask::{}", escape_data(value));
            }
        }
        let mut secrets = self
            .0
            .secrets
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        secrets.append(&mut values);
        // The longest first, so that a secret that contains another leaves nothing behind.
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
    }

    /// Takes hidden values out of a text.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let secrets = self
            .0
            .secrets
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        secrets.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.as_str()) {
                text.replace(secret.as_str(), "***")
            } else {
                text
            }
        })
    }

    /// Writes a line to the log.
    pub fn line(&self, text: impl AsRef<str>) {
        let (beginning, text) = (beginning(), text.as_ref());
        if beginning.is_empty() {
            return self.write(text);
        }
        let lines: Vec<String> = text
            .split('\n')
            .map(|line| format!("{beginning}{line}"))
            .collect();
        self.write(&lines.join("\n"));
    }

    fn write(&self, text: &str) {
        let text = self.redact(text);
        let mut log = self.0.log.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed pipe must not end a deployment half-way.
        let _ = writeln!(log, "{text}");
        let _ = log.flush();
    }

    /// Writes a line that tells progress, with the time since the start on a terminal.
    pub fn progress(&self, text: impl AsRef<str>) {
        if self.0.in_actions {
            self.line(text);
        } else {
            let seconds = self.0.started.elapsed().as_secs_f32();
            self.write(&format!("{seconds:6.1}s {}{}", beginning(), text.as_ref()));
        }
    }

    /// Writes to standard output: what a caller may parse.
    pub fn result(&self, text: impl AsRef<str>) {
        let text = self.redact(text.as_ref());
        let mut result = self.0.result.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(result, "{}", text.trim_end());
        let _ = result.flush();
    }

    /// Opens a group of lines that a runner can fold; it closes when the value is dropped. Lines
    /// of [named] work are not folded: those of other work stand between them.
    #[must_use]
    pub fn group(&self, title: &str) -> Group {
        let folds = self.0.in_actions && beginning().is_empty();
        self.line(if folds {
            format!("::group::{title}")
        } else {
            format!("── {title}")
        });
        Group(folds.then(|| self.clone()))
    }

    /// Writes a failure: the message, its causes and the hints.
    pub fn failure(&self, failed: &Failed) {
        let chain = failed.chain();
        if self.0.in_actions {
            let properties = properties(failed.failure().position().as_ref());
            self.line(format!(
                "::error{properties}::{}",
                escape_data(&self.redact(&chain.join(": ")))
            ));
        } else if self.0.colour {
            self.line(format!("\u{1b}[1;31merror\u{1b}[0m: {}", chain[0]));
        } else {
            self.line(format!("error: {}", chain[0]));
        }
        if !self.0.in_actions {
            if let Some(Position { file, line }) = failed.failure().position() {
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                self.line(format!("  at {}{line}", file.display()));
            }
            for cause in &chain[1..] {
                self.line(format!("  caused by: {cause}"));
            }
        }
        let hints = failed.hints();
        if !hints.is_empty() {
            self.line("");
        }
        for hint in hints {
            self.line(format!("hint: {hint}"));
        }
    }

    fn event(&self, level: Level, fields: &Fields) {
        let mut text = fields.message.clone();
        for (name, value) in &fields.others {
            let _ = write!(text, " {name}={value}");
        }
        let text = self.redact(&text);
        let whole = format!("{}{text}", beginning());
        let line = match (level, self.0.in_actions) {
            (Level::ERROR, true) => format!("::error::{}", escape_data(&whole)),
            (Level::WARN, true) => format!("::warning::{}", escape_data(&whole)),
            (Level::DEBUG | Level::TRACE, true) => format!("::debug::{}", escape_data(&whole)),
            (Level::ERROR, false) => format!("error: {whole}"),
            (Level::WARN, false) => format!("warning: {whole}"),
            (Level::DEBUG | Level::TRACE, false) => format!("debug: {whole}"),
            _ => return self.progress(text),
        };
        self.write(&line);
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("in_actions", &self.0.in_actions)
            .finish_non_exhaustive()
    }
}

/// A group of log lines that closes when it is dropped; without a console it is not folded.
#[derive(Debug)]
pub struct Group(Option<Console>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(console) = &self.0 {
            console.write("::endgroup::");
        }
    }
}

/// Escapes the data of a workflow command (GitHub's toolkit, `escapeData`).
pub(crate) fn escape_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of a workflow command (GitHub's toolkit, `escapeProperty`).
pub(crate) fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

fn properties(position: Option<&Position>) -> String {
    let Some(Position { file, line }) = position else {
        return String::new();
    };
    let line = line.map(|line| format!(",line={line}")).unwrap_or_default();
    format!(
        " file={}{line}",
        escape_property(&file.display().to_string())
    )
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.into();
        } else {
            self.others.push((field.name(), value.into()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

struct EventLines(Console);

impl<S: Subscriber> Layer<S> for EventLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.event(*event.metadata().level(), &fields);
    }
}
