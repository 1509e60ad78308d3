//! What runs below the application: Traefik, cert-manager with an authority of the cluster's own,
//! metrics-server, and the operator that runs PostgreSQL.

mod charts;
mod checks;
mod releases;

pub use checks::postgres_roles;

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::context::Context;
use crate::step::{Outcome, Step};

/// The namespace of the application.
pub const APPLICATION: &str = "orders";
/// The port of every node that reaches Traefik's entry point `web`.
pub const WEB_PORT: u16 = 30080;
/// The port of every node that reaches Traefik's entry point `websecure`.
pub const WEBSECURE_PORT: u16 = 30443;

/// The step `platform`.
pub fn step() -> Step {
    Step {
        name: "platform",
        about: "Traefik, cert-manager, metrics-server and the PostgreSQL operator",
        cold: Duration::from_secs(95),
        warm: Duration::from_secs(80),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    application_namespace(cx)?;
    let deployed = releases::deploy(cx)?;
    checks::postgresql_versions(cx)?;
    let certificate = checks::certificate(cx)?;
    let nodes = checks::traefik_answers(cx)?;
    let metrics = checks::metrics(cx)?;
    let documented = checks::documented(cx)?;
    let workloads = checks::workloads(cx)?;
    let real = format!(
        "{} releases by helm; Traefik on {} nodes, a certificate of the internal authority, metrics of {} nodes",
        deployed.len(),
        nodes.len(),
        metrics.len(),
    );
    Ok(Outcome::new(real)
        .fact("releases", deployed)
        .fact("documented-workloads", documented)
        .fact("workloads", workloads)
        .fact("certificate", certificate)
        .fact("ingress-nodes", nodes)
        .fact("node-metrics", metrics))
}

/// Makes the namespace of the application.
pub fn application_namespace(cx: &Context) -> Result<()> {
    cx.apply("application-namespace", &namespace(APPLICATION))
}

fn namespace(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string()
}
