//! What is there: the project, its lock, the base image, what earlier builds left.

use std::path::PathBuf;

use action_kit::Failed;
use futures::future::try_join;
use oci_image::Digest;
use oci_registry::{Registry, RegistryError};

use crate::app::{self, App};
use crate::base::Base;
use crate::error::BuildError;
use crate::git::{self, Checkout};
use crate::inputs::Request;
use crate::locked::{self, Locked, Member};
use crate::previous::{Previous, with_tag};
use crate::project::Files;
use crate::python::{Version, fits};
use crate::sources::{self, Source};

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) files: Files,
    pub(crate) locked: Locked,
    pub(crate) checkout: Checkout,
    /// The folder that the paths of sources and members start from.
    pub(crate) root: PathBuf,
    pub(crate) app: App,
    pub(crate) sources: Vec<Source>,
    pub(crate) base: Base,
    pub(crate) previous: Previous,
    /// The tags that exist, and what they mean; asked only when they must not move.
    pub(crate) tags: Vec<(String, Digest)>,
}

/// Looks at the project, the base image and earlier images.
pub(crate) async fn observe(request: &Request, registry: &Registry) -> Result<Observed, Failed> {
    let (files, mut locked) = locked::read(
        &request.workspace,
        &request.folder,
        &request.shown_folder,
        &request.selection,
    )?;
    let below = rooted(&mut locked.members);
    let root = request.workspace.join(below);
    let project = locked.members.iter().find(|member| member.project);
    let folder = project.map_or(root.clone(), |project| root.join(&project.folder));
    let app = app::find(&folder, request.app.as_deref(), &files.pyproject)?;
    let sources = sources::read(&root, &locked.members, &request.exclude)?;
    let name = match &request.base_image {
        Some(name) => name.clone(),
        None => format!(
            "docker.io/library/python:{}-slim",
            version(request, &files)?
        ),
    };
    let base = Base::find(&name, &request.workspace, &request.platforms, registry);
    let earlier = async {
        Ok((
            Previous::read(request, registry).await,
            tags(request, registry).await?,
        ))
    };
    let (base, (previous, tags)) = try_join(base, earlier).await?;
    Ok(Observed {
        checkout: git::read(&root, &request.environment).await,
        files,
        locked,
        root,
        app,
        sources,
        base,
        previous,
        tags,
    })
}

/// Finds the folder that holds all members, and tells their paths from there: the image must not
/// depend on where in a checkout they are.
fn rooted(members: &mut [Member]) -> PathBuf {
    let mut below = members
        .first()
        .map(|member| member.folder.clone())
        .unwrap_or_default();
    while !members
        .iter()
        .all(|member| member.folder.starts_with(&below))
        && below.pop()
    {}
    for member in members {
        for path in [&mut member.folder, &mut member.import_root] {
            if let Ok(inside) = path.strip_prefix(&below) {
                *path = inside.to_owned();
            }
        }
    }
    below
}

/// Asks what tags mean that must not move.
async fn tags(request: &Request, registry: &Registry) -> Result<Vec<(String, Digest)>, Failed> {
    let mut tags = Vec::new();
    let Some(repository) = request
        .repository
        .as_ref()
        .filter(|_| request.immutable_tags)
    else {
        return Ok(tags);
    };
    for tag in &request.tags {
        match registry.resolve(&with_tag(repository, tag)).await {
            Ok(digest) => tags.push((tag.clone(), digest)),
            Err(RegistryError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(tags)
}

/// Chooses Python's version for the default base image.
fn version(request: &Request, files: &Files) -> Result<Version, BuildError> {
    let asked = request
        .python_version
        .as_ref()
        .or(files.python_version.as_ref());
    if let Some(text) = asked {
        return Version::parse(text)
            .map(|version| version.minor())
            .ok_or_else(|| BuildError::PythonVersion(text.clone()));
    }
    let specifier = files.pyproject.project.requires_python.as_deref();
    let known = ["3.14", "3.13", "3.12", "3.11", "3.10"];
    let mut versions = known.iter().filter_map(|text| Version::parse(text));
    versions
        .find(|version| fits(version, specifier.unwrap_or_default()))
        .ok_or_else(|| BuildError::PythonVersion(specifier.unwrap_or_default().into()))
}
