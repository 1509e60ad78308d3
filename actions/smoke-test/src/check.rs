//! One file's requests, by Hurl's engine, on a thread that the deadline can leave behind.

use std::time::{Duration, Instant};

use action_kit::{Console, Context};
use hurl::runner::{
    self, EventListener, HurlResult, RunnerOptions, RunnerOptionsBuilder, VariableSet,
};
use hurl::util::logger::{Logger, LoggerOptionsBuilder};
use hurl::util::path::ContextDir;
use hurl::util::term::{Stderr, Stdout, WriteMode};
use hurl_core::input::Input;
use hurl_core::types::{Count, Index};
use tokio::sync::oneshot;

use crate::Inputs;
use crate::error::SmokeError;
use crate::files::Source;
use crate::inputs::ConnectTo;
use crate::report::FileResult;
use crate::variables;

/// A request that does not say otherwise must be through by then.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Where a container image or a distribution keeps the public certificate authorities.
const PUBLIC_AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// What all files of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) deadline: Instant,
    pub(crate) console: Console,
    variables: VariableSet,
    authorities: Option<String>,
    connect_to: Vec<String>,
    retry: usize,
    retry_interval: Duration,
}

impl Session {
    /// Prepares a run: masks the secrets and finds the certificate authorities.
    pub(crate) fn new(
        inputs: &Inputs,
        context: &Context,
        deadline: Instant,
    ) -> Result<Self, SmokeError> {
        Ok(Self {
            deadline,
            console: context.console.clone(),
            variables: variables::set(
                &inputs.base_url.to_string(),
                &inputs.variables,
                inputs.secrets.as_ref(),
                &context.console,
            )?,
            authorities: authorities(inputs, context)?,
            connect_to: inputs.connect_to.iter().map(ConnectTo::rule).collect(),
            retry: inputs.retry.into(),
            retry_interval: Duration::from_millis(inputs.retry_interval_ms.into()),
        })
    }

    /// Gives the time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Gives the same session for a single try that must be through by a deadline.
    pub(crate) fn once(&self, deadline: Instant) -> Self {
        Self {
            deadline: deadline.min(self.deadline),
            retry: 0,
            ..self.clone()
        }
    }

    fn options(&self, source: &Source) -> RunnerOptions {
        let left = self.left().max(Duration::from_millis(1));
        RunnerOptionsBuilder::new()
            .cacert_file(self.authorities.clone())
            .connects_to(&self.connect_to)
            .connect_timeout(left.min(CONNECT_TIMEOUT))
            .timeout(left.min(REQUEST_TIMEOUT))
            .context_dir(&ContextDir::new(&source.folder, &source.folder))
            .retry((self.retry > 0).then_some(Count::Finite(self.retry)))
            .retry_interval(self.retry_interval)
            .user_agent(Some(
                concat!("fastapi-eks-actions/", env!("CARGO_PKG_VERSION")).into(),
            ))
            .build()
    }
}

fn authorities(inputs: &Inputs, context: &Context) -> Result<Option<String>, SmokeError> {
    if let Some(file) = &inputs.cacert {
        let path = context.path(file);
        // libcurl's own message for a file that is not there names no file.
        fs_err::read(&path).map_err(|source| SmokeError::NoCertificates { source })?;
        return Ok(Some(path.to_string_lossy().into_owned()));
    }
    let own = context.environment.get("SSL_CERT_FILE");
    Ok(own
        .into_iter()
        .chain(PUBLIC_AUTHORITIES)
        .find(|path| std::path::Path::new(path).is_file())
        .map(String::from))
}

/// Runs a file; gives nothing when the deadline comes first.
pub(crate) async fn run(
    source: Source,
    session: &Session,
) -> Result<Option<FileResult>, SmokeError> {
    let (sender, receiver) = oneshot::channel();
    let file = source.name.clone();
    let thread_session = session.clone();
    let started = std::thread::Builder::new()
        .name("hurl".into())
        .spawn(move || {
            // Nobody listens any more when the deadline has passed.
            let _ = sender.send(execute(&source, &thread_session));
        });
    if started.is_err() {
        return Err(SmokeError::Engine { file });
    }
    match tokio::time::timeout(session.left(), receiver).await {
        Ok(Ok(result)) => Ok(Some(result)),
        Ok(Err(_)) => Err(SmokeError::Engine { file }),
        Err(_) => Ok(None),
    }
}

fn execute(source: &Source, session: &Session) -> FileResult {
    // What Hurl itself would print is kept off the log: it may hold bodies.
    let mut stdout = Stdout::new(WriteMode::Buffered);
    let stderr = Stderr::new(WriteMode::Buffered);
    let secrets = session.variables.secrets();
    let mut logger = Logger::new(&LoggerOptionsBuilder::new().build(), stderr, &secrets);
    let listener = Retries {
        name: &source.name,
        console: &session.console,
    };
    let result: HurlResult = runner::run_entries(
        &source.parsed.entries,
        &source.text,
        Some(&Input::new(&source.name)),
        &session.options(source),
        &session.variables,
        &mut stdout,
        Some(&listener),
        &mut logger,
    );
    // Captures that a file marks with `redact` are known only now.
    for secret in result.variables.secrets() {
        variables::hide(&secret, &session.console);
    }
    FileResult::new(source, &result)
}

/// Tells that a request is sent again.
struct Retries<'a> {
    name: &'a str,
    console: &'a Console,
}

impl EventListener for Retries<'_> {
    fn on_entry_running(&self, current: Index, last: Index, retries: usize) {
        if retries > 0 {
            self.console.progress(format!(
                "{}: request {current} of {last}, try {}",
                self.name,
                retries + 1
            ));
        }
    }
}
