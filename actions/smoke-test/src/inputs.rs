//! The inputs, checked at the door.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use action_kit::{Common, Secret};
use http::Uri;
use thiserror::Error;

use crate::variables::Variable;

/// What a step or a command line asks for.
#[derive(clap::Args, Debug)]
pub struct Inputs {
    /// Address of the release; the files read it as `{{base_url}}`
    #[arg(long, value_name = "URL")]
    pub base_url: BaseUrl,

    /// Hurl files to run, in this order: glob patterns relative to the workspace
    #[arg(long, value_name = "PATTERN", default_value = "deploy/smoke/*.hurl", action = clap::ArgAction::Append)]
    pub files: Vec<String>,

    /// `HOST:PORT` that every connection goes to, whatever the address of the request: for an
    /// ingress whose name is not in the DNS yet; the `Host` header and the TLS name stay
    #[arg(long, value_name = "HOST:PORT")]
    pub connect_to: Option<ConnectTo>,

    /// Variables for the files, `NAME=VALUE`; numbers, `true`, `false` and `null` have their own
    /// type unless they stand in double quotes
    #[arg(long, value_name = "NAME=VALUE", action = clap::ArgAction::Append)]
    pub variables: Vec<Variable>,

    /// Secret variables for the files, `NAME=VALUE`, one a line; their values are masked
    #[arg(long, value_name = "NAME=VALUE")]
    pub secrets: Option<Secret>,

    /// Path below `base-url` that is asked until it answers 2xx, before the checks; `none` starts
    /// them at once
    #[arg(long, value_name = "PATH", default_value = "/readyz")]
    pub wait_ready: ReadyPath,

    /// How often a request that does not hold is sent again; a retry can hide a replica that is
    /// broken, so it is 0 unless you ask for it
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub retry: u16,

    /// Time between two tries
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub retry_interval_ms: u32,

    /// Time for everything: waiting and checks
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout_seconds: u32,

    /// PEM file with the certificate authorities to trust instead of the public ones, relative to
    /// the workspace
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,

    /// Inputs of every action.
    #[command(flatten)]
    pub common: Common,
}

impl AsRef<Common> for Inputs {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

impl Inputs {
    /// Gives the time for everything.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into())
    }
}

/// An `http` or `https` address without a slash, query or user at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// A text is no base address.
#[derive(Debug, Error)]
#[error("write `http://` or `https://`, a host, and optionally a port and a path")]
pub struct BaseUrlError;

impl BaseUrl {
    /// Gives the address of a path below it.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let text = text.trim().trim_end_matches('/');
        let uri: Uri = text.parse().map_err(|_| BaseUrlError)?;
        let plain = uri.query().is_none() && !text.contains(['@', '#']);
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if plain && !host.is_empty() => {
                Ok(Self(text.into()))
            }
            _ => Err(BaseUrlError),
        }
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo(String);

/// A text is no host and port.
#[derive(Debug, Error)]
#[error("write a host or an address, a colon and a port")]
pub struct ConnectToError;

impl ConnectTo {
    /// Gives the rule in curl's words: any host and port, to this one.
    #[must_use]
    pub fn rule(&self) -> String {
        format!("::{}", self.0)
    }
}

impl FromStr for ConnectTo {
    type Err = ConnectToError;

    fn from_str(text: &str) -> Result<Self, ConnectToError> {
        let (host, port) = text.rsplit_once(':').ok_or(ConnectToError)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let named = !host.is_empty() && !host.contains([':', '/', ' ', '@']);
        match port.parse::<u16>() {
            Ok(1..) if bracketed || named => Ok(Self(text.into())),
            _ => Err(ConnectToError),
        }
    }
}

/// The path that tells whether the release is ready, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyPath(pub Option<String>);

/// A text is neither a path nor `none`.
#[derive(Debug, Error)]
#[error("write a path that starts with `/`, or `none`")]
pub struct ReadyPathError;

impl FromStr for ReadyPath {
    type Err = ReadyPathError;

    fn from_str(text: &str) -> Result<Self, ReadyPathError> {
        match text {
            "none" => Ok(Self(None)),
            path if path.starts_with('/') && !path.contains(char::is_whitespace) => {
                Ok(Self(Some(path.into())))
            }
            _ => Err(ReadyPathError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BaseUrl, ConnectTo, ReadyPath};

    #[test]
    fn a_base_address_has_a_scheme_and_a_host_and_no_slash_at_its_end() {
        for good in ["http://a", "https://a.example:8443/v1", "http://[::1]:8000"] {
            assert_eq!(good.parse::<BaseUrl>().unwrap().to_string(), good);
        }
        assert_eq!(
            "http://a/".parse::<BaseUrl>().unwrap().join("/x"),
            "http://a/x"
        );
        for bad in [
            "",
            "a",
            "ftp://a",
            "http://",
            "http://u:p@a",
            "http://a?b",
            "http://a b",
        ] {
            assert!(bad.parse::<BaseUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_connection_goes_to_a_host_and_a_port() {
        let rule = |text: &str| text.parse::<ConnectTo>().map(|to| to.rule());
        assert_eq!(rule("10.0.0.1:30080").unwrap(), "::10.0.0.1:30080");
        assert_eq!(rule("[fd00::1]:80").unwrap(), "::[fd00::1]:80");
        for bad in [
            "",
            "a",
            "a:",
            ":80",
            "a:0",
            "a:70000",
            "http://a:80",
            "fd00::1:80",
        ] {
            assert!(bad.parse::<ConnectTo>().is_err(), "{bad}");
        }
    }

    #[test]
    fn readiness_can_be_left_out() {
        assert_eq!("none".parse::<ReadyPath>().unwrap(), ReadyPath(None));
        assert!("readyz".parse::<ReadyPath>().is_err());
    }
}
