//! Push, pull, tag and copy against a real registry, and what it says when something is wrong.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use action_kit::{Environment, Failure as _, Secret};
use oci_image::Platform;
use oci_registry::{
    Access, Blobs, Credentials, Layout, Reference, Registry, RegistryError, Source, reference,
};
use tempfile::TempDir;
use test_kit::{RegistryServer as Server, free_address};

use crate::image;

fn access(address: SocketAddr) -> Access {
    Access::default().plain_http([address.to_string()])
}

fn registry(address: SocketAddr) -> Registry {
    Registry::connect(access(address)).expect("a client")
}

fn named(address: SocketAddr, name: &str) -> Reference {
    reference(&format!("{address}/{name}")).expect("a reference")
}

fn layout() -> (TempDir, Layout) {
    let folder = TempDir::new().expect("a folder");
    let layout = Layout::create(folder.path()).expect("a layout");
    (folder, layout)
}

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
    let (_other_folder, other) = self::layout();
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
    let registry = registry(server.address);
    let (_folder, layout) = layout();
    let image = image(&layout, &["base", "application"]);
    let mut blobs = layout.blobs(&image);
    let last = image.layers().last().expect("a layer");
    blobs.insert(last.digest.clone(), Source::Bytes(b"other bytes".to_vec()));

    let target = named(server.address, "acme/orders:1");
    let error = registry
        .push(&image, &blobs, &target)
        .await
        .expect_err("a layer that is not whole");
    assert!(
        error.to_string().starts_with("push layer `sha256:"),
        "{error}"
    );
    assert_eq!(server.tags("acme/orders"), Vec::<String>::new());
    assert!(!registry.exists(&target).await.expect("an answer"));

    // The next run goes on from what is there.
    let pushed = registry
        .push(&image, &layout.blobs(&image), &target)
        .await
        .expect("a push");
    assert_eq!(pushed.layers_sent, 1);
    assert_eq!(server.tags("acme/orders"), ["1"]);
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
    assert_eq!(copied.sent, 0);
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

/// Stands in front of a registry and refuses the first requests with a status.
fn in_front_of(
    server: SocketAddr,
    refusals: usize,
    status: &'static str,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if count.load(Ordering::SeqCst) < refusals {
                count.fetch_add(1, Ordering::SeqCst);
                refuse(client, status);
            } else {
                forward(client, server);
            }
        }
    });
    (address, refused)
}

fn refuse(mut client: TcpStream, status: &str) {
    let mut request = [0; 4096];
    let _ = client.read(&mut request);
    let _ = client.write_all(
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes(),
    );
}

fn forward(client: TcpStream, server: SocketAddr) {
    let Ok(upstream) = TcpStream::connect(server) else {
        return;
    };
    let pairs = [
        (client.try_clone(), upstream.try_clone()),
        (Ok(upstream), Ok(client)),
    ];
    for (from, to) in pairs {
        let (Ok(mut from), Ok(mut to)) = (from, to) else {
            return;
        };
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let server = Server::start();
    let (_folder, layout) = layout();
    for status in ["503 Service Unavailable", "429 Too Many Requests"] {
        let image = image(&layout, &[status]);
        let (address, refused) = in_front_of(server.address, 3, status);
        registry(address)
            .push(
                &image,
                &layout.blobs(&image),
                &named(address, "acme/orders:1"),
            )
            .await
            .expect("a push in spite of it");
        assert_eq!(refused.load(Ordering::SeqCst), 3);
    }
}

#[tokio::test]
async fn what_does_not_pass_is_told() {
    let server = Server::start();
    let (address, _) = in_front_of(server.address, usize::MAX, "500 Internal Server Error");
    let (_folder, layout) = layout();
    let image = image(&layout, &["base"]);
    let error = registry(address)
        .push(
            &image,
            &layout.blobs(&image),
            &named(address, "acme/orders:1"),
        )
        .await
        .expect_err("a broken registry");
    assert!(
        error.to_string().starts_with("look for `sha256:"),
        "{error}"
    );
}
