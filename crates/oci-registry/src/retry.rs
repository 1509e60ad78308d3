//! Trying again what a registry may do the next time.

use std::error::Error;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use oci_distribution::errors::{DigestError, OciDistributionError, OciErrorCode};

use crate::RegistryError;
use crate::traffic::Meter;

/// How often something is tried.
const ATTEMPTS: u32 = 5;
/// How often credentials are tried: the client takes a token service that fails for a refusal.
const LOGIN_ATTEMPTS: u32 = 2;
/// The wait after the first failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The same, when there are too many requests.
const FIRST_THROTTLED_WAIT: Duration = Duration::from_millis(500);
/// The bounds of how long others are waited for.
const SHORTEST_SETTLE: Duration = Duration::from_millis(20);
const LONGEST_SETTLE: Duration = Duration::from_secs(5);

/// Does something with a registry; what may work the next time is tried again.
///
/// The client does not show the header `Retry-After`, so that a registry that throttles is given
/// waits of our own, longer than for other failures (8 seconds together). Waits differ between
/// requests and processes, lest all that were refused at once come back at once.
pub(crate) async fn with_retry<T>(
    doing: impl Fn() -> String,
    registry: &str,
    meter: &Meter,
    mut attempt: impl AsyncFnMut() -> Result<T, OciDistributionError>,
) -> Result<T, RegistryError> {
    for number in 1.. {
        meter.request();
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if number < attempts(&error) => {
                tracing::info!(
                    "{}: attempt {number} failed ({error}), trying again",
                    doing()
                );
                let first = if is_throttled(&error) {
                    FIRST_THROTTLED_WAIT
                } else {
                    FIRST_WAIT
                };
                let wait = first * 2_u32.pow(number - 1);
                tokio::time::sleep(wait + jitter(wait / 4, number, &doing())).await;
            }
            Err(error) => return Err(describe(doing(), registry, error)),
        }
    }
    unreachable!("the last attempt returns")
}

/// Gives a part of a time that differs from one process, attempt and seed to the next. Processes in
/// containers often have the same number, which is why the seed should name what is being done.
pub(crate) fn jitter(most: Duration, attempt: u32, seed: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    (std::process::id(), attempt, seed).hash(&mut hasher);
    let part = u32::try_from(hasher.finish() % 1024).unwrap_or_default();
    most * part / 1024
}

/// Waits, after something that took some time, until others that began before it ended should
/// have ended as well; longer and less evenly with each round, so that those who got into each
/// other's way part.
pub(crate) async fn settle(took: Duration, round: u32, seed: &str) {
    let settled = (took * 4).clamp(SHORTEST_SETTLE, LONGEST_SETTLE);
    let spread = settled * 2_u32.pow(round.min(6) - 1) / 2;
    let extra = jitter(spread.min(LONGEST_SETTLE), round, seed);
    tokio::time::sleep(settled + extra).await;
}

/// Says how often something is tried that fails with this error.
fn attempts(error: &OciDistributionError) -> u32 {
    if is_denied(error) {
        LOGIN_ATTEMPTS
    } else if passes(error) {
        ATTEMPTS
    } else {
        1
    }
}

/// Says whether an error may be gone the next time.
fn passes(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::RequestError(error) if error.status().is_none() => {
            error.is_connect()
                || error.is_timeout()
                || error.is_request()
                || error.is_body()
                // The end of a body that came too early is told so.
                || error.is_decode()
        }
        OciDistributionError::IoError(_) | OciDistributionError::DigestError(_) => true,
        other => {
            is_throttled(other)
                || lags_behind(other)
                || status(other).is_some_and(|code| code >= 500)
        }
    }
}

/// Says whether a registry does not see a blob yet that another upload has just brought: it told
/// that the blob is there, and refuses the manifest that names it.
fn lags_behind(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ServerError { message, .. } => {
            message.contains("MANIFEST_BLOB_UNKNOWN")
        }
        other => has_code(other, &[OciErrorCode::ManifestBlobUnknown]),
    }
}

fn is_throttled(error: &OciDistributionError) -> bool {
    status(error) == Some(429) || has_code(error, &[OciErrorCode::Toomanyrequests])
}

fn is_denied(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_) => true,
        other => {
            matches!(status(other), Some(401 | 403))
                || has_code(other, &[OciErrorCode::Unauthorized, OciErrorCode::Denied])
        }
    }
}

fn status(error: &OciDistributionError) -> Option<u16> {
    match error {
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        _ => None,
    }
}

fn has_code(error: &OciDistributionError, codes: &[OciErrorCode]) -> bool {
    match error {
        OciDistributionError::RegistryError { envelope, .. } => {
            let mut errors = envelope.errors.iter();
            errors.any(|error| codes.contains(&error.code))
        }
        _ => false,
    }
}

fn describe(doing: String, registry: &str, error: OciDistributionError) -> RegistryError {
    let registry = registry.to_owned();
    if is_denied(&error) {
        return RegistryError::Unauthorised { doing, registry };
    }
    if is_corrupt(&error) {
        return RegistryError::Corrupt { doing };
    }
    let source = error.into();
    RegistryError::Remote {
        doing,
        registry,
        source,
    }
}

/// Says whether other bytes came than were asked for; the client hides this in what reading a
/// stream fails with.
fn is_corrupt(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::DigestError(_) => true,
        OciDistributionError::IoError(error) => {
            let inner = error.get_ref();
            inner.is_some_and(<dyn Error + Send + Sync>::is::<DigestError>)
        }
        _ => false,
    }
}

/// Says whether an error means that there is no such image.
pub(crate) fn is_absent(error: &OciDistributionError) -> bool {
    matches!(error, OciDistributionError::ImageManifestNotFoundError(_))
        || status(error) == Some(404)
        || has_code(
            error,
            &[
                OciErrorCode::ManifestUnknown,
                OciErrorCode::NameUnknown,
                OciErrorCode::NotFound,
            ],
        )
}
