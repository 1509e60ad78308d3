//! Images: documents that an independent reader takes, and validation that finds every corruption.

use std::collections::BTreeMap;
use std::io;

use oci_image::{Digest, Draft, Entries, Image, Index, Layer, Platform};
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest};

use crate::written;

fn layer(text: &str) -> (Layer, Vec<u8>) {
    let mut entries = Entries::new();
    entries.file("/app/text", 0o644, text).expect("a file");
    written(entries)
}

fn image(layers: &[&(Layer, Vec<u8>)]) -> Image {
    layers
        .iter()
        .fold(
            Draft::from_scratch(Platform::linux_amd64()),
            |draft, (layer, _)| draft.layer(layer.clone(), "text"),
        )
        .entrypoint(["/app/text"])
        .env("PATH", "/bin")
        .env("PATH", "/usr/bin:/bin")
        .user("65532:65532")
        .port(8000)
        .label("org.opencontainers.image.title", "text")
        .finish()
}

#[test]
fn an_independent_reader_takes_the_documents() {
    let base = layer("base");
    let image = image(&[&base]);
    let manifest =
        ImageManifest::from_reader(image.manifest().bytes()).expect("oci-spec takes the manifest");
    let config =
        ImageConfiguration::from_reader(image.config().bytes()).expect("oci-spec takes the config");
    let index = oci_image::Document::of(Index::new(vec![image.descriptor()]));
    let index = ImageIndex::from_reader(index.bytes()).expect("oci-spec takes the index");

    assert_eq!(
        manifest.layers()[0].digest().to_string(),
        base.0.digest.to_string()
    );
    assert_eq!(manifest.config().size(), image.config().size());
    assert_eq!(config.rootfs().diff_ids()[0], base.0.diff_id.to_string());
    let settings = config.config().as_ref().expect("settings");
    assert_eq!(settings.user().as_deref(), Some("65532:65532"));
    assert_eq!(
        settings.env().as_ref().expect("variables"),
        &["PATH=/usr/bin:/bin"]
    );
    assert_eq!(
        settings.exposed_ports().as_ref().expect("ports"),
        &["8000/tcp"]
    );
    assert_eq!(
        index.manifests()[0].digest().to_string(),
        image.digest().to_string()
    );
}

#[test]
fn an_image_on_another_keeps_its_layers_and_settings() {
    let (base, top) = (layer("base"), layer("top"));
    let below = image(&[&base]);
    let above = Draft::on(&below)
        .layer(top.0.clone(), "top")
        .entrypoint(["/app/top"])
        .finish();
    let digests: Vec<Digest> = above.layers().map(|layer| layer.digest).collect();
    assert_eq!(digests, [base.0.digest, top.0.digest]);
    let settings = &above.config().value().config;
    assert_eq!(settings.variable("PATH"), Some("/usr/bin:/bin"));
    assert_eq!(
        settings.entrypoint.as_deref(),
        Some(&["/app/top".to_owned()][..])
    );
}

#[test]
fn layers_carry_what_is_known_of_them() {
    let (base, top) = (layer("base"), layer("top"));
    let note = |text: &str| BTreeMap::from([("com.example.layer".to_owned(), text.to_owned())]);
    let below = Draft::from_scratch(Platform::linux_amd64())
        .annotated_layer(base.0.clone(), "base", note("base"))
        .finish();
    let above = Draft::on(&below)
        .annotated_layer(top.0.clone(), "top", note("top"))
        .finish();
    let notes = |image: &Image| -> Vec<_> {
        let layers = image.descriptors().iter();
        layers.map(|layer| layer.annotations.clone()).collect()
    };
    assert_eq!(notes(&below), [note("base")]);
    // What the maker of the base said is not ours to say.
    assert_eq!(notes(&above), [BTreeMap::new(), note("top")]);
    let digests: Vec<_> = above
        .descriptors()
        .iter()
        .map(|layer| &layer.digest)
        .collect();
    assert_eq!(digests, [&base.0.digest, &top.0.digest]);

    let manifest = ImageManifest::from_reader(above.manifest().bytes()).expect("a manifest");
    assert_eq!(manifest.layers()[0].annotations(), &None);
    let annotations = manifest.layers()[1].annotations().as_ref();
    assert_eq!(
        annotations.expect("annotations")["com.example.layer"],
        "top"
    );
    assert!(manifest.artifact_type().is_none() && manifest.subject().is_none());
}

#[test]
fn documents_that_were_read_keep_their_bytes() {
    let image = image(&[&layer("base")]);
    let spaced = format!(
        " {}",
        String::from_utf8_lossy(image.manifest().bytes()).replace(',', ", ")
    );
    let read =
        Image::parse(spaced.clone().into(), image.config().bytes().into()).expect("an image");
    assert_eq!(read.manifest().bytes(), spaced.as_bytes());
    assert_eq!(read.digest(), &Digest::of(spaced));
}

fn validated(image: &Image, bytes: &[u8]) -> String {
    match image.validate(|_| Ok(Box::new(bytes))) {
        Ok(()) => "valid".into(),
        Err(error) => error.to_string().split('`').step_by(2).collect(),
    }
}

#[test]
fn validation_finds_corruption() {
    let (base, other) = (layer("base"), layer("other"));
    let whole = image(&[&base]);
    assert_eq!(validated(&whole, &base.1), "valid");

    let mut flipped = base.1.clone();
    flipped[30] ^= 1;
    assert!(validated(&whole, &flipped).starts_with("layer  of "));
    assert!(validated(&whole, &base.1[..50]).ends_with("has digest  and 50 bytes"));
    assert!(validated(&whole, &other.1).starts_with("layer  of "));

    let lying = Layer {
        diff_id: other.0.diff_id.clone(),
        ..base.0.clone()
    };
    assert_eq!(
        validated(&image(&[&(lying, Vec::new())]), &base.1),
        "layer  unpacks to , the config says "
    );
    let missing = whole
        .validate(|_| Err(io::Error::other("gone")))
        .expect_err("no layer");
    assert_eq!(
        missing.to_string(),
        format!("read layer `{}`", base.0.digest)
    );
}

#[test]
fn documents_that_do_not_fit_are_refused() {
    let (one, two) = (
        image(&[&layer("one")]),
        image(&[&layer("one"), &layer("two")]),
    );
    let other = Image::parse(one.manifest().bytes().into(), two.config().bytes().into())
        .expect_err("another config");
    assert_eq!(
        other.to_string(),
        format!(
            "the manifest names config `{}`, this one is `{}`",
            one.config().digest(),
            two.config().digest()
        )
    );
    let text = String::from_utf8(one.manifest().bytes().into()).expect("text");
    let layers = text.replace("\"layers\":[", "\"layers\":[],\"was\":[");
    let fewer = Image::parse(layers.into(), one.config().bytes().into()).expect_err("no layers");
    assert_eq!(
        fewer.to_string(),
        "the manifest has 0 layers, the config has 1"
    );
    let garbage = Image::parse(b"{".to_vec(), Vec::new()).expect_err("no JSON");
    assert!(garbage.to_string().starts_with("read manifest `sha256:"));
}

#[test]
fn an_index_of_images_is_in_the_order_of_platforms() {
    let images = ["linux/arm64", "linux/amd64", "linux/arm/v7"].map(|name| {
        Draft::from_scratch(name.parse().expect("a platform"))
            .layer(layer("base").0, "base")
            .finish()
    });
    let index = Index::of(&images);
    let reversed: Vec<Image> = images.iter().rev().cloned().collect();
    assert_eq!(index, Index::of(&reversed));
    let names = Vec::from_iter(index.value().platforms());
    assert_eq!(names, ["linux/amd64", "linux/arm/v7", "linux/arm64"]);
    let listed = index.value().manifests.iter();
    let listed: Vec<&Digest> = listed.map(|manifest| &manifest.digest).collect();
    assert_eq!(listed, [1, 2, 0].map(|place: usize| images[place].digest()));

    let note = BTreeMap::from([("com.example.index".to_owned(), "text".to_owned())]);
    let annotated = Index::annotated(&images, note.clone());
    assert_eq!(annotated.value().annotations, note);
    assert_eq!(annotated.value().manifests, index.value().manifests);
    ImageIndex::from_reader(annotated.bytes()).expect("oci-spec takes the index");
}

#[test]
fn an_index_finds_a_platform() {
    let image = image(&[&layer("base")]);
    let index = Index::new(vec![image.descriptor()]);
    let find = |text: &str| index.find(&text.parse().expect("a platform")).is_some();
    assert!(find("linux/amd64"));
    assert!(!find("linux/arm64"));
    let error = "linux".parse::<Platform>().expect_err("no platform");
    assert_eq!(
        error.to_string(),
        "`linux` is no platform: `linux/amd64`, `linux/arm64`"
    );
}
