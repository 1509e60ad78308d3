//! OCI images as values.
//!
//! Layers, configs, manifests, indexes and artifacts are plain data here; the places that
//! hold them (registries, folders, archives) are another crate's. Equal input
//! gives equal bytes: entries are sorted, owners and times are fixed, JSON keys
//! are sorted, and compression has one setting. The crate opens nothing itself:
//! large layers pass through [`std::io::Read`] and [`std::io::Write`].
//!
//! ```
//! use oci_image::{Draft, Entries, LayerWriter, Level, Platform};
//!
//! let mut entries = Entries::new();
//! entries.file("/usr/bin/hello", 0o755, b"#!/bin/sh\necho hello\n".to_vec())?;
//! let mut writer = LayerWriter::new(Vec::new(), Level::Small);
//! writer.append(entries)?;
//! let (layer, bytes) = writer.finish()?;
//! assert_eq!(layer.size, bytes.len() as u64);
//!
//! let image = Draft::from_scratch(Platform::linux_amd64())
//!     .layer(layer, "hello")
//!     .entrypoint(["/usr/bin/hello"])
//!     .finish();
//! image.validate(|_| Ok(Box::new(&bytes[..])))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod artifact;
mod config;
mod descriptor;
mod digest;
mod document;
mod draft;
mod entries;
mod gzip;
mod image;
mod index;
mod layer;
mod manifest;

pub use artifact::Artifact;
pub use config::{Config, History, RootFs, Set, Settings};
pub use descriptor::{Descriptor, Platform, PlatformError, media_type};
pub use digest::{Digest, DigestError, Hashing};
pub use document::{Document, DocumentError};
pub use draft::Draft;
pub use entries::{Content, Entries, EntryError};
pub use image::{Image, ImageError, Invalid};
pub use index::Index;
pub use layer::{Layer, LayerError, LayerWriter, Level};
pub use manifest::Manifest;

/// The time that everything carries: the start of Unix time.
pub const EPOCH: &str = "1970-01-01T00:00:00Z";
