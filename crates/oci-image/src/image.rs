//! An image: its manifest, its config, and the layers that both name.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use thiserror::Error;

use crate::{
    Config, Descriptor, Digest, Document, DocumentError, Hashing, Layer, Manifest, Platform,
    media_type,
};

/// An image: two documents; the layers' bytes are where a place keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    manifest: Document<Manifest>,
    config: Document<Config>,
}

/// Documents do not make an image.
#[derive(Debug, Error)]
pub enum ImageError {
    /// A document is not what it should be.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The config is another one than the manifest names.
    #[error("the manifest names config `{expected}`, this one is `{found}`")]
    OtherConfig {
        /// The digest in the manifest.
        expected: Digest,
        /// The digest of the config.
        found: Digest,
    },
    /// The manifest and the config name different numbers of layers.
    #[error("the manifest has {manifest} layers, the config has {config}")]
    Layers {
        /// Layers in the manifest.
        manifest: usize,
        /// Layers in the config.
        config: usize,
    },
}

/// An image breaks one of its own promises.
#[derive(Debug, Error)]
pub enum Invalid {
    /// The documents do not fit.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A layer cannot be read.
    #[error("read layer `{digest}`")]
    Unreadable {
        /// The layer.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// A layer's bytes are others than the manifest says.
    #[error("layer `{expected}` of {expected_size} bytes has digest `{found}` and {size} bytes")]
    Digest {
        /// The digest in the manifest.
        expected: Digest,
        /// The size in the manifest.
        expected_size: u64,
        /// The digest of the bytes.
        found: Digest,
        /// The number of bytes.
        size: u64,
    },
    /// A layer unpacks to something else than the config says.
    #[error("layer `{digest}` unpacks to `{found}`, the config says `{expected}`")]
    DiffId {
        /// The layer.
        digest: Digest,
        /// The diff ID in the config.
        expected: Digest,
        /// The digest of the uncompressed bytes.
        found: Digest,
    },
}

impl Image {
    pub(crate) fn of(manifest: Document<Manifest>, config: Document<Config>) -> Self {
        Self { manifest, config }
    }

    /// Reads an image from the bytes of its documents, which stay as they are.
    pub fn parse(manifest: Vec<u8>, config: Vec<u8>) -> Result<Self, ImageError> {
        let image = Self {
            manifest: Document::parse("manifest", manifest)?,
            config: Document::parse("config", config)?,
        };
        image.check()?;
        Ok(image)
    }

    /// Gives the manifest.
    #[must_use]
    pub fn manifest(&self) -> &Document<Manifest> {
        &self.manifest
    }

    /// Gives the config.
    #[must_use]
    pub fn config(&self) -> &Document<Config> {
        &self.config
    }

    /// Gives the digest that names the image.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.manifest.digest()
    }

    /// Gives the platform that the image runs on.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.config.value().platform()
    }

    /// Gives the descriptor that stands in an index.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        let media_type = &self.manifest.value().media_type;
        Descriptor {
            platform: Some(self.platform()),
            ..Descriptor::of(media_type, self.manifest.bytes())
        }
    }

    /// Gives the manifest's descriptors of the layers, bottom first.
    #[must_use]
    pub fn descriptors(&self) -> &[Descriptor] {
        &self.manifest.value().layers
    }

    /// Lists the layers, bottom first.
    pub fn layers(&self) -> impl Iterator<Item = Layer> {
        let diff_ids = &self.config.value().rootfs.diff_ids;
        let layers = self.manifest.value().layers.iter().zip(diff_ids);
        layers.map(|(descriptor, diff_id)| Layer {
            media_type: media_type::of_layer(&descriptor.media_type).into(),
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            diff_id: diff_id.clone(),
        })
    }

    /// Gives the number of bytes that a first pull of the image takes.
    #[must_use]
    pub fn size(&self) -> u64 {
        let layers = &self.manifest.value().layers;
        let layers: u64 = layers.iter().map(|layer| layer.size).sum();
        self.manifest.size() + self.config.size() + layers
    }

    /// Derives every promise of the image again: digests, sizes and diff IDs. `open` gives the
    /// bytes of a layer.
    pub fn validate<'a>(
        &self,
        mut open: impl FnMut(&Digest) -> io::Result<Box<dyn Read + 'a>>,
    ) -> Result<(), Invalid> {
        self.check()?;
        for layer in self.layers() {
            let unreadable = |source| Invalid::Unreadable {
                digest: layer.digest.clone(),
                source,
            };
            let bytes = open(&layer.digest).map_err(unreadable)?;
            check_layer(&layer, bytes)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ImageError> {
        let manifest = self.manifest.value();
        if manifest.config.digest != *self.config.digest() {
            return Err(ImageError::OtherConfig {
                expected: manifest.config.digest.clone(),
                found: self.config.digest().clone(),
            });
        }
        let layers = manifest.layers.len();
        let diff_ids = self.config.value().rootfs.diff_ids.len();
        if layers == diff_ids {
            return Ok(());
        }
        Err(ImageError::Layers {
            manifest: layers,
            config: diff_ids,
        })
    }
}

fn check_layer(layer: &Layer, bytes: Box<dyn Read + '_>) -> Result<(), Invalid> {
    let unreadable = |source| Invalid::Unreadable {
        digest: layer.digest.clone(),
        source,
    };
    let mut compressed = Hashing::new(bytes);
    let unpacked = match layer.media_type.as_str() {
        media_type::LAYER_GZIP => {
            let mut unpacked = Hashing::new(MultiGzDecoder::new(&mut compressed));
            // What does not even unpack is told by its digest below.
            let read = io::copy(&mut unpacked, &mut io::sink());
            Some(read.map(|_| unpacked.finish().1))
        }
        media_type::LAYER => None,
        // Other compressions are checked by digest and size alone.
        _ => Some(Ok(layer.diff_id.clone())),
    };
    io::copy(&mut compressed, &mut io::sink()).map_err(unreadable)?;
    let (_, digest, size) = compressed.finish();
    if digest != layer.digest || size != layer.size {
        return Err(Invalid::Digest {
            expected: layer.digest.clone(),
            expected_size: layer.size,
            found: digest,
            size,
        });
    }
    let found = unpacked.unwrap_or(Ok(digest)).map_err(unreadable)?;
    if found == layer.diff_id {
        return Ok(());
    }
    Err(Invalid::DiffId {
        digest: layer.digest.clone(),
        expected: layer.diff_id.clone(),
        found,
    })
}
