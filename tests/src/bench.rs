//! Benchmarks: an action beside the tools that people use instead, in one run on one machine.

mod contender;
mod daemon;
mod deploy;
mod disk;
mod group;
mod index;
mod meter;
mod project;
mod registry;
mod sample;
mod table;
mod workshop;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;

use self::contender::Contender;
use self::group::Group;
use self::index::Index;
use self::project::{Change, Project};
use self::registry::Server;
use self::sample::{Measures, Place, Sample};
use self::workshop::{Site, Workshop};
use crate::context::Context;
use crate::state::{self, write_whole};
use crate::steps::doctor;
use crate::{packaging, tools, uv};

/// The action that is compared.
const ACTION: &str = "build-fastapi-image";
/// The state of the registry after the first build.
const AFTER_FIRST: &str = "after-first";

const HELP: &str = "\
What is compared:
  action                 build-fastapi-image
  buildkit-guide         BuildKit with the Dockerfile of uv's guide
  buildkit-layers        BuildKit with environment and source in layers of their own
  buildkit-guide-cache   the same two, with intermediate layers in the registry
  buildkit-layers-cache
  buildah-guide          buildah with the same two Dockerfiles
  buildah-layers
  buildah-layers-cache   and with intermediate layers in the registry

Each builds an application of about eighty packages: first from nothing; then on a fresh
runner and on a warm laptop with nothing changed, one source line, one dependency. All use one
base image, one registry and one way to the package index.

The report is target/bench/image.md and image.json: the action's values divided by the best
peer's, where a peer wins, and the medians. Times depend on the machine and on what else it
does, so they are not kept anywhere else. A round takes about half an hour on two cores.

  cargo xtask bench image                                # all of it: three rounds
  cargo xtask bench image --rounds 1                     # a quicker look
  cargo xtask bench image --only action,buildkit-layers  # some of them

Each build starts on a new disk, so that what was removed before does not count. It needs root
(control groups, containers, a loop device) and 6 GiB of disk. The first run builds BuildKit and
buildah from their Go modules, which takes some minutes.";

#[derive(Subcommand)]
pub enum Arguments {
    /// Compare build-fastapi-image with BuildKit and buildah
    #[command(after_help = HELP)]
    Image(ImageArguments),
    /// Compare helm-deploy with helm
    Deploy(deploy::Arguments),
}

#[derive(clap::Args)]
pub struct ImageArguments {
    /// Only those whose names start so (repeat it, or separate by commas)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// How often everything is measured; the report has the medians
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Runs a benchmark.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let arguments = match arguments {
        Arguments::Image(arguments) => arguments,
        Arguments::Deploy(arguments) => return deploy::run(arguments),
    };
    let contenders = contender::choose(&arguments.only)?;
    let cx = Context::open(None)?;
    let Some(_lock) = state::lock(&cx.folder)? else {
        bail!("a run of this checkout is under way\nhint: wait for it, or end it");
    };
    cx.enter("bench");
    let _ = fs_err::remove_file(cx.log_file());
    prepare(&cx).context("prepare the benchmark")?;
    let mut bench = Bench::open(&cx)?;
    for round in 1..=arguments.rounds {
        // Nobody always comes first.
        let mut order = contenders.clone();
        order.rotate_left((round - 1) as usize % contenders.len());
        for contender in order {
            bench.measure(contender, round);
            bench.report()?;
        }
    }
    println!(
        "{}",
        fs_err::read_to_string(cx.root.join("target/bench/image.md"))?
    );
    Ok(if bench.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        eprintln!(
            "hint: what each program said is in {}",
            cx.log_file().display()
        );
        ExitCode::FAILURE
    })
}

/// Installs and compiles what is compared.
fn prepare(cx: &Context) -> Result<()> {
    (doctor::step().run)(cx)?;
    uv::fetch(cx)?;
    for tool in &tools::BENCH_TOOLS {
        let started = Instant::now();
        if tools::build(cx, tool).with_context(|| format!("build `{}`", tool.name))? {
            let seconds = started.elapsed().as_secs_f32();
            cx.progress(format!("built {} in {seconds:.0} s", tool.name));
        }
    }
    packaging::compile(cx, &[ACTION.to_owned()])
}

/// A benchmark that is under way.
struct Bench<'a> {
    site: Site<'a>,
    samples: Vec<Sample>,
    failures: Vec<(&'static str, String)>,
}

impl<'a> Bench<'a> {
    fn open(cx: &'a Context) -> Result<Self> {
        let folder = cx.root.join("target/bench");
        let local = folder.join("local");
        disk::remove(&local);
        if folder.exists() {
            fs_err::remove_dir_all(&folder)?;
        }
        let project = Project::prepare(cx, folder.join("orders"))?;
        cx.progress(format!("{} packages are locked", project.packages));
        let uv = folder.join("uv");
        fs_err::create_dir_all(&uv)?;
        fs_err::copy(cx.tool("uv")?, uv.join("uv"))?;
        let site = Site {
            cx,
            uv,
            project,
            server: Server::start(cx, folder.join("registry"))?,
            index: Index::open(cx, folder.join("secrets"))?,
            group: Group::create()?,
            folder: local,
        };
        Ok(Self {
            site,
            samples: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// Takes a contender through all situations; one that fails is left out from then on.
    fn measure(&mut self, contender: &'static Contender, round: u32) {
        if self
            .failures
            .iter()
            .any(|(name, _)| *name == contender.name)
        {
            return;
        }
        if let Err(error) = self.situations(contender, round) {
            eprintln!("error: {}: {error:#}", contender.name);
            self.failures.push((contender.name, format!("{error:#}")));
        }
    }

    fn situations(&mut self, contender: &'static Contender, round: u32) -> Result<()> {
        const LATER: [Change; 3] = [Change::Nothing, Change::Line, Change::Dependency];
        let Self { site, samples, .. } = self;
        let site = &*site;
        let (cx, project, server) = (site.cx, &site.project, &site.server);
        let mut take = |workshop: &Workshop<'_>, place: Place, change: Change| -> Result<()> {
            let measures = measured(site, workshop)
                .with_context(|| format!("{}, {}", place.words(), change.words()))?;
            let sample = Sample {
                contender: contender.name,
                place,
                change,
                round,
                measures,
            };
            cx.progress(table::line(&sample));
            samples.push(sample);
            Ok(())
        };
        project.reset(cx)?;
        server.restore(cx, registry::BASE_ONLY)?;
        let workshop = Workshop::open(site, contender)?;
        take(&workshop, Place::New, Change::First)?;
        server.keep(cx, AFTER_FIRST)?;
        // A laptop has by itself what the registry keeps for a runner.
        if !contender.cache {
            for change in LATER {
                project.change(change)?;
                take(&workshop, Place::Laptop, change)?;
            }
        }
        drop(workshop);
        project.reset(cx)?;
        server.restore(cx, AFTER_FIRST)?;
        for change in LATER {
            project.change(change)?;
            let workshop = Workshop::open(site, contender)?;
            take(&workshop, Place::Runner, change)?;
        }
        Ok(())
    }

    /// Writes what is known so far.
    fn report(&self) -> Result<()> {
        let cx = self.site.cx;
        let run = table::Run {
            facts: vec![
                ("BuildKit", version(cx, "buildkit")?),
                ("buildah", version(cx, "buildah")?),
                ("base image", self.site.server.base_digest.clone()),
                (
                    "packages in the lock file",
                    self.site.project.packages.to_string(),
                ),
                (
                    "processors",
                    std::thread::available_parallelism()?.to_string(),
                ),
            ],
            samples: &self.samples,
            failures: &self.failures,
        };
        let folder = cx.root.join("target/bench");
        write_whole(&folder.join("image.md"), run.markdown().as_bytes())?;
        let json = serde_json::to_string_pretty(&run.json())?;
        write_whole(&folder.join("image.json"), json.as_bytes())
    }
}

/// Builds once, and measures it.
fn measured(site: &Site<'_>, workshop: &Workshop<'_>) -> Result<Measures> {
    site.server.meter.take();
    let index = site.index.meter.as_ref();
    if let Some(meter) = index {
        meter.take();
    }
    let before = site.group.processor_time()?;
    let watch = site.group.watch();
    let started = Instant::now();
    let built = workshop.build();
    let wall = started.elapsed();
    let memory = watch.finish();
    built?;
    let taken = site.group.processor_time()?;
    let (sent, received) = site.server.meter.take();
    Ok(Measures {
        wall_seconds: wall.as_secs_f64(),
        cpu_seconds: taken.saturating_sub(before).as_secs_f64(),
        memory_bytes: float(memory),
        sent_bytes: float(sent),
        received_bytes: float(received),
        index_bytes: index.map(|meter| float(meter.take().1)),
        image_bytes: float(site.server.size(site.cx)?),
    })
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
