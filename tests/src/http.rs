//! Requests to servers on this machine: no proxy stands between.

use std::time::Duration;

/// Makes a client that waits so long for an answer. Either every answer but a good one is an error,
/// or all are given.
pub fn client(patience: Duration, only_good: bool) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .http_status_as_error(only_good)
        .proxy(None)
        .build()
        .into()
}
