//! What a layout lists: images, indexes of several platforms, and artifacts.

use std::collections::BTreeSet;

use oci_image::{Artifact, Descriptor, Digest, Document, Image, Index, Manifest, Platform};

use crate::{Layout, RegistryError};

/// The annotation by which tools name an image of a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation by which containerd names an image that it imports.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

impl Layout {
    /// Adds an image whose layers the layout holds, under names (`repository:tag`) or none.
    pub fn put(&self, image: &Image, names: &[&str]) -> Result<(), RegistryError> {
        self.write_image(image)?;
        self.list(descriptors(&image.descriptor(), names))
    }

    /// Adds the images of several platforms, whose layers the layout holds, and lists only their
    /// index, under names or none. Several images without an index get one; a single image without
    /// one is listed itself.
    pub fn put_all(
        &self,
        images: &[Image],
        index: Option<&Document<Index>>,
        names: &[&str],
    ) -> Result<(), RegistryError> {
        if let (None, [image]) = (index, images) {
            return self.put(image, names);
        }
        for image in images {
            self.write_image(image)?;
        }
        let own = Index::of(images);
        let index = index.unwrap_or(&own);
        self.write_blob(index.digest(), index.bytes())?;
        let descriptor = Descriptor::of(&index.value().media_type, index.bytes());
        self.list(descriptors(&descriptor, names))
    }

    /// Adds an artifact and lists it beside the images: tools find it there by its subject.
    pub fn attach(&self, artifact: &Artifact) -> Result<(), RegistryError> {
        let config = &artifact.manifest().value().config;
        self.write_blob(&config.digest, Artifact::CONFIG)?;
        self.write_blob(&Digest::of(artifact.content()), artifact.content())?;
        self.write_blob(artifact.digest(), artifact.manifest().bytes())?;
        self.list(vec![artifact.descriptor()])
    }

    /// Finds an image by tag, name or digest, and by its platform where there are several; the
    /// only one when nothing is asked for.
    pub fn image(&self, wanted: Option<&str>, platform: &Platform) -> Result<Image, RegistryError> {
        let mut index = self.index()?;
        // What is attached to images is none.
        index
            .manifests
            .retain(|manifest| manifest.artifact_type.is_none());
        let found = match wanted {
            Some(wanted) => self.named(&index, wanted)?,
            None => index.manifests.clone(),
        };
        let digests: BTreeSet<&Digest> = found.iter().map(|found| &found.digest).collect();
        let (1, Some(found)) = (digests.len(), found.first()) else {
            return Err(self.not_found(&index, wanted));
        };
        let not_for = |platforms: &BTreeSet<String>| {
            let reference = format!("{}@{}", self.path().display(), found.digest);
            RegistryError::no_platform(reference, platform, platforms)
        };
        if found.is_index() {
            let nested = self.nested(&found.digest)?;
            let one = nested
                .find(platform)
                .ok_or_else(|| not_for(&nested.platforms()))?;
            return self.read(&one.digest);
        }
        let image = self.read(&found.digest)?;
        if image.platform().serves(platform) {
            return Ok(image);
        }
        Err(not_for(&BTreeSet::from([image.platform().to_string()])))
    }

    /// Reads the index of the layout itself.
    pub fn index(&self) -> Result<Index, RegistryError> {
        let bytes = fs_err::read(self.path().join("index.json"))
            .map_err(RegistryError::file("read the layout's index"))?;
        let index: Document<Index> = Document::parse("index", bytes)?;
        Ok(index.value().clone())
    }

    /// Finds what has a name or digest; a digest may also be that of one platform's image.
    fn named(&self, index: &Index, wanted: &str) -> Result<Vec<Descriptor>, RegistryError> {
        let is_wanted = |descriptor: &&Descriptor| {
            descriptor.digest.as_str() == wanted
                || name(descriptor).is_some_and(|name| name == wanted || tag(name) == Some(wanted))
        };
        let found: Vec<Descriptor> = index.manifests.iter().filter(is_wanted).cloned().collect();
        if !found.is_empty() {
            return Ok(found);
        }
        for listed in index.manifests.iter().filter(|listed| listed.is_index()) {
            let nested = self.nested(&listed.digest)?;
            let mut images = nested.manifests.into_iter();
            if let Some(found) = images.find(|image| image.digest.as_str() == wanted) {
                return Ok(vec![found]);
            }
        }
        Ok(Vec::new())
    }

    fn not_found(&self, index: &Index, wanted: Option<&str>) -> RegistryError {
        let names = index.manifests.iter().map(|descriptor| {
            let name = name(descriptor).unwrap_or(descriptor.digest.as_str());
            format!("`{name}`")
        });
        let names: Vec<String> = names.collect();
        RegistryError::NotInLayout {
            path: self.path().into(),
            wanted: wanted.unwrap_or("exactly one image").into(),
            found: if names.is_empty() {
                "nothing".into()
            } else {
                names.join(", ")
            },
        }
    }

    fn write_image(&self, image: &Image) -> Result<(), RegistryError> {
        for layer in image.layers() {
            if !self.blob(&layer.digest).is_file() {
                return Err(RegistryError::NoBytes(layer.digest.to_string()));
            }
        }
        self.write_blob(image.config().digest(), image.config().bytes())?;
        self.write_blob(image.digest(), image.manifest().bytes())
    }

    /// Lists descriptors; a name means what was listed last.
    fn list(&self, added: Vec<Descriptor>) -> Result<(), RegistryError> {
        let mut index = self.index()?;
        index.manifests.retain(|old| {
            let same_name = |new: &Descriptor| name(new).is_some() && name(new) == name(old);
            let unnamed_twin = |new: &Descriptor| new.digest == old.digest && name(old).is_none();
            !added.iter().any(|new| same_name(new) || unnamed_twin(new))
        });
        index.manifests.extend(added);
        self.write_index(&index)
    }

    fn nested(&self, digest: &Digest) -> Result<Index, RegistryError> {
        let index: Document<Index> = Document::parse("index", self.document(digest)?)?;
        Ok(index.value().clone())
    }

    fn read(&self, digest: &Digest) -> Result<Image, RegistryError> {
        let manifest: Document<Manifest> = Document::parse("manifest", self.document(digest)?)?;
        let config = self.document(&manifest.value().config.digest)?;
        Ok(Image::parse(manifest.bytes().into(), config)?)
    }

    fn document(&self, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        let bytes = fs_err::read(self.blob(digest))
            .map_err(RegistryError::file("read a document of the layout"))?;
        if Digest::of(&bytes) == *digest {
            return Ok(bytes);
        }
        Err(RegistryError::Corrupt {
            doing: format!("read `{}`", self.blob(digest).display()),
        })
    }
}

/// Gives the descriptors of an image or index in the index of a layout, one a name.
pub(crate) fn descriptors(descriptor: &Descriptor, names: &[&str]) -> Vec<Descriptor> {
    if names.is_empty() {
        return vec![descriptor.clone()];
    }
    names
        .iter()
        .map(|name| {
            let mut entry = descriptor.clone();
            let tag = tag(name).unwrap_or("latest");
            entry.annotations.insert(REF_NAME.into(), tag.into());
            entry
                .annotations
                .insert(CONTAINERD_NAME.into(), (*name).into());
            entry
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
