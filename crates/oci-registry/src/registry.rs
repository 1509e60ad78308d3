//! A registry, through `oci_distribution`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use oci_distribution::client::{ClientConfig, ClientProtocol};
use oci_distribution::errors::OciDistributionError;
use oci_distribution::{Client, Reference};
use oci_image::{Digest, Document, Hashing, Image, Index, Layer, Platform, media_type};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use crate::retry::{is_absent, with_retry};
use crate::{Access, Blobs, RegistryError, Source};

const ACCEPTED: [&str; 4] = [
    media_type::MANIFEST,
    media_type::INDEX,
    media_type::DOCKER_MANIFEST,
    media_type::DOCKER_INDEX,
];
/// How much of a file is read at once.
const BLOCK: usize = 1 << 20;

/// Registries, as far as one kind of access reaches.
#[derive(Clone)]
pub struct Registry {
    client: Client,
    access: Access,
}

/// What a push did.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The image, by digest.
    pub reference: String,
    /// The bytes of the layers that were sent.
    pub sent: u64,
    /// How many layers were sent; the registry had the others.
    pub layers_sent: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<Vec<serde::de::IgnoredAny>>,
}

impl Typed {
    fn is_index(&self) -> bool {
        match self.media_type.as_deref() {
            Some(name) => name == media_type::INDEX || name == media_type::DOCKER_INDEX,
            None => self.manifests.is_some(),
        }
    }
}

impl Registry {
    /// Makes a client; nothing is sent yet.
    pub fn connect(access: Access) -> Result<Self, RegistryError> {
        // Fails when another part of the process installed a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The client's own constructor panics where there is no CA bundle; this one tells.
        reqwest::Client::builder()
            .build()
            .map_err(|error| RegistryError::Client(error.into()))?;
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(access.plain_http.clone()),
            use_monolithic_push: true,
            connect_timeout: Some(Duration::from_secs(10)),
            read_timeout: Some(Duration::from_mins(1)),
            user_agent: concat!("fastapi-eks-actions/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client =
            Client::try_from(config).map_err(|error| RegistryError::Client(error.into()))?;
        Ok(Self { client, access })
    }

    /// Gives the digest that a reference means now.
    pub async fn resolve(&self, reference: &Reference) -> Result<Digest, RegistryError> {
        let auth = self.access.authentication(reference.resolve_registry())?;
        let digest = self
            .unless_absent(reference, "resolve", async || {
                self.client.fetch_manifest_digest(reference, &auth).await
            })
            .await?
            .ok_or_else(|| RegistryError::NotFound(reference.whole()))?;
        Ok(digest.parse()?)
    }

    /// Says whether a reference exists.
    pub async fn exists(&self, reference: &Reference) -> Result<bool, RegistryError> {
        match self.resolve(reference).await {
            Ok(_) => Ok(true),
            Err(RegistryError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
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
                let platforms = index.value().manifests.iter();
                let platforms: BTreeSet<String> = platforms
                    .filter_map(|manifest| manifest.platform.as_ref())
                    .filter(|platform| platform.os != "unknown")
                    .map(|platform| format!("`{platform}`"))
                    .collect();
                RegistryError::NoPlatform {
                    reference: reference.whole(),
                    wanted: platform.to_string(),
                    found: Vec::from_iter(platforms).join(", "),
                }
            })?;
            let one = reference.clone_with_digest(found.digest.to_string());
            manifest = self.manifest(&one).await?;
        }
        let parsed: Document<oci_image::Manifest> = Document::parse("manifest", manifest)?;
        let digest = parsed.value().config.digest.clone();
        let config = self.small_blob(reference, &digest).await?;
        let image = Image::parse(parsed.bytes().into(), config)?;
        if image.platform().serves(platform) {
            return Ok(image);
        }
        Err(RegistryError::NoPlatform {
            reference: reference.whole(),
            wanted: platform.to_string(),
            found: format!("`{}`", image.platform()),
        })
    }

    /// Downloads a layer of an image into a file, which exists only when it is whole.
    pub async fn download(
        &self,
        reference: &Reference,
        layer: &Layer,
        path: &Path,
    ) -> Result<(), RegistryError> {
        self.authenticate(reference).await?;
        let doing = || format!("download layer `{}` of `{reference}`", layer.digest);
        let partial = path.with_extension("partial");
        with_retry(doing, reference.resolve_registry(), async || {
            let digest = layer.digest.as_str();
            let mut bytes = self.client.pull_blob_stream(reference, digest).await?;
            let mut file = Hashing::new(fs_err::File::create(&partial)?);
            while let Some(block) = bytes.try_next().await? {
                file.write_all(&block)?;
            }
            let (_, found, _) = file.finish();
            if found == layer.digest {
                return Ok(fs_err::rename(&partial, path)?);
            }
            Err(OciDistributionError::IoError(std::io::Error::other(
                format!("digest `{found}` came"),
            )))
        })
        .await
    }

    /// Pushes an image to a repository: the layers that it lacks, the config, the manifest by
    /// digest, and, when the reference has one, the tag.
    pub async fn push(
        &self,
        image: &Image,
        blobs: &Blobs,
        target: &Reference,
    ) -> Result<Pushed, RegistryError> {
        self.authenticate(target).await?;
        let mut pushed = Pushed {
            reference: by_digest(target, image.digest()),
            sent: 0,
            layers_sent: 0,
        };
        let mut seen = BTreeSet::new();
        for layer in image.layers() {
            if seen.insert(layer.digest.clone()) && self.push_layer(&layer, blobs, target).await? {
                pushed.sent += layer.size;
                pushed.layers_sent += 1;
            }
        }
        let config = image.config();
        if !self.has_blob(target, config.digest()).await? {
            let doing = || format!("push config `{}` to `{}`", config.digest(), place(target));
            with_retry(doing, target.resolve_registry(), async || {
                let digest = config.digest().as_str();
                let bytes = config.bytes().to_vec();
                self.client.push_blob(target, bytes, digest).await
            })
            .await?;
        }
        self.put_manifest(image, target, image.digest().as_str())
            .await?;
        if let Some(tag) = target.tag().filter(|_| target.digest().is_none()) {
            self.put_manifest(image, target, tag).await?;
        }
        Ok(pushed)
    }

    /// Lets a tag mean an image that the repository holds already.
    pub async fn tag(&self, image: &Image, target: &Reference) -> Result<(), RegistryError> {
        self.authenticate(target).await?;
        self.put_manifest(image, target, target.tag().unwrap_or("latest"))
            .await
    }

    /// Copies an image by digest from one repository to another.
    pub async fn copy(
        &self,
        from: &Reference,
        platform: &Platform,
        to: &Reference,
    ) -> Result<Pushed, RegistryError> {
        let image = self.image(from, platform).await?;
        self.push(&image, &Blobs::of_remote(&image, from), to).await
    }

    async fn push_layer(
        &self,
        layer: &Layer,
        blobs: &Blobs,
        target: &Reference,
    ) -> Result<bool, RegistryError> {
        if self.has_blob(target, &layer.digest).await? {
            return Ok(false);
        }
        let source = blobs
            .get(&layer.digest)
            .ok_or_else(|| RegistryError::NoBytes(layer.digest.to_string()))?;
        if let Source::Registry(from) = source {
            self.authenticate(from).await?;
            if from.resolve_registry() == target.resolve_registry()
                && self
                    .client
                    .mount_blob(target, from, layer.digest.as_str())
                    .await
                    .is_ok()
            {
                return Ok(false);
            }
        }
        let doing = || format!("push layer `{}` to `{}`", layer.digest, place(target));
        with_retry(doing, target.resolve_registry(), async || {
            self.send(layer, source, target).await
        })
        .await?;
        Ok(true)
    }

    async fn send(
        &self,
        layer: &Layer,
        source: &Source,
        target: &Reference,
    ) -> Result<(), OciDistributionError> {
        let digest = layer.digest.as_str();
        let bytes = match source {
            Source::Bytes(bytes) => {
                let bytes = Bytes::copy_from_slice(bytes);
                stream::once(async { Ok(bytes) }).boxed()
            }
            Source::File(path) => {
                let file = tokio::fs::File::open(path).await?;
                stream::try_unfold(file, async |mut file| {
                    let mut block = vec![0; BLOCK];
                    let read = file.read(&mut block).await?;
                    block.truncate(read);
                    Ok((read > 0).then(|| (Bytes::from(block), file)))
                })
                .boxed()
            }
            Source::Registry(from) => {
                let bytes = self.client.pull_blob_stream(from, digest).await?;
                bytes.map_err(OciDistributionError::IoError).boxed()
            }
        };
        self.client
            .push_blob_stream(target, bytes, digest, Some(layer.size))
            .await
            .map(|_| ())
    }

    async fn has_blob(&self, target: &Reference, digest: &Digest) -> Result<bool, RegistryError> {
        let doing = || format!("look for `{digest}` in `{}`", place(target));
        with_retry(doing, target.resolve_registry(), async || {
            self.client.blob_exists(target, digest.as_str()).await
        })
        .await
    }

    async fn put_manifest(
        &self,
        image: &Image,
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
        let content_type = image.manifest().value().media_type.parse().map_err(|_| {
            RegistryError::Client("the manifest's media type is no header value".into())
        })?;
        let doing = || format!("push manifest `{name}` to `{}`", place(target));
        with_retry(doing, target.resolve_registry(), async || {
            let bytes = image.manifest().bytes().to_vec();
            let content_type = reqwest::header::HeaderValue::clone(&content_type);
            self.client
                .push_manifest_raw(&named, bytes, content_type)
                .await
                .map(|_| ())
        })
        .await
    }

    async fn manifest(&self, reference: &Reference) -> Result<Vec<u8>, RegistryError> {
        let auth = self.access.authentication(reference.resolve_registry())?;
        let (bytes, _) = self
            .unless_absent(reference, "read", async || {
                self.client
                    .pull_manifest_raw(reference, &auth, &ACCEPTED)
                    .await
            })
            .await?
            .ok_or_else(|| RegistryError::NotFound(reference.whole()))?;
        Ok(bytes.to_vec())
    }

    async fn small_blob(
        &self,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<Vec<u8>, RegistryError> {
        self.authenticate(reference).await?;
        let doing = || format!("read config `{digest}` of `{reference}`");
        with_retry(doing, reference.resolve_registry(), async || {
            let mut bytes = Vec::new();
            self.client
                .pull_blob(reference, digest.as_str(), &mut bytes)
                .await?;
            Ok(bytes)
        })
        .await
    }

    async fn unless_absent<T>(
        &self,
        reference: &Reference,
        verb: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, OciDistributionError>,
    ) -> Result<Option<T>, RegistryError> {
        let doing = || format!("{verb} `{reference}`");
        with_retry(
            doing,
            reference.resolve_registry(),
            async || match attempt().await {
                Ok(value) => Ok(Some(value)),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(error),
            },
        )
        .await
    }

    async fn authenticate(&self, reference: &Reference) -> Result<(), RegistryError> {
        let registry = reference.resolve_registry();
        let auth = self.access.authentication(registry)?;
        self.client.store_auth_if_needed(registry, &auth).await;
        Ok(())
    }
}

fn is_index(manifest: &[u8]) -> bool {
    serde_json::from_slice::<Typed>(manifest).is_ok_and(|typed| typed.is_index())
}

fn place(target: &Reference) -> String {
    format!("{}/{}", target.registry(), target.repository())
}

fn by_digest(target: &Reference, digest: &Digest) -> String {
    format!("{}@{digest}", place(target))
}
