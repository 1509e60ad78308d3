//! Artifacts: content of any kind that is attached to an image, as OCI 1.1 has it.

use std::collections::BTreeMap;

use crate::{Descriptor, Digest, Document, Manifest, media_type};

/// Content that is attached to an image: a bill of materials, a signature, a test's result.
///
/// Its manifest names the image as its subject, so that a registry can list it among the image's
/// referrers; the image itself does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    manifest: Document<Manifest>,
    subject: Descriptor,
    content: Vec<u8>,
}

impl Artifact {
    /// The bytes of the config of every artifact: the empty JSON object.
    pub const CONFIG: &[u8] = b"{}";

    /// Makes an artifact of one content. Of the subject only type, digest and size are kept.
    #[must_use]
    pub fn of(
        artifact_type: &str,
        media_type: &str,
        content: Vec<u8>,
        subject: Descriptor,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let config = Descriptor::of(media_type::EMPTY, Self::CONFIG);
        let subject = subject.bare();
        let manifest = Manifest {
            artifact_type: Some(artifact_type.into()),
            subject: Some(subject.clone()),
            annotations,
            ..Manifest::new(config, vec![Descriptor::of(media_type, &content)])
        };
        Self {
            manifest: Document::of(manifest),
            subject,
            content,
        }
    }

    /// Gives the manifest.
    #[must_use]
    pub fn manifest(&self) -> &Document<Manifest> {
        &self.manifest
    }

    /// Gives the digest that names the artifact.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.manifest.digest()
    }

    /// Gives what it is attached to.
    #[must_use]
    pub fn subject(&self) -> &Descriptor {
        &self.subject
    }

    /// Gives the content.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Gives the descriptor that stands among the referrers of the subject.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        let manifest = self.manifest.value();
        Descriptor {
            artifact_type: manifest.artifact_type.clone(),
            annotations: manifest.annotations.clone(),
            ..Descriptor::of(&manifest.media_type, self.manifest.bytes())
        }
    }
}
