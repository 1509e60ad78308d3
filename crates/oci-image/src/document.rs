//! JSON documents whose digest counts: the value and the very bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::Digest;

/// A value and the bytes that it was read from, or that it is written as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<T> {
    value: T,
    bytes: Vec<u8>,
    digest: Digest,
}

/// Bytes are not the document that they should be.
#[derive(Debug, Error)]
#[error("read {what} `{digest}`")]
pub struct DocumentError {
    what: &'static str,
    digest: Digest,
    source: serde_json::Error,
}

impl<T> Document<T> {
    /// Gives the value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Gives the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the digest of the bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Gives the number of bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl<T: Serialize> Document<T> {
    /// Writes a value as JSON with sorted keys and no spaces: equal values give equal bytes.
    pub fn of(value: T) -> Self {
        // The documents of this crate have string keys only, so that this cannot fail.
        let mut json = serde_json::to_value(&value).unwrap_or_default();
        // The map's own order depends on a feature that another crate may turn on.
        json.sort_all_objects();
        let bytes = json.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        Self {
            value,
            bytes,
            digest,
        }
    }
}

impl<T: DeserializeOwned> Document<T> {
    /// Reads a value and keeps the bytes as they are.
    pub fn parse(what: &'static str, bytes: Vec<u8>) -> Result<Self, DocumentError> {
        let digest = Digest::of(&bytes);
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self {
                value,
                bytes,
                digest,
            }),
            Err(source) => Err(DocumentError {
                what,
                digest,
                source,
            }),
        }
    }
}
