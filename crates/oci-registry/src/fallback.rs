//! The list of referrers that clients keep themselves, as an index under a tag.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use oci_distribution::Reference;
use oci_image::{Descriptor, Digest, Document, Index};

use crate::registry::QUESTIONS;
use crate::retry::settle;
use crate::{Registry, RegistryError};

/// How often the list is written before we give up.
const ROUNDS: u32 = 10;

/// A list, and what belongs into it: the entries to be added, and every entry that was seen.
pub(crate) struct Fallback<'a> {
    registry: &'a Registry,
    tag: Reference,
    known: BTreeMap<Digest, Descriptor>,
}

impl<'a> Fallback<'a> {
    pub(crate) fn new(
        registry: &'a Registry,
        tag: Reference,
        added: impl Iterator<Item = Descriptor>,
    ) -> Self {
        Self {
            registry,
            tag,
            known: added.map(|added| (added.digest.clone(), added)).collect(),
        }
    }

    /// Adds the entries and looks until they stay, else gives one that did not.
    /// [`Registry::attach`] says what that is worth.
    pub(crate) async fn attach(mut self) -> Result<Option<Digest>, RegistryError> {
        // Other writers add other entries, and wait for other times.
        let seed: String = self.known.keys().map(Digest::as_str).collect();
        for round in 1..=ROUNDS {
            let Some((_, took)) = self.round().await? else {
                return Ok(None);
            };
            settle(took, round, &seed).await;
        }
        Ok(self.round().await?.map(|(lost, _)| lost))
    }

    /// Reads the list and, when it lacks something, writes it; then says what it lacked, and how
    /// long that took.
    async fn round(&mut self) -> Result<Option<(Digest, Duration)>, RegistryError> {
        let started = Instant::now();
        let mut index = self.registry.tagged(&self.tag).await?;
        let mut lacking = self.known.clone();
        for listed in &index.manifests {
            lacking.remove(&listed.digest);
            self.known.insert(listed.digest.clone(), listed.clone());
        }
        let Some(lacked) = lacking.keys().next().cloned() else {
            return Ok(None);
        };
        index.manifests.extend(lacking.into_values());
        self.write(index).await?;
        Ok(Some((lacked, started.elapsed())))
    }

    async fn write(&mut self, mut index: Index) -> Result<(), RegistryError> {
        let refusal = match self.put(&index).await {
            Err(error) if error.is_refusal() => error,
            written => return written,
        };
        // Registries refuse an index of what they do not have: entries whose manifests were
        // deleted go.
        let existing: Vec<Descriptor> = stream::iter(index.manifests.iter())
            .map(|entry| async {
                let exists = self.registry.has_manifest(&self.tag, &entry.digest).await?;
                Ok::<_, RegistryError>(exists.then(|| entry.clone()))
            })
            .buffered(QUESTIONS)
            .try_filter_map(async |entry| Ok(entry))
            .try_collect()
            .await?;
        if existing.len() == index.manifests.len() {
            return Err(refusal);
        }
        index.manifests = existing;
        let listed = |digest: &Digest| {
            let mut entries = index.manifests.iter();
            entries.any(|entry| entry.digest == *digest)
        };
        self.known.retain(|digest, _| listed(digest));
        self.put(&index).await
    }

    async fn put(&self, index: &Index) -> Result<(), RegistryError> {
        let document = Document::of(index.clone());
        let tag = self.tag.tag().unwrap_or_default();
        let media_type = oci_image::media_type::INDEX;
        self.registry
            .put_manifest(document.bytes(), media_type, &self.tag, tag)
            .await
    }
}
