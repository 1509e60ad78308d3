//! A base image whose Python is this machine's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use action_kit::Command;
use oci_image::{Draft, Entries, Level, Platform};
use oci_registry::{Layout, add_tree};
use serde_json::Value;
use tempfile::TempDir;

/// What is asked of Python about itself.
const ABOUT: &str = "import json, os, platform, sys, sysconfig
print(json.dumps({
    'program': os.path.realpath(sys.executable),
    'version': platform.python_version(),
    'library': sysconfig.get_path('stdlib'),
}))";
/// What a program does not need of Python's own library.
const LEFT_OUT: [&str; 8] = [
    "__pycache__",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tkinter",
];

/// A base image in a layout.
pub(crate) struct Base {
    _folder: TempDir,
    pub(crate) layout: Layout,
    /// The version of its Python.
    pub(crate) version: String,
    /// The same Python, on this machine.
    pub(crate) program: PathBuf,
}

/// Makes the base image once for all tests.
pub(crate) fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(make)
}

impl Base {
    /// Names the image as the input does.
    pub(crate) fn name(&self) -> String {
        format!("oci-layout:{}", self.layout.path().display())
    }
}

fn make() -> Base {
    let about = Command::new("python3")
        .args(["-c", ABOUT])
        .output()
        .expect("python3 says where it is");
    let about: Value = serde_json::from_str(&about.stdout).expect("JSON");
    let text = |name: &str| about[name].as_str().expect("a text").to_owned();
    let (program, library, version) = (text("program"), text("library"), text("version"));

    let mut entries = Entries::new();
    add_tree(&mut entries, Path::new(&library), &library, |path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        !LEFT_OUT.contains(&name) && !name.starts_with("config-")
    })
    .expect("Python's library");
    let mut files = BTreeSet::from([program.clone()]);
    for file in [program.clone()].into_iter().chain(modules(&library)) {
        files.extend(shared_objects(&file));
    }
    for file in files {
        let bytes = fs_err::read(&file).expect("a part of Python");
        entries.file(&file, 0o755, bytes).expect("a part of Python");
    }
    entries
        .link("/usr/local/bin/python3", &program)
        .expect("a link");

    let folder = TempDir::new().expect("a folder");
    let layout = Layout::create(folder.path()).expect("a layout");
    let layer = layout
        .write_layer(Level::Fast, |layer| layer.append(entries).map(|_| ()))
        .expect("a layer");
    let image = Draft::from_scratch(Platform::linux_amd64())
        .layer(layer, "python")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("PYTHON_VERSION", &version)
        .finish();
    layout.put(&image, &["python:slim"]).expect("the image");
    Base {
        _folder: folder,
        layout,
        version,
        program: program.into(),
    }
}

fn modules(library: &str) -> Vec<String> {
    let entries = fs_err::read_dir(Path::new(library).join("lib-dynload"));
    let entries = entries.expect("Python's modules").flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "so"))
        .map(|path| path.display().to_string())
        .collect()
}

/// Lists what a program or module is linked with, by the names under which it is looked for.
fn shared_objects(file: &str) -> Vec<String> {
    let listed = Command::new("ldd").arg(file).output().expect("ldd");
    listed
        .stdout
        .lines()
        .filter_map(|line| {
            let path = line.split("=>").last()?.trim().split(' ').next()?;
            path.starts_with('/').then(|| path.to_owned())
        })
        .collect()
}
