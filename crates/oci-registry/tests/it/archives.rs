//! Archives: both of their forms name the same blobs, and equal images give equal bytes.

use std::collections::BTreeMap;
use std::io::Read as _;

use oci_image::{Digest, Image};
use oci_registry::{Layout, archive};
use serde_json::Value;
use tempfile::TempDir;

use crate::image;

fn archived() -> (Image, Vec<u8>) {
    let folder = TempDir::new().expect("a folder");
    let layout = Layout::create(folder.path()).expect("a layout");
    let image = image(&layout, &["base", "application"]);
    let names: &[&str] = &["docker.io/library/orders:1"];
    let bytes =
        archive::write(Vec::new(), &[(&image, names)], &layout.blobs(&image)).expect("an archive");
    (image, bytes)
}

#[test]
fn both_forms_name_the_same_image() {
    let (image, bytes) = archived();
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(&bytes[..]).entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        files.insert(path, content);
    }
    let json = |name: &str| -> Value { serde_json::from_slice(&files[name]).expect("JSON") };
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());

    let index = json("index.json");
    assert_eq!(index["manifests"][0]["digest"], image.digest().as_str());
    let annotations = &index["manifests"][0]["annotations"];
    assert_eq!(
        annotations["io.containerd.image.name"],
        "docker.io/library/orders:1"
    );
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "1");

    let docker = json("manifest.json");
    assert_eq!(docker[0]["RepoTags"][0], "docker.io/library/orders:1");
    assert_eq!(docker[0]["Config"], blob(image.config().digest()));
    for (position, layer) in image.layers().enumerate() {
        assert_eq!(docker[0]["Layers"][position], blob(&layer.digest));
        assert_eq!(Digest::of(&files[&blob(&layer.digest)]), layer.digest);
    }
    assert_eq!(json("oci-layout")["imageLayoutVersion"], "1.0.0");
}

#[test]
fn equal_images_give_equal_archives() {
    assert_eq!(archived().1, archived().1);
}
