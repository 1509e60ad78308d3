//! The base image's file system, unpacked, and programs that run inside it.
//!
//! A process may make the folder its root as root, or as anybody in a user namespace of its own.
//! Where neither is allowed, [`crate::interpreter`] still runs the base image's Python from outside.

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use action_kit::{Command, CommandError, Failed};
use flate2::read::MultiGzDecoder;
use oci_image::{Image, media_type};
use oci_registry::{Layout, Registry};
use tar::EntryType;

use crate::ahead::Ahead;
use crate::base::Base;
use crate::enter::{IN_ROOT, Who};
use crate::error::BuildError;
use crate::kept::Kept;

/// How many links a path may lead through before it is taken for a loop, as in the kernel.
const MOST_LINKS: usize = 40;

/// A folder that is the root of programs.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    path: PathBuf,
}

impl Root {
    /// Starts with an empty folder.
    pub(crate) fn create(path: PathBuf) -> Result<Self, BuildError> {
        make_folder(&path).map_err(BuildError::file("make a folder to build in"))?;
        Ok(Self { path })
    }

    /// Gives the file or folder that is at `inside` for programs in this root.
    pub(crate) fn at(&self, inside: &str) -> PathBuf {
        self.path.join(inside.trim_start_matches('/'))
    }

    /// Gives the path of a file or folder for programs in this root, when they can see it.
    pub(crate) fn inside(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.path).ok()?;
        Some(Path::new("/").join(below))
    }

    /// Gives a text in which paths are those that programs in this root see.
    pub(crate) fn as_seen(&self, text: &str) -> String {
        text.replace(&*self.path.to_string_lossy(), "")
    }

    /// Follows the links of a path as programs in this root do: none leads out of it.
    pub(crate) fn follow(&self, inside: &Path) -> io::Result<PathBuf> {
        let mut found = self.path.clone();
        let mut waiting = backwards(inside);
        let mut links = 0;
        while let Some(part) = waiting.pop() {
            if part == ".." {
                if found != self.path {
                    found.pop();
                }
                continue;
            }
            let next = found.join(part);
            if !next.is_symlink() {
                found = next;
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                let shown = inside.display();
                return Err(io::Error::other(format!(
                    "the links of `{shown}` are a loop"
                )));
            }
            let target = fs_err::read_link(&next)?;
            if target.is_absolute() {
                found.clone_from(&self.path);
            }
            waiting.extend(backwards(&target));
        }
        Ok(found)
    }

    /// Unpacks the base image of one platform.
    pub(crate) async fn unpack(
        &self,
        base: &Base,
        image: &Image,
        registry: &Registry,
        kept: &Kept,
        scratch: &Path,
    ) -> Result<(), Failed> {
        let layout = Layout::create(scratch)?;
        if base.is_remote() {
            let blobs = kept.blobs(image).or(base.blobs(image));
            layout.gather(image, &blobs, registry).await?;
            kept.keep(image, &layout);
        } else {
            layout.gather(image, &base.blobs(image), registry).await?;
        }
        let failed = |source| BuildError::Unpack {
            base: base.name.clone(),
            source,
        };
        for layer in image.layers() {
            let file = fs_err::File::open(layout.blob(&layer.digest)).map_err(failed)?;
            match layer.media_type.as_str() {
                media_type::LAYER_GZIP => self.apply(Ahead::of(MultiGzDecoder::new(file))),
                media_type::LAYER => self.apply(file),
                other => Err(io::Error::other(format!("its layers are `{other}`"))),
            }
            .map_err(failed)?;
        }
        // An empty file serves as well: nothing is read from it, and what is written is dropped
        // with the folder.
        let null = self.at("/dev/null");
        if !null.exists() {
            make_folder(&self.at("/dev")).map_err(failed)?;
            fs_err::write(null, "").map_err(failed)?;
        }
        Ok(())
    }

    /// Unpacks one layer on top of what is there. Devices, owners and the modes of folders are left
    /// out: they take a privilege, or lock out whoever has none.
    fn apply(&self, layer: impl Read) -> io::Result<()> {
        let mut archive = tar::Archive::new(layer);
        archive.set_preserve_mtime(false);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let Some(name) = path.file_name().and_then(OsStr::to_str) else {
                continue;
            };
            let place = self.place(&path)?;
            if name == ".wh..wh..opq" {
                let folder = place.parent().unwrap_or(&self.path);
                for old in fs_err::read_dir(folder)? {
                    remove(&old?.path())?;
                }
                continue;
            }
            if let Some(gone) = name.strip_prefix(".wh.") {
                remove(&place.with_file_name(gone))?;
                continue;
            }
            make_folder(place.parent().unwrap_or(&self.path))?;
            let target = entry.link_name()?.map(std::borrow::Cow::into_owned);
            match (entry.header().entry_type(), target) {
                (EntryType::Directory, _) => make_folder(&place)?,
                (EntryType::Regular | EntryType::Continuous, _) => {
                    remove(&place)?;
                    entry.unpack(&place)?;
                }
                (EntryType::Symlink, Some(target)) => {
                    remove(&place)?;
                    fs_err::os::unix::fs::symlink(target, &place)?;
                }
                (EntryType::Link, Some(target)) => {
                    let target = self.place(&target)?;
                    remove(&place)?;
                    fs_err::hard_link(target, &place)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives the place of a layer's entry: its folder's links are followed, the last one is not.
    fn place(&self, path: &Path) -> io::Result<PathBuf> {
        let folder = self.follow(path.parent().unwrap_or(Path::new("")))?;
        Ok(folder.join(path.file_name().unwrap_or_default()))
    }

    /// Prepares a call of a program inside this root; it sees no variable but what is given.
    pub(crate) fn command(
        &self,
        who: Who,
        folder: &str,
        program: &str,
    ) -> Result<Command, BuildError> {
        Ok(self.enter(who)?.arg(folder).arg(program))
    }

    /// Says why programs cannot run inside this root here, when they cannot.
    pub(crate) fn check_entry(&self) -> Result<(), BuildError> {
        let why = match self.enter(Who::Builder)?.output() {
            Ok(_) => return Ok(()),
            Err(CommandError::Status { tail, .. }) => tail,
            Err(error) => error.to_string(),
        };
        Err(BuildError::NoEntry(why))
    }

    fn enter(&self, who: Who) -> Result<Command, BuildError> {
        let this = std::env::current_exe().map_err(BuildError::file("find this program"))?;
        Ok(Command::new(this)
            .arg(IN_ROOT)
            .arg(&self.path)
            .arg(who.word())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", "/tmp"))
    }
}

/// Gives the parts of a path, the last one first; where it starts does not matter.
fn backwards(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    parts.collect()
}

/// Makes a folder that everybody may enter; a file or link in its place gives way.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_symlink() || path.is_file() {
        fs_err::remove_file(path)?;
    }
    if path.is_dir() {
        return Ok(());
    }
    fs_err::create_dir_all(path)?;
    fs_err::set_permissions(path, Permissions::from_mode(0o755))
}

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs_err::remove_dir_all(path),
        Ok(_) => fs_err::remove_file(path),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// An archive, from kinds, names, and contents or targets.
    fn layer(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (kind, name, rest) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            if matches!(kind, EntryType::Link | EntryType::Symlink) {
                header.set_size(0);
                archive
                    .append_link(&mut header, name, rest)
                    .expect("a link");
            } else {
                header.set_size(rest.len() as u64);
                archive
                    .append_data(&mut header, name, rest.as_bytes())
                    .expect("an entry");
            }
        }
        archive.into_inner().expect("an archive")
    }

    fn root() -> (TempDir, Root) {
        let folder = TempDir::new().expect("a folder");
        let root = Root::create(folder.path().join("root")).expect("a root");
        (folder, root)
    }

    #[test]
    fn layers_lie_on_each_other() {
        let (_folder, root) = root();
        let layers = [
            layer(&[
                (EntryType::Directory, "usr/lib", ""),
                (EntryType::Symlink, "lib", "usr/lib"),
                (EntryType::Regular, "lib/a", "a"),
                (EntryType::Regular, "lib/b", "b"),
                (EntryType::Link, "lib/c", "lib/a"),
                (EntryType::Regular, "etc/x/y", "y"),
            ]),
            layer(&[
                (EntryType::Regular, "lib/.wh.b", ""),
                (EntryType::Regular, "lib/a", "other"),
                (EntryType::Regular, "etc/x/.wh..wh..opq", ""),
                (EntryType::Symlink, "etc/x/z", "/usr/lib/a"),
            ]),
        ];
        for layer in layers {
            root.apply(&layer[..]).expect("a layer");
        }
        let read = |path: &str| fs_err::read_to_string(root.at(path)).ok();
        assert_eq!(read("/usr/lib/a").as_deref(), Some("other"));
        assert_eq!(read("/usr/lib/c").as_deref(), Some("a"));
        assert_eq!(read("/lib/b"), None);
        assert_eq!(read("/etc/x/y"), None);
        let followed = root.follow(Path::new("/etc/x/z")).expect("a path");
        assert_eq!(followed, root.at("/usr/lib/a"));
    }

    #[test]
    fn no_layer_reaches_out_of_the_root() {
        let (folder, root) = root();
        let outside = folder.path().join("outside");
        fs_err::create_dir_all(&outside).expect("a folder");
        fs_err::write(outside.join("kept"), "kept").expect("a file");
        let away = outside.display().to_string();
        let hostile = layer(&[
            (EntryType::Symlink, "absolute", &away),
            (EntryType::Symlink, "relative", "../outside"),
            (EntryType::Regular, "absolute/.wh.kept", ""),
            (EntryType::Regular, "relative/.wh.kept", ""),
            (EntryType::Regular, "relative/new", "new"),
        ]);
        root.apply(&hostile[..]).expect("a layer");
        let names: Vec<_> = fs_err::read_dir(&outside)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["kept"]);
        assert!(root.at("/outside/new").is_file());
    }

    #[test]
    fn links_that_go_round() {
        let (_folder, root) = root();
        let round = layer(&[
            (EntryType::Symlink, "a", "b"),
            (EntryType::Symlink, "b", "a"),
        ]);
        root.apply(&round[..]).expect("a layer");
        let error = root.follow(Path::new("/a/x")).expect_err("a loop");
        assert_eq!(error.to_string(), "the links of `/a/x` are a loop");
    }
}
