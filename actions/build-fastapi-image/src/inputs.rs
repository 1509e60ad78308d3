//! The inputs, and what becomes of them at the door.

use std::path::PathBuf;

use action_kit::{Common, Context, Environment, Failed, Secret};
use clap::ValueEnum;
use evidence::{EvidenceError, Expected, GITHUB_ISSUER, Instance};
use oci_image::Platform;
use oci_registry::{Access, Credentials, Reference, reference};

use crate::error::BuildError;
use crate::labels;
use crate::locked::Selection;
use crate::openapi::OpenApi;
use crate::server::Server;
use crate::sign::{Sign, Signing};

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Build the image, and push or write it
    #[default]
    Build,
    /// Show what would be built, and what of it is there already
    Plan,
    /// Check the image that `image` names, by tag or digest, and what is attached to it
    Verify,
}

/// Which modules are byte-compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Bytecode {
    /// Those of the packages: a changed line of the application needs no Python
    #[default]
    Packages,
    /// Those of the application as well
    All,
    /// None: Python compiles at each start
    None,
}

/// The inputs of the action.
#[derive(Clone, Debug, clap::Args)]
pub struct Inputs {
    /// Folder of the project: it holds `pyproject.toml`, and a lock file or is a member of a workspace that does
    #[arg(long, default_value = ".")]
    pub path: PathBuf,

    /// Member of the uv workspace that is the application [default: the project in `path`]
    #[arg(long, value_name = "NAME")]
    pub package: Option<String>,

    /// Dependency groups to install beside the application's own dependencies
    #[arg(long, value_name = "GROUP", action = clap::ArgAction::Append)]
    pub groups: Vec<String>,

    /// Extras of the application to install
    #[arg(long, value_name = "EXTRA", action = clap::ArgAction::Append)]
    pub extras: Vec<String>,

    /// Image to build on, by tag or digest; `oci-layout:FOLDER` is one on disk [default: docker.io/library/python:<version>-slim]
    #[arg(long, value_name = "IMAGE")]
    pub base_image: Option<String>,

    /// Repository to push to, as `registry/repository`; for `verify` the image, by tag or digest
    #[arg(long, value_name = "REPOSITORY")]
    pub image: Option<String>,

    /// Tags that will mean the image
    #[arg(long, value_name = "TAG", action = clap::ArgAction::Append)]
    pub tags: Vec<String>,

    /// Whether a tag that means another image already is refused
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub immutable_tags: bool,

    /// Tag of the repository that always means the newest image, for the next build to reuse its layers; `none` for no such tag
    #[arg(long, value_name = "TAG", default_value = "cache")]
    pub cache_tag: String,

    /// Further images whose layers are reused where their inputs are equal, by tag or digest
    #[arg(long, value_name = "IMAGE", action = clap::ArgAction::Append)]
    pub cache_from: Vec<String>,

    /// Whether to push the image
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub push: bool,

    /// Folder that gets the image as an OCI layout
    #[arg(long, value_name = "FOLDER")]
    pub oci_layout: Option<PathBuf>,

    /// Whether to build, to show what would be built, or to verify an image
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,

    /// Platforms to build for
    #[arg(long, value_name = "PLATFORM", action = clap::ArgAction::Append, default_values_t = ["linux/amd64".to_owned(), "linux/arm64".to_owned()])]
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

    /// Server that runs the application
    #[arg(long, value_enum, default_value_t)]
    pub server: Server,

    /// Further arguments of the server
    #[arg(long, value_name = "ARGUMENT", action = clap::ArgAction::Append, allow_hyphen_values = true)]
    pub server_arguments: Vec<String>,

    /// Path that answers while the application is well, for the label `dev.fastapi-eks-actions.health`
    #[arg(long, value_name = "PATH", default_value = "/healthz")]
    pub health_path: String,

    /// Port that the application listens on
    #[arg(long, default_value_t = 8000)]
    pub port: u16,

    /// User that the application runs as, as `user` or `user:group`
    #[arg(long, default_value = "65532:65532")]
    pub user: String,

    /// How long requests in flight may take when the application is told to end
    #[arg(long, value_name = "SECONDS", default_value_t = 25)]
    pub graceful_shutdown_seconds: u32,

    /// Labels of the image beside those that the checkout gives, as `name=value`; they are annotations as well
    #[arg(long, value_name = "LABEL", action = clap::ArgAction::Append)]
    pub labels: Vec<String>,

    /// Files to leave out beside what `.dockerignore` says, as patterns in its form
    #[arg(long, value_name = "PATTERN", action = clap::ArgAction::Append)]
    pub exclude: Vec<String>,

    /// Which modules are byte-compiled, for a faster start
    #[arg(long, value_enum, default_value_t)]
    pub bytecode: Bytecode,

    /// Whether the application's OpenAPI document is attached to the image; it is imported for that, as nobody and without a network
    #[arg(long, value_enum, default_value_t)]
    pub openapi: OpenApi,

    /// Most bytes that a first pull of one platform may take, as `300MB`; a larger image is not pushed
    #[arg(long, value_name = "SIZE")]
    pub size_budget: Option<String>,

    /// Whether the provenance is signed, in the name of the workflow, by Sigstore; the job needs `id-token: write`
    #[arg(long, value_enum, default_value_t)]
    pub sign: Sign,

    /// For `verify`: workflow that must have signed, as a pattern of `https://github.com/OWNER/REPOSITORY/.github/workflows/FILE@REF`
    #[arg(long, value_name = "PATTERN")]
    pub certificate_identity: Option<String>,

    /// For `verify`: repository whose run must have signed, as a pattern of `https://github.com/OWNER/REPOSITORY`
    #[arg(long, value_name = "PATTERN")]
    pub source_repository: Option<String>,

    /// For `verify`: branch or tag whose run must have signed, as a pattern of `refs/heads/main`
    #[arg(long, value_name = "PATTERN")]
    pub source_ref: Option<String>,

    /// For `verify`: who must vouch for the signer, where one of these three is set
    #[arg(long, value_name = "URL", default_value = GITHUB_ISSUER)]
    pub certificate_oidc_issuer: String,

    /// Repository of trust (TUF) of a Sigstore of your own, to sign and verify with [default: the public one]
    #[arg(long, value_name = "URL")]
    pub tuf_mirror: Option<String>,

    /// The first `root.json` of that repository
    #[arg(long, value_name = "FILE")]
    pub tuf_root: Option<PathBuf>,

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
    pub(crate) workspace: PathBuf,
    pub(crate) selection: Selection,
    pub(crate) base_image: Option<String>,
    /// The repository that keeps the image, whether it is pushed now or not.
    pub(crate) repository: Option<Reference>,
    pub(crate) push: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) immutable_tags: bool,
    pub(crate) cache_tag: Option<String>,
    pub(crate) cache_from: Vec<Reference>,
    pub(crate) oci_layout: Option<PathBuf>,
    pub(crate) platforms: Vec<Platform>,
    pub(crate) python_version: Option<String>,
    pub(crate) python: String,
    pub(crate) app: Option<String>,
    pub(crate) server: Server,
    pub(crate) server_arguments: Vec<String>,
    pub(crate) health_path: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) graceful_shutdown_seconds: u32,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) exclude: Vec<String>,
    pub(crate) bytecode: Bytecode,
    pub(crate) openapi: OpenApi,
    /// Bytes.
    pub(crate) size_budget: Option<u64>,
    pub(crate) signing: Signing,
    /// The time at which the image says that it was made.
    pub(crate) created: String,
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
        let cache_tag = Some(&self.cache_tag).filter(|tag| *tag != "none");
        for tag in self.tags.iter().chain(cache_tag) {
            if !is_tag(tag) {
                return Err(BuildError::Tag(tag.clone()).into());
            }
        }
        let cache_from = self.cache_from.iter().map(|name| reference(name));
        Ok(Request {
            folder: context.path(&self.path),
            shown_folder: self.path.clone(),
            workspace: context.environment.workspace(),
            selection: Selection {
                package: self.package.clone(),
                groups: self.groups.clone(),
                extras: self.extras.clone(),
            },
            base_image: self.base_image.clone(),
            repository: self.repository()?,
            push: self.push,
            tags: self.tags.clone(),
            immutable_tags: self.immutable_tags,
            cache_tag: cache_tag.cloned(),
            cache_from: cache_from.collect::<Result<_, _>>()?,
            oci_layout: self.oci_layout.as_ref().map(|path| context.path(path)),
            platforms: self.platforms()?,
            python_version: self.python_version.clone(),
            python: self.python.clone(),
            app: self.app.clone(),
            server: self.server,
            server_arguments: self.server_arguments.clone(),
            health_path: self.health_path.clone(),
            port: self.port,
            user: self.user.clone(),
            graceful_shutdown_seconds: self.graceful_shutdown_seconds,
            labels: self.labels()?,
            exclude: self.exclude.clone(),
            bytecode: self.bytecode,
            openapi: self.openapi,
            size_budget: self.size_budget.as_deref().map(size).transpose()?,
            signing: Signing::of(self.sign, self.sigstore(context)?, context)?,
            created: labels::created(&context.environment)?,
            environment: context.environment.clone(),
        })
    }

    /// Says which Sigstore signs and verifies.
    pub(crate) fn sigstore(&self, context: &Context) -> Result<Instance, EvidenceError> {
        let root = self.tuf_root.as_ref().map(|path| context.path(path));
        Instance::read(self.tuf_mirror.as_deref(), root.as_deref())
    }

    /// Says who must have signed.
    pub(crate) fn expected(&self) -> Result<Expected, EvidenceError> {
        let mut expected = Expected::of(&self.certificate_oidc_issuer);
        if let Some(identity) = &self.certificate_identity {
            expected = expected.identity(identity)?;
        }
        if let Some(repository) = &self.source_repository {
            expected = expected.repository(repository)?;
        }
        if let Some(reference) = &self.source_ref {
            expected = expected.reference(reference)?;
        }
        Ok(expected)
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
        Ok(Some(reference(image)?))
    }

    fn platforms(&self) -> Result<Vec<Platform>, BuildError> {
        let platforms = self.platforms.iter().map(|text| match text.as_str() {
            "linux/amd64" | "linux/arm64" => text
                .parse::<Platform>()
                .map_err(|_| BuildError::Platform(text.clone())),
            _ => Err(BuildError::Platform(text.clone())),
        });
        let mut platforms: Vec<Platform> = platforms.collect::<Result<_, _>>()?;
        platforms.sort();
        platforms.dedup();
        Ok(platforms)
    }

    fn labels(&self) -> Result<Vec<(String, String)>, BuildError> {
        let labels = self.labels.iter().map(|label| match label.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(BuildError::Label(label.clone())),
        });
        labels.collect()
    }
}

fn is_tag(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.len() <= 128
        && text.chars().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads a number of bytes: `250MB` (millions), `250MiB`, or bytes.
fn size(text: &str) -> Result<u64, BuildError> {
    const UNITS: [(&str, u64); 7] = [
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
        ("B", 1),
    ];
    let (number, unit) = UNITS
        .iter()
        .find_map(|(word, unit)| Some((text.trim().strip_suffix(word)?, *unit)))
        .unwrap_or((text.trim(), 1));
    let number: Option<u64> = number.trim().parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| BuildError::Size(text.to_owned()))
}
