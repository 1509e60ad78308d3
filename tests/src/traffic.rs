//! Traffic through the ingress while something changes below it: every request is counted, and
//! one that fails is kept with its reason.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http;

/// Workers that each send at an even pace.
const WORKERS: u32 = 4;
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of the traffic.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Requests sent.
    pub sent: u64,
    /// Requests that got no answer, or another status than 2xx.
    pub failed: u64,
    /// Why, and how often.
    pub reasons: BTreeMap<String, u64>,
    /// Requests by the version that answered.
    pub versions: BTreeMap<String, u64>,
    /// Orders that were acknowledged.
    pub orders: u64,
    /// Latency in milliseconds: median, 99th percentile, worst.
    pub milliseconds: (u64, u64, u64),
    #[serde(skip)]
    times: Vec<Duration>,
    #[serde(skip)]
    acknowledged: Vec<String>,
}

/// Traffic that is under way.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    workers: Vec<thread::JoinHandle<Tally>>,
    base: String,
    host: String,
}

impl Traffic {
    /// Starts to send: a write, a read and a look at the version in turn, `rate` requests a second.
    pub fn start(base: &str, host: &str, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let pause = Duration::from_secs(1) * WORKERS / rate;
        let workers = (0..WORKERS)
            .map(|worker| {
                let (stop, base, host) = (Arc::clone(&stop), base.to_owned(), host.to_owned());
                thread::spawn(move || {
                    thread::sleep(pause * worker / WORKERS);
                    send(&stop, &base, &host, pause)
                })
            })
            .collect();
        Self {
            stop,
            workers,
            base: base.into(),
            host: host.into(),
        }
    }

    /// Ends the traffic, and reads back every order that was acknowledged.
    pub fn finish(mut self) -> Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        let mut total = Tally::default();
        for worker in self.workers.drain(..) {
            let Ok(tally) = worker.join() else {
                bail!("a worker of the traffic panicked")
            };
            total.add(tally);
        }
        total.times.sort_unstable();
        let at = |part: usize| {
            total
                .times
                .get(total.times.len() * part / 100)
                .copied()
                .unwrap_or_default()
        };
        let worst = total.times.last().copied().unwrap_or_default();
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        total.milliseconds = (
            milliseconds(at(50)),
            milliseconds(at(99)),
            milliseconds(worst),
        );
        let client = http::client(PATIENCE, false);
        for order in &total.acknowledged {
            let answer = request(
                &client,
                "GET",
                &format!("{}/orders/{order}", self.base),
                &self.host,
                None,
            );
            if let Err(reason) = answer {
                bail!("the acknowledged order {order} is lost: {reason}");
            }
        }
        Ok(total)
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        self.orders += other.orders;
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
        for (version, count) in other.versions {
            *self.versions.entry(version).or_default() += count;
        }
        self.times.extend(other.times);
        self.acknowledged.extend(other.acknowledged);
    }

    fn count(&mut self, started: Instant, answer: Result<Value, String>) -> Option<Value> {
        self.sent += 1;
        self.times.push(started.elapsed());
        match answer {
            Ok(value) => Some(value),
            Err(reason) => {
                self.failed += 1;
                *self.reasons.entry(reason).or_default() += 1;
                None
            }
        }
    }
}

fn send(stop: &AtomicBool, base: &str, host: &str, pause: Duration) -> Tally {
    let client = http::client(PATIENCE, false);
    let mut tally = Tally::default();
    let order = json!({ "customer": "traffic", "lines": [{ "sku": "A-1", "quantity": 1, "unit_price_cents": 100 }] });
    let mut turn = 0u64;
    let begin = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        match turn % 3 {
            0 => {
                let answer = request(
                    &client,
                    "POST",
                    &format!("{base}/orders"),
                    host,
                    Some(&order),
                );
                if let Some(id) = tally
                    .count(started, answer)
                    .and_then(|made| made["id"].as_str().map(String::from))
                {
                    tally.orders += 1;
                    tally.acknowledged.push(id);
                }
            }
            1 => {
                let answer = request(
                    &client,
                    "GET",
                    &format!("{base}/orders?limit=5"),
                    host,
                    None,
                );
                tally.count(started, answer);
            }
            _ => {
                let answer = request(&client, "GET", &format!("{base}/version"), host, None);
                if let Some(answer) = tally.count(started, answer) {
                    let version = answer["version"].as_str().unwrap_or("?").to_owned();
                    *tally.versions.entry(version).or_default() += 1;
                }
            }
        }
        turn += 1;
        // An even pace: a slow answer is caught up with, not added to.
        let due = begin + pause * u32::try_from(turn).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    tally
}

/// Sends one request; anything but a 2xx answer that can be read whole is an error.
pub fn request(
    client: &ureq::Agent,
    method: &str,
    url: &str,
    host: &str,
    body: Option<&Value>,
) -> Result<Value, String> {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("host", host);
    let request = request.header("content-type", "application/json");
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = request.body(body).map_err(|error| error.to_string())?;
    let mut answer = client.run(request).map_err(|error| error.to_string())?;
    let status = answer.status();
    let text = answer
        .body_mut()
        .read_to_string()
        .map_err(|error| error.to_string())?;
    if !status.is_success() {
        return Err(format!("{method}: status {status}"));
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers every third request with 503.
    fn server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                let status = if count % 3 == 2 {
                    "503 Service Unavailable"
                } else {
                    "200 OK"
                };
                let body = r#"{"version":"1","id":"x"}"#;
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
            }
        });
        address
    }

    #[test]
    fn every_request_is_counted_and_a_failed_one_has_its_reason() {
        let traffic = Traffic::start(&server(), "orders.example.test", 100);
        thread::sleep(Duration::from_millis(600));
        traffic.stop.store(true, Ordering::Relaxed);
        let mut total = Tally::default();
        for worker in traffic.workers {
            total.add(worker.join().unwrap());
        }
        assert!(total.sent >= 20, "{total:?}");
        let failed: u64 = total.reasons.values().sum();
        assert!(total.failed > 0 && total.failed == failed, "{total:?}");
        assert!(
            total.reasons.keys().all(|reason| reason.contains("503")),
            "{total:?}"
        );
    }
}
