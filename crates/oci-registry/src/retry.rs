//! Trying again what a registry may do the next time.

use std::time::Duration;

use oci_distribution::errors::{OciDistributionError, OciErrorCode};

use crate::RegistryError;

/// How often something is tried.
const ATTEMPTS: u32 = 5;
/// The wait after the first failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Does something with a registry; what may work the next time is tried again.
pub(crate) async fn with_retry<T>(
    doing: impl Fn() -> String,
    registry: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, OciDistributionError>,
) -> Result<T, RegistryError> {
    let mut wait = FIRST_WAIT;
    for number in 1.. {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if number < ATTEMPTS && passes(&error) => {
                tracing::info!(
                    "{}: attempt {number} failed ({error}), trying again",
                    doing()
                );
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            Err(error) => return Err(describe(doing(), registry, error)),
        }
    }
    unreachable!("the last attempt returns")
}

/// Says whether an error may be gone the next time.
fn passes(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ServerError { code, .. } => *code == 429 || *code >= 500,
        OciDistributionError::RegistryError { envelope, .. } => envelope
            .errors
            .iter()
            .any(|error| error.code == OciErrorCode::Toomanyrequests),
        OciDistributionError::RequestError(error) => match error.status() {
            Some(status) => status.as_u16() == 429 || status.is_server_error(),
            None => {
                error.is_connect() || error.is_timeout() || error.is_request() || error.is_body()
            }
        },
        OciDistributionError::IoError(_) => true,
        _ => false,
    }
}

fn describe(doing: String, registry: &str, error: OciDistributionError) -> RegistryError {
    let registry = registry.to_owned();
    let code = match &error {
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        _ => None,
    };
    let denied = match &error {
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_) => true,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| {
                matches!(
                    error.code,
                    OciErrorCode::Unauthorized | OciErrorCode::Denied
                )
            })
        }
        _ => matches!(code, Some(401 | 403)),
    };
    if denied {
        return RegistryError::Unauthorised { doing, registry };
    }
    if matches!(error, OciDistributionError::DigestError(_)) {
        return RegistryError::Corrupt { doing };
    }
    let source = error.into();
    RegistryError::Remote {
        doing,
        registry,
        source,
    }
}

/// Says whether an error means that there is no such image.
pub(crate) fn is_absent(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code == 404,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| {
                matches!(
                    error.code,
                    OciErrorCode::ManifestUnknown
                        | OciErrorCode::NameUnknown
                        | OciErrorCode::NotFound
                )
            })
        }
        OciDistributionError::RequestError(error) => {
            error.status().is_some_and(|status| status.as_u16() == 404)
        }
        _ => false,
    }
}
