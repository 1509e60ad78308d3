//! The inputs, and what becomes of them at the door.

use std::path::PathBuf;

use action_kit::{Common, Context, Environment, Failed, Secret};
use clap::ValueEnum;
use oci_image::Platform;
use oci_registry::{Access, Credentials, Reference, reference};

use crate::error::BuildError;

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Build the image, and push or write it
    #[default]
    Build,
    /// Show what would be built
    Plan,
}

/// Whether modules are byte-compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Bytecode {
    /// Where the base image's Python can be run: as root, on a machine of the image's platform
    #[default]
    Auto,
    /// Leave them out: Python compiles at each start
    Never,
}

/// The inputs of the action.
#[derive(Clone, Debug, clap::Args)]
pub struct Inputs {
    /// Folder of the project: it holds `pyproject.toml` and `uv.lock`
    #[arg(long, default_value = ".")]
    pub path: PathBuf,

    /// Image to build on, by tag or digest; `oci-layout:FOLDER` is one on disk [default: docker.io/library/python:<version>-slim]
    #[arg(long, value_name = "IMAGE")]
    pub base_image: Option<String>,

    /// Repository to push to, as `registry/repository`
    #[arg(long, value_name = "REPOSITORY")]
    pub image: Option<String>,

    /// Tags that will mean the image
    #[arg(long, value_name = "TAG", action = clap::ArgAction::Append)]
    pub tags: Vec<String>,

    /// Whether to push the image
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub push: bool,

    /// Folder that gets the image as an OCI layout
    #[arg(long, value_name = "FOLDER")]
    pub oci_layout: Option<PathBuf>,

    /// Whether to build, or to show what would be built
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,

    /// Platform to build for; for now a single one
    #[arg(long, value_name = "PLATFORM", action = clap::ArgAction::Append, default_values_t = ["linux/amd64".to_owned()])]
    pub platforms: Vec<String>,

    /// Python's version, as `3.14` [default: `.python-version`, or what the base image has]
    #[arg(long, value_name = "VERSION")]
    pub python_version: Option<String>,

    /// Python's path in the base image
    #[arg(long, value_name = "PATH", default_value = "/usr/local/bin/python3")]
    pub python: String,

    /// The application, as `module:attribute` [default: what `fastapi run` would find]
    #[arg(long, value_name = "APP")]
    pub app: Option<String>,

    /// Port that the application listens on
    #[arg(long, default_value_t = 8000)]
    pub port: u16,

    /// How long requests in flight may take when the application is told to end
    #[arg(long, value_name = "SECONDS", default_value_t = 25)]
    pub graceful_shutdown_seconds: u32,

    /// Files to leave out beside what `.dockerignore` says, as patterns in its form
    #[arg(long, value_name = "PATTERN", action = clap::ArgAction::Append)]
    pub exclude: Vec<String>,

    /// Whether to byte-compile the modules, for a faster start
    #[arg(long, value_enum, default_value_t)]
    pub bytecode: Bytecode,

    /// Registries that are reached without HTTPS, as `host:port`
    #[arg(long, value_name = "REGISTRY", action = clap::ArgAction::Append)]
    pub plain_http: Vec<String>,

    /// User of the registry that is pushed to [default: what `docker login` left]
    #[arg(long, value_name = "NAME")]
    pub registry_username: Option<String>,

    /// Password or token of that user
    #[arg(long, value_name = "SECRET")]
    pub registry_password: Option<Secret>,

    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "clap would show it as the program's description"
    )]
    pub common: Common,
}

impl AsRef<Common> for Inputs {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

/// What is asked for, checked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) folder: PathBuf,
    pub(crate) shown_folder: PathBuf,
    pub(crate) base_image: Option<String>,
    pub(crate) layout_base: PathBuf,
    /// The repository to push to, when it shall be pushed.
    pub(crate) repository: Option<Reference>,
    pub(crate) tags: Vec<String>,
    pub(crate) oci_layout: Option<PathBuf>,
    pub(crate) platform: Platform,
    pub(crate) python_version: Option<String>,
    pub(crate) python: String,
    pub(crate) app: Option<String>,
    pub(crate) port: u16,
    pub(crate) graceful_shutdown_seconds: u32,
    pub(crate) exclude: Vec<String>,
    pub(crate) bytecode: Bytecode,
    pub(crate) revision: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) environment: Environment,
}

impl Inputs {
    /// Says how registries are reached.
    pub(crate) fn access(&self, context: &Context) -> Result<Access, Failed> {
        let mut access = Access::from_docker(&context.environment)?.plain_http(&self.plain_http);
        if let (Some(image), Some(username), Some(password)) = (
            &self.image,
            &self.registry_username,
            &self.registry_password,
        ) {
            let credentials = Credentials {
                username: username.clone(),
                password: password.clone(),
            };
            access = access.login(reference(image)?.resolve_registry(), credentials);
        }
        Ok(access)
    }

    /// Checks the inputs and resolves their paths.
    pub(crate) fn check(&self, context: &Context) -> Result<Request, Failed> {
        if !self.push && self.oci_layout.is_none() && self.mode == Mode::Build {
            return Err(BuildError::Nowhere.into());
        }
        for tag in &self.tags {
            if !is_tag(tag) {
                return Err(BuildError::Tag(tag.clone()).into());
            }
        }
        let environment = &context.environment;
        let repository = environment.get("GITHUB_REPOSITORY");
        let server = environment.get("GITHUB_SERVER_URL");
        Ok(Request {
            folder: context.path(&self.path),
            shown_folder: self.path.clone(),
            base_image: self.base_image.clone(),
            layout_base: environment.workspace(),
            repository: self.repository()?,
            tags: self.tags.clone(),
            oci_layout: self.oci_layout.as_ref().map(|path| context.path(path)),
            platform: self.platform()?,
            python_version: self.python_version.clone(),
            python: self.python.clone(),
            app: self.app.clone(),
            port: self.port,
            graceful_shutdown_seconds: self.graceful_shutdown_seconds,
            exclude: self.exclude.clone(),
            bytecode: self.bytecode,
            revision: environment.get("GITHUB_SHA").map(String::from),
            source: server
                .zip(repository)
                .map(|(server, repository)| format!("{server}/{repository}")),
            environment: environment.clone(),
        })
    }

    fn repository(&self) -> Result<Option<Reference>, Failed> {
        let Some(image) = &self.image else {
            if self.push && self.mode == Mode::Build {
                return Err(BuildError::NoImage.into());
            }
            return Ok(None);
        };
        let last = image.rsplit('/').next().unwrap_or_default();
        if last.contains([':', '@']) {
            return Err(BuildError::ImageWithTag(image.clone()).into());
        }
        Ok(Some(reference(image)?).filter(|_| self.push))
    }

    fn platform(&self) -> Result<Platform, Failed> {
        match &self.platforms[..] {
            [one] if one == "linux/amd64" || one == "linux/arm64" => Ok(one
                .parse()
                .map_err(|_| BuildError::Platforms(one.clone()))?),
            others => {
                let others: Vec<String> = others.iter().map(|one| format!("`{one}`")).collect();
                Err(BuildError::Platforms(others.join(", ")).into())
            }
        }
    }
}

fn is_tag(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.len() <= 128
        && text.chars().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}
