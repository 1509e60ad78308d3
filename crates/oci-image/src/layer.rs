//! Layers: tar archives, compressed, with the digests of both forms.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use tar::{EntryType, Header};
use thiserror::Error;

use crate::entries::{Content, Entries, Entry, EntryError, Kind, normal};
use crate::gzip::Gzip;
use crate::{Descriptor, Digest, Hashing, media_type};

/// A layer, as what its image says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The form of the archive.
    pub media_type: String,
    /// The digest of the compressed archive.
    pub digest: Digest,
    /// The size of the compressed archive.
    pub size: u64,
    /// The digest of the uncompressed archive.
    pub diff_id: Digest,
}

impl Layer {
    /// Gives the descriptor that stands in a manifest.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest.clone(), self.size)
    }
}

/// How much effort compression takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Little: for what stays on this machine.
    Fast,
    /// What makes a layer no larger than those of other tools: for what is sent.
    Small,
}

/// A layer cannot be written.
#[derive(Debug, Error)]
pub enum LayerError {
    /// A file's content, or what it is written to, broke.
    #[error("write `{path}` into the layer")]
    Entry {
        /// The path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file is not as long as was said.
    #[error("`{path}` has {found} bytes, {expected} were announced")]
    Length {
        /// The path.
        path: String,
        /// The bytes announced.
        expected: u64,
        /// The bytes found.
        found: u64,
    },
    /// A path cannot stand in a layer.
    #[error(transparent)]
    Path(#[from] EntryError),
    /// An archive cannot be read.
    #[error("read the archive that becomes a layer")]
    Archive(#[source] io::Error),
    /// The end of the layer cannot be written.
    #[error("finish the layer")]
    Finish(#[source] io::Error),
}

/// Writes a layer; its digests are computed on the way.
pub struct LayerWriter<W: Write> {
    archive: tar::Builder<Hashing<Gzip<Hashing<W>>>>,
    folders: BTreeSet<String>,
}

impl<W: Write> LayerWriter<W> {
    /// Starts a layer.
    pub fn new(out: W, level: Level) -> Self {
        let level = match level {
            Level::Fast => 1,
            Level::Small => 5,
        };
        Self {
            archive: tar::Builder::new(Hashing::new(Gzip::new(Hashing::new(out), level))),
            folders: BTreeSet::new(),
        }
    }

    /// Adds entries, in order; folders that the layer has already are left as they are.
    pub fn append(&mut self, entries: Entries) -> Result<&mut Self, LayerError> {
        for (path, entry) in entries.entries {
            self.append_entry(&path, entry)?;
        }
        Ok(self)
    }

    /// Adds the entries of an archive that `keep` chooses by path, in the archive's order, because
    /// a hard link follows its target. Owners, groups and modes stay; times, names of owners and
    /// extended attributes go; devices are left out.
    pub fn append_archive(
        &mut self,
        archive: impl Read,
        mut keep: impl FnMut(&str) -> bool,
    ) -> Result<&mut Self, LayerError> {
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries().map_err(LayerError::Archive)? {
            let mut entry = entry.map_err(LayerError::Archive)?;
            let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Ok(path) = normal(&raw) else {
                if raw.trim_matches(['.', '/']).is_empty() {
                    continue;
                }
                return Err(EntryError::Outside(raw).into());
            };
            if !keep(&path) {
                continue;
            }
            self.copy_entry(&path, &mut entry)?;
        }
        Ok(self)
    }

    /// Ends the layer and gives what it was written to.
    pub fn finish(self) -> Result<(Layer, W), LayerError> {
        let archive = self.archive.into_inner().map_err(LayerError::Finish)?;
        let (gzip, diff_id, _) = archive.finish();
        let (mut out, digest, size) = gzip.finish().map_err(LayerError::Finish)?.finish();
        out.flush().map_err(LayerError::Finish)?;
        let layer = Layer {
            media_type: media_type::LAYER_GZIP.into(),
            digest,
            size,
            diff_id,
        };
        Ok((layer, out))
    }

    fn append_entry(&mut self, path: &str, entry: Entry) -> Result<(), LayerError> {
        let failed = |source| LayerError::Entry {
            path: path.into(),
            source,
        };
        let mut header = header(entry.mode, entry.owner);
        match entry.kind {
            Kind::Folder => self.append_folder(path, header),
            Kind::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                self.archive
                    .append_link(&mut header, path, target)
                    .map_err(failed)
            }
            Kind::File(Content::Bytes(bytes)) => {
                header.set_size(bytes.len() as u64);
                self.archive
                    .append_data(&mut header, path, &bytes[..])
                    .map_err(failed)
            }
            Kind::File(Content::Reader { size, open }) => {
                header.set_size(size);
                let mut content = Hashing::new(open().map_err(failed)?);
                self.archive
                    .append_data(&mut header, path, &mut content)
                    .map_err(failed)?;
                let (_, _, found) = content.finish();
                if found == size {
                    Ok(())
                } else {
                    Err(LayerError::Length {
                        path: path.into(),
                        expected: size,
                        found,
                    })
                }
            }
        }
    }

    fn append_folder(&mut self, path: &str, mut header: Header) -> Result<(), LayerError> {
        if !self.folders.insert(path.into()) {
            return Ok(());
        }
        header.set_entry_type(EntryType::Directory);
        self.archive
            .append_data(&mut header, format!("{path}/"), io::empty())
            .map_err(|source| LayerError::Entry {
                path: path.into(),
                source,
            })
    }

    fn copy_entry<R: Read>(
        &mut self,
        path: &str,
        entry: &mut tar::Entry<'_, R>,
    ) -> Result<(), LayerError> {
        let failed = |source| LayerError::Entry {
            path: path.into(),
            source,
        };
        let old = entry.header();
        let owner = (
            old.uid().map_err(LayerError::Archive)?,
            old.gid().map_err(LayerError::Archive)?,
        );
        let mut header = header(old.mode().map_err(LayerError::Archive)? & 0o7777, owner);
        let kind = old.entry_type();
        match kind {
            EntryType::Directory => return self.append_folder(path, header),
            EntryType::Symlink | EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let mut target = String::from_utf8_lossy(&target).into_owned();
                if kind == EntryType::Link {
                    target = normal(&target)?;
                }
                header.set_entry_type(kind);
                self.archive
                    .append_link(&mut header, path, target)
                    .map_err(failed)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                header.set_size(entry.size());
                self.archive
                    .append_data(&mut header, path, entry)
                    .map_err(failed)?;
            }
            // Devices, and what is no entry of its own.
            _ => {}
        }
        Ok(())
    }
}

fn header(mode: u32, (user, group): (u64, u64)) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(user);
    header.set_gid(group);
    header.set_mtime(0);
    header.set_size(0);
    header
}
