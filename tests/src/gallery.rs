//! The failure gallery: deployments that fail, each in its own way, on the cluster of the
//! end-to-end run; what helm-deploy says of each, after how long, and what helm says itself.

mod case;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use action_kit::{Command, CommandError};
use anyhow::{Context as _, Result, anyhow, bail};
use regex::Regex;
use serde::Serialize;

use self::case::Case;
use crate::context::Context;
use crate::runner::{ActionStep, Ran};
use crate::state::{self, write_whole};
use crate::steps::registry;

/// How long helm is waited for, beside the action.
const HELM_PATIENCE: Duration = Duration::from_secs(60);
/// What the end-to-end run shows, beside its other refusals.
const QUICK: [&str; 3] = ["field-conflict", "hook-failed", "quota-exceeded"];

/// What differs from run to run, and what stands for it in a record.
const DIFFERING: [(&str, &str); 4] = [
    (r"\b(web|prepare)-[a-z0-9]+(-[a-z0-9]+)?\b", "POD"),
    (r"\b[a-z0-9-]+-(worker[0-9]*|control-plane)\b", "NODE"),
    (r"\([0-9]+ restarts\)", "(N restarts)"),
    (r"[0-9.]+ of [0-9.]+ cpu free", "N of N cpu free"),
];

const HELP: &str = "\
Each case is a folder of tests/gallery: `objects.yaml` is the chart that fails, `before.yaml` is
in the namespace before, `first.yaml` is a chart that was deployed well, `between.yaml` came after
it, `said.txt` is what the action said the last time that it was recorded.

It needs the cluster of the end-to-end run: `cargo xtask e2e --keep` leaves it up.
The report is target/e2e/gallery.md and gallery.json.

  cargo xtask gallery                     # all of it
  cargo xtask gallery --only crash-loop   # some of it
  cargo xtask gallery --compare           # and helm upgrade --wait before it
  cargo xtask gallery --record            # write what is said into said.txt, for a review";

#[derive(clap::Args, Default)]
#[command(after_help = HELP)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Arguments {
    /// Only these (repeat it, or separate by commas)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Let helm itself wait for the same charts, at most a minute each
    #[arg(long)]
    compare: bool,
    /// Write what is said into the gallery instead of comparing it
    #[arg(long)]
    record: bool,
    /// Only those that the end-to-end run shows, side by side as it does
    #[arg(long, conflicts_with_all = ["only", "compare", "record"])]
    quick: bool,
    /// List the cases
    #[arg(long)]
    list: bool,
}

/// What came of a case.
#[derive(Serialize)]
pub struct Shown {
    name: &'static str,
    about: &'static str,
    /// Seconds from the start of the action to its end, which is its diagnosis.
    seconds: f64,
    limit: u64,
    said: String,
    /// Seconds until helm ended, and its last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    helm: Option<(f64, String)>,
    /// What is not as it should be.
    wrong: Vec<String>,
}

/// Runs the gallery.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let cases = case::choose(&arguments.only)?;
    if arguments.list {
        for case in cases {
            println!("{:<24} {}", case.name, case.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let cx = Context::open(None)?;
    let Some(_lock) = state::lock(&cx.folder)? else {
        bail!("a run of this checkout is under way\nhint: wait for it, or end it");
    };
    if !cx.kubeconfig().is_file() {
        bail!("there is no cluster\nhint: `cargo xtask e2e --keep` makes one and leaves it up");
    }
    cx.enter("gallery");
    let _ = fs_err::remove_file(cx.log_file());
    if arguments.quick {
        let gallery = quick()?;
        println!("{}", table(&gallery));
        return Ok(ExitCode::SUCCESS);
    }
    let mut gallery = Vec::new();
    for case in cases {
        gallery.push(show(&cx, case, arguments)?);
        write(&cx, &gallery)?;
    }
    println!("{}", table(&gallery));
    let wrong = wrong(&gallery);
    for wrong in &wrong {
        eprintln!("error: {wrong}");
    }
    Ok(if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Says of each case what is not as it should be.
fn wrong(gallery: &[Shown]) -> Vec<String> {
    let wrong = gallery.iter().flat_map(|shown| {
        let wrong = shown.wrong.iter();
        wrong.map(|wrong| format!("{}: {wrong}", shown.name))
    });
    wrong.collect()
}

/// Lets some cases happen side by side, on the cluster of the run that is under way.
pub fn quick() -> Result<Vec<Shown>> {
    let only: Vec<String> = QUICK.map(String::from).into();
    let threads: Vec<_> = case::choose(&only)?
        .into_iter()
        .map(|case| {
            std::thread::spawn(move || {
                let cx = Context::open(None)?;
                cx.enter(&case.namespace());
                let _ = fs_err::remove_file(cx.log_file());
                show(&cx, case, &Arguments::default())
            })
        })
        .collect();
    let mut gallery = Vec::new();
    for thread in threads {
        gallery.push(thread.join().map_err(|_| anyhow!("a case panicked"))??);
    }
    let wrong = wrong(&gallery);
    if !wrong.is_empty() {
        bail!("the gallery: {}", wrong.join("; "));
    }
    Ok(gallery)
}

/// Lets cases happen, each also with helm itself, whether or not all is as recorded.
pub fn beside_helm(cx: &Context, only: &[String]) -> Result<Vec<Shown>> {
    let arguments = Arguments {
        compare: true,
        ..Arguments::default()
    };
    let cases = case::choose(only)?.into_iter();
    cases.map(|case| show(cx, case, &arguments)).collect()
}

/// Lets a case happen in a namespace of its own, which is gone afterwards whatever happened.
fn show(cx: &Context, case: &'static Case, arguments: &Arguments) -> Result<Shown> {
    cx.progress(case.about);
    let shown = happen(cx, case, arguments);
    clear(cx, case)?;
    shown.context(case.name)
}

fn happen(cx: &Context, case: &'static Case, arguments: &Arguments) -> Result<Shown> {
    let workspace = prepare(cx, case)?;
    // Helm comes first: what it leaves behind is taken away again, what the action says stays.
    let helm = if arguments.compare {
        let told = helm(cx, case, &workspace)?;
        prepare(cx, case)?;
        Some(told)
    } else {
        None
    };
    let ran = cx.runner(&workspace).attempt(&step(cx, case)?)?;
    let said = plain(&ran.log)?;
    let mut wrong = check(case, &ran, &said);
    wrong.extend(compare(cx, case, &said, arguments.record)?);
    Ok(Shown {
        name: case.name,
        about: case.about,
        seconds: ran.took.as_secs_f64(),
        limit: case.limit,
        said,
        helm,
        wrong,
    })
}

/// Makes the namespace anew with what is in it before, and gives the checkout with the chart.
fn prepare(cx: &Context, case: &Case) -> Result<PathBuf> {
    clear(cx, case)?;
    let namespace = case.namespace();
    cx.run(&cx.kubectl()?.args(["create", "namespace", &namespace]))?;
    put(cx, case, "before.yaml")?;
    if case.file(cx, "first.yaml").is_some() {
        let workspace = chart(cx, case, "first.yaml")?;
        cx.runner(&workspace).run(&step(cx, case)?)?;
        put(cx, case, "between.yaml")?;
        cx.run(&cx.kubectl()?.args([
            "--namespace",
            &namespace,
            "wait",
            "deployment/web",
            "--for=jsonpath={.spec.replicas}=2",
            "--timeout=60s",
        ]))?;
    }
    chart(cx, case, "objects.yaml")
}

/// Applies a file of a case, and waits for the pods of what it brings.
fn put(cx: &Context, case: &Case, name: &str) -> Result<()> {
    let Some(file) = case.file(cx, name) else {
        return Ok(());
    };
    let text = fs_err::read_to_string(file)?.replace("IMAGE", &image());
    let file = cx.folder.join("gallery").join(case.name).join(name);
    write_whole(&file, text.as_bytes())?;
    let namespace = case.namespace();
    let kubectl = cx.kubectl()?.args(["--namespace", &namespace]);
    cx.run(&kubectl.args(["apply", "-f"]).arg(&file))?;
    if text.contains("kind: DaemonSet") {
        let kubectl = cx.kubectl()?.args(["--namespace", &namespace]);
        cx.run(&kubectl.args(["rollout", "status", "daemonset", "--timeout=90s"]))?;
    }
    Ok(())
}

/// Makes the checkout that holds a chart of one file.
fn chart(cx: &Context, case: &Case, name: &str) -> Result<PathBuf> {
    let workspace = cx.folder.join("gallery").join(case.name).join("checkout");
    if workspace.exists() {
        fs_err::remove_dir_all(&workspace)?;
    }
    let chart = workspace.join("chart");
    let objects = case.file(cx, name).context("the case has objects")?;
    write_whole(
        &chart.join("Chart.yaml"),
        b"apiVersion: v2\nname: gallery\nversion: 0.1.0\n",
    )?;
    write_whole(
        &chart.join("templates/objects.yaml"),
        &fs_err::read(objects)?,
    )?;
    if let Some(schema) = case.file(cx, "values.schema.json") {
        fs_err::copy(schema, chart.join("values.schema.json"))?;
    }
    fs_err::copy(cx.kubeconfig(), workspace.join(".kubeconfig"))?;
    Ok(workspace)
}

/// Gives the image of the pods.
pub fn image() -> String {
    format!("{}/library/python:3.14-slim", registry::name())
}

/// The values of every case; one of them wants a number here.
fn values() -> [String; 3] {
    [
        format!("image={}", image()),
        format!("registry={}", registry::name()),
        "replicas=many".into(),
    ]
}

fn step(cx: &Context, case: &Case) -> Result<ActionStep> {
    let id = format!("gallery-{}", case.name);
    Ok(
        ActionStep::new("helm-deploy", &id, &cx.action_image("helm-deploy")?)
            .with("mode", "apply")
            .with("release", "web")
            .with("namespace", case.namespace())
            .with("chart", "chart")
            .with("set", values().join("\n"))
            .with("policy", "off")
            .with("rollback-on-failure", "false")
            .with("timeout-seconds", "120")
            .with("kubeconfig", ".kubeconfig"),
    )
}

/// Lets helm itself wait, and gives how long it did and what it said in the end.
fn helm(cx: &Context, case: &Case, workspace: &Path) -> Result<(f64, String)> {
    let patience = format!("{}s", HELM_PATIENCE.as_secs());
    let mut helm = Command::new(cx.tool("helm")?)
        .args(["upgrade", "--install", "web"])
        .arg(workspace.join("chart"))
        .args(["--namespace", &case.namespace()])
        .args(["--wait", "--timeout", &patience])
        .env("KUBECONFIG", cx.kubeconfig());
    for value in values() {
        helm = helm.arg("--set").arg(value);
    }
    let started = Instant::now();
    let said = match helm.output() {
        Ok(_) => "deployed".to_owned(),
        Err(CommandError::Status { tail, .. }) => {
            tail.lines().last().unwrap_or_default().to_owned()
        }
        Err(error) => return Err(error.into()),
    };
    Ok((started.elapsed().as_secs_f64(), said))
}

/// Takes out whatever a case made.
fn clear(cx: &Context, case: &Case) -> Result<()> {
    for kind in ["validatingwebhookconfiguration", "namespace"] {
        cx.run(&cx.kubectl()?.args([
            "delete",
            kind,
            &case.namespace(),
            "--ignore-not-found",
            "--timeout=120s",
        ]))?;
    }
    Ok(())
}

/// Gives the message and the hints, as they are in every run.
fn plain(log: &str) -> Result<String> {
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("::error") || line.starts_with("hint:"))
        .collect();
    DIFFERING
        .iter()
        .try_fold(lines.join("\n"), |said, (pattern, word)| {
            Ok(Regex::new(pattern)?.replace_all(&said, *word).into_owned())
        })
}

fn check(case: &Case, ran: &Ran, said: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let reason = ran.outputs.get("failure-reason").map_or("", String::as_str);
    if ran.code != case.code || reason != case.reason {
        wrong.push(format!(
            "ended with {} ({reason}), not with {} ({})",
            ran.code, case.code, case.reason
        ));
    }
    for words in case.says.iter().filter(|words| !said.contains(**words)) {
        wrong.push(format!("does not say `{words}`: {said}"));
    }
    if ran.took > Duration::from_secs(case.limit) {
        wrong.push(format!(
            "took {:.1} s, not {} s",
            ran.took.as_secs_f64(),
            case.limit
        ));
    }
    wrong
}

/// Compares with what was recorded, or records it.
fn compare(cx: &Context, case: &Case, said: &str, record: bool) -> Result<Option<String>> {
    const RECORD: &str = "said.txt";
    if record {
        let file = cx.root.join("tests/gallery").join(case.name).join(RECORD);
        fs_err::write(file, format!("{said}\n"))?;
        return Ok(None);
    }
    let Some(file) = case.file(cx, RECORD) else {
        return Ok(Some(format!(
            "has no {RECORD}: `cargo xtask gallery --record --only {}` writes it",
            case.name
        )));
    };
    let recorded = fs_err::read_to_string(file)?;
    Ok((recorded.trim_end() != said)
        .then(|| format!("says\n{said}\nand not, as recorded,\n{recorded}")))
}

fn write(cx: &Context, gallery: &[Shown]) -> Result<()> {
    let mut text = format!("# The failure gallery\n\n{}", table(gallery));
    for shown in gallery {
        let _ = write!(
            text,
            "\n## {}: {}\n\n```\n{}\n```\n",
            shown.name, shown.about, shown.said
        );
    }
    write_whole(&cx.folder.join("gallery.md"), text.as_bytes())?;
    let json = serde_json::to_string_pretty(gallery)?;
    write_whole(&cx.folder.join("gallery.json"), json.as_bytes())
}

/// Writes the table for people.
pub fn table(gallery: &[Shown]) -> String {
    let mut text = String::from(
        "| case | said after | at most | helm said after | |\n|---|---:|---:|---:|---|\n",
    );
    for shown in gallery {
        let helm = shown
            .helm
            .as_ref()
            .map(|(seconds, said)| format!("{seconds:.1} s: {}", said.replace('|', "\\|")));
        let result = if shown.wrong.is_empty() {
            "ok"
        } else {
            "wrong"
        };
        let _ = writeln!(
            text,
            "| {} | {:.1} s | {} s | {} | {result} |",
            shown.name,
            shown.seconds,
            shown.limit,
            helm.unwrap_or_default()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_named_alike() {
        let log = "some progress\n\
             ::error::pod `web-7d4b9c-x2x4z` on node `e2e-worker2` ends (3 restarts); `e2e-control-plane` has the taint \
             `node-role.kubernetes.io/control-plane` and 1.05 of 2 cpu free for 64; volume-claim\n\n\
             hint: look\n";
        assert_eq!(
            plain(log).unwrap(),
            "::error::pod `POD` on node `NODE` ends (N restarts); `NODE` has the taint \
             `node-role.kubernetes.io/control-plane` and N of N cpu free for 64; volume-claim\n\
             hint: look"
        );
    }
}
