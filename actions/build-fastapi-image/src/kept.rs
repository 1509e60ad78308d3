//! Layers of base images that this machine has downloaded, kept for the next build on it.
//!
//! A laptop compiles the modules of a package that changed with the base image's Python, and would
//! download that image each time. A runner is new each time, and keeps nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use action_kit::Environment;
use oci_image::{Digest, Hashing, Image, Layer};
use oci_registry::{Blobs, Layout, Source};

/// The folder of this machine's cache.
const FOLDER: &str = "fastapi-eks-actions/base-images";
/// How many bytes are kept; of more, what was not used for longest goes.
const MOST: u64 = 512 << 20;
/// What the names of files end with that are not complete.
const PARTIAL: &str = ".partial";

/// What is kept. Nothing depends on it but time, so that no failure here is one of the build.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Where it is; none on a runner.
    folder: Option<PathBuf>,
}

impl Kept {
    /// Finds the place on this machine.
    pub(crate) fn of(environment: &Environment) -> Self {
        let home = || Some(environment.path("HOME")?.join(".cache"));
        let cache = environment.path("XDG_CACHE_HOME").or_else(home);
        let cache = cache.filter(|cache| cache.is_absolute() && !environment.in_actions());
        Self {
            folder: cache.map(|cache| cache.join(FOLDER)),
        }
    }

    /// Says where the layers are that are kept of an image. Each was read again: what is kept
    /// under a digest has it.
    pub(crate) fn blobs(&self, image: &Image) -> Blobs {
        let mut blobs = Blobs::new();
        for layer in image.layers() {
            let Some(file) = self.file(&layer.digest).filter(|file| file.is_file()) else {
                continue;
            };
            if is_whole(&file, &layer) {
                blobs.insert(layer.digest, Source::File(file));
            } else {
                tracing::info!("`{}` is damaged and is dropped", file.display());
                let _ = fs_err::remove_file(file);
            }
        }
        blobs
    }

    /// Keeps the layers of an image that were brought into a layout.
    pub(crate) fn keep(&self, image: &Image, layout: &Layout) {
        let Some(folder) = &self.folder else {
            return;
        };
        let kept = image.layers().try_for_each(|layer| {
            let file = folder.join(layer.digest.hex());
            keep(&layout.blob(&layer.digest), &file)
        });
        if let Err(error) = kept.and_then(|()| make_room(folder, MOST)) {
            tracing::info!("the base image is not kept for the next build: {error}");
        }
    }

    fn file(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(digest.hex()))
    }
}

fn is_whole(file: &Path, layer: &Layer) -> bool {
    let read = || {
        let mut bytes = Hashing::new(fs_err::File::open(file)?);
        io::copy(&mut bytes, &mut io::sink())?;
        let (_, digest, size) = bytes.finish();
        Ok::<_, io::Error>(digest == layer.digest && size == layer.size)
    };
    read().unwrap_or(false)
}

/// Links or copies a file, or notes that it is used once more. It is there in whole or not at all.
fn keep(from: &Path, to: &Path) -> io::Result<()> {
    if to.is_file() {
        let file = fs_err::OpenOptions::new().append(true).open(to)?;
        return file.file().set_modified(SystemTime::now());
    }
    if let Some(folder) = to.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let partial = to.with_extension(format!("{}{PARTIAL}", std::process::id()));
    let kept = fs_err::hard_link(from, &partial)
        .or_else(|_| fs_err::copy(from, &partial).map(|_| ()))
        .and_then(|()| fs_err::rename(&partial, to));
    if kept.is_err() {
        let _ = fs_err::remove_file(&partial);
    }
    kept
}

/// Removes files until the rest is not too large, the longest unused first.
fn make_room(folder: &Path, most: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        files.push((metadata.modified()?, entry.path(), metadata.len()));
    }
    files.sort();
    let mut size: u64 = files.iter().map(|(_, _, size)| size).sum();
    for (_, file, length) in files {
        if size <= most {
            break;
        }
        fs_err::remove_file(file)?;
        size -= length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn what_is_unused_for_longest_goes_first() {
        let folder = TempDir::new().expect("a folder");
        for (age, name) in ["new", "old", "older"].into_iter().enumerate() {
            let path = folder.path().join(name);
            fs_err::write(&path, [0; 10]).expect("a file");
            let age = Duration::from_secs(1000 * (1 + age as u64));
            let file = fs_err::File::options().append(true).open(path);
            let file = file.expect("the file").into_parts().0;
            file.set_modified(SystemTime::now() - age).expect("its age");
        }
        let names = || {
            let entries = fs_err::read_dir(folder.path()).expect("the folder");
            let mut names: Vec<_> = entries
                .map(|entry| entry.expect("an entry").file_name())
                .collect();
            names.sort();
            names
        };
        make_room(folder.path(), 30).expect("room");
        assert_eq!(names(), ["new", "old", "older"]);
        // What is used again is the newest.
        keep(Path::new("/nowhere"), &folder.path().join("older")).expect("an age");
        make_room(folder.path(), 20).expect("room");
        assert_eq!(names(), ["new", "older"]);
        make_room(folder.path(), 19).expect("room");
        assert_eq!(names(), ["older"]);
    }
}
