//! Pushes: what the repository lacks, several things at once, and what names them last.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use oci_distribution::Reference;
use oci_image::{
    Artifact, Descriptor, Digest, Document, Image, Index, Layer, Platform, media_type,
};

use crate::registry::{QUESTIONS, place};
use crate::{Blobs, Registry, RegistryError, Source};

/// How many blobs are sent at once.
const UPLOADS: usize = 4;

/// What a push did.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// What was pushed, by digest: the index, or else the (first) image.
    pub reference: String,
    /// The bytes of all layers, configs and manifests that were sent; what was sent a second time
    /// after a failure counts once.
    pub sent: u64,
    /// How many layers were sent.
    pub layers_sent: usize,
    /// How many layers came from another repository of the registry; it had all others already.
    pub mounted: usize,
}

/// A blob that a push needs.
struct Part<'a> {
    descriptor: Descriptor,
    source: Option<Cow<'a, Source>>,
    kind: Kind,
}

impl Part<'_> {
    /// Says whether its bytes are in a repository already.
    fn is_in(&self, repository: &Reference) -> bool {
        match self.source.as_deref() {
            Some(Source::Registry(from)) => place(from) == place(repository),
            _ => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Layer,
    Config,
    Content,
}

/// How a blob came into the repository.
enum Moved {
    Mounted,
    Sent(Kind, u64),
}

impl Registry {
    /// Pushes images and, if given, their index to a repository: the blobs that it lacks, several
    /// at once, then the manifests, and the index last. All are pushed by digest; no tag is
    /// written. A push that fails leaves blobs and manifests that nothing names yet, with which
    /// the next one goes on. Nothing is sent or asked for when the repository has the last of them
    /// already: no registry takes a manifest that names what it does not have.
    pub async fn push_all(
        &self,
        images: &[Image],
        index: Option<&Document<Index>>,
        blobs: &Blobs,
        repository: &Reference,
    ) -> Result<Pushed, RegistryError> {
        let named = match (index, images) {
            (Some(index), _) => Some(index.digest()),
            (None, [image]) => Some(image.digest()),
            (None, _) => None,
        };
        let mut pushed = Pushed {
            reference: named.map_or_else(
                || place(repository),
                |digest| format!("{}@{digest}", place(repository)),
            ),
            sent: 0,
            layers_sent: 0,
            mounted: 0,
        };
        if let Some(digest) = named
            && self.has_manifest(repository, digest).await?
        {
            return Ok(pushed);
        }
        let parts = images.iter().flat_map(|image| parts_of(image, blobs));
        let lacking = self.lacking(parts, repository).await?;
        let lacked: BTreeSet<Digest> = lacking.keys().cloned().collect();
        for moved in self.bring(lacking, repository).await? {
            match moved {
                Moved::Mounted => pushed.mounted += 1,
                Moved::Sent(kind, size) => {
                    pushed.sent += size;
                    pushed.layers_sent += usize::from(kind == Kind::Layer);
                }
            }
        }
        let manifests: Vec<u64> = stream::iter(images)
            .map(|image| async {
                let manifest = image.manifest();
                let mut blobs = image.descriptors().iter().map(|layer| &layer.digest);
                let new = lacked.contains(image.config().digest())
                    || blobs.any(|digest| lacked.contains(digest));
                let media_type = &manifest.value().media_type;
                self.put_by_digest(manifest, media_type, new, repository)
                    .await
            })
            .buffer_unordered(UPLOADS)
            .try_collect()
            .await?;
        let new = manifests.iter().any(|sent| *sent > 0);
        pushed.sent += manifests.iter().sum::<u64>();
        if let Some(index) = index {
            let media_type = &index.value().media_type;
            pushed.sent += self
                .put_by_digest(index, media_type, new, repository)
                .await?;
        }
        Ok(pushed)
    }

    /// Pushes an image and, when the reference has one, the tag, unless it means the image
    /// already.
    pub async fn push(
        &self,
        image: &Image,
        blobs: &Blobs,
        target: &Reference,
    ) -> Result<Pushed, RegistryError> {
        let images = std::slice::from_ref(image);
        let mut pushed = self.push_all(images, None, blobs, target).await?;
        if target.tag().is_some() && target.digest().is_none() {
            let meant = self.resolve_if_any(target).await?;
            if meant.as_ref() != Some(image.digest()) {
                self.tag(image, target).await?;
                pushed.sent += image.manifest().size();
            }
        }
        Ok(pushed)
    }

    /// Copies an image by digest from one repository to another.
    pub async fn copy(
        &self,
        from: &Reference,
        platform: &Platform,
        to: &Reference,
    ) -> Result<Pushed, RegistryError> {
        let image = self.image(from, platform).await?;
        self.push(&image, &Blobs::of_remote(&image, from), to).await
    }

    /// Finds out which blobs of an image its repository lacks: layers, and the config.
    pub async fn lacks(
        &self,
        image: &Image,
        repository: &Reference,
    ) -> Result<Vec<Digest>, RegistryError> {
        let nowhere = Blobs::new();
        let lacking = self.lacking(parts_of(image, &nowhere), repository);
        Ok(lacking.await?.into_keys().collect())
    }

    /// Pushes a layer, unless the repository has it; nothing names it yet. Of an image that is still
    /// being made that is the larger part.
    pub async fn push_layer(
        &self,
        layer: &Layer,
        source: Source,
        repository: &Reference,
    ) -> Result<(), RegistryError> {
        let part = Part {
            descriptor: layer.descriptor(),
            source: Some(Cow::Owned(source)),
            kind: Kind::Layer,
        };
        let lacking = self.lacking(std::iter::once(part), repository).await?;
        self.bring(lacking, repository).await.map(|_| ())
    }

    /// Pushes an artifact by digest, unless the repository has it; nothing lists it yet.
    pub(crate) async fn push_artifact(
        &self,
        artifact: &Artifact,
        repository: &Reference,
    ) -> Result<(), RegistryError> {
        let manifest = artifact.manifest();
        if self.has_manifest(repository, manifest.digest()).await? {
            return Ok(());
        }
        let config = (&manifest.value().config, Artifact::CONFIG, Kind::Config);
        let contents = manifest.value().layers.iter();
        let contents = contents.map(|content| (content, artifact.content(), Kind::Content));
        let parts = std::iter::once(config).chain(contents);
        let parts = parts.map(|(descriptor, bytes, kind)| Part {
            descriptor: descriptor.clone(),
            source: Some(Cow::Owned(Source::Bytes(bytes.into()))),
            kind,
        });
        let lacking = self.lacking(parts, repository).await?;
        self.bring(lacking, repository).await?;
        self.put_by_digest(manifest, media_type::MANIFEST, true, repository)
            .await?;
        Ok(())
    }

    /// Finds out which blobs a repository lacks. It is not asked for those of an image that was
    /// found in it.
    async fn lacking<'a>(
        &self,
        parts: impl Iterator<Item = Part<'a>>,
        repository: &Reference,
    ) -> Result<BTreeMap<Digest, Part<'a>>, RegistryError> {
        self.authenticate(repository).await?;
        let parts: BTreeMap<Digest, Part<'a>> = parts
            .filter(|part| !part.is_in(repository))
            .map(|part| (part.descriptor.digest.clone(), part))
            .collect();
        stream::iter(parts)
            .map(|(digest, part)| async {
                let has = self.has_blob(repository, &digest).await?;
                Ok::<_, RegistryError>((!has).then_some((digest, part)))
            })
            .buffer_unordered(QUESTIONS)
            .try_filter_map(async |lacking| Ok(lacking))
            .try_collect()
            .await
    }

    /// Brings blobs into a repository, the large ones first: they take longest.
    async fn bring(
        &self,
        lacking: BTreeMap<Digest, Part<'_>>,
        repository: &Reference,
    ) -> Result<Vec<Moved>, RegistryError> {
        let mut parts: Vec<Part<'_>> = lacking.into_values().collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.descriptor.size));
        stream::iter(parts)
            .map(|part| self.bring_one(part, repository))
            .buffer_unordered(UPLOADS)
            .try_collect()
            .await
    }

    async fn bring_one(
        &self,
        part: Part<'_>,
        repository: &Reference,
    ) -> Result<Moved, RegistryError> {
        let digest = &part.descriptor.digest;
        let source = part
            .source
            .ok_or_else(|| RegistryError::NoBytes(digest.to_string()))?;
        if let Source::Registry(from) = &*source
            && self.mount(from, repository, digest).await?
        {
            return Ok(Moved::Mounted);
        }
        let what = match part.kind {
            Kind::Layer => "layer",
            Kind::Config => "config",
            Kind::Content => "content",
        };
        let doing = || format!("push {what} `{digest}` to `{}`", place(repository));
        self.upload(doing, &source, &part.descriptor, repository)
            .await?;
        Ok(Moved::Sent(part.kind, part.descriptor.size))
    }

    /// Writes a document by digest, unless the repository has it, and says how much was sent.
    async fn put_by_digest<T>(
        &self,
        document: &Document<T>,
        media_type: &str,
        is_new: bool,
        repository: &Reference,
    ) -> Result<u64, RegistryError> {
        let digest = document.digest();
        if !is_new && self.has_manifest(repository, digest).await? {
            return Ok(0);
        }
        self.put_manifest(document.bytes(), media_type, repository, digest.as_str())
            .await?;
        Ok(document.size())
    }
}

fn parts_of<'a>(image: &Image, blobs: &'a Blobs) -> impl Iterator<Item = Part<'a>> {
    let config = image.config();
    let config = Part {
        descriptor: Descriptor::of(media_type::CONFIG, config.bytes()),
        source: Some(Cow::Owned(Source::Bytes(config.bytes().into()))),
        kind: Kind::Config,
    };
    let layers: Vec<Part<'a>> = image
        .layers()
        .map(|layer| Part {
            descriptor: layer.descriptor(),
            source: blobs.get(&layer.digest).map(Cow::Borrowed),
            kind: Kind::Layer,
        })
        .collect();
    layers.into_iter().chain([config])
}
