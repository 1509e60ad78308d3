//! Other programs: run to their end with their output in the step's log, or left in the background
//! until the teardown.
//!
//! What runs to its end dies with the run: a killed run leaves nothing behind that the next one
//! would meet half-way. What stays in the background is known by process id and start time, so that
//! nothing else is ever ended.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use action_kit::{Command, Finished};
use anyhow::{Context as _, Result, bail};

use crate::context::Context;

/// How many lines of a program's output a failure repeats.
const TAIL_LINES: usize = 20;
/// How long a background process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(15);

/// Runs a program to its end; each line of output goes to the step's log when it comes.
pub fn run(cx: &Context, command: &Command) -> Result<Finished> {
    let call = command.call();
    cx.log(&format!("$ {call}"));
    let mut child = wrap(command, &["setpriv", "--pdeathsig", "KILL"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{call}`"))?;
    let log = cx.log_file();
    let (stdout, stderr) = thread::scope(|scope| {
        let stdout = child
            .stdout
            .take()
            .map(|stream| scope.spawn(|| follow(stream, &log)));
        let stderr = child
            .stderr
            .take()
            .map(|stream| scope.spawn(|| follow(stream, &log)));
        let text = |reader: Option<thread::ScopedJoinHandle<'_, String>>| {
            reader
                .and_then(|reader| reader.join().ok())
                .unwrap_or_default()
        };
        (text(stdout), text(stderr))
    });
    let status = child.wait().with_context(|| format!("wait for `{call}`"))?;
    if !status.success() {
        let said = if stderr.trim().is_empty() {
            &stdout
        } else {
            &stderr
        };
        bail!("`{call}` ended with {status}: {}", tail(said));
    }
    Ok(Finished { stdout, stderr })
}

/// Starts a program that outlives the run, in a session of its own; what it says goes to
/// `logs/<name>.log`. Whatever runs under that name is ended first.
pub fn start(cx: &Context, name: &str, command: &Command) -> Result<()> {
    stop(cx, name)?;
    let note = note(cx, name);
    fs_err::create_dir_all(note.parent().context("a note has a folder")?)?;
    cx.log(&format!("$ {} &", command.call()));
    let log = fs_err::File::create(log(cx, name))?.into_parts().0;
    // The process notes itself before it becomes the program: a run that is killed right here
    // leaves no process that nobody knows of.
    let script = r#"cat "/proc/$$/stat" >"$1.new" && mv "$1.new" "$1" && shift && exec "$@""#;
    let note_name = note.to_string_lossy().into_owned();
    wrap(command, &["setsid", "sh", "-c", script, "sh", &note_name])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start `{}`", command.call()))?;
    cx.eventually(&format!("`{name}` starts"), Duration::from_secs(10), || {
        if note.exists() {
            Ok(())
        } else {
            bail!("it has not noted its process id")
        }
    })
}

/// Says whether the program that was started under a name still runs.
pub fn runs(cx: &Context, name: &str) -> bool {
    let text = fs_err::read_to_string(note(cx, name)).unwrap_or_default();
    process(&text).is_some_and(|process| process.runs())
}

/// Ends the program that was started under a name, if it runs.
pub fn stop(cx: &Context, name: &str) -> Result<()> {
    let note = note(cx, name);
    let Ok(text) = fs_err::read_to_string(&note) else {
        return Ok(());
    };
    if let Some(process) = process(&text).filter(Process::runs) {
        let ended = end(cx, name, &process, "-TERM");
        ended.or_else(|_| end(cx, name, &process, "-KILL"))?;
    }
    fs_err::remove_file(note)?;
    Ok(())
}

/// Sends a signal to a process and all of its session, and waits for its end.
fn end(cx: &Context, name: &str, process: &Process, signal: &str) -> Result<()> {
    let session = format!("-{}", process.id);
    // It may end by itself meanwhile.
    let _ = cx.run(&Command::new("kill").args([signal, "--", &session]));
    cx.eventually(&format!("`{name}` ends"), GRACE, || {
        anyhow::ensure!(!process.runs(), "process {} still runs", process.id);
        Ok(())
    })
}

/// Ends everything that runs have left in the background; gives the names.
pub fn stop_all(cx: &Context) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let folder = cx.folder.join("processes");
    if folder.exists() {
        for entry in fs_err::read_dir(&folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if Path::new(&name).extension().is_none_or(|end| end != "new") {
                names.push(name);
            }
        }
        names.sort_unstable();
    }
    for name in &names {
        stop(cx, name)?;
    }
    Ok(names)
}

/// Gives the file that a background program's output goes to.
pub fn log(cx: &Context, name: &str) -> PathBuf {
    cx.folder.join("logs").join(format!("{name}.log"))
}

fn note(cx: &Context, name: &str) -> PathBuf {
    cx.folder.join("processes").join(name)
}

/// A process, told apart from a later one with the same id.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    /// Clock ticks from the machine's start to the process's.
    started: u64,
    /// Whether it has ended and only waits to be collected.
    ended: bool,
}

impl Process {
    fn runs(&self) -> bool {
        let now = fs_err::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        process(&now).is_some_and(|now| now.started == self.started && !now.ended)
    }
}

/// Reads a line of `/proc/<pid>/stat`; the name in it may hold blanks and brackets.
fn process(stat: &str) -> Option<Process> {
    let (id, rest) = stat.split_once(" (")?;
    let mut fields = rest.rsplit_once(") ")?.1.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X");
    // The state is field 3, the start is field 22.
    let started = fields.nth(18)?.parse().ok()?;
    Some(Process {
        id: id.parse().ok()?,
        started,
        ended,
    })
}

/// Puts a program in front of a call; environment and folder stay.
fn wrap(command: &Command, before: &[&str]) -> std::process::Command {
    let call = command.to_std();
    let mut outer = Command::new(before[0]).args(&before[1..]);
    outer = outer.arg(call.get_program()).args(call.get_args());
    if let Some(folder) = call.get_current_dir() {
        outer = outer.current_dir(folder);
    }
    for (name, value) in call.get_envs() {
        if let Some(value) = value {
            outer = outer.env(name, value);
        }
    }
    outer.to_std()
}

/// Reads to the end; every line goes to the log at once.
fn follow(stream: impl Read, log: &Path) -> String {
    let mut file = fs_err::OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .ok();
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
        if let Some(file) = &mut file {
            // A log that cannot be written (disk full) shows in the step itself.
            let _ = std::io::Write::write_all(file, &line);
        }
        text.push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
    text
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_its_id_and_its_start() {
        let stat = "4711 (a (b) c) S 1 4711 4711 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        assert_eq!(
            process(stat),
            Some(Process {
                id: 4711,
                started: 98765,
                ended: false
            })
        );
        assert!(process(&stat.replace(") S ", ") Z ")).is_some_and(|process| process.ended));
        assert_eq!(process(""), None);
        let own = process(&fs_err::read_to_string("/proc/self/stat").unwrap()).unwrap();
        assert!(own.runs());
        assert!(
            !Process {
                started: own.started + 1,
                ..own
            }
            .runs()
        );
    }

    #[test]
    fn a_call_keeps_its_environment_behind_another_program() {
        let command = Command::new("sh")
            .args(["-c", "echo $WHAT; pwd"])
            .env("WHAT", "kept")
            .current_dir("/");
        let output = wrap(&command, &["setpriv", "--pdeathsig", "KILL"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "kept\n/\n");
    }
}
