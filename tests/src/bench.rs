//! Benchmarks: an action beside the tools that people use instead, in one run on one machine.

mod daemon;
mod deploy;
mod group;
mod image;
mod infra;
mod sample;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;

use self::sample::{Benchmark, Sample};
use crate::context::Context;
use crate::state::{self, write_whole};
use crate::steps::doctor;
use crate::tools::{self, GoTool};
use crate::{packaging, uv};

/// The name of the action's row.
const ACTION: &str = "action";

#[derive(Subcommand)]
pub enum Arguments {
    /// Compare build-fastapi-image with BuildKit and buildah
    #[command(after_help = image::HELP)]
    Image(Choice),
    /// Compare provision-infra with Terraform and the AWS CLI
    #[command(after_help = infra::HELP)]
    Infra(Choice),
    /// Compare helm-deploy with helm
    Deploy(deploy::Arguments),
}

#[derive(clap::Args)]
pub struct Choice {
    /// Only those whose names start so (repeat it, or separate by commas)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// How often everything is measured; the report has the medians
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Runs a benchmark.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let cx = Context::open(None)?;
    match arguments {
        Arguments::Image(choice) => measure(&cx, choice, image::Image::open),
        Arguments::Infra(choice) => measure(&cx, choice, infra::Infra::open),
        Arguments::Deploy(arguments) => deploy::run(&cx, arguments),
    }
}

fn measure<'a, B: Benchmark>(
    cx: &'a Context,
    choice: &Choice,
    open: impl FnOnce(&'a Context) -> Result<B>,
) -> Result<ExitCode> {
    let contenders = choose(B::CONTENDERS, &choice.only)?;
    let Some(_lock) = state::lock(&cx.folder)? else {
        bail!("a run of this checkout is under way\nhint: wait for it, or end it");
    };
    cx.enter("bench");
    let _ = fs_err::remove_file(cx.log_file());
    let mut run = Run {
        cx,
        bench: open(cx).context("prepare the benchmark")?,
        samples: Vec::new(),
        failures: Vec::new(),
    };
    for round in 1..=choice.rounds {
        // Nobody always comes first.
        let mut order = contenders.clone();
        order.rotate_left((round - 1) as usize % contenders.len());
        for contender in order {
            run.take(contender, round);
            run.report()?;
        }
    }
    let report = place::<B>(cx).with_extension("md");
    println!("{}", fs_err::read_to_string(report)?);
    Ok(if run.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        eprintln!(
            "hint: what each program said is in {}",
            cx.log_file().display()
        );
        ExitCode::FAILURE
    })
}

/// Chooses contenders by what their names begin with; all when nothing is named.
fn choose(names: &[&'static str], only: &[String]) -> Result<Vec<&'static str>> {
    for word in only {
        if !names.iter().any(|name| name.starts_with(word)) {
            bail!(
                "nobody who is compared is called `{word}`\nhint: there are {}",
                names.join(", ")
            );
        }
    }
    let chosen = names
        .iter()
        .filter(|name| only.is_empty() || only.iter().any(|word| name.starts_with(word)));
    Ok(chosen.copied().collect())
}

/// Installs and compiles what is compared.
fn prepare(cx: &Context, tools: &[GoTool], action: &str) -> Result<()> {
    (doctor::step().run)(cx)?;
    uv::fetch(cx)?;
    for tool in tools {
        let started = Instant::now();
        if tools::build(cx, tool).with_context(|| format!("build `{}`", tool.name))? {
            let seconds = started.elapsed().as_secs_f32();
            cx.progress(format!("built {} in {seconds:.0} s", tool.name));
        }
    }
    packaging::compile(cx, &[action.to_owned()])
}

/// Gives the path of a benchmark's reports without what their names end with; a folder of this name
/// holds what the benchmark works on.
fn place<B: Benchmark>(cx: &Context) -> PathBuf {
    cx.root.join("target/bench").join(B::NAME)
}

/// A benchmark that is under way.
struct Run<'a, B: Benchmark> {
    cx: &'a Context,
    bench: B,
    samples: Vec<Sample<B>>,
    failures: Vec<(&'static str, String)>,
}

impl<B: Benchmark> Run<'_, B> {
    /// Takes a contender through all situations; one that fails is left out from then on.
    fn take(&mut self, contender: &'static str, round: u32) {
        if self.failures.iter().any(|(name, _)| *name == contender) {
            return;
        }
        let (cx, samples) = (self.cx, &mut self.samples);
        let taken = self.bench.measure(contender, &mut |situation, measures| {
            let sample = Sample {
                contender,
                situation,
                round,
                measures,
            };
            cx.progress(table::line(&sample));
            samples.push(sample);
        });
        if let Err(error) = taken {
            eprintln!("error: {contender}: {error:#}");
            self.failures.push((contender, format!("{error:#}")));
        }
    }

    /// Writes what is known so far.
    fn report(&self) -> Result<()> {
        let report = table::Report {
            facts: self.bench.facts()?,
            samples: &self.samples,
            failures: &self.failures,
        };
        let file = place::<B>(self.cx);
        write_whole(&file.with_extension("md"), report.markdown().as_bytes())?;
        let json = serde_json::to_string_pretty(&report.json())?;
        write_whole(&file.with_extension("json"), json.as_bytes())
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

/// Gives the version of what a module builds: its `go.mod` requires nothing else directly.
fn version(cx: &Context, module: &str) -> Result<String> {
    let text = fs_err::read_to_string(cx.root.join("tests/tools").join(module).join("go.mod"))?;
    let required = text.lines().find_map(|line| line.strip_prefix("require "));
    let version = required.and_then(|required| required.split(' ').nth(1));
    version
        .map(ToOwned::to_owned)
        .with_context(|| format!("`tests/tools/{module}/go.mod` requires nothing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contenders_are_chosen_by_the_start_of_their_names() {
        let names = image::Image::CONTENDERS;
        let chosen = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(ToString::to_string).collect();
            choose(names, &only)
        };
        assert_eq!(
            chosen(&["buildah", "action"]).unwrap(),
            [
                "action",
                "buildah-guide",
                "buildah-layers",
                "buildah-layers-cache"
            ]
        );
        assert_eq!(chosen(&[]).unwrap(), names);
        let error = chosen(&["action", "docker"]).unwrap_err().to_string();
        assert!(
            error.contains("`docker`") && error.contains("buildah-guide"),
            "{error}"
        );
    }
}
