//! A proxy in front of a real registry, which does what registries and networks do on bad days.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::exchange::{Answer, Request, send};

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The answer is a status (with headers, if any: `429 Too Many Requests\r\nRetry-After: 1`).
    Status(&'static str),
    /// The answer is a status when half of the request's body has come.
    StatusHalfway(&'static str),
    /// The connection is reset before there is an answer.
    Reset,
    /// The registry does what it is asked for, but the connection ends without an answer.
    Unanswered,
    /// The answer has other bytes, as many as the registry's.
    WrongBytes,
    /// The answer ends in the middle of the bytes that it announced.
    Truncated,
    /// The answer comes late.
    Slow(Duration),
    /// The registry does what it is asked for, and then somebody else writes this in its place.
    Overwritten(Vec<u8>),
}

struct Rule {
    method: &'static str,
    part: String,
    times: usize,
    fault: Fault,
}

/// A registry with faults; it ends with the process.
#[derive(Clone)]
pub struct FaultyRegistry {
    /// Where it listens, without HTTPS.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    busy: AtomicUsize,
    most_busy: AtomicUsize,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    requests: Vec<String>,
    /// What is attached to each digest, when the proxy has the referrers API.
    referrers: Option<BTreeMap<String, Vec<Value>>>,
}

/// How many referrers stand on a page.
const PAGE: usize = 2;

impl FaultyRegistry {
    /// Stands in front of a registry; without rules it only forwards.
    ///
    /// # Panics
    /// When the machine has no free port.
    #[must_use]
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            server,
            state: Mutex::default(),
            busy: AtomicUsize::new(0),
            most_busy: AtomicUsize::new(0),
        });
        let proxy = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let proxy = Arc::clone(&proxy);
                std::thread::spawn(move || {
                    let busy = proxy.busy.fetch_add(1, Ordering::SeqCst) + 1;
                    proxy.most_busy.fetch_max(busy, Ordering::SeqCst);
                    // A client that goes away is no failure of ours.
                    let _ = proxy.serve(client);
                    proxy.busy.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, shared }
    }

    /// Has the referrers API from now on, for what is pushed through here: a page holds two.
    #[must_use]
    pub fn with_referrers(self) -> Self {
        self.shared.state().referrers = Some(BTreeMap::new());
        self
    }

    /// Lets the next requests with a method, and with something in their path, go wrong.
    pub fn inject(&self, method: &'static str, part: &str, times: usize, fault: Fault) {
        self.shared.state().rules.push(Rule {
            method,
            part: part.into(),
            times,
            fault,
        });
    }

    /// Counts the requests with a method and with something in their path.
    #[must_use]
    pub fn count(&self, method: &str, part: &str) -> usize {
        let state = self.shared.state();
        let requests = state.requests.iter();
        requests
            .filter(|line| line.starts_with(method) && line.contains(part))
            .count()
    }

    /// Says how many requests were open at once, at most.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.shared.most_busy.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let Some(mut request) = Request::peek(&client)? else {
            return Ok(());
        };
        let fault = self.fault(&request);
        match &fault {
            // What was not read when a connection is closed resets it.
            Some(Fault::Reset) => return Ok(()),
            Some(Fault::StatusHalfway(status)) => {
                request.read(&mut client, request.length / 2)?;
                return refuse(client, status);
            }
            Some(Fault::Status(status)) => {
                request.read(&mut client, request.length)?;
                return refuse(client, status);
            }
            _ => request.read(&mut client, request.length)?,
        }
        let mut answer = match self.listed(&request) {
            Some(answer) => answer,
            None => send(self.server, &request)?,
        };
        self.remember(&request, &mut answer);
        match fault {
            Some(Fault::Unanswered) => return Ok(()),
            Some(Fault::Slow(time)) => std::thread::sleep(time),
            Some(Fault::WrongBytes) => answer.body.iter_mut().for_each(|byte| *byte ^= 1),
            Some(Fault::Truncated) => {
                client.write_all(&answer.head(answer.body.len()))?;
                return client.write_all(&answer.body[..answer.body.len() / 2]);
            }
            Some(Fault::Overwritten(body)) => {
                request.body = body;
                send(self.server, &request)?;
            }
            _ => {}
        }
        client.write_all(&answer.head(answer.body.len()))?;
        client.write_all(&answer.body)
    }

    fn fault(&self, request: &Request) -> Option<Fault> {
        let mut state = self.state();
        let line = format!("{} {}", request.method, request.path);
        state.requests.push(line);
        let mut rules = state.rules.iter_mut();
        let rule = rules.find(|rule| {
            rule.times > 0 && rule.method == request.method && request.path.contains(&rule.part)
        })?;
        rule.times = rule.times.saturating_sub(1);
        Some(rule.fault.clone())
    }

    /// Answers for the referrers API.
    fn listed(&self, request: &Request) -> Option<Answer> {
        let state = self.state();
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let (_, subject) = path.split_once("/referrers/")?;
        let all = state.referrers.as_ref()?.get(subject);
        let all = all.map(Vec::as_slice).unwrap_or_default();
        let start: usize = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("start="))
            .and_then(|start| start.parse().ok())
            .unwrap_or_default();
        let end = all.len().min(start + PAGE);
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": all[start..end],
        });
        let mut headers = vec!["Content-Type: application/vnd.oci.image.index.v1+json".to_owned()];
        if end < all.len() {
            headers.push(format!("Link: <{path}?start={end}>; rel=\"next\""));
        }
        Some(Answer {
            status: "200 OK".into(),
            headers,
            body: index.to_string().into_bytes(),
        })
    }

    /// Keeps the list of the referrers API.
    fn remember(&self, request: &Request, answer: &mut Answer) {
        let mut state = self.state();
        let Some(referrers) = &mut state.referrers else {
            return;
        };
        let pushed = request.method == "PUT"
            && request.path.contains("/manifests/")
            && answer.status.starts_with("201");
        let manifest: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (Some(subject), true) = (manifest["subject"]["digest"].as_str(), pushed) else {
            return;
        };
        let Some(digest) = answer.header("Docker-Content-Digest") else {
            return;
        };
        let descriptor = json!({
            "mediaType": manifest["mediaType"],
            "digest": digest,
            "size": request.body.len(),
            "artifactType": manifest["artifactType"],
            "annotations": manifest["annotations"],
        });
        let list = referrers.entry(subject.into()).or_default();
        if !list.iter().any(|listed| listed["digest"] == digest) {
            list.push(descriptor);
        }
        answer.headers.push(format!("OCI-Subject: {subject}"));
    }
}

/// Answers with a status and waits for the client to go: an answer whose request was not read to
/// its end would be lost otherwise.
fn refuse(mut client: TcpStream, status: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes())?;
    client.shutdown(Shutdown::Write)?;
    client.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut rest = [0; 4096];
    while client.read(&mut rest)? > 0 {}
    Ok(())
}
