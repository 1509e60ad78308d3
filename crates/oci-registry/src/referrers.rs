//! Artifacts that are attached to an image, and the list of them: the registry's own (the referrers
//! API of OCI 1.1), or the index under a tag that clients keep where a registry has none.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::future::{try_join, try_join_all};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use oci_distribution::Reference;
use oci_distribution::errors::OciDistributionError;
use oci_image::{Artifact, Descriptor, Digest, Document, Index, Manifest, media_type};
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LINK};
use serde::Deserialize;

use crate::fallback::Fallback;
use crate::registry::{QUESTIONS, place};
use crate::retry::settle;
use crate::{Registry, RegistryError};

/// What registries without the API answer.
const UNSUPPORTED: [u16; 4] = [400, 404, 405, 406];
/// How many pages of referrers are read; a registry that has more goes round in circles.
const PAGES: usize = 1000;
/// How often a registry is asked whether it lists an artifact by now.
const LOOKS: u32 = 7;

/// A page of the registry's list, and where the next one is.
struct Page {
    index: Index,
    next: Option<Url>,
}

/// What a manifest says about itself, whether it is an image's, an artifact's or an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Registry {
    /// Pushes artifacts by digest; nothing lists them before they are attached. Their subjects need
    /// not be there yet: a registry must take a manifest and what refers to it in either order
    /// (distribution specification 1.1, "Push").
    pub async fn push_artifacts(
        &self,
        artifacts: &[Artifact],
        repository: &Reference,
    ) -> Result<(), RegistryError> {
        let pushes = artifacts.iter();
        let pushes = pushes.map(|artifact| self.push_artifact(artifact, repository));
        try_join_all(pushes).await.map(|_| ())
    }

    /// Attaches artifacts to their subjects, which are in the same repository, and returns when all
    /// were seen in the lists of their subjects' referrers. What is attached already stays as it is
    /// and nothing is sent.
    ///
    /// Where the registry has the referrers API it keeps the list, and any number of writers can
    /// attach at once. Elsewhere the list is an index under the tag `sha256-DIGEST`, as the
    /// distribution specification says, and each writer reads it, adds its entries and writes it
    /// whole. No registry offers a conditional write there, so this cannot be made exact: of two
    /// writers that read the same list, the one that writes last undoes what the other added.
    /// Therefore everyone here
    ///
    /// - adds all entries of a subject in one go,
    /// - writes as soon as it has read, then waits for longer than its own reading and writing
    ///   took, and reads again: what another writer undid in the meantime is missing, and is added
    ///   again, for a bounded number of rounds at times that differ from writer to writer,
    /// - restores whatever it has seen in the list, not only what it added.
    ///
    /// What remains: an entry that was seen is lost when another writer (of any tool) read the list
    /// before it was added and writes only after its owner has looked again, a pause of a multiple
    /// of its usual time. And an entry that somebody removes while others attach may come back. The
    /// artifact itself is never lost, and attaching it again lists it again.
    pub async fn attach(
        &self,
        artifacts: &[Artifact],
        repository: &Reference,
    ) -> Result<(), RegistryError> {
        let mut subjects: BTreeMap<&Digest, Vec<&Artifact>> = BTreeMap::new();
        for artifact in artifacts {
            let subject = &artifact.subject().digest;
            subjects.entry(subject).or_default().push(artifact);
        }
        let subjects = subjects.into_iter();
        let attaching = subjects.map(|(subject, artifacts)| async move {
            let lost = self.attach_to(subject, &artifacts, repository).await?;
            match lost {
                None => Ok(()),
                Some(lost) => Err(RegistryError::Unlisted {
                    artifact: format!("{}@{lost}", place(repository)),
                    subject: subject.to_string(),
                }),
            }
        });
        try_join_all(attaching).await.map(|_| ())
    }

    /// Attaches artifacts to one subject, and gives one that its list does not keep, if any.
    async fn attach_to(
        &self,
        subject: &Digest,
        artifacts: &[&Artifact],
        repository: &Reference,
    ) -> Result<Option<Digest>, RegistryError> {
        let pushes = artifacts.iter();
        let pushes = pushes.map(|artifact| self.push_artifact(artifact, repository));
        let (mut answer, _) =
            try_join(self.listed(repository, subject, None), try_join_all(pushes)).await?;
        let mut lost = None;
        for look in 1..=LOOKS {
            let asked = Instant::now();
            if look > 1 {
                answer = self.listed(repository, subject, None).await?;
            }
            let Some(listed) = &answer else {
                let tag = fallback_tag(repository, subject);
                let added = artifacts.iter().map(|artifact| artifact.descriptor());
                return Fallback::new(self, tag, added).attach().await;
            };
            let mut digests = artifacts.iter().map(|artifact| artifact.digest());
            let is_listed = |digest: &Digest| listed.iter().any(|entry| entry.digest == *digest);
            lost = digests.find(|digest| !is_listed(digest)).cloned();
            match &lost {
                None => break,
                // The first list was asked for while the artifacts were on their way.
                Some(_) if look == 1 => {}
                Some(lost) => settle(asked.elapsed(), look, lost.as_str()).await,
            }
        }
        Ok(lost)
    }

    /// Lists what is attached to a subject, of one type or all, in the order of types and digests.
    pub async fn referrers(
        &self,
        repository: &Reference,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let listed = self.listed(repository, subject, artifact_type).await?;
        let found = if let Some(found) = listed {
            found
        } else {
            let tag = fallback_tag(repository, subject);
            self.tagged(&tag).await?.manifests
        };
        let found: BTreeMap<Digest, Descriptor> = found
            .into_iter()
            .map(|descriptor| (descriptor.digest.clone(), descriptor))
            .collect();
        let mut found: Vec<Descriptor> = stream::iter(found.into_values())
            .map(|descriptor| self.typed(repository, descriptor))
            .buffer_unordered(QUESTIONS)
            .try_filter_map(async |typed| Ok(typed))
            .try_collect()
            .await?;
        // A registry need not filter, and the index under a tag is never filtered.
        if artifact_type.is_some() {
            found.retain(|descriptor| descriptor.artifact_type.as_deref() == artifact_type);
        }
        found.sort_by(|one, other| {
            (&one.artifact_type, &one.digest).cmp(&(&other.artifact_type, &other.digest))
        });
        Ok(found)
    }

    /// Reads an artifact: its manifest and its content.
    pub async fn artifact(
        &self,
        repository: &Reference,
        descriptor: &Descriptor,
    ) -> Result<(Document<Manifest>, Vec<u8>), RegistryError> {
        let reference = repository.clone_with_digest(descriptor.digest.to_string());
        let bytes = self.manifest(&reference).await?;
        let manifest: Document<Manifest> = Document::parse("manifest", bytes)?;
        let [content] = &manifest.value().layers[..] else {
            return Err(RegistryError::NoArtifact {
                reference: reference.whole(),
                layers: manifest.value().layers.len(),
            });
        };
        let doing = || format!("read the content of `{reference}`");
        let content = self.blob(doing, &reference, content).await?;
        Ok((manifest, content))
    }

    /// Reads the index under the tag of a list that clients keep.
    pub(crate) async fn tagged(&self, tag: &Reference) -> Result<Index, RegistryError> {
        match self.manifest_if_any(tag).await? {
            Some(bytes) => {
                let index: Document<Index> = Document::parse("list of referrers", bytes)?;
                Ok(index.value().clone())
            }
            None => Ok(Index::new(Vec::new())),
        }
    }

    /// Reads the registry's own list, if it keeps one.
    async fn listed(
        &self,
        repository: &Reference,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Descriptor>>, RegistryError> {
        let mut url = self.list_url(repository, subject, artifact_type)?;
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let Some(page) = self.page(repository, subject, &url).await? else {
                return Ok(None);
            };
            found.extend(page.index.manifests);
            match page.next {
                Some(next) => url = next,
                None => break,
            }
        }
        Ok(Some(found))
    }

    async fn page(
        &self,
        repository: &Reference,
        subject: &Digest,
        url: &Url,
    ) -> Result<Option<Page>, RegistryError> {
        let auth = self.authenticate(repository).await?;
        let doing = || {
            let place = place(repository);
            format!("list what is attached to `{place}@{subject}`")
        };
        let answer = self
            .attempt(doing, repository, async || {
                let request = self.http.get(url.clone()).header(ACCEPT, media_type::INDEX);
                let answer = self.ask(request, repository, &auth).await?;
                let status = answer.status().as_u16();
                if UNSUPPORTED.contains(&status) {
                    return Ok(None);
                }
                let next = next_page(url, answer.headers())?;
                let is_list = is_list(answer.headers());
                let bytes = answer.bytes().await?;
                self.meter.received(bytes.len());
                if status != 200 {
                    return Err(OciDistributionError::ServerError {
                        code: status,
                        url: url.to_string(),
                        message: String::from_utf8_lossy(&bytes).into_owned(),
                    });
                }
                // Some answer every address with a page for people.
                Ok(is_list.then_some((bytes, next)))
            })
            .await?;
        let Some((bytes, next)) = answer else {
            return Ok(None);
        };
        let index: Document<Index> = Document::parse("list of referrers", bytes.into())?;
        Ok(Some(Page {
            index: index.value().clone(),
            next,
        }))
    }

    fn list_url(
        &self,
        repository: &Reference,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Url, RegistryError> {
        let mut url = self.url(repository, &format!("referrers/{subject}"))?;
        if let Some(artifact_type) = artifact_type {
            url.query_pairs_mut()
                .append_pair("artifactType", artifact_type);
        }
        Ok(url)
    }

    /// Says of what type a referrer is, if its list does not; nothing when it does not exist.
    async fn typed(
        &self,
        repository: &Reference,
        descriptor: Descriptor,
    ) -> Result<Option<Descriptor>, RegistryError> {
        if descriptor.artifact_type.is_some() {
            return Ok(Some(descriptor));
        }
        let one = repository.clone_with_digest(descriptor.digest.to_string());
        let Some(bytes) = self.manifest_if_any(&one).await? else {
            return Ok(None);
        };
        let document: Document<Kind> = Document::parse("manifest", bytes)?;
        let kind = document.value();
        let config = kind.config.as_ref().map(|config| &config.media_type);
        Ok(Some(Descriptor {
            artifact_type: kind.artifact_type.as_ref().or(config).cloned(),
            annotations: kind.annotations.clone(),
            ..descriptor
        }))
    }
}

/// Names the tag under which clients keep the list of a subject's referrers.
fn fallback_tag(repository: &Reference, subject: &Digest) -> Reference {
    Reference::with_tag(
        repository.registry().into(),
        repository.repository().into(),
        format!("sha256-{}", subject.hex()),
    )
}

fn is_list(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.split(';').next() == Some(media_type::INDEX))
}

/// Finds the address of the next page, which must be the same registry's: the credentials go there.
fn next_page(url: &Url, headers: &HeaderMap) -> Result<Option<Url>, OciDistributionError> {
    let link = headers.get(LINK).and_then(|value| value.to_str().ok());
    let Some(link) = link.filter(|link| link.contains("rel=\"next\"")) else {
        return Ok(None);
    };
    let target = link.trim_start_matches('<').split('>').next();
    let next = target.and_then(|target| url.join(target).ok());
    match next {
        Some(next) if next.origin() == url.origin() => Ok(Some(next)),
        _ => Err(OciDistributionError::SpecViolationError(format!(
            "the next page is at `{link}`"
        ))),
    }
}
