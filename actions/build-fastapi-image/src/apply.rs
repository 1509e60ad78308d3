//! Builds what the plan says: installs, lays out, and hands over.

use std::fmt::Write as _;

use action_kit::{Context, Failed, Outcome, Report};
use oci_image::{Digest, Entries, Image, Layer, Level};
use oci_registry::{Layout, Reference, Registry, add_tree};
use serde::Serialize;

use crate::error::BuildError;
use crate::inputs::{Bytecode, Request};
use crate::observe::Observed;
use crate::plan::{APP, Plan, VENV};
use crate::root::{self, Root};
use crate::uv::{self, Uv};
use crate::{bytecode, venv};

/// An image that was built.
#[derive(Debug)]
pub(crate) struct Built {
    image: Image,
    /// The image by digest in its repository, when it was pushed.
    reference: Option<String>,
    tags: Vec<String>,
    layers: Vec<LayerFact>,
    packages: usize,
    bytecode: bool,
    sent: u64,
}

/// A layer, for the report.
#[derive(Debug, Serialize)]
struct LayerFact {
    digest: Digest,
    size: u64,
    holds: String,
}

/// Builds the image, and pushes or writes it.
pub(crate) async fn apply(
    request: &Request,
    plan: &Plan,
    observed: &Observed,
    registry: &Registry,
    context: &Context,
) -> Result<Built, Failed> {
    let scratch = scratch(context)?;
    let root = Root::create(scratch.path().join("root"))?;
    let runs_here = root::may_enter() && request.platform.architecture == own_architecture();
    let own = uv::own_python(request);
    let compiles = request.bytecode == Bytecode::Auto && runs_here;
    if compiles || (own.is_none() && runs_here) {
        let group = context.console.group("Unpack the base image");
        root.unpack(&observed.base, registry, &scratch.path().join("base"))
            .await?;
        drop(group);
        has_python(&root, plan)?;
    }
    let uv = match own {
        Some(python) => Uv::with_own(request, python),
        None if runs_here => Uv::with_base(request, observed, &root)?,
        None => return Err(BuildError::NoInterpreter(plan.python.to_string()).into()),
    };
    let packages = install(&uv, request, plan, observed, &root).await?;
    stage(request, plan, &root)?;
    if compiles {
        bytecode::compile(&root, plan).await?;
    } else {
        tracing::info!("byte-compiled modules are left out: Python compiles at each start");
    }
    let folder = request.oci_layout.clone();
    let layout = Layout::create(folder.unwrap_or_else(|| scratch.path().join("image")))?;
    let layers = [
        (layer(&layout, &root, VENV)?, "packages"),
        (layer(&layout, &root, APP)?, "application"),
    ];
    let image = plan.draft(observed, &layers).finish();
    let mut built = Built {
        layers: facts(&image, &layers),
        reference: None,
        tags: request.tags.clone(),
        packages,
        bytecode: compiles,
        sent: 0,
        image,
    };
    hand_over(&mut built, request, observed, registry, &layout).await?;
    Ok(built)
}

async fn install(
    uv: &Uv<'_>,
    request: &Request,
    plan: &Plan,
    observed: &Observed,
    root: &Root,
) -> Result<usize, BuildError> {
    uv.check_lock(observed).await?;
    let requirements = uv.requirements().await?;
    let site = venv::site_packages(plan);
    let doing = || BuildError::file("lay out the packages");
    // What a base image has in our places is not ours to ship again.
    for folder in [VENV, APP] {
        if root.at(folder).exists() {
            fs_err::remove_dir_all(root.at(folder)).map_err(doing())?;
        }
    }
    fs_err::create_dir_all(root.at(&site)).map_err(doing())?;
    uv.install(plan, &request.platform, root, &requirements, &site)
        .await?;
    venv::arrange(root, plan).map_err(doing())?;
    let entries = fs_err::read_dir(root.at(&site)).map_err(doing())?;
    let packages = entries
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|end| end == "dist-info")
        })
        .count();
    tracing::info!("{packages} packages for Python {}", plan.python);
    Ok(packages)
}

/// Copies the application's files, so that all of them are of one moment.
fn stage(request: &Request, plan: &Plan, root: &Root) -> Result<(), BuildError> {
    let doing = || BuildError::file("copy the application");
    fs_err::create_dir_all(root.at(APP)).map_err(doing())?;
    for path in &plan.files {
        let (from, to) = (request.folder.join(path), root.at(APP).join(path));
        if let Some(folder) = to.parent() {
            fs_err::create_dir_all(folder).map_err(doing())?;
        }
        if from.is_symlink() {
            let target = fs_err::read_link(&from).map_err(doing())?;
            fs_err::os::unix::fs::symlink(target, to).map_err(doing())?;
        } else {
            fs_err::copy(&from, &to).map_err(doing())?;
        }
    }
    Ok(())
}

fn layer(layout: &Layout, root: &Root, folder: &str) -> Result<Layer, Failed> {
    let mut entries = Entries::new();
    entries
        .folder(folder, 0o755)
        .map_err(oci_image::LayerError::from)
        .map_err(oci_registry::RegistryError::from)?;
    add_tree(&mut entries, &root.at(folder), folder, |_| true)
        .map_err(BuildError::file(format!("lay out `{folder}`")))?;
    Ok(layout.write_layer(Level::Small, |layer| layer.append(entries).map(|_| ()))?)
}

async fn hand_over(
    built: &mut Built,
    request: &Request,
    observed: &Observed,
    registry: &Registry,
    layout: &Layout,
) -> Result<(), Failed> {
    let image = &built.image;
    let blobs = layout.blobs(image).or(observed.base.blobs.clone());
    if request.oci_layout.is_some() {
        layout.gather(image, &blobs, registry).await?;
        let name = match &request.repository {
            Some(repository) => format!("{}/{}", repository.registry(), repository.repository()),
            None => observed.files.pyproject.project.name.clone(),
        };
        let names = request.tags.iter().map(|tag| format!("{name}:{tag}"));
        let names: Vec<String> = names.collect();
        layout.put(image, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    if let Some(repository) = &request.repository {
        // The digest first, and a tag only when all of it is there.
        let by_digest = repository.clone_with_digest(image.digest().to_string());
        let pushed = registry.push(image, &blobs, &by_digest).await?;
        tracing::info!("pushed {} ({} bytes sent)", pushed.reference, pushed.sent);
        for tag in &request.tags {
            let tagged = Reference::with_tag(
                repository.registry().into(),
                repository.repository().into(),
                tag.clone(),
            );
            registry.tag(image, &tagged).await?;
        }
        built.sent = pushed.sent;
        built.reference = Some(pushed.reference);
    }
    Ok(())
}

fn facts(image: &Image, own: &[(Layer, &str)]) -> Vec<LayerFact> {
    image
        .layers()
        .map(|layer| LayerFact {
            holds: own
                .iter()
                .find(|(own, _)| own.digest == layer.digest)
                .map_or("base image", |(_, holds)| holds)
                .into(),
            digest: layer.digest,
            size: layer.size,
        })
        .collect()
}

fn has_python(root: &Root, plan: &Plan) -> Result<(), BuildError> {
    if root.at(&plan.interpreter).symlink_metadata().is_ok() {
        return Ok(());
    }
    Err(BuildError::NoPython {
        base: plan.base.clone(),
        path: plan.interpreter.clone(),
    })
}

/// Gives the architecture of this machine, in Go's words.
fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn scratch(context: &Context) -> Result<tempfile::TempDir, BuildError> {
    let folder = context
        .environment
        .path("RUNNER_TEMP")
        .filter(|folder| folder.is_dir())
        .unwrap_or_else(std::env::temp_dir);
    tempfile::Builder::new()
        .prefix("build-fastapi-image-")
        .tempdir_in(folder)
        .map_err(BuildError::file("make a folder to build in"))
}

/// Writes a number of bytes for people.
fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 {
        return format!("{}.{} kB", bytes / 1000, bytes / 100 % 10);
    }
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

impl Built {
    /// Reports the image.
    pub(crate) fn report(&self, plan: &Plan) -> Report {
        let digest = self.image.digest().to_string();
        let mut report = plan
            .report(Outcome::Done)
            .output("image", self.reference.clone().unwrap_or_default())
            .output("digest", &digest)
            .output(
                "layers",
                serde_json::to_string(&self.layers).unwrap_or_default(),
            )
            .output("size", self.image.size().to_string())
            .field("layers", &self.layers)
            .field("packages", self.packages)
            .field("bytecode", self.bytecode)
            .field("tags", &self.tags)
            .field("sent", self.sent)
            .line(format!("packages     {}", self.packages));
        let mut markdown = format!(
            "### Image built\n\n`{}`\n\n| layer | size | holds |\n|---|---|---|\n",
            self.reference.as_ref().unwrap_or(&digest)
        );
        for layer in &self.layers {
            let size = megabytes(layer.size);
            let short = layer.digest.short();
            let _ = writeln!(markdown, "| `{short}` | {size} | {} |", layer.holds);
            report = report.line(format!("layer        {short}  {size:>9}  {}", layer.holds));
        }
        report
            .markdown(markdown)
            .line(format!("size         {}", megabytes(self.image.size())))
            .line(format!("digest       {digest}"))
            .line(match &self.reference {
                Some(reference) => format!("pushed       {reference}"),
                None => "pushed       no".into(),
            })
    }
}
