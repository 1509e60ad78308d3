//! Registries, through `oci_distribution`: what a reference means, and tags.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use oci_distribution::client::{ClientConfig, ClientProtocol};
use oci_distribution::errors::OciDistributionError;
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{Client, Reference};
use oci_image::{Descriptor, Digest, Document, Image, Index, Manifest, Platform, media_type};
use serde::Deserialize;

use crate::requests::{Tokens, http_client};
use crate::retry::{is_absent, with_retry};
use crate::traffic::Meter;
use crate::{Access, RegistryError, Traffic};

pub(crate) const ACCEPTED: [&str; 4] = [
    media_type::MANIFEST,
    media_type::INDEX,
    media_type::DOCKER_MANIFEST,
    media_type::DOCKER_INDEX,
];
pub(crate) const USER_AGENT: &str = concat!("fastapi-eks-actions/", env!("CARGO_PKG_VERSION"));
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// How many small questions are asked at once.
pub(crate) const QUESTIONS: usize = 8;

/// Registries, as far as one kind of access reaches. Clones count their traffic together.
///
/// What is read by digest has that digest, or the read fails: other bytes are asked for again a
/// few times, then told as [`RegistryError::Corrupt`].
#[derive(Clone)]
pub struct Registry {
    pub(crate) client: Client,
    /// For the questions that `client` cannot ask.
    pub(crate) http: reqwest::Client,
    pub(crate) access: Access,
    pub(crate) meter: Meter,
    pub(crate) tokens: Tokens,
}

/// What a reference means: an index with its images, or one image.
#[derive(Clone, Debug)]
pub struct Published {
    /// The digest that the reference means.
    pub digest: Digest,
    /// What it means, as an artifact names its subject.
    pub descriptor: Descriptor,
    /// The index, when it is one.
    pub index: Option<Document<Index>>,
    /// The images, in the order of the index.
    pub images: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<Vec<serde::de::IgnoredAny>>,
}

impl Registry {
    /// Makes a client; nothing is sent yet.
    pub fn connect(access: Access) -> Result<Self, RegistryError> {
        // The other client's own constructor panics where there is no CA bundle; this one tells.
        let http = http_client()?;
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(access.plain_http.clone()),
            use_monolithic_push: true,
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            user_agent: USER_AGENT,
            ..ClientConfig::default()
        };
        let client =
            Client::try_from(config).map_err(|error| RegistryError::Client(error.into()))?;
        Ok(Self {
            client,
            http,
            access,
            meter: Meter::default(),
            tokens: Tokens::default(),
        })
    }

    /// Says what went over the network so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.meter.traffic()
    }

    /// Gives the digest that a reference means now: an image's or an index's.
    pub async fn resolve(&self, reference: &Reference) -> Result<Digest, RegistryError> {
        self.resolve_if_any(reference)
            .await?
            .ok_or_else(|| RegistryError::NotFound(reference.whole()))
    }

    /// Reads the documents of an image; of an index, those of one platform.
    pub async fn image(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Image, RegistryError> {
        let mut manifest = self.manifest(reference).await?;
        if is_index(&manifest) {
            let index: Document<Index> = Document::parse("index", manifest)?;
            let found = index.value().find(platform).ok_or_else(|| {
                RegistryError::no_platform(reference.whole(), platform, &index.value().platforms())
            })?;
            let one = reference.clone_with_digest(found.digest.to_string());
            manifest = self.manifest(&one).await?;
        }
        let image = self.image_of(reference, manifest).await?;
        if image.platform().serves(platform) {
            return Ok(image);
        }
        let found = [image.platform().to_string()];
        Err(RegistryError::no_platform(
            reference.whole(),
            platform,
            &found,
        ))
    }

    /// Reads what a reference means, with the images of all platforms; nothing when it does not
    /// exist. What else an index lists (attestations, under the platform `unknown`) is left out.
    pub async fn published(
        &self,
        reference: &Reference,
    ) -> Result<Option<Published>, RegistryError> {
        let Some(bytes) = self.manifest_if_any(reference).await? else {
            return Ok(None);
        };
        if !is_index(&bytes) {
            let image = self.image_of(reference, bytes).await?;
            return Ok(Some(Published {
                digest: image.digest().clone(),
                descriptor: image.descriptor(),
                index: None,
                images: vec![image],
            }));
        }
        let index: Document<Index> = Document::parse("index", bytes)?;
        let wanted = index.value().manifests.iter().filter(|manifest| {
            let known = manifest.platform.as_ref().is_none_or(Platform::is_known);
            known && manifest.artifact_type.is_none() && !manifest.is_index()
        });
        let images = stream::iter(wanted)
            .map(|manifest| async {
                let one = reference.clone_with_digest(manifest.digest.to_string());
                self.image_of(&one, self.manifest(&one).await?).await
            })
            .buffered(QUESTIONS)
            .try_collect()
            .await?;
        Ok(Some(Published {
            digest: index.digest().clone(),
            descriptor: Descriptor::of(&index.value().media_type, index.bytes()),
            images,
            index: Some(index),
        }))
    }

    /// Lets a tag mean an image that the repository holds already.
    pub async fn tag(&self, image: &Image, target: &Reference) -> Result<(), RegistryError> {
        let manifest = image.manifest();
        self.tag_document(manifest.bytes(), &manifest.value().media_type, target)
            .await
    }

    /// Lets a tag mean a manifest or index that the repository holds already by digest.
    pub async fn tag_document(
        &self,
        bytes: &[u8],
        media_type: &str,
        target: &Reference,
    ) -> Result<(), RegistryError> {
        self.authenticate(target).await?;
        let tag = target.tag().unwrap_or("latest");
        self.put_manifest(bytes, media_type, target, tag).await
    }

    /// Writes a manifest or index under a tag or its digest.
    pub(crate) async fn put_manifest(
        &self,
        bytes: &[u8],
        media_type: &str,
        target: &Reference,
        name: &str,
    ) -> Result<(), RegistryError> {
        // The name stands in the place of the tag even when it is a digest: the client panics on
        // a registry that answers a push by digest without a location.
        let named = Reference::with_tag(
            target.registry().into(),
            target.repository().into(),
            name.into(),
        );
        let content_type = media_type.parse().map_err(|_| {
            RegistryError::Client("the manifest's media type is no header value".into())
        })?;
        let doing = || format!("push manifest `{name}` to `{}`", place(target));
        self.attempt(doing, target, async || {
            self.meter.sent(bytes.len());
            let content_type = reqwest::header::HeaderValue::clone(&content_type);
            self.client
                .push_manifest_raw(&named, bytes.to_vec(), content_type)
                .await
                .map(|_| ())
        })
        .await
    }

    /// Reads a manifest or index that must exist.
    pub(crate) async fn manifest(&self, reference: &Reference) -> Result<Vec<u8>, RegistryError> {
        self.manifest_if_any(reference)
            .await?
            .ok_or_else(|| RegistryError::NotFound(reference.whole()))
    }

    /// Reads a manifest or index, if there is one.
    pub(crate) async fn manifest_if_any(
        &self,
        reference: &Reference,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let auth = self.authenticate(reference).await?;
        let read = self
            .unless_absent(reference, "read", async || {
                let (bytes, _) = self
                    .client
                    .pull_manifest_raw(reference, &auth, &ACCEPTED)
                    .await?;
                self.meter.received(bytes.len());
                Ok(bytes)
            })
            .await?;
        Ok(read.map(Vec::from))
    }

    /// Gives the digest that a reference means, if it means anything.
    pub(crate) async fn resolve_if_any(
        &self,
        reference: &Reference,
    ) -> Result<Option<Digest>, RegistryError> {
        let auth = self.authenticate(reference).await?;
        let digest = self
            .unless_absent(reference, "resolve", async || {
                self.client.fetch_manifest_digest(reference, &auth).await
            })
            .await?;
        Ok(digest.map(|digest| digest.parse()).transpose()?)
    }

    /// Finds out how to log in at the registry of a reference, and tells the client.
    pub(crate) async fn authenticate(
        &self,
        reference: &Reference,
    ) -> Result<RegistryAuth, RegistryError> {
        let registry = reference.resolve_registry();
        let auth = self.access.authentication(registry)?;
        self.client.store_auth_if_needed(registry, &auth).await;
        Ok(auth)
    }

    /// Does something with the registry of a reference, a few times if need be.
    pub(crate) async fn attempt<T>(
        &self,
        doing: impl Fn() -> String,
        reference: &Reference,
        attempt: impl AsyncFnMut() -> Result<T, OciDistributionError>,
    ) -> Result<T, RegistryError> {
        with_retry(doing, reference.resolve_registry(), &self.meter, attempt).await
    }

    async fn image_of(
        &self,
        reference: &Reference,
        manifest: Vec<u8>,
    ) -> Result<Image, RegistryError> {
        let parsed: Document<Manifest> = Document::parse("manifest", manifest)?;
        let doing = || format!("read the config of `{reference}`");
        let config = self.blob(doing, reference, &parsed.value().config).await?;
        Ok(Image::parse(parsed.bytes().into(), config)?)
    }

    async fn unless_absent<T>(
        &self,
        reference: &Reference,
        verb: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, OciDistributionError>,
    ) -> Result<Option<T>, RegistryError> {
        let doing = || format!("{verb} `{reference}`");
        self.attempt(doing, reference, async || match attempt().await {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }
}

fn is_index(manifest: &[u8]) -> bool {
    let typed: Result<Typed, _> = serde_json::from_slice(manifest);
    typed.is_ok_and(|typed| match typed.media_type {
        Some(name) => media_type::is_index(&name),
        None => typed.manifests.is_some(),
    })
}

pub(crate) fn place(target: &Reference) -> String {
    format!("{}/{}", target.registry(), target.repository())
}
