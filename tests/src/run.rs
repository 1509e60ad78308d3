//! Runs the steps: in order, from where the user says, with progress, and with a report at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::context::{Context, Source};
use crate::state::{self, Done};
use crate::step::{Outcome, Step};
use crate::{report, steps};

/// How often a long step says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How much of a log a failure repeats.
const TAIL_LINES: usize = 25;

#[derive(clap::Args)]
pub struct Arguments {
    /// Start at this step; what comes before is taken as done
    #[arg(long, value_name = "STEP")]
    from: Option<String>,
    /// Run these steps only (repeat it, or separate by commas)
    #[arg(
        long,
        value_name = "STEP",
        value_delimiter = ',',
        conflicts_with = "from"
    )]
    only: Vec<String>,
    /// Leave everything up at the end
    #[arg(long)]
    keep: bool,
    /// Remove everything that a run has started, and run nothing
    #[arg(long, conflicts_with_all = ["from", "only", "keep"])]
    down: bool,
    /// List the steps
    #[arg(long)]
    list: bool,
    /// Where components come from, instead of finding it out
    #[arg(long, value_enum)]
    source: Option<Source>,
}

/// Runs what the arguments ask for.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let all = steps::all();
    if arguments.list {
        for step in &all {
            println!(
                "{:<16} {} (cold {}, warm {})",
                step.name,
                step.about,
                minutes(step.cold),
                minutes(step.warm)
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    let cx = Context::open(arguments.source)?;
    let Some(_lock) = state::lock(&cx.folder)? else {
        eprintln!("error: another run of this checkout is under way\nhint: wait for it, or end it");
        return Ok(ExitCode::from(4));
    };
    let names: Vec<&str> = all.iter().map(|step| step.name).collect();
    let chosen = if arguments.down {
        vec!["teardown"]
    } else {
        select(&names, arguments)?
    };
    let warm = cx.cache.join("tools").exists();
    // The report tells of these steps what this run finds, not what an earlier one found.
    cx.update(|state| {
        state
            .steps
            .retain(|name, _| !chosen.contains(&name.as_str()));
    })?;
    let started = Instant::now();
    let mut failed = None;
    for (number, step) in all
        .iter()
        .filter(|step| chosen.contains(&step.name))
        .enumerate()
    {
        if let Err(error) = run_step(&cx, step, number + 1, chosen.len(), warm) {
            failed = Some((step.name, error));
            break;
        }
    }
    if !arguments.down {
        report::write(
            &cx,
            &names,
            started.elapsed(),
            failed.as_ref().map(|(name, _)| *name),
        )?;
    }
    if failed.is_none() && chosen.contains(&"teardown") {
        // What was up is gone: facts about addresses and images would mislead the next run.
        cx.update(|state| state.steps.clear())?;
    }
    match failed {
        None => Ok(ExitCode::SUCCESS),
        Some((name, error)) => {
            explain(&cx, name, &error);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Chooses steps by name.
fn select<'a>(names: &[&'a str], arguments: &Arguments) -> Result<Vec<&'a str>> {
    let known = |name: &str| match names.iter().position(|known| *known == name) {
        Some(index) => Ok(index),
        None => bail!(
            "no step is called `{name}`\nhint: the steps are {}",
            names.join(", ")
        ),
    };
    let mut chosen = names.to_vec();
    if let Some(from) = &arguments.from {
        chosen.drain(..known(from)?);
    }
    if !arguments.only.is_empty() {
        let only: Vec<usize> = arguments
            .only
            .iter()
            .map(|name| known(name))
            .collect::<Result<_>>()?;
        chosen = names
            .iter()
            .enumerate()
            .filter(|(index, _)| only.contains(index))
            .map(|(_, name)| *name)
            .collect();
    } else if arguments.keep {
        chosen.retain(|name| *name != "teardown");
    }
    Ok(chosen)
}

fn run_step(cx: &Context, step: &Step, number: usize, count: usize, warm: bool) -> Result<()> {
    let expected = if warm { step.warm } else { step.cold };
    eprintln!(
        "[{number}/{count}] {}: {} (about {})",
        step.name,
        step.about,
        minutes(expected)
    );
    cx.enter(step.name);
    let _ = fs_err::remove_file(cx.log_file());
    let started = Instant::now();
    let heartbeat = Heartbeat::start(step.name, expected, cx.log_file());
    let result = (step.run)(cx);
    drop(heartbeat);
    let seconds = started.elapsed().as_secs_f64();
    let done = match &result {
        Ok(Outcome { real, facts }) => Done {
            ok: true,
            seconds,
            real: real.clone(),
            facts: facts.clone(),
        },
        Err(error) => Done {
            ok: false,
            seconds,
            real: format!("{error:#}"),
            facts: BTreeMap::new(),
        },
    };
    let mark = if done.ok { "done" } else { "failed" };
    eprintln!(
        "    {seconds:6.1}s  {mark}: {}",
        done.real.lines().next().unwrap_or_default()
    );
    cx.update(|state| _ = state.steps.insert(step.name.into(), done))?;
    result.map(|_| ())
}

/// A thread that says now and then that a step is alive.
struct Heartbeat {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Heartbeat {
    fn start(name: &'static str, expected: Duration, log: PathBuf) -> Self {
        let (stop, stopped) = mpsc::channel();
        let started = Instant::now();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(HEARTBEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let elapsed = started.elapsed();
                let log = fs_err::read_to_string(&log).unwrap_or_default();
                eprintln!(
                    "    {:6.1}s  {name} goes on (about {}): {}",
                    elapsed.as_secs_f32(),
                    minutes(expected),
                    last_line(&log)
                );
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Gives the last line that says something, cut to what fits beside the rest.
fn last_line(text: &str) -> String {
    let line = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| line.contains(char::is_alphabetic));
    line.unwrap_or_default().chars().take(90).collect()
}

fn explain(cx: &Context, name: &str, error: &anyhow::Error) {
    eprintln!("\nerror: the step `{name}` failed: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
    let log = fs_err::read_to_string(cx.log_file()).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    eprintln!("\nthe last lines of its log:");
    for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
        eprintln!("  {line}");
    }
    eprintln!("\nfull logs: {}", cx.folder.join("logs").display());
    eprintln!(
        "hint: everything is left as it is, to look at; `cargo xtask e2e --from {name}` goes on from here"
    );
    eprintln!("hint: `cargo xtask e2e --down` removes everything that the run has started");
}

/// Writes a duration as people say it.
pub fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn chosen(arguments: &[&str]) -> Result<String> {
        let cli = Cli::try_parse_from([&["e2e"], arguments].concat())?;
        Ok(select(&["doctor", "tools", "cluster", "teardown"], &cli.arguments)?.join(" "))
    }

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap(), "doctor tools cluster teardown");
        assert_eq!(chosen(&["--keep"]).unwrap(), "doctor tools cluster");
        assert_eq!(chosen(&["--from", "cluster"]).unwrap(), "cluster teardown");
        assert_eq!(
            chosen(&["--only", "cluster,doctor"]).unwrap(),
            "doctor cluster"
        );
        let error = chosen(&["--only", "clusters"]).unwrap_err().to_string();
        assert!(
            error.contains("`clusters`") && error.contains("doctor, tools, cluster, teardown"),
            "{error}"
        );
        assert!(chosen(&["--from", "cluster", "--only", "tools"]).is_err());
    }

    #[test]
    fn the_last_line_that_says_something_is_told() {
        assert_eq!(
            last_line("a\n  Compiling hurl v8\n\n}\n"),
            "Compiling hurl v8"
        );
        assert_eq!(last_line(&"é".repeat(200)).chars().count(), 90);
        assert_eq!(last_line(""), "");
    }

    #[test]
    fn durations_are_said_as_people_do() {
        assert_eq!(minutes(Duration::from_secs(59)), "59 s");
        assert_eq!(minutes(Duration::from_secs(61)), "1 min 01 s");
    }
}
