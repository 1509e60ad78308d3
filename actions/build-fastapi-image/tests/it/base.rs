//! A base image whose Python is this machine's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use action_kit::Command;
use oci_image::{Draft, Entries, Image, Index, Level, Platform};
use oci_registry::{Blobs, Layout, add_tree};
use serde_json::Value;
use tempfile::TempDir;

/// What is asked of Python about itself.
const ABOUT: &str = "import json, os, platform, sys, sysconfig
print(json.dumps({
    'program': os.path.realpath(sys.executable),
    'version': platform.python_version(),
    'library': sysconfig.get_path('stdlib'),
}))";
/// The platforms that the image is for.
const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];
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
    /// Gives the image of each platform.
    pub(crate) fn images(&self) -> Vec<Image> {
        let images = PLATFORMS.iter().map(|platform| {
            let platform = platform.parse().expect("a platform");
            self.layout.image(None, &platform).expect("an image")
        });
        images.collect()
    }

    /// Says where the layers are.
    pub(crate) fn blobs(&self) -> Blobs {
        let images = self.images();
        images.iter().fold(Blobs::new(), |blobs, image| {
            blobs.or(self.layout.blobs(image))
        })
    }

    /// Gives the tag of its Python in the names of wheels: `cp314`.
    pub(crate) fn tag(&self) -> String {
        let mut parts = self.version.split('.');
        let (major, minor) = (parts.next(), parts.next());
        format!(
            "cp{}{}",
            major.unwrap_or_default(),
            minor.unwrap_or_default()
        )
    }

    /// Names the image as the input does.
    pub(crate) fn name(&self) -> String {
        format!("oci-layout:{}", self.layout.path().display())
    }

    /// Makes an image with one more file.
    pub(crate) fn with_file(&self, path: &str, bytes: &[u8]) -> OtherBase {
        let platform = Platform::linux_amd64();
        let folder = TempDir::new().expect("a folder");
        let layout = Layout::create(folder.path()).expect("a layout");
        let image = self.layout.image(None, &platform).expect("the image");
        for layer in image.layers() {
            let from = self.layout.blob(&layer.digest);
            fs_err::copy(from, layout.blob(&layer.digest)).expect("a layer");
        }
        let mut entries = Entries::new();
        entries.file(path, 0o755, bytes.to_vec()).expect("the file");
        let layer = layout
            .write_layer(Level::Fast, |layer| layer.append(entries).map(|_| ()))
            .expect("a layer");
        let image = Draft::on(&image).layer(layer, "file").finish();
        layout.put(&image, &["python:other"]).expect("the image");
        OtherBase { folder }
    }

    /// Unpacks the image into a folder.
    pub(crate) fn unpack(&self, folder: &Path) {
        let image = self.layout.image(None, &Platform::linux_amd64());
        for layer in image.expect("the image").layers() {
            let file = fs_err::File::open(self.layout.blob(&layer.digest)).expect("a layer");
            tar::Archive::new(flate2::read::MultiGzDecoder::new(file))
                .unpack(folder)
                .expect("a layer");
        }
    }
}

/// Another base image in a layout of its own.
pub(crate) struct OtherBase {
    folder: TempDir,
}

impl OtherBase {
    /// Gives the layout's folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
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
    // Nothing runs the one for the other platform, so that it may hold the same files.
    let images = PLATFORMS.map(|platform| {
        Draft::from_scratch(platform.parse().expect("a platform"))
            .layer(layer.clone(), "python")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("PYTHON_VERSION", &version)
            .finish()
    });
    let index = Index::of(&images);
    layout
        .put_all(&images, Some(&index), &["python:slim"])
        .expect("the image");
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
