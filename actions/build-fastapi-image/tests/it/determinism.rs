//! One input gives one digest, whoever builds it, wherever and however.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use oci_image::{Descriptor, Digest, Image};
use oci_registry::Layout;
use serde_json::Value;
use test_kit::Step;

use crate::base::base;
use crate::project::Project;

const BUILDS: usize = 20;

/// How one build differs from the others.
struct Variant {
    number: usize,
}

impl Variant {
    /// Picks one of several, so that all combinations of two choices occur among the builds.
    fn pick<'a>(&self, stride: usize, choices: &[&'a str]) -> &'a str {
        choices[self.number / stride % choices.len()]
    }

    fn checkout(&self) -> &'static str {
        self.pick(1, &["here/shop", "a-much-longer-name/of-a-checkout/shop"])
    }

    fn umask(&self) -> &'static str {
        self.pick(2, &["022", "077", "002"])
    }

    fn zone(&self) -> &'static str {
        self.pick(3, &["UTC", "Asia/Tokyo"])
    }

    fn cache(&self) -> &'static str {
        self.pick(2, &["warm", "cold"])
    }

    fn cores(&self) -> &'static str {
        self.pick(4, &["0", "0-1"])
    }

    fn user(&self) -> &'static str {
        self.pick(
            5,
            &["", "setpriv --reuid 65534 --regid 65534 --clear-groups "],
        )
    }
}

#[test]
fn twenty_builds_give_one_digest() {
    let project = Project::new("shop");
    for machine in ["x86_64", "aarch64"] {
        let python = base().tag();
        let tag = format!("{python}-{python}-manylinux_2_28_{machine}");
        project.wheel("native", "2.0", &tag);
    }
    project.depends(&["fastapi>=1", "uvicorn", "native"]);
    project.lock();
    // The other user may not enter the folder that the machine's own uv is in.
    let programs = project.workspace().join("programs");
    fs_err::create_dir_all(&programs).expect("a folder");
    let uv = PathBuf::from(project.programs()).join("uv");
    fs_err::copy(uv, programs.join("uv")).expect("uv");
    for folder in [project.workspace(), base().layout.path()] {
        open_to_all(folder);
    }
    let mut first: Option<(Vec<Digest>, PathBuf)> = None;
    for number in 0..BUILDS {
        let variant = Variant { number };
        let layout = build(&project, &variant);
        let digests = digests(&layout);
        match &first {
            None => first = Some((digests, layout)),
            Some((expected, other)) => assert!(
                *expected == digests,
                "build {number} differs: {digests:?}\n{}",
                difference(other, &layout)
            ),
        }
    }
}

/// Builds a copy of the project, as the variant says, into a layout of its own.
fn build(project: &Project, variant: &Variant) -> PathBuf {
    let folder = project
        .workspace()
        .join(format!("build-{}", variant.number));
    let checkout = folder.join(variant.checkout());
    copy(&project.path(), &checkout, variant.number);
    for name in ["home", "image"] {
        fs_err::create_dir_all(folder.join(name)).expect("a folder");
    }
    let cache = match variant.cache() {
        "warm" => project
            .workspace()
            .join(format!("cache{}", variant.user().len())),
        _ => folder.join("cache"),
    };
    fs_err::create_dir_all(&cache).expect("a folder");
    for path in [&folder, &cache] {
        open_to_all(path);
    }
    let script = folder.join("build");
    // Only root can be two users, and only a machine with two cores can be pinned to one.
    let user = if is_root() { variant.user() } else { "" };
    let text = format!(
        "#!/bin/sh\numask {}\nexec {user}taskset -c {} {} \"$@\"\n",
        variant.umask(),
        variant.cores(),
        env!("CARGO_BIN_EXE_build-fastapi-image")
    );
    fs_err::write(&script, text).expect("a script");
    let mode = std::fs::Permissions::from_mode(0o755);
    fs_err::set_permissions(&script, mode).expect("its mode");
    let layout = folder.join("image");
    let path = project.workspace().join("programs");
    let path = path.display();
    let step = Step::new(script)
        .workspace(&folder)
        .on_a_laptop()
        .env("PATH", format!("{path}:/usr/bin:/bin"))
        .env("HOME", folder.join("home").display().to_string())
        .env("TMPDIR", folder.join("home").display().to_string())
        .env("TZ", variant.zone())
        .env("UV_CACHE_DIR", cache.display().to_string())
        .env("UV_DEFAULT_INDEX", project.index.url())
        .arg("--path")
        .arg(checkout.display().to_string())
        .arg(format!("--base-image={}", base().name()))
        .arg("--push=false")
        .arg(format!("--oci-layout={}", layout.display()))
        .arg("--format=json");
    let built = step.run();
    assert_eq!(built.code, 0, "build {}: {}", variant.number, built.log);
    let report: Value = serde_json::from_str(&built.stdout).expect("a report");
    assert_eq!(report["digest"], digests(&layout)[0].as_str());
    layout
}

/// Copies a tree; the number says in which order the files are made.
fn copy(from: &Path, to: &Path, order: usize) {
    fs_err::create_dir_all(to).expect("a folder");
    let entries = fs_err::read_dir(from).expect("a folder");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort_by_key(|path| Digest::of(format!("{order} {}", path.display())));
    for path in paths {
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to, order);
        } else {
            fs_err::copy(&path, &to).expect("a copy");
        }
    }
}

fn open_to_all(folder: &Path) {
    let mode = std::fs::Permissions::from_mode(0o777);
    fs_err::set_permissions(folder, mode.clone()).expect("its mode");
    for entry in fs_err::read_dir(folder).expect("a folder").flatten() {
        let kind = entry.file_type().expect("its kind");
        if kind.is_dir() {
            open_to_all(&entry.path());
        }
    }
}

fn is_root() -> bool {
    let status = fs_err::read_to_string("/proc/self/status").expect("our own status");
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// Gives the digests of the image that a layout holds, and of its bills of materials. Provenance is
/// left out: it tells when and by which run.
fn digests(layout: &Path) -> Vec<Digest> {
    let layout = Layout::open(layout).expect("a layout");
    let index = layout.index().expect("an index");
    let [image, boms @ .., provenance] = &index.manifests[..] else {
        panic!("{index:?}")
    };
    let kind = |entry: &Descriptor| entry.artifact_type.clone().unwrap_or_default();
    assert_eq!(kind(provenance), "application/vnd.in-toto+json");
    assert_eq!(boms.len(), 2, "{index:?}");
    [image]
        .into_iter()
        .chain(boms)
        .map(|entry| entry.digest.clone())
        .collect()
}

/// Says what is other in two layouts: settings, or files of a layer.
fn difference(one: &Path, other: &Path) -> String {
    let read = |path: &Path| {
        let layout = Layout::open(path).expect("a layout");
        let images: Vec<Image> = ["linux/amd64", "linux/arm64"]
            .iter()
            .map(|platform| {
                let platform = platform.parse().expect("a platform");
                layout.image(None, &platform).expect("an image")
            })
            .collect();
        (layout, images)
    };
    let ((one, images), (other, others)) = (read(one), read(other));
    let mut text = String::new();
    for (image, twin) in images.iter().zip(&others) {
        let (settings, twins) = (image.config().value(), twin.config().value());
        if settings.config != twins.config {
            let _ = writeln!(text, "{:?}\n{:?}", settings.config, twins.config);
        }
        for (layer, twin) in image.layers().zip(twin.layers()) {
            if layer.digest != twin.digest {
                let (files, twins) = (files(&one, &layer.digest), files(&other, &twin.digest));
                let differing = files.iter().filter(|file| !twins.contains(file));
                let differing = differing.chain(twins.iter().filter(|file| !files.contains(file)));
                for file in differing {
                    let _ = writeln!(text, "{file}");
                }
            }
        }
    }
    text
}

/// Describes the entries of a layer, a line each.
fn files(layout: &Layout, digest: &Digest) -> Vec<String> {
    let file = fs_err::File::open(layout.blob(digest)).expect("a layer");
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(file));
    let entries = archive.entries().expect("entries").map(|entry| {
        let mut entry = entry.expect("an entry");
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).expect("a file");
        let header = entry.header();
        format!(
            "{} {:o} {}:{} {} {}",
            entry.path().expect("a path").display(),
            header.mode().expect("a mode"),
            header.uid().expect("an owner"),
            header.gid().expect("a group"),
            header.mtime().expect("a time"),
            Digest::of(bytes)
        )
    });
    entries.collect()
}
