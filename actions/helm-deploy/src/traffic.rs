//! Requests that are sent while a release is rolled out: every one is counted, and the first that
//! fail are kept with their time and reason.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use cluster::ClusterError;
use reqwest::{Client, RequestBuilder, Url, header, redirect};
use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::error::DeployError;
use crate::inputs::TrafficInputs;

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// More failures than this are counted, not kept.
const KEPT: usize = 5;

/// Where requests go, and how many a second.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    client: Client,
    url: Url,
    host: Option<String>,
    rate: u32,
    /// A header that chooses who answers.
    header: Option<(&'static str, &'static str)>,
}

/// What came of the requests.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// How many were answered, or failed.
    pub sent: u64,
    /// How many failed.
    pub failed: u64,
    /// The first that failed.
    pub failures: Vec<FailedRequest>,
}

/// A request that failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailedRequest {
    /// When that was known, in UTC.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// Why a rollout is broken off.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It does not become ready.
    NotReady(ClusterError),
    /// Too many requests failed.
    LosesRequests(Tally),
}

impl From<ClusterError> for Broken {
    fn from(error: ClusterError) -> Self {
        Self::NotReady(error)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} requests failed", self.failed, self.sent)?;
        for (number, failure) in self.failures.iter().enumerate() {
            let separator = if number == 0 { ": " } else { "; " };
            write!(f, "{separator}{} {}", failure.at, failure.reason)?;
        }
        let rest = self.failed - self.failures.len() as u64;
        if rest > 0 {
            write!(f, "; and {rest} more")?;
        }
        Ok(())
    }
}

impl Tally {
    fn count(&mut self, answer: Result<(), String>) {
        self.sent += 1;
        let Err(reason) = answer else { return };
        self.failed += 1;
        if self.failures.len() < KEPT {
            let at = format!("{:.3}", jiff::Timestamp::now());
            self.failures.push(FailedRequest { at, reason });
        }
    }
}

impl Target {
    /// Takes the target from the inputs, if they name one.
    pub(crate) async fn of(inputs: &TrafficInputs) -> Result<Option<Self>, DeployError> {
        let Some(named) = &inputs.traffic_url else {
            return Ok(None);
        };
        let mut url = named.as_url().clone();
        let mut host = None;
        let mut client = Client::builder()
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .http1_only();
        if let Some(place) = &inputs.traffic_connect_to {
            let unusable = |reason| DeployError::NoAnswer {
                url: named.to_string(),
                reason,
            };
            let found = tokio::net::lookup_host(place).await;
            let found = found.map_err(|error| unusable(format!("find `{place}`: {error}")))?;
            let addresses: Vec<_> = found.collect();
            let name = url.host_str().unwrap_or_default();
            client = client.no_proxy().resolve_to_addrs(name, &addresses);
            // A port in the address would win over the one to connect to.
            host = url.port().map(|port| format!("{name}:{port}"));
            let _ = url.set_port(None);
        }
        let client = client.build().map_err(|error| DeployError::NoAnswer {
            url: named.to_string(),
            reason: innermost(&error),
        })?;
        Ok(Some(Self {
            client,
            url,
            host,
            rate: inputs.traffic_rate,
            header: None,
        }))
    }

    fn request(&self) -> RequestBuilder {
        let request = self.client.get(self.url.clone());
        let request = match &self.host {
            Some(host) => request.header(header::HOST, host),
            None => request,
        };
        match self.header {
            Some((name, value)) => request.header(name, value),
            None => request,
        }
    }

    /// Sends one request and reads its whole answer.
    async fn ask(&self) -> Result<(), String> {
        one(self.request()).await
    }
}

/// Requests that are under way; they end when the value is dropped.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// How many requests go out in a second.
    pub rate: u32,
    target: Target,
    tally: watch::Receiver<Tally>,
    stop: oneshot::Sender<()>,
    sender: JoinHandle<()>,
}

impl Traffic {
    /// Starts to send, unless already the first request fails: then nothing could be said about
    /// those that come after it.
    pub(crate) async fn start(target: Target) -> Result<Self, DeployError> {
        if let Err(reason) = target.ask().await {
            return Err(DeployError::NoAnswer {
                url: target.url.to_string(),
                reason,
            });
        }
        Ok(Self::send(target))
    }

    /// Starts to send as many more, with a header that chooses who answers.
    pub(crate) fn to(&self, header: (&'static str, &'static str)) -> Self {
        Self::send(Target {
            header: Some(header),
            ..self.target.clone()
        })
    }

    fn send(target: Target) -> Self {
        let (counted, tally) = watch::channel(Tally::default());
        let (stop, stopped) = oneshot::channel();
        let sender = tokio::spawn(send(target.clone(), counted, stopped));
        Self {
            rate: target.rate,
            target,
            tally,
            stop,
            sender,
        }
    }

    /// Waits until more requests have failed than may.
    pub(crate) async fn fails(&self, allowed: u64) {
        let mut tally = self.tally.clone();
        // The sender lives as long as this value.
        let _ = tally.wait_for(|tally| tally.failed > allowed).await;
    }

    /// Says what has come of the requests by now.
    pub(crate) fn so_far(&self) -> Tally {
        self.tally.borrow().clone()
    }

    /// Sends no more, and waits for the answers that are still to come.
    pub(crate) async fn finish(self) -> Tally {
        drop(self.stop);
        if let Err(error) = self.sender.await {
            tracing::debug!("end the requests: {error}");
        }
        self.tally.borrow().clone()
    }
}

/// Follows a rollout until it is ready, while requests are sent: more failed ones than allowed
/// break it off.
pub(crate) async fn follow<T>(
    traffic: Option<Traffic>,
    allowed: u64,
    rollout: impl Future<Output = Result<T, ClusterError>>,
) -> Result<(T, Option<Tally>), Broken> {
    let Some(traffic) = traffic else {
        return Ok((rollout.await?, None));
    };
    let ready = tokio::select! {
        ready = rollout => Some(ready),
        () = traffic.fails(allowed) => None,
    };
    let tally = traffic.finish().await;
    tracing::info!("traffic: {tally}");
    match ready {
        Some(Err(error)) => Err(Broken::NotReady(error)),
        Some(Ok(ready)) if tally.failed <= allowed => Ok((ready, Some(tally))),
        _ => Err(Broken::LosesRequests(tally)),
    }
}

/// Sends at an even pace, however long the answers take, until it is told to stop.
async fn send(target: Target, counted: watch::Sender<Tally>, mut stopped: oneshot::Receiver<()>) {
    let mut pace = interval(Duration::from_secs(1) / target.rate);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            _ = pace.tick() => {
                under_way.spawn(one(target.request()));
            }
            Some(answer) = under_way.join_next() => count(&counted, answer),
            _ = &mut stopped => break,
        }
    }
    while let Some(answer) = under_way.join_next().await {
        count(&counted, answer);
    }
}

fn count(
    counted: &watch::Sender<Tally>,
    answer: Result<Result<(), String>, tokio::task::JoinError>,
) {
    let answer = answer.unwrap_or_else(|error| Err(error.to_string()));
    counted.send_modify(|tally| tally.count(answer));
}

async fn one(request: RequestBuilder) -> Result<(), String> {
    let answer = request.send().await.map_err(|error| reason(&error))?;
    let status = answer.status();
    if !status.is_success() && !status.is_redirection() {
        return Err(format!("status {status}"));
    }
    answer.bytes().await.map_err(|error| reason(&error))?;
    Ok(())
}

fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("no answer within {} s", PATIENCE.as_secs())
    } else {
        innermost(error)
    }
}

fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
