//! Layouts: the round trip, names, and corruption that is found.

use oci_image::{Artifact, Entries, Index, Level, Platform};
use oci_registry::{Layout, RegistryError, add_tree};

use crate::{image, image_for, layout};

#[test]
fn the_round_trip_gives_the_same_image() {
    let (_folder, layout) = layout();
    let written = image(&layout, &["base", "application"]);
    layout
        .put(&written, &["acme/orders:1", "acme/orders:2"])
        .expect("an image");
    let opened = Layout::open(layout.path()).expect("a layout");
    let platform = Platform::linux_amd64();
    for wanted in [
        None,
        Some("1"),
        Some("acme/orders:2"),
        Some(written.digest().as_str()),
    ] {
        let read = opened.image(wanted, &platform).expect("an image");
        assert_eq!(read, written);
        opened.validate(&read).expect("a valid image");
    }
}

#[test]
fn a_name_means_what_was_put_last() {
    let (_folder, layout) = layout();
    let (one, two) = (image(&layout, &["one"]), image(&layout, &["two"]));
    layout.put(&one, &["orders:1"]).expect("an image");
    layout.put(&two, &["orders:1"]).expect("an image");
    let read = layout
        .image(Some("1"), &Platform::linux_amd64())
        .expect("an image");
    assert_eq!(read.digest(), two.digest());
    assert_eq!(layout.index().expect("an index").manifests.len(), 1);
}

#[test]
fn an_index_is_one_entry_that_leads_to_every_platform() {
    let (_folder, layout) = layout();
    let platforms = ["linux/amd64", "linux/arm64"].map(|name| name.parse().expect("a platform"));
    let images = platforms
        .clone()
        .map(|platform: Platform| image_for(&layout, platform, &["base", "application"]));
    let index = Index::of(&images);
    layout
        .put_all(&images, Some(&index), &["acme/orders:1", "acme/orders:2"])
        .expect("the images");

    let listed = layout.index().expect("an index").manifests;
    assert_eq!(listed.len(), 2);
    for entry in &listed {
        assert_eq!(&entry.digest, index.digest());
        assert!(entry.is_index() && entry.platform.is_none());
    }
    for (platform, image) in platforms.iter().zip(&images) {
        for wanted in [
            None,
            Some("2"),
            Some("acme/orders:1"),
            Some(index.digest().as_str()),
            Some(image.digest().as_str()),
        ] {
            let read = layout.image(wanted, platform).expect("an image");
            assert_eq!(&read, image);
        }
        layout.validate(image).expect("a valid image");
    }
    let s390x = "linux/s390x".parse().expect("a platform");
    let error = layout.image(Some("1"), &s390x).expect_err("no s390x");
    assert_eq!(
        error.to_string(),
        format!(
            "`{}@{}` does not exist for `linux/s390x`: it does for `linux/amd64`, `linux/arm64`",
            layout.path().display(),
            index.digest()
        )
    );
}

#[test]
fn an_index_that_nobody_made_is_made() {
    let (_folder, layout) = layout();
    let images = ["linux/arm64", "linux/amd64"].map(|name| {
        let platform = name.parse().expect("a platform");
        image_for(&layout, platform, &["base"])
    });
    layout.put_all(&images[..1], None, &["one:1"]).expect("one");
    layout.put_all(&images, None, &["two:2"]).expect("two");
    let listed = layout.index().expect("an index").manifests;
    let digests: Vec<_> = listed.iter().map(|entry| &entry.digest).collect();
    assert_eq!(digests, [images[0].digest(), Index::of(&images).digest()]);
}

#[test]
fn an_artifact_is_listed_and_is_no_image() {
    let (_folder, layout) = layout();
    let image = image(&layout, &["base"]);
    layout.put(&image, &[]).expect("an image");
    let artifact = Artifact::of(
        "application/spdx+json",
        "text/spdx",
        b"content".to_vec(),
        image.descriptor(),
        [("org.opencontainers.image.created".into(), "today".into())].into(),
    );
    layout.attach(&artifact).expect("an artifact");
    layout.attach(&artifact).expect("the same again");

    let listed = layout.index().expect("an index").manifests;
    assert_eq!(listed, [image.descriptor(), artifact.descriptor()]);
    let read = |digest| fs_err::read(layout.blob(digest)).expect("a blob");
    let manifest = artifact.manifest().value();
    assert_eq!(read(artifact.digest()), artifact.manifest().bytes());
    assert_eq!(read(&manifest.config.digest), b"{}");
    assert_eq!(read(&manifest.layers[0].digest), b"content");
    let only = layout.image(None, &Platform::linux_amd64());
    assert_eq!(only.expect("the only image"), image);
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let (folder, layout) = layout();
    let platform = Platform::linux_amd64();
    let (one, two) = (image(&layout, &["one"]), image(&layout, &["two"]));
    layout.put(&one, &["orders:1"]).expect("an image");
    layout.put(&two, &["orders:2"]).expect("an image");
    let told = |error: RegistryError| {
        error
            .to_string()
            .replace(&folder.path().display().to_string(), "FOLDER")
    };
    assert_eq!(
        told(layout.image(Some("3"), &platform).expect_err("no such tag")),
        "the layout `FOLDER/image` does not hold `3`: it holds `orders:1`, `orders:2`"
    );
    assert_eq!(
        told(layout.image(None, &platform).expect_err("two images")),
        "the layout `FOLDER/image` does not hold `exactly one image`: it holds `orders:1`, `orders:2`"
    );
    assert_eq!(
        told(Layout::open(folder.path()).expect_err("no layout")),
        "`FOLDER` is no OCI layout: it has no `oci-layout` file"
    );
}

#[test]
fn corruption_is_found() {
    let (_folder, layout) = layout();
    let image = image(&layout, &["base"]);
    layout.put(&image, &[]).expect("an image");
    let layer = image.layers().next().expect("a layer");
    let file = layout.blob(&layer.digest);
    let mut bytes = fs_err::read(&file).expect("the layer");
    bytes[20] ^= 1;
    fs_err::write(&file, bytes).expect("the layer");
    let error = layout.validate(&image).expect_err("a changed layer");
    assert!(error.to_string().starts_with("layer `sha256:"), "{error}");

    fs_err::write(layout.blob(image.config().digest()), "{}").expect("the config");
    let error = layout
        .image(None, &Platform::linux_amd64())
        .expect_err("a changed config");
    assert!(
        error.to_string().ends_with("others than the digest says"),
        "{error}"
    );
}

#[test]
fn a_layer_that_fails_leaves_nothing() {
    let (_folder, layout) = layout();
    let failed = layout.write_layer(Level::Small, |layer| {
        let mut entries = Entries::new();
        entries.file("../outside", 0o644, "")?;
        layer.append(entries).map(|_| ())
    });
    assert!(failed.is_err());
    let left: Vec<_> = fs_err::read_dir(layout.path().join("blobs"))
        .expect("the blobs")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["sha256"]);
}

#[test]
fn a_tree_keeps_what_counts_and_nothing_of_its_place() {
    use std::os::unix::fs::PermissionsExt as _;
    let digests = [0o600, 0o664].map(|mode| {
        let (folder, layout) = layout();
        let tree = folder.path().join(format!("tree-{mode:o}"));
        fs_err::create_dir_all(tree.join("pkg/cache")).expect("folders");
        fs_err::write(tree.join("pkg/mod.py"), "x = 1\n").expect("a file");
        fs_err::write(tree.join("pkg/cache/junk"), "junk").expect("a file");
        fs_err::write(tree.join("run"), "#!/bin/sh\n").expect("a file");
        fs_err::os::unix::fs::symlink("pkg/mod.py", tree.join("link")).expect("a link");
        let set = |path: &str, mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            fs_err::set_permissions(tree.join(path), mode).expect("a mode");
        };
        set("pkg/mod.py", mode);
        set("run", mode | 0o100);
        let mut entries = Entries::new();
        add_tree(&mut entries, &tree, "/app", |path| path != "pkg/cache").expect("a tree");
        let paths: Vec<&str> = entries.paths().collect();
        assert_eq!(
            paths,
            ["app", "app/link", "app/pkg", "app/pkg/mod.py", "app/run"]
        );
        let layer = layout.write_layer(Level::Small, |layer| layer.append(entries).map(|_| ()));
        layer.expect("a layer").digest
    });
    assert_eq!(digests[0], digests[1]);
}
