//! The requests that are sent while a release is rolled out.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;
use thiserror::Error;

/// What the action takes about requests during a rollout.
#[derive(clap::Args, Clone, Debug)]
pub struct TrafficInputs {
    /// Address that `apply` sends requests to from before the first change until everything is
    /// ready: one that fails (no whole answer within 5 s, or another status than 2xx and 3xx) ends
    /// the rollout as `checks-failed`, and the release goes back
    #[arg(long, value_name = "URL")]
    pub traffic_url: Option<TrafficUrl>,

    /// `HOST:PORT` that these requests go to, whatever their address: for an ingress whose name is
    /// not in the DNS yet; the `Host` header and the TLS name stay
    #[arg(long, value_name = "HOST:PORT", requires = "traffic_url")]
    pub traffic_connect_to: Option<String>,

    /// How many requests are sent in a second
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub traffic_rate: u32,

    /// How many of them may fail
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub traffic_failures: u64,
}

/// An `http` or `https` address without a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficUrl(Url);

/// A text is no address that requests can be sent to.
#[derive(Debug, Error)]
#[error("write `http://` or `https://`, a host, and a path that answers without a login")]
pub struct TrafficUrlError;

impl TrafficUrl {
    /// Gives the address.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for TrafficUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TrafficUrl {
    type Err = TrafficUrlError;

    fn from_str(text: &str) -> Result<Self, TrafficUrlError> {
        let url: Url = text.parse().map_err(|_| TrafficUrlError)?;
        let open = url.username().is_empty() && url.password().is_none();
        if open && matches!(url.scheme(), "http" | "https") {
            Ok(Self(url))
        } else {
            Err(TrafficUrlError)
        }
    }
}
