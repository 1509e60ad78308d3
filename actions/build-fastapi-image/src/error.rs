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
    /// The image to verify has neither tag nor digest.
    #[error("`image` is `{0}`: to be verified, it has a tag or a digest")]
    ImageWithoutTag(String),
    /// An image, or what is attached to it, is not what it should be.
    #[error("`{image}` does not hold what it says: {wrong}")]
    Unverified {
        /// The image, by digest.
        image: String,
        /// The checks that do not hold.
        wrong: String,
    },
    /// What an image should have attached is not there.
    #[error("`{image}` lacks evidence: {missing}")]
    NoEvidence {
        /// The image, by digest.
        image: String,
        /// What is missing.
        missing: String,
    },
    /// A tag cannot be one.
    #[error("`tags` has `{0}`, which is no tag")]
    Tag(String),
    /// A platform cannot be built for.
    #[error("`platforms` has `{0}`: it can hold `linux/amd64` and `linux/arm64`")]
    Platform(String),
    /// A label has no name.
    #[error("`labels` has `{0}`, which is no `name=value`")]
    Label(String),
    /// A size cannot be read.
    #[error("`size-budget` is `{0}`, which is no size")]
    Size(String),
    /// The folder holds no project.
    #[error("`{0}` holds no `pyproject.toml`")]
    NoProject(PathBuf),
    /// The project has no lock file.
    #[error(
        "`{0}` holds no lock file: `uv.lock`, `pylock.toml`, `poetry.lock` or `requirements.txt`"
    )]
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
    /// No server is among the packages.
    #[error("none of `uvicorn`, `granian` and `gunicorn` is among the packages")]
    NoServer,
    /// A server, or what it needs, is not among the packages.
    #[error("`{0}` is not among the packages")]
    ServerMissing(&'static str),
    /// Nobody says which Python the base image has.
    #[error("the base image `{0}` does not say which Python it has: no variable PYTHON_VERSION")]
    UnknownPython(String),
    /// The base image has another Python for each platform.
    #[error("the base image `{base}` has several Pythons for its platforms: {found}")]
    SeveralPythons {
        /// The base image.
        base: String,
        /// Their versions.
        found: String,
    },
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
    /// The interpreter does not start on this machine.
    #[error("the base image's Python `{path}` does not run here: {why}")]
    CannotRun {
        /// The base image.
        base: String,
        /// The interpreter.
        path: String,
        /// What it said, by each way that was tried.
        why: String,
    },
    /// The interpreter does not compile the same module to the same bytes.
    #[error("Python {0} compiles a module to other bytes each time")]
    OldPython(String),
    /// Modules of the application do not compile.
    #[error("the application does not compile: {}", .0.join("; "))]
    DoNotCompile(Vec<String>),
    /// Programs cannot run inside the base image's file system.
    #[error("run a program inside the base image's file system: {0}")]
    NoEntry(String),
    /// The application does not tell its OpenAPI document.
    #[error("export the application's OpenAPI document: {0}")]
    NoDocument(String),
    /// The time for the image cannot be read.
    #[error("SOURCE_DATE_EPOCH is `{0}`: it is no number of seconds since 1970")]
    SourceDate(String),
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
    /// A wheel holds a file for a place outside of its own.
    #[error("a wheel writes outside its tree: `{0}`")]
    Outside(String),
    /// The image is larger than its user wants.
    #[error(
        "the image for {platform} has {size}, `size-budget` is {budget}; the largest layers are {largest}"
    )]
    OverBudget {
        /// The platform.
        platform: String,
        /// The size of a first pull.
        size: String,
        /// What is allowed.
        budget: String,
        /// The largest layers.
        largest: String,
    },
    /// A tag that must not move means another image.
    #[error("tag `{tag}` means `{old}` and would mean `{new}`")]
    TagExists {
        /// The tag.
        tag: String,
        /// The image that it means.
        old: String,
        /// The image that was built.
        new: String,
    },
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
    /// The lock file was made for another state of the project.
    #[error("`{lock}` does not match `pyproject.toml`{}", details(.differences))]
    Outdated {
        /// The lock file.
        lock: String,
        /// What differs, where it is known.
        differences: Vec<String>,
        /// What makes the lock file again, where there is one way.
        command: Option<&'static str>,
    },
    /// The lock file is of a version that this action does not know.
    #[error("`{lock}` is of version {found}, this action reads version {reads}")]
    LockVersion {
        /// The lock file.
        lock: String,
        /// Its version.
        found: String,
        /// The version that can be read.
        reads: &'static str,
    },
    /// A requirement cannot be understood.
    #[error("`{}` asks for `{requirement}`: {why}", file.display())]
    Requirement {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: Option<u64>,
        /// The requirement.
        requirement: String,
        /// Why.
        why: String,
    },
    /// A package in a lock file cannot be understood.
    #[error("`{lock}` cannot be used: {what}")]
    Locked {
        /// The lock file.
        lock: String,
        /// What is wrong, and with which package.
        what: String,
    },
    /// A list of requirements does not say exactly which file a package is.
    #[error("`{}`, line {line}: {what}", file.display())]
    Unpinned {
        /// The list.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is not said.
        what: String,
    },
    /// A group, extra or package does not exist.
    #[error("there is no {kind} `{name}`: {}", choices(.there))]
    NoChoice {
        /// What was asked for: `group`, `extra` or `package`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Those that there are.
        there: Vec<String>,
    },
    /// A folder has no project of its own, and nobody says which one of a workspace is meant.
    #[error("`{}` has no [project] table", file.display())]
    NoMember {
        /// The `pyproject.toml`.
        file: PathBuf,
        /// The projects of the workspace.
        there: Vec<String>,
    },
    /// A package that the project needs lies outside of the checkout.
    #[error("`{name}` is at `{path}`, which is not in the checkout")]
    OutsideCheckout {
        /// The package.
        name: String,
        /// Where it is.
        path: String,
    },
    /// The lock file was made for another Python.
    #[error("`{lock}` is for Python {wanted}, not for {python}")]
    LockPython {
        /// The lock file.
        lock: String,
        /// What it is for.
        wanted: String,
        /// Python's version.
        python: String,
    },
    /// The lock file was made for other platforms.
    #[error("`{lock}` is for other environments than {target}: {there}")]
    LockEnvironment {
        /// The lock file.
        lock: String,
        /// The platform, and Python's version.
        target: String,
        /// The environments that it is for.
        there: String,
    },
    /// A lock file gives one platform two packages of one name.
    #[error("`{lock}` has `{name}` more than once for {target}: {versions}")]
    TwoVersions {
        /// The lock file.
        lock: String,
        /// The package.
        name: String,
        /// Its versions.
        versions: String,
        /// The platform, and Python's version.
        target: String,
    },
    /// Packages have no wheel for the platform.
    #[error("there is no wheel for {target} of {}", packages.join("; "))]
    NoWheels {
        /// The platform, and Python's version.
        target: String,
        /// The packages, and what there is of them.
        packages: Vec<String>,
    },
    /// A lock file does not say which bytes packages are.
    #[error("`{lock}` has no SHA-256 of {packages}")]
    NoHashes {
        /// The lock file.
        lock: String,
        /// The packages.
        packages: String,
    },
}

/// Lists what could have been asked for.
fn choices(there: &[String]) -> String {
    let quoted: Vec<String> = there.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "there are none".into(),
        Some((last, [])) => format!("there is {last}"),
        Some((last, rest)) => format!("there are {} and {last}", rest.join(", ")),
    }
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

    /// Says what to do about a lock file.
    fn hint_on_lock(&self) -> Option<String> {
        let hint = match self {
            Self::Outdated {
                command: Some(command),
                ..
            } => return Some(format!("run `{command}` and commit the file")),
            Self::Outdated { command: None, .. } => {
                "make the lock file again as it was made before, and commit it"
            }
            Self::LockVersion { .. } => {
                "make the lock file by a release of its tool that this action knows, or use a newer release of this action"
            }
            Self::Unpinned { .. } => {
                "each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them"
            }
            Self::NoMember { there, .. } if there.is_empty() => {
                "add the table, with the name of the project"
            }
            Self::NoMember { there, .. } => {
                return Some(format!(
                    "set `package` to the one to build: {}",
                    choices(there)
                ));
            }
            Self::OutsideCheckout { .. } => {
                "move it into the repository, or install it from an index as a wheel"
            }
            Self::LockPython { .. } | Self::LockEnvironment { .. } => {
                "lock for this platform and Python as well, or set another `python-version` or base image"
            }
            Self::TwoVersions { .. } => {
                "choose between the groups and extras that bring them, or lock again"
            }
            Self::NoWheels { .. } => {
                "only wheels are installed: choose a version or a `python-version` that has one, or build it by `uv build --wheel` into an index of your own, and lock again"
            }
            Self::NoHashes { .. } => "lock again from an index that tells the SHA-256 of its files",
            _ => return None,
        };
        Some(hint.into())
    }
}

impl Failure for BuildError {
    fn reason(&self) -> Reason {
        match self {
            Self::HashMismatch { .. } | Self::Outside(_) | Self::TagExists { .. } => {
                Reason::Refused
            }
            Self::NoEvidence { .. } => Reason::EvidenceMissing,
            Self::Install(_) => Reason::RemoteFailed,
            Self::Unverified { .. }
            | Self::Compile(_)
            | Self::DoNotCompile(_)
            | Self::NoDocument(_)
            | Self::OverBudget { .. } => Reason::ChecksFailed,
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
            Self::ImageWithoutTag(_) => "write it as REPOSITORY@sha256:…, or REPOSITORY:TAG",
            Self::Unverified { .. } => {
                "do not deploy it: build it again, and find out who could write to its repository"
            }
            Self::NoEvidence { .. } => {
                "build it again with this action: equal input gives the same digest, and what is missing is attached"
            }
            Self::Tag(_) => {
                "a tag has up to 128 letters, digits, `.`, `_` and `-`, and starts with a letter, digit or `_`"
            }
            Self::Platform(_) => "name the platforms one a line",
            Self::Label(_) => "write one label a line, as `name=value`",
            Self::Size(_) => "write it as 300MB, or in bytes",
            Self::SeveralPythons { .. } => {
                "name an image whose platforms are of one build, by digest"
            }
            Self::Outside(_) => {
                "a wheel may only write into its environment: find out where this one comes from, or choose another version"
            }
            Self::OverBudget { .. } => {
                "leave packages out that the application does not need at run time, or raise the budget"
            }
            Self::TagExists { .. } => {
                "choose a new tag, or set `immutable-tags` to false where a tag may move"
            }
            Self::NoProject(_) => "set `path` to the folder of the project",
            Self::NoLock(_) => "run `uv lock` and commit the file",
            Self::NoApp(_) => {
                "set `app` to MODULE:ATTRIBUTE, or `entrypoint` in [tool.fastapi] of pyproject.toml"
            }
            Self::UnknownApp { .. } => {
                "`app` is MODULE:ATTRIBUTE, as `uvicorn` takes it; the module is below the project's folder or `src`"
            }
            Self::NoServer => {
                "add one to the dependencies, say by `uv add uvicorn`, and commit the files"
            }
            Self::ServerMissing(_) => "add it to the dependencies, or set `server` to another one",
            Self::CannotRun { .. } => {
                "set `bytecode` to none for an image that is the same without it, or build on a machine of the image's processor"
            }
            Self::OldPython(_) => "set `bytecode` to none, or use Python 3.11 or newer",
            Self::NoEntry(_) => {
                "run as root or in the action's container, or allow user namespaces"
            }
            Self::NoDocument(_) => {
                "let the application be imported without its settings, or set `openapi` to false"
            }
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
            Self::Install(_) => {
                "the index is set as for uv: UV_DEFAULT_INDEX, UV_INDEX, UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD in the step's environment"
            }
            _ => return self.hint_on_lock().into_iter().collect(),
        };
        vec![hint.into()]
    }

    fn position(&self) -> Option<Position> {
        match self {
            Self::Toml { file, line, .. } | Self::Requirement { file, line, .. } => {
                Some(Position {
                    file: file.clone(),
                    line: *line,
                })
            }
            Self::Unpinned { file, line, .. } => Some(Position {
                file: file.clone(),
                line: Some(*line),
            }),
            _ => None,
        }
    }
}
