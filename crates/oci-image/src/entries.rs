//! What a layer holds, before it is an archive: paths in order, parents first.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use thiserror::Error;

/// The entries of a layer, by path.
///
/// Parents are added as folders with mode 755 of the owner that was set last; a path that is added
/// twice is what was added last.
#[derive(Debug, Default)]
pub struct Entries {
    pub(crate) entries: BTreeMap<String, Entry>,
    owner: (u64, u64),
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
}

#[derive(Debug)]
pub(crate) enum Kind {
    Folder,
    File(Content),
    Link(String),
}

/// The bytes of a file: at hand, or to be read when the layer is written.
pub enum Content {
    /// Bytes at hand.
    Bytes(Vec<u8>),
    /// Bytes to be read.
    Reader {
        /// How many.
        size: u64,
        /// Opens them.
        open: Opener,
    },
}

type Opener = Box<dyn FnOnce() -> io::Result<Box<dyn Read>> + Send>;

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, size) = match self {
            Self::Bytes(bytes) => ("Bytes", bytes.len() as u64),
            Self::Reader { size, .. } => ("Reader", *size),
        };
        write!(f, "{from}({size})")
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

/// A path cannot stand in a layer.
#[derive(Debug, Error)]
pub enum EntryError {
    /// The path is empty, or leads out of the image.
    #[error("`{0}` is no path inside an image")]
    Outside(String),
    /// Something else than a folder is where a folder must be.
    #[error("`{parent}` is a file, so `{path}` cannot be below it")]
    BelowFile {
        /// The path.
        path: String,
        /// The file above it.
        parent: String,
    },
    /// A folder is where something else shall be.
    #[error("`{0}` is a folder already")]
    IsFolder(String),
}

impl Entries {
    /// Starts without entries; the owner is root.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the owner and group of what is added from now on.
    pub fn owner(&mut self, user: u64, group: u64) -> &mut Self {
        self.owner = (user, group);
        self
    }

    /// Adds a file.
    pub fn file(
        &mut self,
        path: &str,
        mode: u32,
        content: impl Into<Content>,
    ) -> Result<&mut Self, EntryError> {
        self.add(path, Kind::File(content.into()), mode)
    }

    /// Adds a file whose bytes are read when the layer is written.
    pub fn file_from(
        &mut self,
        path: &str,
        mode: u32,
        size: u64,
        open: impl FnOnce() -> io::Result<Box<dyn Read>> + Send + 'static,
    ) -> Result<&mut Self, EntryError> {
        let open = Box::new(open);
        self.add(path, Kind::File(Content::Reader { size, open }), mode)
    }

    /// Adds a folder, or sets the mode and owner of one.
    pub fn folder(&mut self, path: &str, mode: u32) -> Result<&mut Self, EntryError> {
        self.add(path, Kind::Folder, mode)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) -> Result<&mut Self, EntryError> {
        self.add(path, Kind::Link(target.into()), 0o777)
    }

    /// Says whether a path was added.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        normal(path).is_ok_and(|path| self.entries.contains_key(&path))
    }

    /// Lists the paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Says whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn add(&mut self, path: &str, kind: Kind, mode: u32) -> Result<&mut Self, EntryError> {
        let path = normal(path)?;
        self.add_parents(&path)?;
        let is_folder = |kind: &Kind| matches!(kind, Kind::Folder);
        if let Some(old) = self.entries.get(&path)
            && is_folder(&old.kind)
            && !is_folder(&kind)
        {
            return Err(EntryError::IsFolder(path));
        }
        let owner = self.owner;
        self.entries.insert(path, Entry { kind, mode, owner });
        Ok(self)
    }

    fn add_parents(&mut self, path: &str) -> Result<(), EntryError> {
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            match self.entries.get(parent).map(|entry| &entry.kind) {
                Some(Kind::Folder) => {}
                Some(_) => {
                    return Err(EntryError::BelowFile {
                        path: path.into(),
                        parent: parent.into(),
                    });
                }
                None => {
                    let entry = Entry {
                        kind: Kind::Folder,
                        mode: 0o755,
                        owner: self.owner,
                    };
                    self.entries.insert(parent.into(), entry);
                }
            }
        }
        Ok(())
    }
}

/// Gives a path without leading slashes and dots; refuses what leads upwards.
pub(crate) fn normal(path: &str) -> Result<String, EntryError> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.is_empty() || parts.contains(&"..") || path.contains('\0') {
        return Err(EntryError::Outside(path.into()));
    }
    Ok(parts.join("/"))
}
