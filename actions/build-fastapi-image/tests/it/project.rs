//! Projects, made in a folder, with a package index of their own.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use action_kit::{Command, CommandError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use test_kit::Step;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::base::base;
use crate::index::Index;

/// A project in a folder of its own.
pub(crate) struct Project {
    folder: TempDir,
    name: &'static str,
    pub(crate) index: Index,
}

impl Project {
    /// Makes a project that builds, in a folder called `name`.
    pub(crate) fn new(name: &'static str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let project = Self {
            index: Index::serve(folder.path().join("index")),
            folder,
            name,
        };
        project.wheel("fastapi", "1.2.0", "py3-none-any");
        project.wheel("uvicorn", "0.40.0", "py3-none-any");
        project.depends(&["fastapi>=1", "uvicorn"]);
        project.write(
            "main.py",
            "from fastapi import FastAPI\n\napp = FastAPI()\n",
        );
        project.write("shop/__init__.py", "");
        project.write("shop/prices.py", "PRICES = {'tea': 3, 'cake': 5}\n");
        project.write("alembic.ini", "[alembic]\nscript_location = migrations\n");
        project.write("tests/test_shop.py", "assert True\n");
        project.write(".env", "PASSWORD=canary-dotenv\n");
        project.write("notes.md", "canary-notes\n");
        project.write(".dockerignore", "*.md\n");
        project.lock();
        project
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs_err::create_dir_all(path.parent().expect("a file has a folder")).expect("its folder");
        fs_err::write(path, text).expect("a file");
    }

    pub(crate) fn remove(&self, path: &str) {
        fs_err::remove_file(self.path().join(path)).expect("a file");
    }

    /// Writes `pyproject.toml`.
    pub(crate) fn depends(&self, dependencies: &[&str]) {
        self.write(
            "pyproject.toml",
            &format!(
                "[project]\nname = \"shop\"\nversion = \"1.0\"\nrequires-python = \">=3.8\"\ndependencies = {dependencies:?}\n"
            ),
        );
    }

    /// Makes a package with one module and one program.
    pub(crate) fn wheel(&self, name: &str, version: &str, tag: &str) {
        self.pack(name, version, tag, &[], &[]);
    }

    /// Makes a package whose metadata says more: what it requires, say.
    pub(crate) fn wheel_with(&self, name: &str, version: &str, tag: &str, more: &[&str]) {
        self.pack(name, version, tag, more, &[]);
    }

    /// Makes a package that brings further files, by their path from the folder of packages.
    pub(crate) fn wheel_of(&self, name: &str, version: &str, files: &[(&str, &str)]) {
        self.pack(name, version, "py3-none-any", &[], files);
    }

    fn pack(&self, name: &str, version: &str, tag: &str, about: &[&str], more: &[(&str, &str)]) {
        let about: String = about.iter().flat_map(|line| [*line, "\n"]).collect();
        let module = format!(
            "\"\"\"{name}.\"\"\"\n\n\nclass FastAPI:\n    pass\n\n\ndef main():\n    print('{name} runs')\n"
        );
        let info = format!("{name}-{version}.dist-info");
        let files = [
            (format!("{name}/__init__.py"), module),
            (
                format!("{name}/__main__.py"),
                format!("from {name} import main\n\nmain()\n"),
            ),
            (
                format!("{info}/METADATA"),
                format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{about}"),
            ),
            (
                format!("{info}/WHEEL"),
                format!("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"),
            ),
            (
                format!("{info}/entry_points.txt"),
                format!("[console_scripts]\n{name} = {name}:main\n"),
            ),
        ];
        let more = more
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        let files: Vec<(String, String)> = files.into_iter().chain(more).collect();
        let paths = files.iter().map(|(path, text)| {
            let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(text));
            format!("{path},sha256={digest},{}\n", text.len())
        });
        let record = (
            format!("{info}/RECORD"),
            paths.collect::<String>() + &format!("{info}/RECORD,,\n"),
        );
        let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (path, text) in files.into_iter().chain([record]) {
            archive
                .start_file(path, SimpleFileOptions::default())
                .expect("a file of the wheel");
            archive.write_all(text.as_bytes()).expect("its text");
        }
        let bytes = archive.finish().expect("a wheel").into_inner();
        self.index
            .add(&format!("{name}-{version}-{tag}.whl"), &bytes);
    }

    /// Runs `uv lock`.
    pub(crate) fn lock(&self) {
        self.uv(&["lock"]);
    }

    /// Runs uv in the project's folder.
    pub(crate) fn uv(&self, words: &[&str]) {
        self.try_uv(words).expect("uv");
    }

    /// Runs uv in the project's folder, where it may refuse.
    pub(crate) fn try_uv(&self, words: &[&str]) -> Result<(), CommandError> {
        Command::new(uv())
            .args(words)
            .args(["--quiet", "--python"])
            .arg(&base().program)
            .env("UV_CACHE_DIR", self.cache())
            .env("UV_DEFAULT_INDEX", self.index.url())
            .current_dir(self.path())
            .output()
            .map(drop)
    }

    /// Prepares a step that builds the project into a layout, without pushing it.
    pub(crate) fn step(&self) -> Step {
        self.bare_step()
            .input("base-image", base().name())
            .input("push", "false")
            .input("oci-layout", self.layout().display().to_string())
    }

    /// Prepares a step with the inputs that every test needs.
    pub(crate) fn bare_step(&self) -> Step {
        Step::new(env!("CARGO_BIN_EXE_build-fastapi-image"))
            .workspace(self.folder.path())
            .env("PATH", self.programs())
            .env("UV_DEFAULT_INDEX", self.index.url())
            .input("path", self.name)
            .input("platforms", "linux/amd64")
    }

    /// Gives a folder that holds uv and Python, and nothing else.
    pub(crate) fn programs(&self) -> String {
        let programs = self.folder.path().join("bin");
        fs_err::create_dir_all(&programs).expect("a folder");
        for (name, program) in [("uv", uv()), ("python3", base().program.clone())] {
            let link = programs.join(name);
            if !link.exists() {
                fs_err::os::unix::fs::symlink(program, link).expect("a link");
            }
        }
        programs.display().to_string()
    }

    /// Gives the folder of what uv keeps.
    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Gives the folder that a build writes the image to.
    pub(crate) fn layout(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Gives the workspace, which a snapshot must not show.
    pub(crate) fn workspace(&self) -> &Path {
        self.folder.path()
    }
}

/// Finds uv: the one that `cargo xtask test` fetched, one on the path, or the one of the
/// end-to-end run.
#[expect(
    clippy::disallowed_methods,
    reason = "a test asks for the machine's own folders"
)]
fn uv() -> PathBuf {
    let fetched = Path::new(env!("CARGO_BIN_EXE_build-fastapi-image"))
        .ancestors()
        .map(|folder| folder.join("tools/uv/bin/uv"))
        .find(|program| program.is_file());
    let path = std::env::var("PATH").unwrap_or_default();
    let installed = || {
        path.split(':')
            .map(|folder| Path::new(folder).join("uv"))
            .find(|program| program.is_file())
    };
    fetched
        .or_else(installed)
        .unwrap_or_else(|| test_kit::tool("uv", "uv"))
}
