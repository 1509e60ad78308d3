//! Where the programs are, and how large.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::PROGRAM;
use crate::context::Context;
use crate::python_packages::{self, AWS_CLI};

/// Where Terraform thinks that its provider comes from, as `tests/bench/network/main.tf` says.
pub const PROVIDER_SOURCE: &str = "provider.test/hashicorp/aws";
/// Prints the interpreter, not a program that looks for it, and its standard library.
const PYTHON: &str = "import sys, sysconfig; print(sys.executable, sysconfig.get_path('stdlib'))";
/// Folders of Python's library that a program does without.
const IDLE: [&str; 5] = [
    "__pycache__",
    "dist-packages",
    "idlelib",
    "site-packages",
    "test",
];
/// What the names of others begin with: files to build Python's own extensions with.
const BUILD: &str = "config-";

/// The programs that are compared.
pub struct Programs {
    pub action: PathBuf,
    pub terraform: PathBuf,
    pub provider: PathBuf,
    pub python: PathBuf,
    pub python_library: PathBuf,
    /// The packages of the AWS CLI.
    pub aws: PathBuf,
}

impl Programs {
    /// Finds them; they are built and installed.
    pub fn find(cx: &Context) -> Result<Self> {
        let text = cx.output(&cx.client("python3").args(["-c", PYTHON]))?;
        let (python, library) = text.split_once(' ').context("where Python is")?;
        Ok(Self {
            action: std::env::current_exe()?.with_file_name(PROGRAM),
            terraform: cx.tool("terraform")?,
            provider: cx.tool("terraform-provider-aws")?,
            python: python.into(),
            python_library: library.into(),
            aws: python_packages::folder(cx, &AWS_CLI)?,
        })
    }
}

/// Gives the version of the AWS CLI.
pub fn aws_version(cx: &Context) -> Result<String> {
    let file = cx
        .root
        .join("tests/tools")
        .join(AWS_CLI.name)
        .join("requirements.txt");
    let text = fs_err::read_to_string(file)?;
    let pinned = text.lines().find_map(|line| line.strip_prefix("awscli=="));
    let version = pinned.and_then(|pinned| pinned.split(' ').next());
    Ok(version.context("the requirements pin `awscli`")?.to_owned())
}

/// Sums up the bytes of a file or a folder, without what a program does without.
pub fn size(path: &Path) -> Result<u64> {
    if !path.is_dir() {
        return Ok(fs_err::metadata(path)?.len());
    }
    let mut sum = 0;
    for entry in fs_err::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if IDLE.contains(&&*name) || name.starts_with(BUILD) {
            continue;
        }
        sum += if entry.file_type()?.is_symlink() {
            0
        } else {
            size(&entry.path())?
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_does_without_is_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (file, bytes) in [
            ("os.py", 5),
            ("json/decoder.py", 7),
            ("test/test_os.py", 100),
            ("json/__pycache__/decoder.pyc", 100),
            ("config-3.13-x86_64-linux-gnu/libpython3.13.a", 100),
        ] {
            let file = root.join(file);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(file, vec![0; bytes]).unwrap();
        }
        fs_err::os::unix::fs::symlink("os.py", root.join("link.py")).unwrap();
        assert_eq!(size(root).unwrap(), 12);
        assert_eq!(size(&root.join("os.py")).unwrap(), 5);
    }
}
