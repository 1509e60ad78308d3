//! Blobs on their way from and to a registry.

use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use oci_distribution::Reference;
use oci_distribution::errors::{DigestError, OciDistributionError};
use oci_image::{Descriptor, Digest, Layer};
use tokio::io::AsyncReadExt as _;

use crate::registry::place;
use crate::{Registry, RegistryError, Source};

/// How much of a file is read at once.
const BLOCK: usize = 1 << 20;

impl Registry {
    /// Downloads a layer of an image into a file, which exists only when it is whole.
    pub async fn download(
        &self,
        reference: &Reference,
        layer: &Layer,
        path: &Path,
    ) -> Result<(), RegistryError> {
        let doing = || format!("download layer `{}` of `{reference}`", layer.digest);
        let partial = path.with_extension("partial");
        let failed = || RegistryError::file(doing());
        let downloaded = self
            .read(doing, reference, &layer.descriptor(), || {
                fs_err::File::create(&partial)
            })
            .await;
        match downloaded {
            Ok(_) => fs_err::rename(&partial, path).map_err(failed()),
            Err(error) => {
                let _ = fs_err::remove_file(&partial);
                Err(error)
            }
        }
    }

    /// Reads a small blob.
    pub(crate) async fn blob(
        &self,
        doing: impl Fn() -> String,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Vec<u8>, RegistryError> {
        self.read(doing, reference, descriptor, || Ok(Vec::new()))
            .await
    }

    /// Reads a blob into what `open` gives, anew for each attempt. The client compares the digest,
    /// and a blob that is longer than announced is not read to its end.
    async fn read<W: std::io::Write>(
        &self,
        doing: impl Fn() -> String,
        reference: &Reference,
        descriptor: &Descriptor,
        open: impl Fn() -> std::io::Result<W>,
    ) -> Result<W, RegistryError> {
        self.authenticate(reference).await?;
        let digest = descriptor.digest.as_str();
        self.attempt(doing, reference, async || {
            let mut blocks = self.client.pull_blob_stream(reference, digest).await?;
            let mut out = open()?;
            let mut size = 0;
            while let Some(block) = blocks.try_next().await? {
                self.meter.received(block.len());
                size += block.len() as u64;
                if size > descriptor.size {
                    break;
                }
                out.write_all(&block)?;
            }
            if size == descriptor.size {
                return Ok(out);
            }
            Err(OciDistributionError::DigestError(
                DigestError::VerificationError {
                    expected: format!("{} bytes", descriptor.size),
                    actual: format!("{size} bytes"),
                },
            ))
        })
        .await
    }

    /// Says whether a repository has a blob.
    pub(crate) async fn has_blob(
        &self,
        target: &Reference,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let doing = || format!("look for `{digest}` in `{}`", place(target));
        self.attempt(doing, target, async || {
            self.client.blob_exists(target, digest.as_str()).await
        })
        .await
    }

    /// Lets a repository have a blob that another repository of the same registry has. Whoever
    /// may not, or cannot, sends the bytes instead.
    pub(crate) async fn mount(
        &self,
        from: &Reference,
        target: &Reference,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        self.authenticate(from).await?;
        if from.resolve_registry() != target.resolve_registry() {
            return Ok(false);
        }
        self.meter.request();
        let mounted = self.client.mount_blob(target, from, digest.as_str()).await;
        if let Err(error) = &mounted {
            tracing::debug!("`{digest}` is sent, not mounted: {error}");
        }
        Ok(mounted.is_ok())
    }

    /// Sends a blob.
    pub(crate) async fn upload(
        &self,
        doing: impl Fn() -> String,
        source: &Source,
        descriptor: &Descriptor,
        target: &Reference,
    ) -> Result<(), RegistryError> {
        check(&doing, source, descriptor.size)?;
        self.attempt(doing, target, async || {
            self.send(source, descriptor, target).await
        })
        .await
    }

    async fn send(
        &self,
        source: &Source,
        descriptor: &Descriptor,
        target: &Reference,
    ) -> Result<(), OciDistributionError> {
        let digest = descriptor.digest.as_str();
        let blocks = match source {
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
                let meter = self.meter.clone();
                meter.request();
                let blocks = self.client.pull_blob_stream(from, digest).await?;
                blocks
                    .inspect_ok(move |block| meter.received(block.len()))
                    .map_err(OciDistributionError::IoError)
                    .boxed()
            }
        };
        let meter = self.meter.clone();
        let counted = blocks.inspect_ok(move |block| meter.sent(block.len()));
        self.client
            .push_blob_stream(target, counted, digest, Some(descriptor.size))
            .await?;
        // The session and the bytes are two requests.
        self.meter.request();
        Ok(())
    }
}

/// Finds out before anything is sent whether what is on this machine can be what was announced.
fn check(doing: impl Fn() -> String, source: &Source, expected: u64) -> Result<(), RegistryError> {
    let size = match source {
        Source::Bytes(bytes) => bytes.len() as u64,
        Source::File(path) => {
            let metadata = fs_err::metadata(path).map_err(RegistryError::file(doing()))?;
            metadata.len()
        }
        Source::Registry(_) => return Ok(()),
    };
    if size == expected {
        return Ok(());
    }
    Err(RegistryError::Corrupt { doing: doing() })
}
