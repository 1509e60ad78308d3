//! Push, pull, tag and copy against a real registry, and what it says when something is wrong.

use std::net::SocketAddr;

use action_kit::{Environment, Failure as _, Secret};
use oci_image::Platform;
use oci_registry::{Access, Blobs, Credentials, Registry, RegistryError, Source, reference};
use tempfile::TempDir;
use test_kit::{Fault, FaultyRegistry, RegistryServer as Server, free_address};

use crate::{access, image, layout, named, registry};

/// Says what a user would read, without the address that differs from run to run.
fn told(error: &RegistryError, address: SocketAddr) -> String {
    let text = format!("{error} | {} | {}", error.reason(), error.hints().join(" "));
    text.replace(&address.to_string(), "REGISTRY")
}

#[tokio::test]
async fn what_was_pushed_comes_back() {
    let server = Server::start();
    let registry = registry(server.address);
    let (_folder, layout) = layout();
    let image = image(&layout, &["base", "application"]);
    let target = named(server.address, "acme/orders:1");

    let pushed = registry
        .push(&image, &layout.blobs(&image), &target)
        .await
        .expect("a push");
    assert_eq!(
        pushed.reference,
        format!("{}/acme/orders@{}", server.address, image.digest())
    );
    assert_eq!(pushed.layers_sent, 2);
    assert_eq!(server.tags("acme/orders"), ["1"]);
    assert_eq!(
        &registry.resolve(&target).await.expect("a digest"),
        image.digest()
    );

    let platform = Platform::linux_amd64();
    let pulled = registry.image(&target, &platform).await.expect("an image");
    assert_eq!(pulled, image);
    let (_other_folder, other) = crate::layout();
    let remote = Blobs::of_remote(&pulled, &target);
    other
        .gather(&pulled, &remote, &registry)
        .await
        .expect("the layers");
    other.put(&pulled, &["orders:1"]).expect("an image on disk");
    other.validate(&pulled).expect("a valid image");

    let again = registry
        .push(&image, &Blobs::new(), &target)
        .await
        .expect("a push of nothing");
    assert_eq!((again.layers_sent, again.sent), (0, 0));
}

#[tokio::test]
async fn a_push_that_is_cut_off_leaves_no_tag() {
    let server = Server::start();
    let faulty = FaultyRegistry::before(server.address);
    let registry = registry(faulty.address);
    let (_folder, layout) = layout();
    let image = image(&layout, &["base", "application"]);
    let last = image.layers().last().expect("a layer");
    let times = 5;
    faulty.inject(
        "PUT",
        last.digest.hex(),
        times,
        Fault::StatusHalfway("500 Internal Server Error"),
    );

    let target = named(faulty.address, "acme/orders:1");
    let push = async || registry.push(&image, &layout.blobs(&image), &target).await;
    let error = push().await.expect_err("a registry that breaks");
    assert!(
        error.to_string().starts_with("push layer `sha256:"),
        "{error}"
    );
    assert_eq!(faulty.count("PUT", last.digest.hex()), times);
    assert_eq!(server.tags("acme/orders"), Vec::<String>::new());
    let published = registry.published(&target).await;
    assert!(published.expect("an answer").is_none());

    // The next run goes on from what is there.
    let pushed = push().await.expect("a push");
    assert_eq!(pushed.layers_sent, 1);
    assert_eq!(server.tags("acme/orders"), ["1"]);
}

#[tokio::test]
async fn a_layer_of_another_length_is_not_sent() {
    let server = Server::start();
    let registry = registry(server.address);
    let (_folder, layout) = layout();
    let image = image(&layout, &["base"]);
    let mut blobs = layout.blobs(&image);
    let layer = image.layers().next().expect("a layer");
    blobs.insert(layer.digest, Source::Bytes(b"other bytes".to_vec()));
    let target = named(server.address, "acme/orders:1");
    let error = registry.push(&image, &blobs, &target).await;
    let error = error.expect_err("other bytes").to_string();
    assert!(error.starts_with("push layer `sha256:"), "{error}");
    assert!(error.ends_with("others than the digest says"), "{error}");
    assert_eq!(server.tags("acme/orders"), Vec::<String>::new());
}

#[tokio::test]
async fn a_copy_is_the_same_image_and_sends_nothing() {
    let server = Server::start();
    let registry = registry(server.address);
    let (_folder, layout) = layout();
    let image = image(&layout, &["base"]);
    let from = named(server.address, "acme/orders:1");
    registry
        .push(&image, &layout.blobs(&image), &from)
        .await
        .expect("a push");
    let to = named(server.address, "prod/orders:stable");
    let copied = registry
        .copy(&from, &Platform::linux_amd64(), &to)
        .await
        .expect("a copy");
    // Only the documents: the config, and the manifest by digest and by tag.
    let documents = image.config().size() + 2 * image.manifest().size();
    assert_eq!(
        (copied.layers_sent, copied.mounted, copied.sent),
        (0, 1, documents)
    );
    assert_eq!(
        &registry.resolve(&to).await.expect("a digest"),
        image.digest()
    );

    let tagged = named(server.address, "prod/orders:blue");
    registry.tag(&image, &tagged).await.expect("a tag");
    assert_eq!(server.tags("prod/orders"), ["blue", "stable"]);
}

#[tokio::test]
async fn a_copy_between_registries_carries_the_layers() {
    let (one, two) = (Server::start(), Server::start());
    let both = access(one.address).plain_http([two.address.to_string()]);
    let registry = Registry::connect(both).expect("a client");
    let (_folder, layout) = layout();
    let image = image(&layout, &["base", "application"]);
    let from = named(one.address, "acme/orders:1");
    registry
        .push(&image, &layout.blobs(&image), &from)
        .await
        .expect("a push");
    let copied = registry
        .copy(
            &from,
            &Platform::linux_amd64(),
            &named(two.address, "orders:1"),
        )
        .await
        .expect("a copy");
    assert_eq!(copied.layers_sent, 2);
    let digest = registry.resolve(&named(two.address, "orders:1")).await;
    assert_eq!(&digest.expect("a digest"), image.digest());
}

#[tokio::test]
async fn absence_is_told_by_name() {
    let server = Server::start();
    let registry = registry(server.address);
    let error = registry
        .resolve(&named(server.address, "acme/nothing:1"))
        .await
        .expect_err("no image");
    assert_eq!(
        told(&error, server.address),
        "`REGISTRY/acme/nothing:1` does not exist | invalid-input | check the name and the tag; registries also say this of private images when no credentials are given"
    );

    let (_folder, layout) = layout();
    let image = image(&layout, &["base"]);
    let target = named(server.address, "acme/orders:1");
    registry
        .push(&image, &layout.blobs(&image), &target)
        .await
        .expect("a push");
    let arm = "linux/arm64".parse().expect("a platform");
    let error = registry.image(&target, &arm).await.expect_err("no arm64");
    assert_eq!(
        told(&error, server.address),
        "`REGISTRY/acme/orders:1` does not exist for `linux/arm64`: it does for `linux/amd64` | invalid-input | name an image that exists for the platform"
    );
}

#[tokio::test]
async fn credentials_are_asked_for_and_used() {
    let server = Server::start_protected();
    let (_folder, layout) = layout();
    let image = image(&layout, &["base"]);
    let target = named(server.address, "acme/orders:1");
    let push = async |access: Access| {
        Registry::connect(access)?
            .push(&image, &layout.blobs(&image), &target)
            .await
    };
    let with = |password: &str| {
        access(server.address).login(
            &server.address.to_string(),
            Credentials {
                username: "user".into(),
                password: Secret::new(password),
            },
        )
    };
    let anonymous = push(access(server.address)).await.expect_err("anonymous");
    let wrong = push(with("other-canary")).await.expect_err("wrong");
    for error in [anonymous, wrong] {
        let told = told(&error, server.address);
        assert!(
            told.ends_with(
                "the registry `REGISTRY` wants credentials, or others | remote-failed | run `docker login REGISTRY`, or set `registry-username` and `registry-password`"
            ),
            "{told}"
        );
        assert!(!format!("{error:?}").contains("canary"));
    }
    push(with("canary-password")).await.expect("a push");

    // The same, as `docker login` keeps them.
    let home = TempDir::new().expect("a folder");
    let config = format!(
        r#"{{"auths": {{"http://{}/v2/": {{"auth": "dXNlcjpjYW5hcnktcGFzc3dvcmQ="}}}}}}"#,
        server.address
    );
    fs_err::write(home.path().join("config.json"), config).expect("the configuration");
    let environment =
        Environment::from_iter([("DOCKER_CONFIG", home.path().display().to_string())]);
    let access = Access::from_docker(&environment)
        .expect("the credentials")
        .plain_http([server.address.to_string()]);
    assert!(!format!("{access:?}").contains("canary"));
    push(access).await.expect("a push");
}

#[tokio::test]
async fn configurations_that_do_not_help_are_told() {
    let home = TempDir::new().expect("a folder");
    let file = home.path().join("config.json");
    let environment =
        Environment::from_iter([("DOCKER_CONFIG", home.path().display().to_string())]);
    fs_err::write(&file, "{").expect("the configuration");
    let error = Access::from_docker(&environment).expect_err("no JSON");
    assert_eq!(
        error.to_string(),
        format!("read the credentials in `{}`", file.display())
    );

    fs_err::write(&file, r#"{"credHelpers": {"example.com": "ecr-login"}}"#)
        .expect("the configuration");
    let registry = Access::from_docker(&environment)
        .and_then(Registry::connect)
        .expect("a client");
    let image = reference("example.com/orders:1").expect("a reference");
    let error = registry.resolve(&image).await.expect_err("a helper");
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` leaves the credentials for `example.com` to the program `docker-credential-ecr-login`",
            file.display()
        )
    );
}

#[test]
fn references_that_cannot_be_are_refused() {
    let error = reference("Example.com/Orders:1").expect_err("upper case");
    assert_eq!(
        error.to_string(),
        "`Example.com/Orders:1` is no image reference"
    );
    assert_eq!(
        reference("python:3.14-slim").expect("a reference").whole(),
        "docker.io/library/python:3.14-slim"
    );
}

#[tokio::test]
async fn nobody_at_the_address() {
    let address = free_address();
    let error = registry(address)
        .resolve(&named(address, "acme/orders:1"))
        .await
        .expect_err("nobody");
    assert_eq!(
        told(&error, address),
        "resolve `REGISTRY/acme/orders:1` | remote-failed | is `REGISTRY` reachable from here? A registry without HTTPS is named in `plain-http`"
    );
}
