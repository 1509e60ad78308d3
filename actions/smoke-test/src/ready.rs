//! Waits until the release says that it is ready.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use hurl_core::parser::parse_hurl_file;

use crate::Inputs;
use crate::check::{self, Session};
use crate::error::SmokeError;
use crate::files::Source;

/// One question may take this long, and there is this much time between two.
const TRY: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);

/// Asks the path of `wait-ready` until it answers 2xx.
pub(crate) async fn wait(inputs: &Inputs, session: &Session) -> Result<(), SmokeError> {
    let Some(path) = &inputs.wait_ready.0 else {
        return Ok(());
    };
    let url = inputs.base_url.join(path);
    let mut last = String::from("there was no time to ask");
    let mut not_found = false;
    while !session.left().is_zero() {
        let once = session.once(Instant::now() + TRY);
        let Some(result) = check::run(question(&url)?, &once).await? else {
            continue;
        };
        if result.failed() == 0 {
            tracing::info!("{url} is ready");
            return Ok(());
        }
        let (status, now) = result.last_answer();
        not_found = status == Some(404);
        if now != last {
            tracing::info!("waiting for {url}: {now}");
            last = now;
        }
        tokio::time::sleep(PAUSE.min(session.left())).await;
    }
    Err(SmokeError::NotReady {
        url,
        last,
        seconds: inputs.timeout_seconds,
        not_found,
    })
}

/// Writes the question as a file, so that it goes the way that the checks go.
fn question(url: &str) -> Result<Source, SmokeError> {
    let text = format!("GET {url}\nHTTP *\n[Asserts]\nstatus >= 200\nstatus < 300\n");
    let name = String::from("wait-ready");
    match parse_hurl_file(&text) {
        Ok(parsed) => Ok(Source {
            name,
            folder: PathBuf::new(),
            text,
            parsed,
            base_url: String::new(),
        }),
        Err(_) => Err(SmokeError::Engine { file: name }),
    }
}
