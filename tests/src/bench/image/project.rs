//! The application that is built, in the states that it goes through.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::context::Context;
use crate::release;

/// The package of which a newer release comes out.
const DEPENDENCY: &str = "httpx";
/// Its releases before and after.
const RELEASES: [&str; 2] = ["0.28.0", "0.28.1"];
/// The file that gets a further line.
const SOURCE: &str = "orders/health.py";

/// What has happened since the build before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// There was no build before.
    First,
    /// Nothing.
    Nothing,
    /// One line of the source.
    Line,
    /// The release of one package.
    Dependency,
}

impl Change {
    /// Says it for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::First => "first build",
            Self::Nothing => "nothing changed",
            Self::Line => "one source line",
            Self::Dependency => "one dependency",
        }
    }
}

/// The application's checkout.
pub struct Project {
    /// Its folder.
    pub folder: PathBuf,
    /// How many packages its lock file holds.
    pub packages: usize,
    locks: [String; 2],
}

impl Project {
    /// Makes the checkout: the reference application, with the packages and lock files of the
    /// benchmark.
    pub fn prepare(cx: &Context, folder: PathBuf) -> Result<Self> {
        let mut project = Self {
            folder,
            packages: 0,
            locks: Default::default(),
        };
        project.lay_out(cx)?;
        for (lock, release) in project.locks.iter_mut().zip(RELEASES) {
            let uv = cx
                .client(cx.tool("uv")?)
                .args(["lock", "--quiet", "--python", ">=3.11"])
                .args(["--upgrade-package", &format!("{DEPENDENCY}=={release}")])
                .arg("--project")
                .arg(&project.folder);
            cx.run(&uv.env("UV_PYTHON_DOWNLOADS", "never"))?;
            *lock = fs_err::read_to_string(project.folder.join("uv.lock"))?;
        }
        project.packages = project.locks[0].matches("[[package]]").count();
        Ok(project)
    }

    /// Puts the checkout back to its first state.
    pub fn reset(&self, cx: &Context) -> Result<()> {
        self.lay_out(cx)?;
        fs_err::write(self.folder.join("uv.lock"), &self.locks[0])?;
        Ok(())
    }

    fn lay_out(&self, cx: &Context) -> Result<()> {
        if self.folder.exists() {
            fs_err::remove_dir_all(&self.folder)?;
        }
        release::copy(&cx.root.join("tests/app"), &self.folder)?;
        release::copy(&cx.root.join("tests/bench/app"), &self.folder)
    }

    /// Makes a change.
    pub fn change(&self, change: Change) -> Result<()> {
        match change {
            Change::First | Change::Nothing => {}
            Change::Line => {
                let file = self.folder.join(SOURCE);
                let text = fs_err::read_to_string(&file)?;
                fs_err::write(file, text + "# A further line.\n")?;
            }
            Change::Dependency => {
                fs_err::write(self.folder.join("uv.lock"), &self.locks[1])?;
            }
        }
        Ok(())
    }
}
