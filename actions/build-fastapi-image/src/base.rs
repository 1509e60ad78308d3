//! The base image: in a registry, or in a layout on disk.

use std::path::Path;

use action_kit::Failed;
use oci_image::{Image, Platform};
use oci_registry::{Blobs, Layout, Registry, reference};

/// What a base image in a layout on disk starts with.
const ON_DISK: &str = "oci-layout:";

/// A base image, and where its layers are.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// The image by digest, for people and for the record.
    pub(crate) name: String,
    pub(crate) image: Image,
    pub(crate) blobs: Blobs,
}

/// Finds the base image; a tag is resolved once, and from then on the digest counts.
pub(crate) async fn find(
    name: &str,
    workspace: &Path,
    platform: &Platform,
    registry: &Registry,
) -> Result<Base, Failed> {
    if let Some(place) = name.strip_prefix(ON_DISK) {
        return on_disk(place, workspace, platform);
    }
    let named = reference(name)?;
    let digest = registry.resolve(&named).await?;
    let pinned = named.clone_with_digest(digest.to_string());
    let image = registry.image(&pinned, platform).await?;
    let blobs = Blobs::of_remote(&image, &pinned);
    Ok(Base {
        name: format!("{}/{}@{digest}", pinned.registry(), pinned.repository()),
        image,
        blobs,
    })
}

/// Reads `FOLDER`, `FOLDER:TAG` or `FOLDER@DIGEST`.
fn on_disk(place: &str, workspace: &Path, platform: &Platform) -> Result<Base, Failed> {
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
    let image = layout.image(wanted, platform)?;
    layout.validate(&image)?;
    Ok(Base {
        name: format!("{ON_DISK}{folder}@{}", image.digest()),
        blobs: layout.blobs(&image),
        image,
    })
}
