//! Folders on disk as entries of a layer.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use oci_image::{Entries, EntryError};

/// Adds what a folder holds below `prefix`, as far as `keep` chooses it by its path below the
/// folder; a folder that is not kept is not entered. Of the modes only "executable" stays, since
/// the rest tells of the user's umask.
pub fn add_tree(
    entries: &mut Entries,
    folder: &Path,
    prefix: &str,
    mut keep: impl FnMut(&str) -> bool,
) -> io::Result<()> {
    let mut waiting = vec![String::new()];
    while let Some(below) = waiting.pop() {
        for entry in fs_err::read_dir(folder.join(&below))? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|name| {
                io::Error::other(format!("the name of `{}` is not UTF-8", name.display()))
            })?;
            let path = if below.is_empty() {
                name
            } else {
                format!("{below}/{name}")
            };
            if !keep(&path) {
                continue;
            }
            let kind = entry.file_type()?;
            let inside = format!("{prefix}/{path}");
            let added = if kind.is_dir() {
                waiting.push(path);
                entries.folder(&inside, 0o755)
            } else if kind.is_symlink() {
                let target = fs_err::read_link(entry.path())?;
                entries.link(&inside, &target.to_string_lossy())
            } else if kind.is_file() {
                let metadata = entry.metadata()?;
                let mode = if metadata.permissions().mode() & 0o111 == 0 {
                    0o644
                } else {
                    0o755
                };
                let file = entry.path();
                entries.file_from(&inside, mode, metadata.len(), move || {
                    Ok(Box::new(fs_err::File::open(file)?))
                })
            } else {
                continue;
            };
            added.map_err(unfit)?;
        }
    }
    Ok(())
}

fn unfit(error: EntryError) -> io::Error {
    io::Error::other(error)
}
