//! Images of several platforms: pushed together, read back together, and nothing sent twice.

use std::time::Duration;

use oci_image::{Document, Image, Index, Platform, media_type};
use oci_registry::{Blobs, Layout, Registry, Traffic};
use test_kit::{Fault, FaultyRegistry, RegistryServer as Server};

use crate::{image, image_for, layout, named, registry};

/// Writes an image for each of two platforms; they share their base.
fn two_platforms(layout: &Layout) -> ([Image; 2], Document<Index>, Blobs) {
    let images = ["linux/arm64", "linux/amd64"].map(|name| {
        let platform = name.parse().expect("a platform");
        image_for(layout, platform, &["base", name])
    });
    let index = Index::of(&images);
    let blobs = images.iter().map(|image| layout.blobs(image));
    let blobs = blobs.fold(Blobs::new(), Blobs::or);
    (images, index, blobs)
}

#[tokio::test]
async fn what_was_pushed_for_two_platforms_is_read_back() {
    let server = Server::start();
    let registry = registry(server.address);
    let (_folder, layout) = layout();
    let (images, index, blobs) = two_platforms(&layout);
    let target = named(server.address, "acme/orders:1");

    assert!(registry.published(&target).await.expect("none").is_none());
    let pushed = registry
        .push_all(&images, Some(&index), &blobs, &target)
        .await
        .expect("a push");
    assert_eq!(
        pushed.reference,
        format!("{}/acme/orders@{}", server.address, index.digest())
    );
    assert_eq!((pushed.layers_sent, pushed.mounted), (3, 0));
    assert_eq!(server.tags("acme/orders"), Vec::<String>::new());

    registry
        .tag_document(index.bytes(), media_type::INDEX, &target)
        .await
        .expect("a tag");
    assert_eq!(
        &registry.resolve(&target).await.expect("a digest"),
        index.digest()
    );
    let published = registry.published(&target).await.expect("an index");
    let published = published.expect("something");
    assert_eq!(&published.digest, index.digest());
    assert_eq!(published.descriptor.media_type, media_type::INDEX);
    assert_eq!(published.descriptor.size, index.size());
    // In the order of the platforms' names, whatever the order of pushing was.
    assert_eq!(published.images, [images[1].clone(), images[0].clone()]);
    assert_eq!(published.index, Some(index));
    for image in &images {
        let one = registry.image(&target, &image.platform()).await;
        assert_eq!(&one.expect("an image"), image);
    }
}

#[tokio::test]
async fn a_single_image_is_published_as_such() {
    let server = Server::start();
    let registry = registry(server.address);
    let (_folder, layout) = layout();
    let image = image(&layout, &["base"]);
    let target = named(server.address, "acme/orders:1");
    registry
        .push(&image, &layout.blobs(&image), &target)
        .await
        .expect("a push");
    let by_digest = target.clone_with_digest(image.digest().to_string());
    for reference in [target, by_digest] {
        let published = registry.published(&reference).await.expect("an answer");
        let published = published.expect("an image");
        assert_eq!(published.descriptor, image.descriptor());
        assert_eq!(published.digest, image.descriptor().digest);
        assert!(published.index.is_none());
        assert_eq!(published.images[0], image);
    }
}

#[tokio::test]
async fn what_an_index_lists_beside_platforms_is_left_out() {
    let server = Server::start();
    let registry = registry(server.address);
    let (_folder, layout) = layout();
    let image = image(&layout, &["base"]);
    let unknown = Platform {
        architecture: "unknown".into(),
        os: "unknown".into(),
        variant: None,
    };
    let attestation = image_for(&layout, unknown, &["attestation"]);
    let images = [image.clone(), attestation.clone()];
    let index = Index::of(&images);
    let blobs = layout.blobs(&image).or(layout.blobs(&attestation));
    let target = named(server.address, "acme/orders:1");
    registry
        .push_all(&images, Some(&index), &blobs, &target)
        .await
        .expect("a push");
    let by_digest = target.clone_with_digest(index.digest().to_string());
    let published = registry.published(&by_digest).await.expect("an answer");
    assert_eq!(published.expect("an index").images, [image]);
}

/// Says what went over the network since.
fn since(registry: &Registry, before: Traffic) -> (u64, u64) {
    let now = registry.traffic();
    (now.sent - before.sent, now.received - before.received)
}

#[tokio::test]
async fn traffic_is_what_bodies_have() {
    let server = Server::start();
    let registry = registry(server.address);
    assert_eq!(registry.traffic(), Traffic::default());
    let (_folder, layout) = layout();
    let (images, index, blobs) = two_platforms(&layout);
    let target = named(server.address, "acme/orders:1");
    let push = async || {
        let pushed = registry.push_all(&images, Some(&index), &blobs, &target);
        pushed.await.expect("a push")
    };

    let first = push().await;
    let documents: u64 = images
        .iter()
        .map(|image| image.manifest().size() + image.config().size())
        .sum();
    let layers: std::collections::BTreeMap<_, _> = images
        .iter()
        .flat_map(Image::descriptors)
        .map(|layer| (&layer.digest, layer.size))
        .collect();
    let expected = documents + index.size() + layers.values().sum::<u64>();
    assert_eq!(first.sent, expected);
    assert_eq!(since(&registry, Traffic::default()), (expected, 0));

    let before = registry.traffic();
    let second = push().await;
    assert_eq!((second.sent, second.layers_sent, second.mounted), (0, 0, 0));
    // Clones count together.
    assert_eq!(since(&registry.clone(), before), (0, 0));
    assert!(registry.traffic().requests > before.requests);

    let before = registry.traffic();
    let by_digest = target.clone_with_digest(index.digest().to_string());
    let published = registry.published(&by_digest).await.expect("an answer");
    let published = published.expect("an index");
    assert_eq!(since(&registry, before), (0, documents + index.size()));

    let before = registry.traffic();
    let image = &published.images[0];
    let (_other_folder, other) = crate::layout();
    let remote = Blobs::of_remote(image, &by_digest);
    other.gather(image, &remote, &registry).await.expect("all");
    let size: u64 = image.layers().map(|layer| layer.size).sum();
    assert_eq!(since(&registry, before), (0, size));
}

#[tokio::test]
async fn many_are_asked_and_sent_at_once_but_not_all() {
    let server = Server::start();
    let faulty = FaultyRegistry::before(server.address);
    let slow = Fault::Slow(Duration::from_millis(50));
    faulty.inject("HEAD", "/blobs/", usize::MAX, slow);
    let (_folder, layout) = layout();
    let texts: Vec<String> = (0..20).map(|number| format!("text {number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let image = image(&layout, &texts);
    let target = named(faulty.address, "acme/orders:1");
    registry(faulty.address)
        .push(&image, &layout.blobs(&image), &target)
        .await
        .expect("a push");
    let most = faulty.most_at_once();
    // One that was answered may not be counted out yet when the next one comes.
    assert!((2..=16).contains(&most), "{most} at once");
    // Each layer and the config, once.
    assert_eq!(faulty.count("HEAD", "/blobs/"), 21);
    assert_eq!(faulty.count("PUT", "/blobs/"), 21);
}
