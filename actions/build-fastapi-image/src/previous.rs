//! What earlier builds left in the registry: layers by the key of their inputs, and what the last
//! image held, to say what changed.

use std::collections::BTreeMap;

use futures::future::join_all;
use oci_image::{Digest, Image, Layer, Platform};
use oci_registry::{Published, Reference, Registry};

use crate::inputs::Request;

/// The annotation of a layer that tells the digest of its inputs.
pub(crate) const INPUTS: &str = "dev.fastapi-eks-actions.inputs";
/// The annotation of a layer that lists its packages, as `name==version` with spaces between.
pub(crate) const PACKAGES: &str = "dev.fastapi-eks-actions.packages";

/// Earlier images, the newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Previous {
    images: Vec<(Reference, Image)>,
}

/// A layer that need not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) layer: Layer,
    /// An image that has it.
    pub(crate) from: String,
}

impl Previous {
    /// Reads the image that the cache tag means, and those that are named beside it. Nothing
    /// depends on them but the time that the build takes, so one that cannot be read is passed
    /// over.
    pub(crate) async fn read(request: &Request, registry: &Registry) -> Self {
        let tagged = request
            .repository
            .as_ref()
            .zip(request.cache_tag.as_ref())
            .map(|(repository, tag)| with_tag(repository, tag));
        let references: Vec<Reference> = tagged
            .into_iter()
            .chain(request.cache_from.clone())
            .collect();
        let found = join_all(
            references
                .iter()
                .map(|reference| registry.published(reference)),
        );
        let mut images = Vec::new();
        for (reference, found) in references.iter().zip(found.await) {
            match found {
                Ok(Some(found)) => images.extend(pinned(reference, found)),
                Ok(None) => tracing::info!("no earlier image `{reference}`: all layers are made"),
                Err(error) => tracing::warn!("layers of `{reference}` are not reused: {error}"),
            }
        }
        Self { images }
    }

    /// Finds a layer by the key of its inputs.
    pub(crate) fn find(&self, key: &Digest) -> Option<Known> {
        self.images.iter().find_map(|(reference, image)| {
            let mut layers = image.layers().zip(image.descriptors());
            let (layer, _) = layers.find(|(_, descriptor)| {
                descriptor.annotations.get(INPUTS).map(String::as_str) == Some(key.as_str())
            })?;
            Some(Known {
                layer,
                from: reference.whole(),
            })
        })
    }

    /// Gives the last image for a platform.
    pub(crate) fn image(&self, platform: &Platform) -> Option<&Image> {
        let mut images = self.images.iter().map(|(_, image)| image);
        images.find(|image| image.platform().serves(platform))
    }

    /// Gives the reference of the image that holds a layer.
    pub(crate) fn place(&self, digest: &Digest) -> Option<&Reference> {
        let mut images = self.images.iter();
        images
            .find(|(_, image)| image.layers().any(|layer| layer.digest == *digest))
            .map(|(reference, _)| reference)
    }
}

/// Reads the packages of an image that this action made: versions by name.
pub(crate) fn packages(image: &Image) -> BTreeMap<&str, &str> {
    let listed = image
        .descriptors()
        .iter()
        .filter_map(|descriptor| descriptor.annotations.get(PACKAGES));
    listed
        .flat_map(|packages| packages.split(' '))
        .filter_map(|package| package.split_once("=="))
        .collect()
}

/// Names a tag of a repository.
pub(crate) fn with_tag(repository: &Reference, tag: &str) -> Reference {
    Reference::with_tag(
        repository.registry().into(),
        repository.repository().into(),
        tag.into(),
    )
}

fn pinned(reference: &Reference, found: Published) -> impl Iterator<Item = (Reference, Image)> {
    let reference = reference.clone_with_digest(found.digest.to_string());
    found
        .images
        .into_iter()
        .map(move |image| (reference.clone(), image))
}
