//! The manifest of an image: its config and its layers, as descriptors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Descriptor, media_type};

/// The manifest document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What the document is.
    #[serde(default = "Manifest::own_media_type")]
    pub media_type: String,
    /// The config.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
    /// What else is said about the image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    fn own_media_type() -> String {
        media_type::MANIFEST.into()
    }
}
