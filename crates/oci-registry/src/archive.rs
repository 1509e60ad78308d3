//! One file with images in it, which both `docker load` and `ctr images import` take: an OCI
//! layout and Docker's older form at once, over the same blobs.

use std::collections::BTreeSet;
use std::io::{self, Write};

use oci_image::{Digest, Document, Image, Index, Layer};
use serde::Serialize;

use crate::layout::oci_layout_file;
use crate::listing::descriptors;
use crate::{Blobs, RegistryError};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes images, each with its names (`docker.io/library/python:3.14-slim`), as one archive. The
/// layers must be on this machine. Equal images give equal bytes.
pub fn write<W: Write>(
    out: W,
    images: &[(&Image, &[&str])],
    blobs: &Blobs,
) -> Result<W, RegistryError> {
    let failed = || RegistryError::file("write the archive");
    let mut archive = Archive {
        tar: tar::Builder::new(out),
        written: BTreeSet::new(),
    };
    for folder in ["blobs/", "blobs/sha256/"] {
        archive.folder(folder).map_err(failed())?;
    }
    let mut manifests = Vec::new();
    let mut docker = Vec::new();
    for (image, names) in images {
        for layer in image.layers() {
            archive.layer(&layer, blobs)?;
        }
        for (digest, bytes) in [
            (image.config().digest(), image.config().bytes()),
            (image.digest(), image.manifest().bytes()),
        ] {
            if archive.written.insert(digest.clone()) {
                archive.file(&blob(digest), bytes).map_err(failed())?;
            }
        }
        manifests.extend(descriptors(&image.descriptor(), names));
        docker.push(DockerImage {
            config: blob(image.config().digest()),
            repo_tags: names.iter().map(|name| (*name).to_owned()).collect(),
            layers: image.layers().map(|layer| blob(&layer.digest)).collect(),
        });
    }
    let index = Document::of(Index::new(manifests));
    archive
        .file("index.json", index.bytes())
        .map_err(failed())?;
    let docker = Document::of(docker);
    archive
        .file("manifest.json", docker.bytes())
        .map_err(failed())?;
    let marker = oci_layout_file().as_bytes();
    archive.file("oci-layout", marker).map_err(failed())?;
    archive.tar.into_inner().map_err(failed())
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
    written: BTreeSet<Digest>,
}

impl<W: Write> Archive<W> {
    fn folder(&mut self, path: &str) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        header.set_mtime(0);
        self.tar.append_data(&mut header, path, io::empty())
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = header(bytes.len() as u64);
        self.tar.append_data(&mut header, path, bytes)
    }

    fn layer(&mut self, layer: &Layer, blobs: &Blobs) -> Result<(), RegistryError> {
        if !self.written.insert(layer.digest.clone()) {
            return Ok(());
        }
        let doing = || RegistryError::file(format!("add layer `{}` to the archive", layer.digest));
        let bytes = blobs.open(&layer.digest).map_err(doing())?;
        let mut header = header(layer.size);
        self.tar
            .append_data(&mut header, blob(&layer.digest), bytes)
            .map_err(doing())
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(0);
    header
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
