//! Why an application cannot be built, and what to do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use action_kit::{CommandError, Failure, Position, Reason};
use thiserror::Error;

/// An application cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// Neither a registry nor a folder shall get the image.
    #[error("the image would go nowhere: `push` is false and `oci-layout` is not set")]
    Nowhere,
    /// The repository to push to is missing.
    #[error("`image` is missing: the repository to push to")]
    NoImage,
    /// The repository has a tag or digest.
    #[error("`image` is `{0}`: it names a repository, without tag or digest")]
    ImageWithTag(String),
    /// A tag cannot be one.
    #[error("`tags` has `{0}`, which is no tag")]
    Tag(String),
    /// A platform cannot be built for.
    #[error("`platforms` has {0}: one of `linux/amd64` and `linux/arm64` can be built in one run")]
    Platforms(String),
    /// The folder holds no project.
    #[error("`{0}` holds no `pyproject.toml`")]
    NoProject(PathBuf),
    /// The project has no lock file.
    #[error("`{0}` holds no `uv.lock`")]
    NoLock(PathBuf),
    /// A file of the project cannot be understood.
    #[error("read `{}`", file.display())]
    Toml {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: Option<u64>,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// The lock file belongs to another state of the project.
    #[error("`uv.lock` does not match `pyproject.toml`{}", details(.differences))]
    LockMismatch {
        /// What differs, where it is known.
        differences: Vec<String>,
    },
    /// The lock file cannot be checked.
    #[error("check `uv.lock` against `pyproject.toml`")]
    LockCheck(#[source] CommandError),
    /// The application was not found.
    #[error("no FastAPI application was found in {0}")]
    NoApp(String),
    /// The application that was named does not exist.
    #[error("application `{app}`: {why}")]
    UnknownApp {
        /// The application, as `module:attribute`.
        app: String,
        /// What is missing.
        why: String,
    },
    /// The server is not among the packages.
    #[error("`uvicorn` is not among the packages in `uv.lock`")]
    NoServer,
    /// Nobody says which Python the base image has.
    #[error("the base image `{0}` does not say which Python it has: no variable PYTHON_VERSION")]
    UnknownPython(String),
    /// A version of Python cannot be read.
    #[error("`{0}` is no version of Python")]
    PythonVersion(String),
    /// The base image has another Python than was asked for.
    #[error("the base image `{base}` has Python {found}, `{asked}` asks for {wanted}")]
    OtherPython {
        /// The base image.
        base: String,
        /// Its Python.
        found: String,
        /// Who asks.
        asked: String,
        /// What is asked for.
        wanted: String,
    },
    /// The interpreter is not where it should be.
    #[error("the base image `{base}` has no `{path}`")]
    NoPython {
        /// The base image.
        base: String,
        /// The interpreter.
        path: String,
    },
    /// There is no Python for uv on this machine.
    #[error("uv finds no Python {0} on this machine, and the base image's cannot be run here")]
    NoInterpreter(String),
    /// A package's file is another one than the lock file says.
    #[error("a package is not the one that `uv.lock` was made with: {detail}")]
    HashMismatch {
        /// uv's words.
        detail: String,
    },
    /// A package has no wheel for the platform.
    #[error("a package has no wheel for {platform} and Python {python}: {detail}")]
    NoWheel {
        /// The platform.
        platform: String,
        /// Python's version.
        python: String,
        /// uv's words.
        detail: String,
    },
    /// The packages cannot be installed.
    #[error("install the packages of `uv.lock`")]
    Install(#[source] CommandError),
    /// uv cannot read the lock file.
    #[error("list the packages of `uv.lock`")]
    Export(#[source] CommandError),
    /// Byte-compiling failed.
    #[error("compile the modules with the base image's Python")]
    Compile(#[source] CommandError),
    /// The base image cannot be unpacked.
    #[error("unpack the base image `{base}`")]
    Unpack {
        /// The base image.
        base: String,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("{doing}")]
    File {
        /// What was being done.
        doing: String,
        /// Why.
        source: io::Error,
    },
    /// A pattern cannot be understood.
    #[error("`{pattern}` is no pattern")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

fn details(differences: &[String]) -> String {
    if differences.is_empty() {
        String::new()
    } else {
        format!(": {}", differences.join("; "))
    }
}

impl BuildError {
    pub(crate) fn file(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::File { doing, source }
    }
}

impl Failure for BuildError {
    fn reason(&self) -> Reason {
        match self {
            Self::HashMismatch { .. } => Reason::Refused,
            Self::Install(_) | Self::LockCheck(_) => Reason::RemoteFailed,
            Self::Compile(_) => Reason::ChecksFailed,
            _ => Reason::InvalidInput,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Nowhere => "set `oci-layout` to a folder, or push",
            Self::NoImage => {
                "set `image` to REGISTRY/REPOSITORY, or `push` to false and `oci-layout` to a folder"
            }
            Self::ImageWithTag(_) => "put the tag into `tags`",
            Self::Tag(_) => {
                "a tag has up to 128 letters, digits, `.`, `_` and `-`, and starts with a letter, digit or `_`"
            }
            Self::Platforms(_) => "build each platform by a run of its own",
            Self::NoProject(_) => "set `path` to the folder of the project",
            Self::NoLock(_) | Self::LockMismatch { .. } => "run `uv lock` and commit the file",
            Self::NoApp(_) => {
                "set `app` to MODULE:ATTRIBUTE, or `entrypoint` in [tool.fastapi] of pyproject.toml"
            }
            Self::UnknownApp { .. } => {
                "`app` is MODULE:ATTRIBUTE, as `uvicorn` takes it; the module is below the project's folder or `src`"
            }
            Self::NoServer => "run `uv add uvicorn` and commit the files",
            Self::UnknownPython(_) => "set `python-version`",
            Self::PythonVersion(_) => "write it as 3.14",
            Self::OtherPython { .. } => {
                "name a base image of that version in `base-image`, or change what the project asks for"
            }
            Self::NoPython { .. } => "set `python` to the interpreter's path in the base image",
            Self::NoInterpreter(_) => {
                "run `uv python install`, or run as root, so that the base image's Python can be used"
            }
            Self::HashMismatch { .. } => {
                "find out why the package index gives another file before you lock again: the package may have been tampered with"
            }
            Self::NoWheel { .. } => {
                "only wheels are installed: choose a version that has one, or build the wheel into an index of your own"
            }
            Self::Install(_) | Self::LockCheck(_) => {
                "the index is set as for uv: UV_DEFAULT_INDEX, UV_INDEX, UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD in the step's environment"
            }
            Self::Export(_)
            | Self::Compile(_)
            | Self::Unpack { .. }
            | Self::File { .. }
            | Self::Toml { .. }
            | Self::Pattern { .. } => {
                return Vec::new();
            }
        };
        vec![hint.into()]
    }

    fn position(&self) -> Option<Position> {
        match self {
            Self::Toml { file, line, .. } => Some(Position {
                file: file.clone(),
                line: *line,
            }),
            _ => None,
        }
    }
}
