//! An OCI layout: a folder of blobs by digest, with an index of images.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use oci_image::{
    Descriptor, Digest, Document, Hashing, Image, Index, Layer, LayerError, LayerWriter, Level,
    Manifest, Platform,
};

use crate::{Blobs, Registry, RegistryError, Source};

/// The annotation by which tools name an image of a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation by which containerd names an image that it imports.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

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
        for layer in image.layers() {
            if self.blob(&layer.digest).is_file() {
                continue;
            }
            match blobs.get(&layer.digest) {
                Some(Source::Registry(reference)) => {
                    let path = self.blob(&layer.digest);
                    registry.download(reference, &layer, &path).await?;
                }
                Some(_) => self.bring(&layer, blobs)?,
                None => return Err(RegistryError::NoBytes(layer.digest.to_string())),
            }
        }
        Ok(())
    }

    /// Adds an image whose layers the layout holds, under names (`repository:tag`) or none.
    pub fn put(&self, image: &Image, names: &[&str]) -> Result<(), RegistryError> {
        for layer in image.layers() {
            if !self.blob(&layer.digest).is_file() {
                return Err(RegistryError::NoBytes(layer.digest.to_string()));
            }
        }
        self.write_blob(image.config().digest(), image.config().bytes())?;
        self.write_blob(image.digest(), image.manifest().bytes())?;
        let mut index = self.index()?;
        let added = descriptors(image, names);
        index.manifests.retain(|old| {
            let same_name = |new: &Descriptor| name(new).is_some() && name(new) == name(old);
            let unnamed_twin = old.digest == *image.digest() && name(old).is_none();
            !added.iter().any(same_name) && !unnamed_twin
        });
        index.manifests.extend(added);
        self.write_index(&index)
    }

    /// Finds an image by tag, name or digest; the only one when nothing is asked for.
    pub fn image(&self, wanted: Option<&str>, platform: &Platform) -> Result<Image, RegistryError> {
        let index = self.index()?;
        let fits = |descriptor: &&Descriptor| match wanted {
            None => true,
            Some(wanted) => {
                descriptor.digest.as_str() == wanted
                    || name(descriptor)
                        .is_some_and(|name| name == wanted || tag(name) == Some(wanted))
            }
        };
        let found: Vec<&Descriptor> = index.manifests.iter().filter(fits).collect();
        let mut digests: Vec<&Digest> = found.iter().map(|found| &found.digest).collect();
        digests.dedup();
        let [digest] = digests[..] else {
            let names = index
                .manifests
                .iter()
                .map(|descriptor| match name(descriptor) {
                    Some(name) => format!("`{name}`"),
                    None => format!("`{}`", descriptor.digest),
                });
            let names: Vec<String> = names.collect();
            return Err(RegistryError::NotInLayout {
                path: self.path.clone(),
                wanted: wanted.unwrap_or("exactly one image").into(),
                found: if names.is_empty() {
                    "nothing".into()
                } else {
                    names.join(", ")
                },
            });
        };
        let image = self.read(digest)?;
        if image.platform().serves(platform) {
            return Ok(image);
        }
        Err(RegistryError::NoPlatform {
            reference: format!("{}@{digest}", self.path.display()),
            wanted: platform.to_string(),
            found: format!("`{}`", image.platform()),
        })
    }

    /// Derives every promise of an image again from the bytes in the folder.
    pub fn validate(&self, image: &Image) -> Result<(), RegistryError> {
        let blobs = self.blobs(image);
        Ok(image.validate(|digest| Ok(blobs.open(digest)? as Box<dyn io::Read>))?)
    }

    /// Reads the index.
    pub fn index(&self) -> Result<Index, RegistryError> {
        let bytes = fs_err::read(self.path.join("index.json"))
            .map_err(RegistryError::file("read the layout's index"))?;
        let index: Document<Index> = Document::parse("index", bytes)?;
        Ok(index.value().clone())
    }

    fn read(&self, digest: &Digest) -> Result<Image, RegistryError> {
        let read = |digest: &Digest| {
            let bytes = fs_err::read(self.blob(digest))
                .map_err(RegistryError::file("read a document of the layout"))?;
            if Digest::of(&bytes) == *digest {
                return Ok(bytes);
            }
            Err(RegistryError::Corrupt {
                doing: format!("read `{}`", self.blob(digest).display()),
            })
        };
        let manifest: Document<Manifest> = Document::parse("manifest", read(digest)?)?;
        let config = read(&manifest.value().config.digest)?;
        Ok(Image::parse(manifest.bytes().into(), config)?)
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

    fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), RegistryError> {
        self.replace(&self.blob(digest), bytes)
    }

    fn write_index(&self, index: &Index) -> Result<(), RegistryError> {
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

/// Gives the descriptors of an image in an index, one a name.
pub(crate) fn descriptors(image: &Image, names: &[&str]) -> Vec<Descriptor> {
    if names.is_empty() {
        return vec![image.descriptor()];
    }
    names
        .iter()
        .map(|name| {
            let mut descriptor = image.descriptor();
            let tag = tag(name).unwrap_or("latest");
            descriptor.annotations.insert(REF_NAME.into(), tag.into());
            descriptor
                .annotations
                .insert(CONTAINERD_NAME.into(), (*name).into());
            descriptor
        })
        .collect()
}

fn name(descriptor: &Descriptor) -> Option<&str> {
    let annotations = &descriptor.annotations;
    annotations
        .get(CONTAINERD_NAME)
        .or_else(|| annotations.get(REF_NAME))
        .map(String::as_str)
}

fn tag(name: &str) -> Option<&str> {
    let last = name.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag)
}
