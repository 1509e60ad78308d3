//! helm-deploy beside `helm upgrade --install --wait`: what it takes when all is well, and how long
//! it is until the cause is said when it is not.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use action_kit::Command;
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::json;

use super::group::Group;
use crate::context::Context;
use crate::state::{self, write_whole};
use crate::{gallery, packaging};

/// The action.
const ACTION: &str = "helm-deploy";
/// Failures whose diagnosis is timed: one that Kubernetes shows at once, two that take their time.
const FAILURES: [&str; 3] = ["image-tag-missing", "crash-loop", "probe-path-wrong"];

const HELP: &str = "\
Both deploy the chart of tests/bench/chart on the cluster of the end-to-end run: first, then other
pods, then nothing new; and follow it until all pods are ready. Wall and CPU are those of the
program and of what it starts. Then some cases of the failure gallery: how long it is until each
ends, and what it says then.

The report is target/bench/deploy.md and deploy.json. `cargo xtask e2e --keep` leaves the cluster up.

  cargo xtask bench deploy             # five rounds
  cargo xtask bench deploy --rounds 1  # a quick look";

/// What is asked for.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// How often everything is measured; the report has the medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Who deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Contender {
    HelmDeploy,
    Helm,
}

/// What is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    First,
    Pods,
    Nothing,
}

impl Change {
    const ALL: [Self; 3] = [Self::First, Self::Pods, Self::Nothing];

    fn words(self) -> &'static str {
        match self {
            Self::First => "first installation",
            Self::Pods => "other pods",
            Self::Nothing => "nothing new",
        }
    }

    fn greeting(self) -> &'static str {
        match self {
            Self::First => "hello",
            Self::Pods | Self::Nothing => "welcome",
        }
    }
}

/// One deployment, in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Sample {
    contender: Contender,
    change: Change,
    wall: f64,
    cpu: f64,
}

/// Runs the benchmark.
pub fn run(cx: &Context, arguments: &Arguments) -> Result<ExitCode> {
    let Some(_lock) = state::lock(&cx.folder)? else {
        bail!("a run of this checkout is under way\nhint: wait for it, or end it");
    };
    if !cx.kubeconfig().is_file() {
        bail!("there is no cluster\nhint: `cargo xtask e2e --keep` makes one and leaves it up");
    }
    cx.enter("bench");
    let _ = fs_err::remove_file(cx.log_file());
    packaging::compile(cx, &[ACTION.to_owned()])?;
    let group = Group::create()?;
    let mut samples = Vec::new();
    for round in 0..arguments.rounds {
        let mut order = [Contender::HelmDeploy, Contender::Helm];
        if round % 2 == 1 {
            order.reverse();
        }
        for contender in order {
            deploy_all(cx, &group, contender, &mut samples)?;
        }
    }
    let failures = gallery::beside_helm(cx, &FAILURES.map(String::from))?;
    let text = format!(
        "# Deploying a chart\n\nThe action's values divided by those of `helm upgrade --install --wait`; medians of {} rounds, in seconds.\n\n{}\n## When it fails\n\n{}",
        arguments.rounds,
        table(&samples),
        gallery::table(&failures)
    );
    let folder = cx.root.join("target/bench");
    write_whole(&folder.join("deploy.md"), text.as_bytes())?;
    let all = json!({ "samples": samples, "failures": failures });
    write_whole(
        &folder.join("deploy.json"),
        serde_json::to_string_pretty(&all)?.as_bytes(),
    )?;
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// Takes a contender through all changes, in a namespace that is new and goes.
fn deploy_all(
    cx: &Context,
    group: &Group,
    contender: Contender,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    const NAMESPACE: &str = "bench-deploy";
    let clear = || {
        let words = ["delete", "namespace", NAMESPACE, "--ignore-not-found"];
        cx.run(&cx.kubectl()?.args(words)).map(|_| ())
    };
    clear()?;
    cx.run(&cx.kubectl()?.args(["create", "namespace", NAMESPACE]))?;
    let deployed = Change::ALL.iter().try_for_each(|change| {
        let call = call(cx, group, contender, *change, NAMESPACE)?;
        let before = group.processor_time()?;
        let started = Instant::now();
        cx.run(&call)
            .with_context(|| format!("{contender:?}, {}", change.words()))?;
        let wall = started.elapsed().as_secs_f64();
        let cpu = group.processor_time()?.saturating_sub(before).as_secs_f64();
        let words = change.words();
        cx.progress(format!(
            "{contender:?}, {words}: {wall:.2} s, {cpu:.2} s of CPU"
        ));
        samples.push(Sample {
            contender,
            change: *change,
            wall,
            cpu,
        });
        Ok(())
    });
    clear()?;
    deployed
}

fn call(
    cx: &Context,
    group: &Group,
    contender: Contender,
    change: Change,
    namespace: &str,
) -> Result<Command> {
    let chart = cx.root.join("tests/bench/chart");
    let helm = cx.tool("helm")?;
    let image = format!("image={}", gallery::image());
    let greeting = format!("greeting={}", change.greeting());
    let beside = helm.parent().context("`helm` is in a folder")?;
    let path = cx.environment.get("PATH").unwrap_or_default();
    let shell = Command::new("sh")
        .env("KUBECONFIG", cx.kubeconfig())
        .env("PATH", format!("{}:{path}", beside.display()));
    let call = match contender {
        Contender::Helm => group
            .enter(shell, &helm)
            .args(["upgrade", "--install", "web"])
            .arg(chart)
            .args(["--wait", "--timeout", "120s"]),
        Contender::HelmDeploy => {
            let program = std::env::current_exe()?.with_file_name(ACTION);
            group
                .enter(shell, program)
                .args(["--mode", "apply", "--release", "web", "--chart"])
                .arg(chart)
                .args(["--timeout-seconds", "120", "--policy", "off"])
        }
    };
    Ok(call
        .args(["--namespace", namespace])
        .args(["--set", &image, "--set", &greeting]))
}

fn table(samples: &[Sample]) -> String {
    let mut text = String::from(
        "| | wall | helm | ratio | CPU | helm | ratio |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for change in Change::ALL {
        let middle = |contender, value: fn(&Sample) -> f64| {
            let fits = samples
                .iter()
                .filter(|sample| (sample.contender, sample.change) == (contender, change));
            median(fits.map(value).collect())
        };
        let _ = write!(text, "| {} |", change.words());
        for value in [|sample: &Sample| sample.wall, |sample: &Sample| sample.cpu] {
            let (own, helm) = (
                middle(Contender::HelmDeploy, value),
                middle(Contender::Helm, value),
            );
            let _ = write!(text, " {own:.2} | {helm:.2} | {:.2} |", own / helm);
        }
        text.push('\n');
    }
    text
}

/// Gives the middle of some values, or what is between the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => f64::midpoint(values[(count - 1) / 2], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_is_divided_by_helm() {
        let sample = |contender, wall, cpu| Sample {
            contender,
            change: Change::Pods,
            wall,
            cpu,
        };
        let text = table(&[
            sample(Contender::HelmDeploy, 3.0, 1.0),
            sample(Contender::HelmDeploy, 9.0, 1.0),
            sample(Contender::HelmDeploy, 4.0, 1.0),
            sample(Contender::Helm, 5.0, 0.5),
            sample(Contender::Helm, 3.0, 0.5),
        ]);
        let row = "| other pods | 4.00 | 4.00 | 1.00 | 1.00 | 0.50 | 2.00 |";
        assert!(text.contains(row), "{text}");
    }
}
