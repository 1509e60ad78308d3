//! An OCI layout: a folder of blobs by digest. What it lists is the next module's.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use oci_image::{Digest, Document, Hashing, Image, Index, Layer, LayerError, LayerWriter, Level};

use crate::{Blobs, Registry, RegistryError, Source};

/// How many layers are downloaded at once.
const DOWNLOADS: usize = 4;

/// A folder in the form of the OCI image layout.
#[derive(Clone, Debug)]
pub struct Layout {
    path: PathBuf,
}

impl Layout {
    /// Opens a layout, or makes an empty one.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, RegistryError> {
        let path = path.into();
        let layout = Self { path };
        let doing = || RegistryError::file(format!("make the layout `{}`", layout.path.display()));
        fs_err::create_dir_all(layout.path.join("blobs/sha256")).map_err(doing())?;
        let marker = layout.path.join("oci-layout");
        if !marker.exists() {
            layout.write_index(&Index::new(Vec::new()))?;
            fs_err::write(marker, oci_layout_file()).map_err(doing())?;
        }
        Ok(layout)
    }

    /// Opens a layout that exists.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RegistryError> {
        let path = path.into();
        if path.join("oci-layout").is_file() {
            return Ok(Self { path });
        }
        Err(RegistryError::NoLayout(path))
    }

    /// Gives the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file of a blob, whether it exists or not.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.hex())
    }

    /// Writes a layer; a layer that is not whole leaves nothing.
    pub fn write_layer<W>(&self, level: Level, write: W) -> Result<Layer, RegistryError>
    where
        W: FnOnce(&mut LayerWriter<io::BufWriter<fs_err::File>>) -> Result<(), LayerError>,
    {
        let partial = self.partial();
        let file = fs_err::File::create(&partial).map_err(RegistryError::file("write a layer"))?;
        let mut writer = LayerWriter::new(io::BufWriter::new(file), level);
        let written = write(&mut writer).and_then(|()| writer.finish());
        match written {
            Ok((layer, _)) => {
                fs_err::rename(&partial, self.blob(&layer.digest))
                    .map_err(RegistryError::file("keep a layer"))?;
                Ok(layer)
            }
            Err(error) => {
                let _ = fs_err::remove_file(&partial);
                Err(error.into())
            }
        }
    }

    /// Says where the layers of an image are that this layout holds.
    #[must_use]
    pub fn blobs(&self, image: &Image) -> Blobs {
        let mut blobs = Blobs::new();
        for layer in image.layers() {
            let path = self.blob(&layer.digest);
            if path.is_file() {
                blobs.insert(layer.digest, Source::File(path));
            }
        }
        blobs
    }

    /// Brings the layers of an image that the layout lacks.
    pub async fn gather(
        &self,
        image: &Image,
        blobs: &Blobs,
        registry: &Registry,
    ) -> Result<(), RegistryError> {
        let layers = image.layers();
        let lacking: BTreeMap<Digest, Layer> = layers
            .filter(|layer| !self.blob(&layer.digest).is_file())
            .map(|layer| (layer.digest.clone(), layer))
            .collect();
        stream::iter(lacking.into_values())
            .map(|layer| async move {
                match blobs.get(&layer.digest) {
                    Some(Source::Registry(reference)) => {
                        let path = self.blob(&layer.digest);
                        registry.download(reference, &layer, &path).await
                    }
                    Some(_) => self.bring(&layer, blobs),
                    None => Err(RegistryError::NoBytes(layer.digest.to_string())),
                }
            })
            .buffer_unordered(DOWNLOADS)
            .try_collect()
            .await
    }

    /// Derives every promise of an image again from the bytes in the folder.
    pub fn validate(&self, image: &Image) -> Result<(), RegistryError> {
        let blobs = self.blobs(image);
        Ok(image.validate(|digest| Ok(blobs.open(digest)? as Box<dyn io::Read>))?)
    }

    fn bring(&self, layer: &Layer, blobs: &Blobs) -> Result<(), RegistryError> {
        let doing = || RegistryError::file(format!("copy layer `{}`", layer.digest));
        let partial = self.partial();
        let file = fs_err::File::create(&partial).map_err(doing())?;
        let mut out = Hashing::new(file);
        let mut bytes = blobs.open(&layer.digest).map_err(doing())?;
        io::copy(&mut bytes, &mut out).map_err(doing())?;
        let (_, found, _) = out.finish();
        if found != layer.digest {
            let _ = fs_err::remove_file(&partial);
            return Err(RegistryError::Corrupt {
                doing: format!("copy layer `{}`", layer.digest),
            });
        }
        fs_err::rename(&partial, self.blob(&layer.digest)).map_err(doing())
    }

    pub(crate) fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), RegistryError> {
        self.replace(&self.blob(digest), bytes)
    }

    pub(crate) fn write_index(&self, index: &Index) -> Result<(), RegistryError> {
        let document = Document::of(index.clone());
        self.replace(&self.path.join("index.json"), document.bytes())
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
        let doing = || RegistryError::file(format!("write `{}`", path.display()));
        let partial = self.partial();
        let mut file = fs_err::File::create(&partial).map_err(doing())?;
        file.write_all(bytes).map_err(doing())?;
        fs_err::rename(&partial, path).map_err(doing())
    }

    /// Names a file that nobody else writes: the process and the count of its files.
    fn partial(&self) -> PathBuf {
        use std::sync::atomic::{AtomicU64, Ordering};
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".{}-{count}.partial", std::process::id());
        self.path.join("blobs").join(name)
    }
}

pub(crate) fn oci_layout_file() -> &'static str {
    r#"{"imageLayoutVersion":"1.0.0"}"#
}
