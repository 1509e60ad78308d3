//! The base image's Python, run on this machine by whoever builds.
//!
//! It is started by its own dynamic loader, which takes no privilege: root in a container and a
//! user on a laptop run the same program in the same way. Where that fails, it is run inside its
//! root. Where both fail there is no build: an image that depended on who built it would have
//! another digest.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use action_kit::{Command, CommandError};

use crate::enter::Who;
use crate::error::BuildError;
use crate::root::Root;

/// The dynamic loaders of the platforms that images are built for.
const LOADERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
/// Where distributions keep shared libraries.
const LIBRARIES: [&str; 9] = [
    "/usr/local/lib",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];
/// Runs what is in a variable, so that a log or an error does not repeat a whole program.
pub(crate) const RUN: &str = "import os; exec(os.environ.pop('PROGRAM'))";
/// The variable.
pub(crate) const PROGRAM: &str = "PROGRAM";
/// Asks an interpreter for its version.
const ABOUT: &str = "import sys; print('%d.%d.%d' % sys.version_info[:3])";

/// The base image's Python.
#[derive(Clone, Debug)]
pub(crate) struct Interpreter {
    root: Root,
    /// Its place on this machine, without links.
    program: PathBuf,
    way: Way,
    version: String,
}

/// How the interpreter is started.
#[derive(Clone, Debug)]
enum Way {
    /// By its loader, from outside.
    Loader {
        loader: PathBuf,
        libraries: OsString,
    },
    /// Inside its root.
    Inside,
}

impl Interpreter {
    /// Finds the interpreter at `path` in the root of a base image that says it has Python
    /// `version`, and a way to run it.
    pub(crate) async fn find(
        root: &Root,
        base: &str,
        path: &str,
        version: &str,
    ) -> Result<Self, BuildError> {
        let program = root.follow(Path::new(path)).unwrap_or_default();
        if !program.is_file() {
            return Err(BuildError::NoPython {
                base: base.into(),
                path: path.into(),
            });
        }
        let mut reasons = Vec::new();
        for way in loader(root, &program).into_iter().chain([Way::Inside]) {
            let mut interpreter = Self {
                root: root.clone(),
                program: program.clone(),
                way,
                version: String::new(),
            };
            match interpreter
                .command()?
                .args(["-c", ABOUT])
                .output_async()
                .await
            {
                Ok(finished) => {
                    finished.stdout.trim().clone_into(&mut interpreter.version);
                    return interpreter.check(base, version);
                }
                Err(error) => reasons.push(root.as_seen(&why(error))),
            }
        }
        Err(BuildError::CannotRun {
            base: base.into(),
            path: path.into(),
            why: reasons.join("; "),
        })
    }

    fn check(self, base: &str, version: &str) -> Result<Self, BuildError> {
        let below = |wanted: &str| self.version.starts_with(&format!("{wanted}."));
        if self.version == version || below(version) {
            return Ok(self);
        }
        Err(BuildError::OtherPython {
            base: base.into(),
            found: self.version,
            asked: "PYTHON_VERSION".into(),
            wanted: version.into(),
        })
    }

    /// Gives its version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Prepares a call. The interpreter knows its own library and nothing else: no packages, no
    /// variables of ours, and it hashes alike in every process.
    pub(crate) fn command(&self) -> Result<Command, BuildError> {
        let command = match &self.way {
            Way::Loader { loader, libraries } => Command::new(loader)
                .args(["--inhibit-cache", "--library-path"])
                .arg(libraries)
                .arg(&self.program),
            Way::Inside => {
                let program = self.seen(&self.program)?;
                self.root
                    .command(Who::Builder, "/", &program.to_string_lossy())?
            }
        };
        let home = self.program.parent().and_then(Path::parent);
        Ok(command
            .args(["-S", "-s", "-B", "-W", "ignore"])
            .env("PYTHONHOME", self.seen(home.unwrap_or(Path::new("/")))?)
            .env("PYTHONHASHSEED", "0")
            .env("PYTHONUTF8", "1")
            .env("PYTHONCOERCECLOCALE", "0"))
    }

    /// Gives a path below the root as the interpreter sees it.
    pub(crate) fn seen(&self, path: &Path) -> Result<PathBuf, BuildError> {
        match &self.way {
            Way::Loader { .. } => Ok(path.into()),
            Way::Inside => self
                .root
                .inside(path)
                .ok_or_else(|| BuildError::NoEntry(format!("{} is outside", path.display()))),
        }
    }
}

/// What the link is called that stands for the interpreter.
const LINK: &str = "python3";
/// The file beside the link that holds the words which start the interpreter, a line each.
const WORDS: &str = "python3.words";

impl Interpreter {
    /// Makes a program that is the interpreter for whoever starts it, uv above all: a link to this
    /// program, which finds beside it how the interpreter is started. There is none where it can
    /// only run inside its root.
    pub(crate) fn as_program(&self, folder: &Path) -> Result<Option<PathBuf>, BuildError> {
        let doing = || BuildError::file("make a program of the base image's Python");
        let Way::Loader { loader, libraries } = &self.way else {
            return Ok(None);
        };
        let words = [
            loader.as_os_str(),
            OsStr::new("--inhibit-cache"),
            OsStr::new("--library-path"),
            libraries,
            self.program.as_os_str(),
        ];
        let mut text = Vec::new();
        for word in words {
            text.extend_from_slice(word.as_bytes());
            text.push(b'\n');
        }
        fs_err::create_dir_all(folder).map_err(doing())?;
        fs_err::write(folder.join(WORDS), text).map_err(doing())?;
        let this = std::env::current_exe().map_err(doing())?;
        let link = folder.join(LINK);
        fs_err::os::unix::fs::symlink(this, &link).map_err(doing())?;
        Ok(Some(link))
    }
}

/// Becomes the interpreter, when this program was started by the name of the link that stands for
/// it.
pub fn as_python(name: &OsStr, arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let name = Path::new(name);
    if name.file_name()? != LINK {
        return None;
    }
    let words = fs_err::read(name.with_file_name(WORDS)).ok()?;
    let mut words = words
        .split(|byte| *byte == b'\n')
        .filter(|word| !word.is_empty())
        .map(OsStr::from_bytes);
    let command = Command::new(words.next()?).args(words).args(arguments);
    let command =
        std::env::vars_os().fold(command, |command, (name, value)| command.env(name, value));
    let error = command.to_std().exec();
    // The parent reads this as the interpreter's own last words.
    let _ = writeln!(io::stderr(), "start the base image's Python: {error}");
    Some(ExitCode::from(70))
}

/// Finds the loader and the folders with libraries, as far as links in the root lead to them.
fn loader(root: &Root, program: &Path) -> Option<Way> {
    let loader = LOADERS
        .iter()
        .filter_map(|path| root.follow(Path::new(path)).ok())
        .find(|path| path.is_file())?;
    let own = program.parent()?.parent()?.join("lib");
    let mut folders = vec![own];
    for folder in LIBRARIES {
        if let Ok(folder) = root.follow(Path::new(folder))
            && folder.is_dir()
            && !folders.contains(&folder)
        {
            folders.push(folder);
        }
    }
    let libraries = std::env::join_paths(folders).ok()?;
    Some(Way::Loader { loader, libraries })
}

/// Gives the last line of what a program said: Python's own traceback ends with the reason.
pub(crate) fn last_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).rev();
    lines
        .find(|line| !line.is_empty())
        .unwrap_or("it said nothing")
        .into()
}

/// Gives what a program said last, or why it did not start.
fn why(error: CommandError) -> String {
    match error {
        CommandError::Status { tail, .. } => last_line(&tail),
        CommandError::Start { program, source } => format!("start `{program}`: {source}"),
    }
}
