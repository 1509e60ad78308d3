//! build-fastapi-image beside BuildKit and buildah.

mod contender;
mod disk;
mod index;
mod meter;
mod project;
mod registry;
mod workshop;

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::Serialize;

use self::index::Index;
use self::project::{Change, Project};
use self::registry::Server;
use self::workshop::{Site, Workshop};
use super::group::Group;
use super::sample::{Benchmark, Metric, metric};
use super::{float, version};
use crate::context::Context;
use crate::tools;

/// The action that is compared.
const ACTION: &str = "build-fastapi-image";
/// The state of the registry after the first build.
const AFTER_FIRST: &str = "after-first";

pub const HELP: &str = "\
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

/// Where a build runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Nothing is kept, and the registry holds nothing but the base image.
    New,
    /// A runner that keeps nothing; the registry holds the image of the build before.
    Runner,
    /// A laptop that keeps what the tool keeps.
    Laptop,
}

impl Place {
    /// Says it for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::New => "new project",
            Self::Runner => "fresh runner",
            Self::Laptop => "warm laptop",
        }
    }
}

/// What is compared of a build; less is better.
#[derive(Serialize)]
pub struct Measures {
    /// From the start of the build to the end of the push.
    pub wall_seconds: f64,
    /// Of all processes, daemons and containers.
    pub cpu_seconds: f64,
    /// The most that all processes held at one time.
    pub memory_bytes: f64,
    /// To the registry.
    pub sent_bytes: f64,
    /// From the registry.
    pub received_bytes: f64,
    /// From the package index; nothing where it was not counted.
    pub index_bytes: Option<f64>,
    /// What a first pull of the image takes.
    pub image_bytes: f64,
}

/// Where a build runs, and after what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Situation {
    place: Place,
    change: Change,
}

/// A benchmark that is under way.
pub struct Image<'a>(Site<'a>);

impl<'a> Image<'a> {
    /// Makes everything ready.
    pub fn open(cx: &'a Context) -> Result<Self> {
        super::prepare(cx, &tools::IMAGE_BENCH_TOOLS, ACTION)?;
        let folder = super::place::<Self>(cx);
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
        Ok(Self(Site {
            cx,
            uv,
            project,
            server: Server::start(cx, folder.join("registry"))?,
            index: Index::open(cx, folder.join("secrets"))?,
            group: Group::create()?,
            folder: local,
        }))
    }
}

impl Benchmark for Image<'_> {
    type Situation = Situation;
    type Measures = Measures;

    const NAME: &'static str = "image";
    const TITLE: &'static str = "Building an image of a FastAPI application";
    const ABOUT: &'static str = "\
`action` is build-fastapi-image. `guide` is the Dockerfile of uv's guide, `layers` one that copies the \
environment and the source apart, `cache` keeps intermediate layers in the registry as well. A *new project* \
has empty caches and an empty registry; a *fresh runner* has empty caches and the image of the build before \
in the registry; a *warm laptop* has what the tool keeps.

CPU and memory are those of all processes: daemon, containers and client. Memory is what processes hold, \
without the kernel's copies of files. *sent* and *received* are the registry's traffic, *index* is what \
came from the package index. Everybody has a new disk (ext4), but for the laptop. Nobody fetches `uv` or itself, \
and BuildKit's daemon is up before the clock starts. The action does more than its peers: a bill of materials, \
provenance and, when all layers are made, the OpenAPI document.
";
    const CONTENDERS: &'static [&'static str] = &contender::NAMES;
    const COLUMNS: &'static [&'static str] = &["where", "what changed"];
    const METRICS: &'static [Metric<Measures>] = &[
        metric("wall s", 1.0, 0.0, |all| Some(all.wall_seconds)),
        metric("CPU s", 1.0, 0.0, |all| Some(all.cpu_seconds)),
        metric("memory MB", 1e6, 0.0, |all| Some(all.memory_bytes)),
        metric("sent MB", 1e6, 1e5, |all| Some(all.sent_bytes)),
        metric("received MB", 1e6, 1e5, |all| Some(all.received_bytes)),
        metric("index MB", 1e6, 1e5, |all| all.index_bytes),
        metric("image MB", 1e6, 0.0, |all| Some(all.image_bytes)),
    ];

    fn words(situation: Situation) -> Vec<&'static str> {
        vec![situation.place.words(), situation.change.words()]
    }

    fn measure(
        &self,
        contender: &'static str,
        tell: &mut dyn FnMut(Situation, Measures),
    ) -> Result<()> {
        const LATER: [Change; 3] = [Change::Nothing, Change::Line, Change::Dependency];
        let site = &self.0;
        let (cx, project, server) = (site.cx, &site.project, &site.server);
        let contender = contender::named(contender)?;
        let mut take = |workshop: &Workshop<'_>, place: Place, change: Change| -> Result<()> {
            let measures = measured(site, workshop)
                .with_context(|| format!("{}, {}", place.words(), change.words()))?;
            tell(Situation { place, change }, measures);
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

    fn facts(&self) -> Result<Vec<(&'static str, String)>> {
        let Site {
            cx,
            server,
            project,
            ..
        } = &self.0;
        Ok(vec![
            ("BuildKit", version(cx, "buildkit")?),
            ("buildah", version(cx, "buildah")?),
            ("base image", server.base_digest.clone()),
            ("packages in the lock file", project.packages.to_string()),
            (
                "processors",
                std::thread::available_parallelism()?.to_string(),
            ),
        ])
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

#[cfg(test)]
pub mod tests {
    use super::super::sample::Sample;
    use super::*;

    /// A build of which only time and what was sent matter.
    pub fn sample(contender: &'static str, wall: f64, sent: f64) -> Sample<Image<'static>> {
        Sample {
            contender,
            situation: Situation {
                place: Place::Runner,
                change: Change::Line,
            },
            round: 1,
            measures: Measures {
                wall_seconds: wall,
                cpu_seconds: 1.0,
                memory_bytes: 1.0,
                sent_bytes: sent,
                received_bytes: 0.0,
                index_bytes: None,
                image_bytes: 1.0,
            },
        }
    }
}
