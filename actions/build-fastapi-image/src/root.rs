//! The base image's file system, unpacked, and programs that run inside it.

use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use action_kit::{Command, Failed};
use flate2::read::MultiGzDecoder;
use oci_image::media_type;
use oci_registry::{Layout, Registry};

use crate::base::Base;
use crate::error::BuildError;

/// The first argument with which this program runs another one inside an unpacked image.
pub const IN_ROOT: &str = "--in-root";

/// `CAP_SYS_CHROOT`'s place in the set of capabilities.
const MAY_CHROOT: u32 = 18;

/// A folder that is the root of programs.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    path: PathBuf,
}

/// Says whether this process may change its root: as root, and in the container of an action.
pub(crate) fn may_enter() -> bool {
    let Ok(status) = fs_err::read_to_string("/proc/self/status") else {
        return false;
    };
    let capabilities = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    capabilities.is_some_and(|set| set & (1 << MAY_CHROOT) != 0)
}

impl Root {
    /// Starts with an empty folder.
    pub(crate) fn create(path: PathBuf) -> Result<Self, BuildError> {
        fs_err::create_dir_all(&path).map_err(BuildError::file("make a folder to build in"))?;
        Ok(Self { path })
    }

    /// Gives the file or folder that is at `inside` for programs in this root.
    pub(crate) fn at(&self, inside: &str) -> PathBuf {
        self.path.join(inside.trim_start_matches('/'))
    }

    /// Unpacks the base image.
    pub(crate) async fn unpack(
        &self,
        base: &Base,
        registry: &Registry,
        scratch: &Path,
    ) -> Result<(), Failed> {
        let layout = Layout::create(scratch)?;
        layout.gather(&base.image, &base.blobs, registry).await?;
        let failed = |source| BuildError::Unpack {
            base: base.name.clone(),
            source,
        };
        for layer in base.image.layers() {
            let file = fs_err::File::open(layout.blob(&layer.digest)).map_err(failed)?;
            match layer.media_type.as_str() {
                media_type::LAYER_GZIP => self.apply(MultiGzDecoder::new(file)),
                media_type::LAYER => self.apply(file),
                other => Err(io::Error::other(format!("its layers are `{other}`"))),
            }
            .map_err(failed)?;
        }
        // An empty file serves as well: nothing is read from it, and what is written is dropped
        // with the folder.
        let null = self.at("/dev/null");
        if !null.exists() {
            fs_err::create_dir_all(self.at("/dev")).map_err(failed)?;
            fs_err::write(null, "").map_err(failed)?;
        }
        Ok(())
    }

    /// Unpacks one layer on top of what is there.
    fn apply(&self, layer: impl Read) -> io::Result<()> {
        let mut archive = tar::Archive::new(layer);
        archive.set_preserve_mtime(false);
        archive.set_overwrite(true);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let folder = self.path.join(path.parent().unwrap_or(Path::new("")));
            if name == ".wh..wh..opq" {
                for old in fs_err::read_dir(&folder)? {
                    remove(&old?.path())?;
                }
            } else if let Some(gone) = name.strip_prefix(".wh.") {
                remove(&folder.join(gone))?;
            } else if entry.header().entry_type().is_file()
                || entry.header().entry_type().is_dir()
                || entry.header().entry_type().is_symlink()
                || entry.header().entry_type().is_hard_link()
            {
                entry.unpack_in(&self.path)?;
            }
        }
        Ok(())
    }

    /// Prepares a call of a program inside this root; it sees no variable but what is given.
    pub(crate) fn command(&self, folder: &str, program: &str) -> Result<Command, BuildError> {
        let this = std::env::current_exe().map_err(BuildError::file("find this program"))?;
        Ok(Command::new(this)
            .arg(IN_ROOT)
            .arg(&self.path)
            .arg(folder)
            .arg(program)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", "/tmp"))
    }

    /// Lets programs inside this root reach other machines.
    pub(crate) fn connect(&self, certificates: &Path) -> Result<(), BuildError> {
        let doing = || BuildError::file("prepare the base image's file system");
        for folder in ["/etc", "/tmp"] {
            fs_err::create_dir_all(self.at(folder)).map_err(doing())?;
        }
        let mut files = vec![
            (Path::new("/etc/resolv.conf"), "/etc/resolv.conf"),
            (Path::new("/etc/hosts"), "/etc/hosts"),
        ];
        files.push((certificates, CERTIFICATES));
        for (from, to) in files {
            if from.is_file() {
                let bytes = fs_err::read(from).map_err(doing())?;
                remove(&self.at(to)).map_err(doing())?;
                fs_err::write(self.at(to), bytes).map_err(doing())?;
            }
        }
        Ok(())
    }
}

/// Where programs inside a root find the certificates of this machine.
pub(crate) const CERTIFICATES: &str = "/tmp/ca-certificates.crt";

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs_err::remove_dir_all(path),
        Ok(_) => fs_err::remove_file(path),
        Err(_) => Ok(()),
    }
}

/// Becomes another program inside a root: the arguments are the root, the folder to start in, the
/// program and its arguments.
pub fn in_root(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(root), Some(folder), Some(program)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return ExitCode::from(70);
    };
    let entered = std::os::unix::fs::chroot(&root).and_then(|()| std::env::set_current_dir(folder));
    let error = match entered {
        Ok(()) => {
            let variables = std::env::vars_os();
            let command = Command::new(program).args(arguments);
            variables
                .fold(command, |command, (name, value)| command.env(name, value))
                .to_std()
                .exec()
        }
        Err(error) => error,
    };
    // The parent reads this as the program's own last words.
    let _ = writeln!(io::stderr(), "enter the root: {error}");
    ExitCode::from(70)
}
