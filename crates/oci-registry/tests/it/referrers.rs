//! Artifacts on images: where the registry lists them, and where clients keep the list.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::slice;

use oci_image::{Artifact, Descriptor, Digest, Document, Index, Manifest, media_type};
use oci_registry::{Reference, Registry, RegistryError};
use test_kit::{Fault, FaultyRegistry, RegistryServer as Server};

use crate::{image, layout, named, registry};

const TYPE: &str = "application/vnd.in-toto+json";

fn artifact(subject: &Descriptor, text: &str) -> Artifact {
    typed(subject, TYPE, text)
}

fn typed(subject: &Descriptor, artifact_type: &str, text: &str) -> Artifact {
    let annotations = [("com.example.step".to_owned(), text.to_owned())];
    Artifact::of(
        artifact_type,
        "application/json",
        text.into(),
        subject.clone(),
        annotations.into(),
    )
}

/// Pushes an image and gives its repository and descriptor.
async fn subject(address: SocketAddr) -> (Reference, Descriptor) {
    let (_folder, layout) = layout();
    let image = image(&layout, &["base"]);
    let target = named(address, "acme/orders:1");
    registry(address)
        .push(&image, &layout.blobs(&image), &target)
        .await
        .expect("a push");
    (target, image.descriptor())
}

fn tag_of(subject: &Descriptor) -> String {
    format!("sha256-{}", subject.digest.hex())
}

async fn listed(registry: &Registry, at: &Reference, subject: &Descriptor) -> Vec<Descriptor> {
    let listed = registry.referrers(at, &subject.digest, None).await;
    listed.expect("a list")
}

async fn attach(registry: &Registry, artifact: &Artifact, at: &Reference) {
    let attached = registry.attach(slice::from_ref(artifact), at).await;
    attached.expect("an attachment");
}

fn sorted<'a>(artifacts: impl IntoIterator<Item = &'a Artifact>) -> Vec<Descriptor> {
    let descriptors = artifacts.into_iter().map(Artifact::descriptor);
    let by_digest: BTreeMap<(Option<String>, Digest), Descriptor> = descriptors
        .map(|found| ((found.artifact_type.clone(), found.digest.clone()), found))
        .collect();
    by_digest.into_values().collect()
}

/// What holds for a registry of either kind.
async fn the_life_of_artifacts(at: SocketAddr) -> (Registry, Reference, Descriptor) {
    let (target, subject) = subject(at).await;
    let registry = registry(at);
    assert!(listed(&registry, &target, &subject).await.is_empty());

    let artifacts = ["build", "plan", "smoke"].map(|text| artifact(&subject, text));
    let other = typed(&subject, "application/spdx+json", "packages");
    for artifact in artifacts.iter().chain([&other]) {
        attach(&registry, artifact, &target).await;
    }
    let all = sorted(artifacts.iter().chain([&other]));
    assert_eq!(listed(&registry, &target, &subject).await, all);
    let found = registry.referrers(&target, &subject.digest, Some(TYPE));
    assert_eq!(found.await.expect("a list"), sorted(&artifacts));

    // The same again is nothing new.
    let before = registry.traffic();
    attach(&registry, &artifacts[0], &target).await;
    assert_eq!(registry.traffic().sent, before.sent);
    assert_eq!(listed(&registry, &target, &subject).await, all);

    for artifact in artifacts.iter().chain([&other]) {
        let read = registry.artifact(&target, &artifact.descriptor()).await;
        let (manifest, content) = read.expect("an artifact");
        assert_eq!(&manifest, artifact.manifest());
        assert_eq!(content, artifact.content());
    }
    (registry, target, subject)
}

#[tokio::test]
async fn a_registry_without_the_api_has_a_tag_that_clients_keep() {
    let server = Server::start();
    let (registry, target, subject) = the_life_of_artifacts(server.address).await;
    assert_eq!(
        server.tags("acme/orders"),
        ["1".to_owned(), tag_of(&subject)]
    );
    // The image is what it was.
    assert_eq!(
        registry.resolve(&target).await.expect("a digest"),
        subject.digest
    );
}

#[tokio::test]
async fn a_registry_with_the_api_keeps_the_list_itself() {
    let server = Server::start();
    let faulty = FaultyRegistry::before(server.address).with_referrers();
    // One answer of each page gets lost.
    faulty.inject("GET", "start=2", 1, Fault::Truncated);
    faulty.inject(
        "GET",
        "/referrers/",
        1,
        Fault::Status("429 Too Many Requests"),
    );
    the_life_of_artifacts(faulty.address).await;
    assert_eq!(server.tags("acme/orders"), ["1"]);
    assert!(faulty.count("GET", "start=2") > 1);
}

#[tokio::test]
async fn a_registry_that_answers_with_a_page_for_people_has_no_api() {
    let server = Server::start();
    let faulty = FaultyRegistry::before(server.address);
    let (target, subject) = subject(faulty.address).await;
    let registry = registry(faulty.address);
    for status in [
        "200 OK\r\nContent-Type: text/html",
        "405 Method Not Allowed",
    ] {
        faulty.inject("GET", "/referrers/", 1, Fault::Status(status));
        attach(&registry, &artifact(&subject, status), &target).await;
    }
    assert_eq!(listed(&registry, &target, &subject).await.len(), 2);
    assert_eq!(
        server.tags("acme/orders"),
        ["1".to_owned(), tag_of(&subject)]
    );
}

#[tokio::test]
async fn a_list_that_breaks_is_told_and_not_taken_for_empty() {
    let server = Server::start();
    let faulty = FaultyRegistry::before(server.address);
    let (target, subject) = subject(faulty.address).await;
    let (one, two) = (artifact(&subject, "one"), artifact(&subject, "two"));
    let registry = registry(faulty.address);
    attach(&registry, &one, &target).await;

    let broken = Fault::Status("500 Internal Server Error");
    faulty.inject("GET", "/manifests/sha256-", 5, broken);
    let error = registry.attach(slice::from_ref(&two), &target).await;
    let error = error.expect_err("a broken registry").to_string();
    assert!(error.starts_with("read `"), "{error}");
    assert_eq!(listed(&registry, &target, &subject).await, sorted([&one]));
    // The artifact is there; the next run lists it.
    attach(&registry, &two, &target).await;
    assert_eq!(
        listed(&registry, &target, &subject).await,
        sorted([&one, &two])
    );
}

#[tokio::test]
async fn writers_that_meet_lose_nothing() {
    let server = Server::start();
    let (target, subject) = subject(server.address).await;
    let artifacts: Vec<Artifact> = (0..8)
        .map(|number| artifact(&subject, &format!("writer {number}")))
        .collect();
    // Each has a client of its own, as on machines of their own.
    let writers = artifacts.iter().map(|artifact| {
        let (address, target) = (server.address, &target);
        async move { attach(&registry(address), artifact, target).await }
    });
    futures::future::join_all(writers).await;
    let registry = registry(server.address);
    assert_eq!(
        listed(&registry, &target, &subject).await,
        sorted(&artifacts)
    );
}

#[tokio::test]
async fn what_is_attached_together_is_listed_at_once() {
    let server = Server::start();
    let faulty = FaultyRegistry::before(server.address);
    let (target, subject) = subject(faulty.address).await;
    let artifacts: Vec<Artifact> = (0..8)
        .map(|number| artifact(&subject, &format!("artifact {number}")))
        .collect();
    let registry = registry(faulty.address);
    for _ in 0..2 {
        registry
            .attach(&artifacts, &target)
            .await
            .expect("attachments");
        assert_eq!(
            listed(&registry, &target, &subject).await,
            sorted(&artifacts)
        );
        assert_eq!(faulty.count("PUT", "/manifests/sha256-"), 1);
    }
}

#[tokio::test]
async fn what_another_writer_undid_is_added_again() {
    let server = Server::start();
    let faulty = FaultyRegistry::before(server.address);
    let (target, subject) = subject(faulty.address).await;
    let (one, two) = (artifact(&subject, "one"), artifact(&subject, "two"));
    let registry = registry(faulty.address);
    attach(&registry, &one, &target).await;

    // The other one read the list when it was empty, is slow, and writes over both. Twice.
    let theirs = Document::of(Index::new(Vec::new()));
    faulty.inject(
        "PUT",
        "/manifests/sha256-",
        2,
        Fault::Overwritten(theirs.bytes().into()),
    );
    attach(&registry, &two, &target).await;
    assert_eq!(
        listed(&registry, &target, &subject).await,
        sorted([&one, &two])
    );
    assert_eq!(faulty.count("PUT", "/manifests/sha256-"), 4);
}

#[tokio::test]
async fn a_writer_that_is_always_undone_gives_up() {
    let server = Server::start();
    let faulty = FaultyRegistry::before(server.address);
    let (target, subject) = subject(faulty.address).await;
    let theirs = Document::of(Index::new(Vec::new()));
    faulty.inject(
        "PUT",
        "/manifests/sha256-",
        usize::MAX,
        Fault::Overwritten(theirs.bytes().into()),
    );
    let artifact = artifact(&subject, "lost");
    let registry = registry(faulty.address);
    let error = registry.attach(slice::from_ref(&artifact), &target).await;
    let error = error.expect_err("a lost entry");
    assert!(matches!(error, RegistryError::Unlisted { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!(
            "`{}/acme/orders@{}` was pushed, but is not listed among the referrers of `{}`",
            faulty.address,
            artifact.digest(),
            subject.digest
        )
    );
}

#[tokio::test]
async fn entries_of_what_was_deleted_do_not_stand_in_the_way() {
    let server = Server::start();
    let faulty = FaultyRegistry::before(server.address);
    let (target, subject) = subject(faulty.address).await;
    let (gone, next) = (artifact(&subject, "gone"), artifact(&subject, "next"));
    let registry = registry(faulty.address);
    attach(&registry, &gone, &target).await;
    server.forget("acme/orders", gone.digest().hex());
    attach(&registry, &next, &target).await;
    assert_eq!(listed(&registry, &target, &subject).await, sorted([&next]));
}

#[tokio::test]
async fn entries_without_a_type_have_their_manifests() {
    let server = Server::start();
    let (target, subject) = subject(server.address).await;
    let registry = registry(server.address);
    let one = artifact(&subject, "one");
    attach(&registry, &one, &target).await;
    // As a tool that knows only digests would keep the list, and twice.
    let bare = one.descriptor().bare();
    let list = Document::of(Index::new(vec![bare.clone(), bare]));
    let tag = named(server.address, &format!("acme/orders:{}", tag_of(&subject)));
    registry
        .tag_document(list.bytes(), media_type::INDEX, &tag)
        .await
        .expect("a list");
    let found = registry.referrers(&target, &subject.digest, Some(TYPE));
    assert_eq!(found.await.expect("a list"), [one.descriptor()]);
}

#[tokio::test]
async fn what_is_no_artifact_is_told() {
    let server = Server::start();
    let (target, _) = subject(server.address).await;
    let registry = registry(server.address);
    let (_folder, layout) = layout();
    let image = image(&layout, &["base", "application"]);
    registry
        .push(&image, &layout.blobs(&image), &target)
        .await
        .expect("a push");
    let error = registry.artifact(&target, &image.descriptor()).await;
    assert_eq!(
        error.expect_err("an image").to_string(),
        format!(
            "`{}/acme/orders@{}` is no artifact of one content: its manifest has 2 layers",
            server.address,
            image.digest()
        )
    );

    // A tag of that name that is something else stays what it is.
    let tag = named(
        server.address,
        &format!("acme/orders:{}", tag_of(&image.descriptor())),
    );
    registry.tag(&image, &tag).await.expect("a tag");
    let artifact = artifact(&image.descriptor(), "one");
    let error = registry.attach(&[artifact], &target).await;
    let error = error.expect_err("no list").to_string();
    assert!(error.starts_with("read list of referrers"), "{error}");
    assert_eq!(
        &registry.resolve(&tag).await.expect("a digest"),
        image.digest()
    );
}

#[tokio::test]
async fn the_manifest_says_what_it_is_and_what_it_is_on() {
    let server = Server::start();
    let (target, subject) = subject(server.address).await;
    let registry = registry(server.address);
    let artifact = artifact(&subject, "one");
    attach(&registry, &artifact, &target).await;
    let (manifest, _) = registry
        .artifact(&target, &artifact.descriptor())
        .await
        .expect("an artifact");
    let manifest: &Manifest = manifest.value();
    assert_eq!(manifest.artifact_type.as_deref(), Some(TYPE));
    assert_eq!(manifest.subject, Some(subject.bare()));
    assert_eq!(manifest.config.media_type, media_type::EMPTY);
}
