//! An index: the images of several platforms, or the content of a layout.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Descriptor, Document, Image, Platform, media_type};

/// The index document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// What the document is.
    #[serde(default = "Index::own_media_type")]
    pub media_type: String,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// What else is said about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// Makes an index of manifests.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Self::own_media_type(),
            manifests,
            annotations: BTreeMap::new(),
        }
    }

    /// Makes the index of an image's platforms, in the order of their names. That no platform
    /// occurs twice is the caller's duty.
    #[must_use]
    pub fn of(images: &[Image]) -> Document<Self> {
        Self::annotated(images, BTreeMap::new())
    }

    /// Makes the index of an image's platforms, and says more about it.
    #[must_use]
    pub fn annotated(images: &[Image], annotations: BTreeMap<String, String>) -> Document<Self> {
        let mut manifests: Vec<Descriptor> = images.iter().map(Image::descriptor).collect();
        manifests
            .sort_by_cached_key(|manifest| manifest.platform.as_ref().map(Platform::to_string));
        Document::of(Self {
            annotations,
            ..Self::new(manifests)
        })
    }

    /// Lists the platforms, in order and without what is attached to their images.
    pub fn platforms(&self) -> BTreeSet<String> {
        let platforms = self
            .manifests
            .iter()
            .filter_map(|manifest| manifest.platform.as_ref());
        platforms
            .filter(|platform| platform.is_known())
            .map(Platform::to_string)
            .collect()
    }

    /// Finds the manifest for a platform.
    #[must_use]
    pub fn find(&self, wanted: &Platform) -> Option<&Descriptor> {
        self.manifests.iter().find(|manifest| {
            manifest
                .platform
                .as_ref()
                .is_some_and(|platform| platform.serves(wanted))
        })
    }

    fn own_media_type() -> String {
        media_type::INDEX.into()
    }
}
