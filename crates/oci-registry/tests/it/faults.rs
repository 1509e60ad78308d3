//! Registries and networks on bad days: what may pass is tried again, what does not pass is told,
//! and neither moves a tag or gives a wrong image.

use std::time::Duration;

use action_kit::Failure as _;
use oci_image::{Image, Platform};
use oci_registry::{Blobs, Layout, Reference, RegistryError};
use tempfile::TempDir;
use test_kit::{Fault, FaultyRegistry, RegistryServer as Server};

use crate::{image, layout, named, registry};

/// A registry that holds an image already, with a proxy in front.
struct Published {
    server: Server,
    faulty: FaultyRegistry,
    image: Image,
    target: Reference,
    layout: Layout,
    _folder: TempDir,
}

async fn published() -> Published {
    let server = Server::start();
    let faulty = FaultyRegistry::before(server.address);
    let (folder, layout) = layout();
    let image = image(&layout, &["base", "application"]);
    let target = named(faulty.address, "acme/orders:1");
    registry(server.address)
        .push(
            &image,
            &layout.blobs(&image),
            &named(server.address, "acme/orders:1"),
        )
        .await
        .expect("a push");
    Published {
        server,
        faulty,
        image,
        target,
        layout,
        _folder: folder,
    }
}

/// The faults that pass when they happen once or twice.
fn passing() -> Vec<Fault> {
    vec![
        Fault::Status("500 Internal Server Error"),
        Fault::Status("503 Service Unavailable"),
        Fault::Status("429 Too Many Requests\r\nRetry-After: 1"),
        Fault::StatusHalfway("500 Internal Server Error"),
        Fault::Reset,
        Fault::Unanswered,
    ]
}

#[tokio::test]
async fn pushes_go_on_after_every_fault() {
    let server = Server::start();
    let (_folder, layout) = layout();
    let pushes = passing().into_iter().enumerate().map(|(number, fault)| {
        let faulty = FaultyRegistry::before(server.address);
        let image = image(&layout, &["base", &format!("application {number}")]);
        for (method, part) in [
            ("HEAD", "/blobs/"),
            ("POST", "/blobs/uploads/"),
            ("PUT", "/blobs/uploads/"),
            ("PUT", "/manifests/sha256:"),
            ("PUT", "/manifests/1"),
        ] {
            faulty.inject(method, part, 1, fault.clone());
        }
        let blobs = layout.blobs(&image);
        async move {
            let target = named(faulty.address, &format!("acme/orders-{number}:1"));
            let registry = registry(faulty.address);
            let pushed = registry.push(&image, &blobs, &target).await;
            pushed.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
            assert!(faulty.count("PUT", "/blobs/uploads/") >= 2, "{fault:?}");
            let read = registry.image(&target, &Platform::linux_amd64()).await;
            assert_eq!(read.expect("the image"), image, "{fault:?}");
        }
    });
    futures::future::join_all(pushes).await;
}

#[tokio::test]
async fn reads_go_on_after_every_fault() {
    let Published {
        server,
        image,
        layout: _,
        ..
    } = &published().await;
    let corrupting = [Fault::WrongBytes, Fault::Truncated];
    let reads = passing().into_iter().chain(corrupting);
    let reads = reads.map(|fault| async move {
        let faulty = FaultyRegistry::before(server.address);
        let layer = image.layers().next().expect("a layer");
        for (method, part) in [
            ("GET", "/manifests/1"),
            ("GET", image.config().digest().hex()),
            ("GET", layer.digest.hex()),
        ] {
            faulty.inject(method, part, 2, fault.clone());
        }
        let registry = registry(faulty.address);
        let target = named(faulty.address, "acme/orders:1");
        let read = registry.published(&target).await;
        let read = read.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert_eq!(&read.expect("an image").images[0], image, "{fault:?}");

        let (_folder, layout) = layout();
        let remote = Blobs::of_remote(image, &target);
        let gathered = layout.gather(image, &remote, &registry).await;
        gathered.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        layout.put(image, &[]).expect("the image");
        layout.validate(image).expect("a valid image");
        assert_eq!(faulty.count("GET", layer.digest.hex()), 3, "{fault:?}");
    });
    futures::future::join_all(reads).await;
}

#[tokio::test]
async fn other_bytes_never_become_an_image() {
    let published = published().await;
    let Published { server, image, .. } = &published;
    let by_digest = format!("acme/orders@{}", image.digest());
    let documents = [
        ("/manifests/1", "acme/orders:1"),
        (image.digest().hex(), &by_digest),
        (image.config().digest().hex(), "acme/orders:1"),
    ];
    let reads = documents.map(|(part, name)| async move {
        let faulty = FaultyRegistry::before(server.address);
        let registry = registry(faulty.address);
        let (reference, platform) = (named(faulty.address, name), Platform::linux_amd64());
        // Five attempts, and no sixth one.
        faulty.inject("GET", part, 5, Fault::WrongBytes);
        let error = registry.image(&reference, &platform).await;
        corrupt(&error.expect_err("other bytes"));
        let read = registry.image(&reference, &platform).await;
        assert_eq!(&read.expect("the image"), image);
    });
    futures::future::join_all(reads).await;
}

#[tokio::test]
async fn other_bytes_never_become_a_layer() {
    let published = published().await;
    let Published { faulty, image, .. } = &published;
    let layer = image.layers().next().expect("a layer");
    let (_folder, layout) = layout();
    let file = layout.blob(&layer.digest);
    faulty.inject("GET", layer.digest.hex(), 5, Fault::WrongBytes);
    let registry = registry(faulty.address);
    let error = registry.download(&published.target, &layer, &file).await;
    corrupt(&error.expect_err("other bytes"));
    let mut left = fs_err::read_dir(layout.path().join("blobs/sha256")).expect("a folder");
    assert!(left.next().is_none());
}

fn corrupt(error: &RegistryError) {
    assert!(matches!(error, RegistryError::Corrupt { .. }), "{error:?}");
    assert_eq!(error.reason().to_string(), "remote-failed");
}

#[tokio::test]
async fn bodies_that_stay_cut_off_are_told() {
    let published = published().await;
    let Published { faulty, image, .. } = &published;
    let layer = image.layers().next().expect("a layer");
    faulty.inject("GET", layer.digest.hex(), usize::MAX, Fault::Truncated);
    let (_folder, layout) = layout();
    let file = layout.blob(&layer.digest);
    let registry = registry(faulty.address);
    let error = registry.download(&published.target, &layer, &file).await;
    let error = error.expect_err("half a layer").to_string();
    assert!(error.starts_with("download layer `sha256:"), "{error}");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_registry_that_stays_broken_keeps_its_tags() {
    let published = published().await;
    let Published {
        server,
        faulty,
        layout,
        ..
    } = &published;
    let next = image(layout, &["base", "the next application"]);
    let broken = Fault::Status("500 Internal Server Error");
    let parts = [
        ("HEAD", "/blobs/", "look for `sha256:"),
        ("PUT", "/blobs/uploads/", "push "),
        ("PUT", "/manifests/sha256:", "push manifest `sha256:"),
    ];
    let pushes = parts.map(|(method, part, told)| {
        let (faulty, broken, next) = (FaultyRegistry::before(server.address), &broken, &next);
        async move {
            faulty.inject(method, part, usize::MAX, broken.clone());
            let target = named(faulty.address, "acme/orders:1");
            let registry = registry(faulty.address);
            let error = registry.push(next, &layout.blobs(next), &target).await;
            let error = error.expect_err(part).to_string();
            assert!(error.starts_with(told), "{error}");
        }
    });
    futures::future::join_all(pushes).await;
    let read = registry(faulty.address).resolve(&published.target).await;
    assert_eq!(&read.expect("a digest"), published.image.digest());
}

#[tokio::test]
async fn what_does_not_pass_is_not_tried_again() {
    let published = published().await;
    let Published { faulty, target, .. } = &published;
    let registry = registry(faulty.address);
    faulty.inject("GET", "/manifests/1", 1, Fault::Status("404 Not Found"));
    assert!(registry.published(target).await.expect("none").is_none());
    assert_eq!(faulty.count("GET", "/manifests/1"), 1);

    // The client takes a token service that fails for a refusal: once more, then it is told.
    faulty.inject("GET", "/manifests/1", 2, Fault::Status("401 Unauthorized"));
    let error = registry.published(target).await.expect_err("a refusal");
    assert!(matches!(error, RegistryError::Unauthorised { .. }));
    assert_eq!(faulty.count("GET", "/manifests/1"), 3);
}

#[tokio::test]
async fn a_slow_registry_is_waited_for() {
    let published = published().await;
    let Published { faulty, target, .. } = &published;
    let slow = Fault::Slow(Duration::from_millis(300));
    faulty.inject("GET", "/manifests/1", 1, slow);
    let read = registry(faulty.address).published(target).await;
    assert!(read.expect("an answer").is_some());
    assert_eq!(faulty.count("GET", "/manifests/1"), 1);
}
