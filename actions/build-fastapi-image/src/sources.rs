//! The application's files: which go into the image, and what they hold now.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use oci_image::{Digest, Entries, EntryError, Hashing};
use serde::Serialize;

use crate::error::BuildError;
use crate::exclude::Excluded;
use crate::locked::Member;

/// A file of the application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Source {
    /// The path from the root of the checkout's part that is built, with `/`.
    pub(crate) path: String,
    /// What it is.
    pub(crate) content: Content,
}

/// What a file of the application holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    /// A file.
    File {
        /// The digest of its bytes.
        digest: Digest,
        /// How many.
        size: u64,
        /// Whether it may be started.
        executable: bool,
    },
    /// A symbolic link, and where it leads.
    Link(String),
}

/// Lists and digests the files of the application and of the members that it needs.
pub(crate) fn read(
    root: &Path,
    members: &[Member],
    exclude: &[String],
) -> Result<Vec<Source>, BuildError> {
    let doing = || BuildError::file("read the project's files");
    let mut sources = Vec::new();
    for member in members {
        let folder = root.join(&member.folder);
        let excluded = excluded(&folder, exclude)?;
        let mut paths = Vec::new();
        list(&folder, "", &excluded, &mut paths).map_err(doing())?;
        for path in paths {
            let content = content(&folder.join(&path)).map_err(doing())?;
            let path = member.folder.join(&path);
            let path = path.to_string_lossy().trim_start_matches("./").to_owned();
            sources.push(Source { path, content });
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources.dedup_by(|a, b| a.path == b.path);
    Ok(sources)
}

/// Adds the files to a layer, below a folder of the image. A file that has changed since it was
/// read breaks the layer: an image is of one moment.
pub(crate) fn add(
    entries: &mut Entries,
    sources: &[Source],
    root: &Path,
    below: &str,
) -> Result<(), EntryError> {
    for source in sources {
        let inside = format!("{below}/{}", source.path);
        match &source.content {
            Content::Link(target) => entries.link(&inside, target)?,
            Content::File {
                digest,
                size,
                executable,
            } => {
                let mode = if *executable { 0o755 } else { 0o644 };
                let (file, digest) = (root.join(&source.path), digest.clone());
                entries.file_from(&inside, mode, *size, move || {
                    let file = fs_err::File::open(file)?;
                    Ok(Box::new(Same::new(file, digest)))
                })?
            }
        };
    }
    Ok(())
}

/// Copies files that `wanted` chooses by path.
pub(crate) fn copy(
    sources: &[Source],
    from: &Path,
    to: &Path,
    wanted: impl Fn(&str) -> bool,
) -> io::Result<()> {
    for source in sources.iter().filter(|source| wanted(&source.path)) {
        let file = to.join(&source.path);
        if let Some(folder) = file.parent() {
            fs_err::create_dir_all(folder)?;
        }
        match &source.content {
            Content::Link(target) => fs_err::os::unix::fs::symlink(target, file)?,
            Content::File { .. } => {
                fs_err::copy(from.join(&source.path), file)?;
            }
        }
    }
    Ok(())
}

/// Hands on the bytes of a reader, and fails at the end when they are not the expected ones.
struct Same<R> {
    inner: Option<Hashing<R>>,
    expected: Digest,
}

impl<R: Read> Same<R> {
    fn new(inner: R, expected: Digest) -> Self {
        Self {
            inner: Some(Hashing::new(inner)),
            expected,
        }
    }
}

impl<R: Read> Read for Same<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else {
            return Ok(0);
        };
        let read = inner.read(buffer)?;
        if read == 0
            && !buffer.is_empty()
            && let Some(inner) = self.inner.take()
            && inner.finish().1 != self.expected
        {
            return Err(io::Error::other("it changed while the image was built"));
        }
        Ok(read)
    }
}

fn content(path: &Path) -> io::Result<Content> {
    let metadata = fs_err::symlink_metadata(path)?;
    if metadata.is_symlink() {
        let target = fs_err::read_link(path)?;
        return Ok(Content::Link(target.to_string_lossy().into_owned()));
    }
    let mut file = Hashing::new(fs_err::File::open(path)?);
    io::copy(&mut file, &mut io::sink())?;
    let (_, digest, size) = file.finish();
    Ok(Content::File {
        digest,
        size,
        // The rest of the mode tells of the user's umask.
        executable: metadata.permissions().mode() & 0o111 != 0,
    })
}

fn excluded(folder: &Path, more: &[String]) -> Result<Excluded, BuildError> {
    let file = folder.join(".dockerignore");
    let text = if file.is_file() {
        fs_err::read_to_string(&file).map_err(BuildError::file("read `.dockerignore`"))?
    } else {
        String::new()
    };
    Ok(Excluded::new(&text, more))
}

/// Lists a folder's files, but for the excluded ones.
fn list(
    folder: &Path,
    below: &str,
    excluded: &Excluded,
    paths: &mut Vec<PathBuf>,
) -> io::Result<()> {
    for entry in fs_err::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(io::Error::other(format!(
                "the name of `{}` is not UTF-8",
                entry.path().display()
            )));
        };
        let path = if below.is_empty() {
            name.to_owned()
        } else {
            format!("{below}/{name}")
        };
        let out = excluded.excludes(&path);
        let kind = entry.file_type()?;
        if kind.is_dir() && (!out || excluded.has_exceptions()) {
            list(folder, &path, excluded, paths)?;
        } else if !kind.is_dir() && !out {
            paths.push(path.into());
        }
    }
    Ok(())
}
