//! The steps in which a new version gets its requests.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// More steps than this are no help to anybody.
const MOST: usize = 10;

/// What the action takes about steps.
#[derive(clap::Args, Clone, Debug)]
pub struct StepInputs {
    /// Shares of the requests, in percent (`5,25,50`), that the new version gets one after the
    /// other, running beside the old one, before it takes all; `0` asks it alone. After a step
    /// that fails the old version has all requests again. Needs a Traefik `IngressRoute` and
    /// `traffic-url`; nothing is done in steps when the pods stay as they are, or are the first
    #[arg(long, value_name = "PERCENTS", requires = "traffic_url")]
    pub steps: Option<Steps>,

    /// How long each step is watched: requests go to the new version alone, at `traffic-rate`, and
    /// its pods must stay ready
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub step_seconds: u32,

    /// How many of the requests to the new version alone may fail in a step
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub step_failures_percent: u32,
}

/// Rising shares, in percent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps(Vec<u32>);

/// A text names no steps.
#[derive(Debug, Error)]
#[error(
    "`{0}` are no steps: write up to {most} rising percents between 0 and 100, as in `5,25,50`",
    most = MOST
)]
pub struct StepsError(String);

impl Steps {
    /// Gives the shares.
    #[must_use]
    pub fn percents(&self) -> &[u32] {
        &self.0
    }
}

impl FromStr for Steps {
    type Err = StepsError;

    fn from_str(text: &str) -> Result<Self, StepsError> {
        let numbers: Result<Vec<u32>, _> =
            text.split(',').map(|part| part.trim().parse()).collect();
        match numbers {
            Ok(numbers)
                if numbers.len() <= MOST
                    && numbers.is_sorted_by(|one, next| one < next)
                    && numbers.iter().all(|percent| *percent <= 100) =>
            {
                Ok(Self(numbers))
            }
            _ => Err(StepsError(text.into())),
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}
