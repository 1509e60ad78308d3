//! The list of referrers that clients keep themselves, as an index under a tag.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use oci_distribution::Reference;
use oci_image::{Descriptor, Digest, Document, Index};

use crate::registry::{QUESTIONS, place};
use crate::retry::settle;
use crate::{Registry, RegistryError};

/// How often the list is written before we give up.
const ROUNDS: u32 = 10;

/// A list, and what belongs into it: the entry to be added, and every entry that was seen.
pub(crate) struct Fallback<'a> {
    registry: &'a Registry,
    tag: Reference,
    added: Digest,
    known: BTreeMap<Digest, Descriptor>,
}

impl<'a> Fallback<'a> {
    pub(crate) fn new(registry: &'a Registry, tag: Reference, added: Descriptor) -> Self {
        Self {
            registry,
            tag,
            added: added.digest.clone(),
            known: BTreeMap::from([(added.digest.clone(), added)]),
        }
    }

    /// Adds the entry and looks until it stays. [`Registry::attach`] says what that is worth.
    pub(crate) async fn attach(mut self) -> Result<(), RegistryError> {
        for round in 1..=ROUNDS {
            let Some(took) = self.round().await? else {
                return Ok(());
            };
            settle(took, round, self.added.as_str()).await;
        }
        if self.round().await?.is_none() {
            return Ok(());
        }
        Err(RegistryError::Unlisted {
            artifact: format!("{}@{}", place(&self.tag), self.added),
            subject: self.tag.tag().unwrap_or_default().replace('-', ":"),
        })
    }

    /// Reads the list and, when it lacks something, writes it; then says how long that took.
    async fn round(&mut self) -> Result<Option<Duration>, RegistryError> {
        let _turn = self.registry.turn.lock().await;
        let started = Instant::now();
        let mut index = self.registry.tagged(&self.tag).await?;
        let mut lacking = self.known.clone();
        for listed in &index.manifests {
            lacking.remove(&listed.digest);
            self.known.insert(listed.digest.clone(), listed.clone());
        }
        if lacking.is_empty() {
            return Ok(None);
        }
        index.manifests.extend(lacking.into_values());
        self.write(index).await?;
        Ok(Some(started.elapsed()))
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
