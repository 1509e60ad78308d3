//! Builds what the plan says: makes the layers that are not there, and hands the image over.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::slice;
use std::time::Instant;

use action_kit::{Context, Failed};
use futures::future::{join, try_join_all};
use oci_image::{Artifact, Descriptor, Digest, Document, Image, Index};
use oci_registry::{Blobs, Layout, Pushed, Reference, Registry, Source};

use crate::error::BuildError;
use crate::inputs::Request;
use crate::make::Build;
use crate::observe::Observed;
use crate::openapi::{MEDIA_TYPE, OpenApi};
use crate::plan::Plan;
use crate::previous::with_tag;
use crate::provenance::Origin;
use crate::report::{Attached, Built, Change, Phases, facts, megabytes};
use crate::sbom::{self, Contents};
use crate::sign::Provenance;

/// How many layers are named when the image is too large.
const LARGEST: usize = 5;

/// Builds the image, and pushes or writes it.
pub(crate) async fn apply(
    request: &Request,
    plan: &Plan,
    observed: &Observed,
    registry: &Registry,
    context: &Context,
    changes: Vec<Change>,
    mut phases: Phases,
) -> Result<Built, Failed> {
    let scratch = scratch(context)?;
    let build = Build {
        request,
        plan,
        observed,
        registry,
        scratch: scratch.path(),
        layout: Layout::create(scratch.path().join("image"))?,
    };
    let mut made = build.make(&mut phases).await?;
    let clearing = build.clear_layers();
    let mut since = Instant::now();
    let images: Vec<Image> = plan
        .images
        .iter()
        .map(|planned| plan.draft(planned, &request.created, &made.layers).finish())
        .collect();
    let index = (images.len() > 1).then(|| Index::of(&images));
    let whole = match (&index, images.first()) {
        (Some(index), _) => Whole::of(index, &index.value().media_type),
        (None, Some(image)) => {
            let manifest = image.manifest();
            Whole::of(manifest, &manifest.value().media_type)
        }
        (None, None) => return Err(BuildError::Nowhere.into()),
    };
    build.within_budget(&images)?;
    build.tags_are_free(&whole.descriptor.digest)?;
    let demanded = match request.openapi {
        // Without it nothing is signed or sent.
        OpenApi::True => made.openapi.document().await?,
        OpenApi::Auto | OpenApi::False => None,
    };
    let mut artifacts = build.bills(&images);
    let provenance = build
        .provenance(&images, &artifacts, &whole, context)
        .await?;
    artifacts.push(provenance.artifact);
    let blobs = build.blobs(&images);
    let pushed = build
        .push(&images, index.as_ref(), &artifacts, &blobs)
        .await?;
    phases.end("push", &mut since);
    let document = made.openapi.document().await?.or(demanded);
    phases.end("openapi", &mut since);
    clearing.join_all().await;
    let clearing = build.clear_root();
    let openapi = document.map(|document| openapi(document, &whole));
    if let (Some(openapi), Some(repository)) = (&openapi, build.pushes_to()) {
        registry
            .attach(slice::from_ref(openapi), repository)
            .await?;
    }
    artifacts.extend(openapi.clone());
    build
        .write(&images, index.as_ref(), &artifacts, &blobs)
        .await?;
    build.tag(&whole).await?;
    if let Some(pushed) = &pushed {
        tracing::info!("pushed {}", pushed.reference);
    }
    clearing.join_all().await;
    phases.end("tags", &mut since);
    Ok(Built {
        digest: whole.descriptor.digest,
        images,
        reference: pushed.map(|pushed| pushed.reference),
        openapi: openapi.map(|document| document.digest().clone()),
        attached: artifacts.iter().map(Attached::of).collect(),
        unsigned: provenance.unsigned,
        tags: request.tags.clone(),
        changes,
        traffic: registry.traffic(),
        phases,
    })
}

/// The document that names all of an image: the index, or the manifest of its only platform.
struct Whole {
    bytes: Vec<u8>,
    descriptor: Descriptor,
}

impl Whole {
    fn of<T>(document: &Document<T>, media_type: &str) -> Self {
        Self {
            bytes: document.bytes().to_vec(),
            descriptor: Descriptor::of(media_type, document.bytes()),
        }
    }
}

/// Makes the artifact that refers to an image and holds its OpenAPI document.
fn openapi(document: Vec<u8>, image: &Whole) -> Artifact {
    let title = ("org.opencontainers.image.title", "openapi.json");
    let annotations = BTreeMap::from([title].map(|(name, value)| (name.into(), value.into())));
    let subject = image.descriptor.clone();
    Artifact::of(MEDIA_TYPE, MEDIA_TYPE, document, subject, annotations)
}

impl Build<'_> {
    /// Writes what the images are made of.
    fn bills(&self, images: &[Image]) -> Vec<Artifact> {
        let bill = |(image, planned): (&Image, _)| {
            let contents = Contents {
                plan: self.plan,
                planned,
                members: &self.observed.locked.members,
                created: &self.request.created,
            };
            let document = sbom::document(image, &contents);
            let (kind, subject) = (sbom::MEDIA_TYPE, image.descriptor());
            Artifact::of(kind, kind, document, subject, BTreeMap::new())
        };
        images.iter().zip(&self.plan.images).map(bill).collect()
    }

    /// Writes where the images come from, and signs it.
    async fn provenance(
        &self,
        images: &[Image],
        bills: &[Artifact],
        whole: &Whole,
        context: &Context,
    ) -> Result<Provenance, Failed> {
        let subject = &whole.descriptor;
        let statement = Origin {
            request: self.request,
            plan: self.plan,
            observed: self.observed,
            images,
            bills,
        }
        .statement(&subject.digest);
        let signing = &self.request.signing;
        signing
            .provenance(statement, subject.clone(), self.request.push, context)
            .await
    }

    /// Refuses an image that is larger than its user wants, before anything is pushed.
    fn within_budget(&self, images: &[Image]) -> Result<(), BuildError> {
        let Some(budget) = self.request.size_budget else {
            return Ok(());
        };
        for image in images {
            if image.size() > budget {
                let mut layers = facts(self.plan, images);
                layers.sort_by_key(|layer| Reverse(layer.size));
                let largest = layers.iter().take(LARGEST);
                let largest =
                    largest.map(|layer| format!("{} {}", layer.holds, megabytes(layer.size)));
                return Err(BuildError::OverBudget {
                    platform: image.platform().to_string(),
                    size: megabytes(image.size()),
                    budget: megabytes(budget),
                    largest: largest.collect::<Vec<_>>().join(", "),
                });
            }
        }
        Ok(())
    }

    /// Refuses to let a tag mean another image than it does.
    fn tags_are_free(&self, digest: &Digest) -> Result<(), BuildError> {
        let moved = self.observed.tags.iter().find(|(_, old)| old != digest);
        match moved {
            Some((tag, old)) => Err(BuildError::TagExists {
                tag: tag.clone(),
                old: old.to_string(),
                new: digest.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// Sends the image and attaches what belongs to it; no tag names it yet.
    async fn push(
        &self,
        images: &[Image],
        index: Option<&Document<Index>>,
        artifacts: &[Artifact],
        blobs: &Blobs,
    ) -> Result<Option<Pushed>, Failed> {
        let Some(repository) = self.pushes_to() else {
            return Ok(None);
        };
        let (pushed, early) = join(
            self.registry.push_all(images, index, blobs, repository),
            self.registry.push_artifacts(artifacts, repository),
        )
        .await;
        let pushed = pushed?;
        if let Err(error) = early {
            // A few registries want the image first. What else it may be shows the second time.
            tracing::debug!("before the image was there: {error}");
        }
        self.registry.attach(artifacts, repository).await?;
        Ok(Some(pushed))
    }

    fn pushes_to(&self) -> Option<&Reference> {
        let wanted = self.request.push;
        self.request.repository.as_ref().filter(|_| wanted)
    }

    /// Writes the image into the layout, when one is wanted.
    async fn write(
        &self,
        images: &[Image],
        index: Option<&Document<Index>>,
        artifacts: &[Artifact],
        blobs: &Blobs,
    ) -> Result<(), Failed> {
        let Some(folder) = &self.request.oci_layout else {
            return Ok(());
        };
        // Only now: a build that fails leaves the folder as it was.
        let layout = Layout::create(folder)?;
        for image in images {
            layout.gather(image, blobs, self.registry).await?;
        }
        let name = match &self.request.repository {
            Some(repository) => format!("{}/{}", repository.registry(), repository.repository()),
            None => self.observed.files.pyproject.project.name.clone(),
        };
        let tagged = self.request.tags.iter().map(|tag| format!("{name}:{tag}"));
        let tagged: Vec<String> = tagged.collect();
        let tagged: Vec<&str> = tagged.iter().map(String::as_str).collect();
        layout.put_all(images, index, &tagged)?;
        for artifact in artifacts {
            layout.attach(artifact)?;
        }
        Ok(())
    }

    /// Lets the tags mean the image, of which everything is there.
    async fn tag(&self, whole: &Whole) -> Result<(), Failed> {
        let Some(repository) = self.pushes_to() else {
            return Ok(());
        };
        let (bytes, kind) = (&*whole.bytes, &*whole.descriptor.media_type);
        let write = async |tag: &String| {
            let target = with_tag(repository, tag);
            self.registry.tag_document(bytes, kind, &target).await
        };
        let cached = async {
            let tag = self.request.cache_tag.as_ref()?;
            // Only later builds would gain from it, so that this one does not fail for it.
            let error = write(tag).await.err()?;
            tracing::warn!("later builds cannot reuse the layers by tag `{tag}`: {error}");
            Some(())
        };
        let tagged = try_join_all(self.request.tags.iter().map(write));
        join(tagged, cached).await.0?;
        Ok(())
    }

    /// Says where each layer is: made here, in an earlier image, or in the base image.
    fn blobs(&self, images: &[Image]) -> Blobs {
        let mut blobs = Blobs::new();
        for (image, planned) in images.iter().zip(&self.plan.images) {
            blobs = blobs.or(self.layout.blobs(image));
            for layer in image.layers() {
                if let Some(place) = self.observed.previous.place(&layer.digest)
                    && blobs.get(&layer.digest).is_none()
                {
                    blobs.insert(layer.digest, Source::Registry(place.clone()));
                }
            }
            blobs = blobs.or(self.observed.base.blobs(&planned.base));
        }
        blobs
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
