//! Searches everything that the run has produced for secrets.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::canary::Search;
use crate::context::Context;
use crate::release::NAMESPACE;
use crate::step::{Outcome, Step};

pub fn step() -> Step {
    Step {
        name: "canary",
        about: "search logs, reports, plans and image layers for secrets",
        cold: Duration::from_secs(30),
        warm: Duration::from_secs(20),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    let mut search = Search::new();
    let template = r#"go-template={{range .items}}{{.metadata.name}} {{.data.password|base64decode}}{{"\n"}}{{end}}"#;
    let get = [
        "-n",
        NAMESPACE,
        "get",
        "secrets",
        "-l",
        "application=spilo",
        "-o",
        template,
    ];
    let secrets = cx.run_quietly(&cx.kubectl()?.args(get))?.stdout;
    let mut passwords = 0;
    for line in secrets.lines() {
        let (name, password) = line
            .split_once(' ')
            .context("a secret of PostgreSQL's has no password")?;
        search = search.and(&format!("the password of {name}"), password.as_bytes());
        passwords += 1;
    }
    if passwords == 0 {
        bail!("PostgreSQL has no secrets: the search would prove nothing");
    }
    // A kubeconfig is a secret itself, and the daemon's data is not the run's product.
    let skipped = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with("kubeconfig") || path == cx.folder.join("docker")
    };
    let (found, files) = search.folder(&cx.folder, skipped)?;
    if !found.is_empty() {
        let places: Vec<String> = found.into_iter().map(|found| found.place).collect();
        bail!("{} secret(s) leaked:\n{}", places.len(), places.join("\n"));
    }
    Ok(Outcome::new(format!(
        "no canary and none of {passwords} passwords in {files} files, layers unpacked"
    ))
    .fact("files", files)
    .fact("passwords", passwords))
}
