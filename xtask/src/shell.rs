//! Starting programs.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Runs a program with the terminal attached, and fails when it does.
pub(crate) fn run(program: &str, arguments: &[impl AsRef<OsStr>]) -> Result<()> {
    run_in(&crate::workspace::root(), program, arguments)
}

/// Runs a program in a folder, with the terminal attached, and fails when it does.
pub(crate) fn run_in(folder: &Path, program: &str, arguments: &[impl AsRef<OsStr>]) -> Result<()> {
    let status = command(program, arguments)
        .current_dir(folder)
        .status()
        .with_context(|| format!("start `{program}`"))?;
    if !status.success() {
        bail!("`{}` ended with {status}", call(program, arguments));
    }
    Ok(())
}

/// Runs a program and gives its standard output.
pub(crate) fn output(program: &str, arguments: &[impl AsRef<OsStr>]) -> Result<String> {
    let output = command(program, arguments)
        .output()
        .with_context(|| format!("start `{program}`"))?;
    if !output.status.success() {
        let tail = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` ended with {}: {}",
            call(program, arguments),
            output.status,
            tail.trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{program}` wrote something else than text"))
}

/// Runs a program whose progress goes to the terminal, and gives its standard output.
pub(crate) fn stdout(program: &str, arguments: &[impl AsRef<OsStr>]) -> Result<String> {
    let output = command(program, arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start `{program}`"))?;
    if !output.status.success() {
        bail!(
            "`{}` ended with {}",
            call(program, arguments),
            output.status
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{program}` wrote something else than text"))
}

/// Runs a program with the terminal attached and passes its exit status on.
pub(crate) fn pass(program: &str, arguments: &[impl AsRef<OsStr>]) -> Result<ExitCode> {
    let status = command(program, arguments)
        .status()
        .with_context(|| format!("start `{program}`"))?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Does a named part of a command, and says how long it took.
pub(crate) fn part(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("── {name}");
    let started = Instant::now();
    work().with_context(|| name.to_owned())?;
    println!("   {name}: {:.1} s", started.elapsed().as_secs_f32());
    Ok(())
}

fn command(program: &str, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(crate::workspace::root());
    // Cargo tells them to what it runs. Told on, they would make another call of cargo compile again
    // what reads them when it is built (`ring`, and all that uses it).
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

fn call(program: &str, arguments: &[impl AsRef<OsStr>]) -> String {
    arguments.iter().fold(program.to_owned(), |text, argument| {
        text + " " + &argument.as_ref().to_string_lossy()
    })
}
