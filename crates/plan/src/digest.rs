//! SHA-256 digests in the form that registries use, over canonical JSON.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// A digest: `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// A text is no digest.
#[derive(Debug, Error)]
#[error("`{0}` is no digest: `sha256:` and 64 lower-case hexadecimal digits")]
pub struct DigestError(String);

impl Digest {
    /// Computes the digest of bytes.
    #[must_use]
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        let mut text = String::from("sha256:");
        for byte in Sha256::digest(bytes.as_ref()) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// Computes the digest of a value's canonical JSON.
    #[must_use]
    pub fn of_json(value: &impl Serialize) -> Self {
        Self::of(canonical_json(value))
    }

    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives the first twelve hexadecimal digits, for names and lines that people read.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0["sha256:".len()..][..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.strip_prefix("sha256:") {
            Some(digits) if digits.len() == 64 && digits.bytes().all(hexadecimal) => {
                Ok(Self(text.into()))
            }
            _ => Err(DigestError(text.into())),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Writes a value as JSON with sorted keys and no spaces: equal values give equal bytes. A value
/// that cannot be written as JSON (a map whose keys are no strings) becomes `null`.
#[must_use]
pub fn canonical_json(value: &impl Serialize) -> String {
    let mut value = serde_json::to_value(value).unwrap_or(serde_json::Value::Null);
    // The map's own order depends on a feature that another crate may turn on.
    value.sort_all_objects();
    value.to_string()
}
