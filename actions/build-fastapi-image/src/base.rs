//! The base image: in a registry, or in a layout on disk.

use std::path::Path;

use action_kit::Failed;
use futures::future::try_join_all;
use oci_image::{Image, Platform};
use oci_registry::{Blobs, Layout, Reference, Registry, reference};

/// What a base image in a layout on disk starts with.
pub(crate) const ON_DISK: &str = "oci-layout:";

/// A base image of one or several platforms; its tag was resolved once, and from then on the
/// digest counts.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// The image by digest, for people and for the record.
    pub(crate) name: String,
    place: Place,
    /// One a platform, in the order in which they were asked for.
    pub(crate) images: Vec<Image>,
}

#[derive(Clone, Debug)]
enum Place {
    Layout(Layout),
    Registry(Reference),
}

impl Base {
    /// Finds the base image for some platforms.
    pub(crate) async fn find(
        name: &str,
        workspace: &Path,
        platforms: &[Platform],
        registry: &Registry,
    ) -> Result<Self, Failed> {
        if let Some(place) = name.strip_prefix(ON_DISK) {
            return on_disk(place, workspace, platforms);
        }
        let named = reference(name)?;
        let pinned = match named.digest() {
            Some(_) => named,
            None => named.clone_with_digest(registry.resolve(&named).await?.to_string()),
        };
        let images = platforms
            .iter()
            .map(|platform| registry.image(&pinned, platform));
        Ok(Self {
            name: format!(
                "{}/{}@{}",
                pinned.registry(),
                pinned.repository(),
                pinned.digest().unwrap_or_default()
            ),
            images: try_join_all(images).await?,
            place: Place::Registry(pinned),
        })
    }

    /// Finds the base image for one more platform.
    pub(crate) async fn image(
        &self,
        platform: &Platform,
        registry: &Registry,
    ) -> Result<Image, Failed> {
        let mut known = self.images.iter();
        if let Some(image) = known.find(|image| image.platform().serves(platform)) {
            return Ok(image.clone());
        }
        Ok(match &self.place {
            Place::Layout(layout) => layout.image(None, platform)?,
            Place::Registry(pinned) => registry.image(pinned, platform).await?,
        })
    }

    /// Says whether its layers are not on this machine.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.place, Place::Registry(_))
    }

    /// Says where the layers of one of the images are.
    pub(crate) fn blobs(&self, image: &Image) -> Blobs {
        match &self.place {
            Place::Layout(layout) => layout.blobs(image),
            Place::Registry(pinned) => Blobs::of_remote(image, pinned),
        }
    }
}

/// Reads `FOLDER`, `FOLDER:TAG` or `FOLDER@DIGEST`.
fn on_disk(place: &str, workspace: &Path, platforms: &[Platform]) -> Result<Base, Failed> {
    let folder = workspace.join(place);
    let (folder, wanted) = if folder.is_dir() {
        (place, None)
    } else if let Some((folder, digest)) = place.split_once('@') {
        (folder, Some(digest))
    } else {
        match place.rsplit_once(':') {
            Some((folder, tag)) => (folder, Some(tag)),
            None => (place, None),
        }
    };
    let layout = Layout::open(workspace.join(folder))?;
    let mut images = Vec::new();
    for platform in platforms {
        let image = layout.image(wanted, platform)?;
        layout.validate(&image)?;
        images.push(image);
    }
    let digests: Vec<&str> = images.iter().map(|image| image.digest().as_str()).collect();
    Ok(Base {
        name: format!("{ON_DISK}{folder}@{}", digests.join(",")),
        images,
        place: Place::Layout(layout),
    })
}
