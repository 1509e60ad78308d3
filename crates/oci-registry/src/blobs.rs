//! Where the bytes of layers are.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

use oci_distribution::Reference;
use oci_image::{Digest, Image};

/// Where one layer's bytes are.
#[derive(Clone, Debug)]
pub enum Source {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file.
    File(PathBuf),
    /// In the repository of an image.
    Registry(Reference),
}

/// Where the bytes of several layers are.
#[derive(Clone, Debug, Default)]
pub struct Blobs(BTreeMap<Digest, Source>);

impl Blobs {
    /// Starts without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer.
    pub fn insert(&mut self, digest: Digest, source: Source) -> &mut Self {
        self.0.insert(digest, source);
        self
    }

    /// Adds the layers of an image that is in a registry.
    #[must_use]
    pub fn of_remote(image: &Image, reference: &Reference) -> Self {
        let layers = image.layers();
        Self(
            layers
                .map(|layer| (layer.digest, Source::Registry(reference.clone())))
                .collect(),
        )
    }

    /// Takes over what `others` knows; a layer that both know is where `self` says.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for (digest, source) in others.0 {
            self.0.entry(digest).or_insert(source);
        }
        self
    }

    /// Says where a layer is.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<&Source> {
        self.0.get(digest)
    }

    /// Opens a layer that is on this machine.
    pub fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send>> {
        match self.get(digest) {
            Some(Source::Bytes(bytes)) => Ok(Box::new(Cursor::new(bytes.clone()))),
            Some(Source::File(path)) => Ok(Box::new(fs_err::File::open(path)?)),
            Some(Source::Registry(reference)) => {
                Err(io::Error::other(format!("it is in `{reference}` only")))
            }
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "nobody knows where it is",
            )),
        }
    }
}
