//! What stands around a release where there are no nodes: a controller that writes the status of
//! Deployments, and an HTTP server in the ingress's place.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::kubectl;

/// Says that the Deployments of a namespace are ready, until it is dropped.
pub(crate) struct Controller {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Controller {
    /// Makes those ready of which `ready` is true.
    pub(crate) fn start(
        namespace: &'static str,
        ready: impl Fn(&Value) -> bool + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for deployment in deployments(namespace) {
                    if ready(&deployment) {
                        make_ready(namespace, &deployment);
                    }
                }
                thread::sleep(Duration::from_millis(200));
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads the Deployments of a namespace.
pub(crate) fn deployments(namespace: &str) -> Vec<Value> {
    let list = kubectl(&["-n", namespace, "get", "deployments", "-o", "json"]);
    let list: Value = serde_json::from_str(&list).expect("kubectl writes JSON");
    list["items"].as_array().cloned().unwrap_or_default()
}

/// Gives the image of a Deployment.
pub(crate) fn image_of(deployment: &Value) -> &str {
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap_or_default()
}

fn make_ready(namespace: &str, deployment: &Value) {
    let replicas = &deployment["spec"]["replicas"];
    let generation = &deployment["metadata"]["generation"];
    let status = &deployment["status"];
    if status["observedGeneration"] == *generation && status["availableReplicas"] == *replicas {
        return;
    }
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let status = json!({"status": {
        "observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
        "availableReplicas": replicas, "readyReplicas": replicas,
    }});
    let _ = kubectl(&[
        "-n",
        namespace,
        "patch",
        "deployment",
        name,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &status.to_string(),
    ]);
}

/// What the ingress does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It answers with this status.
    Status(u16),
    /// It ends the connection.
    Nothing,
}

/// Answers requests as `answer` says, which gets the number of requests before and the request's
/// head; it ends with the process.
pub(crate) fn ingress(
    answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for (number, client) in listener.incoming().flatten().enumerate() {
            let answer = Arc::clone(&answer);
            // A client that goes away is no failure of ours.
            thread::spawn(move || serve(client, |head| answer(number, head)));
        }
    });
    address
}

fn serve(mut client: TcpStream, answer: impl FnOnce(&str) -> Answer) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(client.try_clone()?);
    while reader.read_line(&mut head)? > 2 {}
    match answer(&head) {
        Answer::Status(status) => write!(
            client,
            "HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
        ),
        Answer::Nothing => Ok(()),
    }
}
