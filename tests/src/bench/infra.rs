//! provision-infra beside Terraform and the AWS CLI: one network on one LocalStack.

mod emulator;
mod install;
mod peer;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use action_kit::Command;
use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use self::emulator::{Emulator, NETWORK};
use self::install::Programs;
use super::group::Group;
use super::sample::{Benchmark, Metric, Sample, grid, median, metric};
use super::{ACTION, float, version};
use crate::context::Context;
use crate::python_packages::{self, AWS_CLI};
use crate::tools;

/// The program that is compared.
const PROGRAM: &str = "provision-infra";
/// The name of Terraform's row.
const TERRAFORM: &str = "terraform";
/// The name of the AWS CLI's row.
const AWS: &str = "aws-cli";
/// The release that the provider is a copy of, from before it came out.
const PROVIDER: &str = "4.9.0";

pub const HELP: &str = "\
What is compared:
  action     provision-infra with its template of the network
  terraform  Terraform and its AWS provider, with the same network (tests/bench/network)
  aws-cli    `aws cloudformation deploy` with the action's template

Each makes a VPC over three zones on a new LocalStack (first apply), then plans with nothing
changed (no-op plan), then looks for what was changed beside it (drift check). What each has made
is counted, and must be the same.

The report is target/bench/infra.md and infra.json: the action's values divided by the best
peer's, where a peer wins, and the medians. Times depend on the machine and on what else it
does, so they are not kept anywhere else. A round takes about two minutes.

  cargo xtask bench infra                          # all of it: three rounds
  cargo xtask bench infra --rounds 1               # a quicker look
  cargo xtask bench infra --only action,aws-cli    # some of them

It needs root (control groups). The first run builds Terraform and its provider from their Go
modules, which takes some fifteen minutes on two cores and 4 GiB of memory.";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Situation {
    /// Make the network where nothing is.
    Apply,
    /// Plan when nothing has changed.
    Plan,
    /// Look for what was changed beside the tool.
    Drift,
}

impl Situation {
    /// Says it for people.
    fn words(self) -> &'static str {
        match self {
            Self::Apply => "first apply",
            Self::Plan => "no-op plan",
            Self::Drift => "drift check",
        }
    }
}

/// What is compared; less is better.
#[derive(Serialize)]
pub struct Measures {
    /// From the start of the program to its end.
    wall_seconds: f64,
    /// Of all processes.
    cpu_seconds: f64,
    /// The most that all processes held at one time.
    memory_bytes: f64,
    /// The files that must be there for it to run.
    install_bytes: f64,
}

/// A program to run, and what it must say when it has found what it should.
struct Call {
    command: Command,
    says: &'static str,
}

/// Not more than so many times a peer's value.
struct Aim {
    situation: Situation,
    metric: &'static str,
    peer: &'static str,
    times: f64,
}

const fn aim(metric: &'static str, peer: &'static str, times: f64) -> Aim {
    Aim {
        // It runs most often: at every push to a pull request.
        situation: Situation::Plan,
        metric,
        peer,
        times,
    }
}

const AIMS: [Aim; 3] = [
    aim("CPU s", TERRAFORM, 0.1),
    aim("memory MB", TERRAFORM, 0.05),
    aim("wall s", AWS, 1.0),
];

/// A benchmark that is under way.
pub struct Infra<'a> {
    cx: &'a Context,
    group: Group,
    programs: Programs,
    folder: PathBuf,
}

impl<'a> Infra<'a> {
    /// Makes everything ready.
    pub fn open(cx: &'a Context) -> Result<Self> {
        super::prepare(cx, &tools::INFRA_BENCH_TOOLS, PROGRAM)?;
        python_packages::fetch(cx, &AWS_CLI)?;
        let folder = super::place::<Self>(cx);
        if folder.exists() {
            fs_err::remove_dir_all(&folder)?;
        }
        fs_err::create_dir_all(&folder)?;
        Ok(Self {
            cx,
            group: Group::create()?,
            programs: Programs::find(cx)?,
            folder,
        })
    }

    /// Starts a call that is counted.
    fn counted(&self, endpoint: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let shell = emulator::client("sh", endpoint).env("HOME", &self.folder);
        self.group.enter(shell, program)
    }

    /// Runs a program, and measures it.
    fn measured(&self, call: &Call, install: u64) -> Result<Measures> {
        let before = self.group.processor_time()?;
        let watch = self.group.watch();
        let started = Instant::now();
        let finished = self.cx.run(&call.command);
        let wall = started.elapsed();
        let memory = watch.finish();
        let finished = finished?;
        if ![&finished.stdout, &finished.stderr]
            .iter()
            .any(|text| text.contains(call.says))
        {
            bail!("it did not say `{}`: {}", call.says, finished.stdout);
        }
        let taken = self.group.processor_time()?;
        Ok(Measures {
            wall_seconds: wall.as_secs_f64(),
            cpu_seconds: taken.saturating_sub(before).as_secs_f64(),
            memory_bytes: float(memory),
            install_bytes: float(install),
        })
    }
}

impl Benchmark for Infra<'_> {
    type Situation = Situation;
    type Measures = Measures;

    const NAME: &'static str = "infra";
    const TITLE: &'static str = "Making the network of an environment";
    const ABOUT: &'static str = "\
`action` is provision-infra, `terraform` is Terraform with its AWS provider, `aws-cli` is `aws cloudformation deploy` \
with the action's own template. All make the same resources on the same LocalStack, which is new for each of them and has \
made such a network before, so that nobody waits for what it loads. The *first apply* plans and makes everything, by one \
command; the *no-op plan* finds that nothing has changed; the *drift check* finds that nobody else has changed anything \
(`mode: drift`, `terraform plan -refresh-only`, `detect-stack-drift` and what it found).

CPU and memory are those of all processes, without LocalStack's: what CloudFormation does for provision-infra and the AWS \
CLI is AWS's to do, Terraform does it itself. Memory is what processes hold, without the kernel's copies \
of files. *install* is the program files that must be there; for the AWS CLI with the interpreter and its standard library. \
Terraform's plugin is installed and `terraform init` has run before the clock starts; its state is a file beside it, which \
takes up once, after the first apply and beside the clock, what AWS has added: a drift check would find it. \
LocalStack makes in a moment what takes AWS a minute, so a first apply is mostly what a tool waits for between two looks.

The provider is four years old: of later ones, which are larger, no Go module can be had.
";
    const CONTENDERS: &'static [&'static str] = &[ACTION, TERRAFORM, AWS];
    const COLUMNS: &'static [&'static str] = &["what"];
    const METRICS: &'static [Metric<Measures>] = &[
        metric("wall s", 1.0, 0.0, |all| Some(all.wall_seconds)),
        metric("CPU s", 1.0, 0.0, |all| Some(all.cpu_seconds)),
        metric("memory MB", 1e6, 0.0, |all| Some(all.memory_bytes)),
        metric("install MB", 1e6, 0.0, |all| Some(all.install_bytes)),
    ];

    fn words(situation: Situation) -> Vec<&'static str> {
        vec![situation.words()]
    }

    fn measure(
        &self,
        contender: &'static str,
        tell: &mut dyn FnMut(Situation, Measures),
    ) -> Result<()> {
        let emulator = Emulator::start(self.cx, &self.folder.join("localstack"))?;
        let peer = peer::open(self, contender, &emulator.endpoint)?;
        let before = emulator.count()?;
        for situation in [Situation::Apply, Situation::Plan, Situation::Drift] {
            let measures = self
                .measured(&peer.call(situation)?, peer.install()?)
                .with_context(|| situation.words())?;
            tell(situation, measures);
            emulator.check(&before)?;
            if situation == Situation::Apply {
                peer.applied()?;
            }
        }
        Ok(())
    }

    fn facts(&self) -> Result<Vec<(&'static str, String)>> {
        let network: Vec<String> = NETWORK
            .iter()
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        Ok(vec![
            ("Terraform", version(self.cx, "terraform")?),
            (
                "AWS provider",
                format!("{PROVIDER} of April 2022, before its release"),
            ),
            ("AWS CLI", install::aws_version(self.cx)?),
            ("the network, as each has made it", network.join(", ")),
            (
                "processors",
                std::thread::available_parallelism()?.to_string(),
            ),
        ])
    }

    fn remarks(samples: &[Sample<Self>]) -> String {
        let grid = grid(samples);
        let mut text = String::new();
        for aim in AIMS {
            let times = Self::METRICS
                .iter()
                .find(|metric| metric.name == aim.metric)
                .and_then(|metric| {
                    let runs = grid.get(&aim.situation)?;
                    let value = |name| median(runs.get(name)?, metric);
                    Some(value(ACTION)? / value(aim.peer)?)
                });
            if let Some(times) = times {
                let missed = if times > aim.times {
                    ": **missed**"
                } else {
                    ""
                };
                let _ = writeln!(
                    text,
                    "- {}, {}: {times:.3} of {}'s, aim at most {}{missed}",
                    aim.situation.words(),
                    aim.metric,
                    aim.peer,
                    aim.times,
                );
            }
        }
        if text.is_empty() {
            text
        } else {
            format!("\n## Aims\n\n{text}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(contender: &'static str, value: f64) -> Sample<Infra<'static>> {
        Sample {
            contender,
            situation: Situation::Plan,
            round: 1,
            measures: Measures {
                wall_seconds: value,
                cpu_seconds: value,
                memory_bytes: value,
                install_bytes: value,
            },
        }
    }

    #[test]
    fn an_aim_that_was_missed_is_marked() {
        let samples = [plan(ACTION, 1.0), plan(TERRAFORM, 16.0), plan(AWS, 2.0)];
        assert_eq!(
            Infra::remarks(&samples),
            "\n## Aims\n\n\
             - no-op plan, CPU s: 0.062 of terraform's, aim at most 0.1\n\
             - no-op plan, memory MB: 0.062 of terraform's, aim at most 0.05: **missed**\n\
             - no-op plan, wall s: 0.500 of aws-cli's, aim at most 1\n"
        );
        assert_eq!(Infra::remarks(&samples[..1]), "");
    }

    #[test]
    fn every_aim_is_of_a_measure_and_a_peer() {
        for aim in AIMS {
            let mut names = Infra::METRICS.iter().map(|metric| metric.name);
            assert!(names.any(|name| name == aim.metric), "{}", aim.metric);
            assert!(Infra::CONTENDERS.contains(&aim.peer), "{}", aim.peer);
        }
    }
}
