//! What a build makes: one digest for one input, an image that is valid and holds what it should.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use oci_image::{Image, Platform};
use oci_registry::{Access, Layout, Registry, reference};
use test_kit::RegistryServer;

use crate::base::base;
use crate::project::Project;

/// Reads the image that a build wrote, after it was validated.
fn written(project: &Project) -> (Layout, Image) {
    let layout = Layout::open(project.layout()).expect("a layout");
    let image = layout
        .image(None, &Platform::linux_amd64())
        .expect("an image");
    layout.validate(&image).expect("a valid image");
    (layout, image)
}

/// Reads the files of the layers above the base image.
fn files(layout: &Layout, image: &Image) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for layer in image.layers().skip(1) {
        let file = fs_err::File::open(layout.blob(&layer.digest)).expect("a layer");
        let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(file));
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("a file");
            let path = entry.path().expect("a path").display().to_string();
            files.insert(path, bytes);
        }
    }
    files
}

#[test]
fn one_input_gives_one_digest() {
    let digests: BTreeSet<String> = ["here", "a-much-longer-name-of-a-checkout"]
        .map(|name| {
            let project = Project::new(name);
            let built = project.step().env("TZ", "Asia/Tokyo").run();
            assert_eq!(built.code, 0, "{}", built.log);
            built.outputs["digest"].clone()
        })
        .into();
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn the_image_holds_the_application_and_its_packages() {
    let project = Project::new("shop");
    let built = project
        .step()
        .input("tags", "1.0\nlatest")
        .env("GITHUB_SHA", "0123456789abcdef")
        .env("UV_INDEX_WHEELS_PASSWORD", "canary-index")
        .env("AWS_SECRET_ACCESS_KEY", "canary-environment")
        .run();
    assert_eq!(built.code, 0, "{}", built.log);
    let layout = Layout::open(project.layout()).expect("a layout");
    let image = layout
        .image(Some("1.0"), &Platform::linux_amd64())
        .expect("an image");
    assert_eq!(image.digest().as_str(), built.outputs["digest"]);
    assert_eq!(image.size().to_string(), built.outputs["size"]);
    assert_eq!(built.outputs["image"], "");

    let files = files(&layout, &image);
    let minor = base().version.rsplit_once('.').expect("a version").0;
    let site = format!("opt/venv/lib/python{minor}/site-packages");
    for path in [
        "app/main.py",
        "app/shop/prices.py",
        "app/alembic.ini",
        "app/pyproject.toml",
        "opt/venv/bin/uvicorn",
        "opt/venv/pyvenv.cfg",
        &format!("{site}/fastapi/__init__.py"),
        &format!("{site}/fastapi-1.2.0.dist-info/METADATA"),
    ] {
        assert!(files.contains_key(path), "{path} is missing");
    }
    for path in files.keys() {
        for out in [
            "test_shop",
            ".env",
            "notes.md",
            "uv.lock",
            "wheels",
            "uv_cache",
        ] {
            assert!(!path.contains(out), "{path} should stay out");
        }
    }
    let script = String::from_utf8_lossy(&files["opt/venv/bin/uvicorn"]);
    assert!(script.starts_with("#!/opt/venv/bin/python\n"), "{script}");
    for (path, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("canary"), "{path} holds a secret");
        let workspace = project.workspace().display().to_string();
        assert!(
            !text.contains(&workspace),
            "{path} tells where it was built"
        );
    }
    let shown = built
        .log
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"));
    assert!(
        !shown.collect::<String>().contains("canary"),
        "{}",
        built.log
    );
    let compiled = |below: &str| {
        let mut modules = files.keys().filter(|path| path.starts_with(below));
        modules.any(|path| path.contains("/__pycache__/"))
    };
    assert!(compiled("opt/venv/"), "the packages are not compiled");
    assert!(!compiled("app/"), "the application is compiled");
}

#[test]
fn the_image_starts_the_application_as_nobody() {
    let project = Project::new("shop");
    let built = project.step().env("GITHUB_SHA", "0123456789abcdef").run();
    assert_eq!(built.code, 0, "{}", built.log);
    let (_, image) = written(&project);
    let python = base().layout.image(None, &Platform::linux_amd64());
    let python = python.expect("the base image").digest().to_string();
    let settings = &image.config().value().config;
    insta::assert_snapshot!(
        serde_json::to_string_pretty(settings)
            .expect("JSON")
            .replace(&base().version, "VERSION")
            .replace(&python, "BASE"),
        @r#"
    {
      "User": "65532:65532",
      "ExposedPorts": {
        "8000/tcp": {}
      },
      "Env": [
        "PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHON_VERSION=VERSION",
        "VIRTUAL_ENV=/opt/venv",
        "PYTHONUNBUFFERED=1",
        "PYTHONDONTWRITEBYTECODE=1",
        "PORT=8000"
      ],
      "Entrypoint": [
        "/opt/venv/bin/python",
        "-m",
        "uvicorn",
        "main:app",
        "--host",
        "0.0.0.0",
        "--port",
        "8000",
        "--timeout-graceful-shutdown",
        "25"
      ],
      "WorkingDir": "/app",
      "Labels": {
        "dev.fastapi-eks-actions.health": "/healthz",
        "org.opencontainers.image.base.digest": "BASE",
        "org.opencontainers.image.revision": "0123456789abcdef",
        "org.opencontainers.image.source": "https://github.example.com/acme/orders",
        "org.opencontainers.image.title": "shop",
        "org.opencontainers.image.version": "1.0"
      },
      "StopSignal": "SIGTERM"
    }
    "#
    );
}

#[tokio::test]
async fn a_push_needs_no_docker_and_a_second_one_sends_no_layer() {
    let server = RegistryServer::start();
    let host = server.address.to_string();
    let registry =
        Registry::connect(Access::default().plain_http([host.clone()])).expect("a client");
    let platform = Platform::linux_amd64();
    let layout = &base().layout;
    let python = layout.image(None, &platform).expect("the base image");
    let base_name = format!("{host}/library/python:slim");
    let target = reference(&base_name).expect("a reference");
    registry
        .push(&python, &layout.blobs(&python), &target)
        .await
        .expect("the base image");

    let project = Project::new("shop");
    let push = || {
        project
            .bare_step()
            .input("base-image", &base_name)
            .input("image", format!("{host}/acme/shop"))
            .input("tags", "1.0\nlatest")
            .input("plain-http", &host)
            .run()
    };
    let first = push();
    assert_eq!(first.code, 0, "{}", first.log);
    let digest = &first.outputs["digest"];
    assert_eq!(first.outputs["image"], format!("{host}/acme/shop@{digest}"));
    assert_eq!(server.chosen_tags("acme/shop"), ["1.0", "cache", "latest"]);
    let pushed = reference(&first.outputs["image"]).expect("a reference");
    let image = registry.image(&pushed, &platform).await.expect("an image");
    assert_eq!(image.layers().next(), python.layers().next());

    let second = push();
    assert_eq!(&second.outputs["digest"], digest);
    let sent = second.report.expect("a report")["sent"].as_u64();
    assert!(
        sent.is_some_and(|sent| sent < 10_000),
        "more than documents: {sent:?}"
    );
}

#[test]
fn a_plan_shows_and_writes_nothing() {
    let project = Project::new("shop");
    let planned = project.step().input("mode", "plan").run();
    assert_eq!(planned.code, 0, "{}", planned.log);
    assert_eq!(planned.outputs["outcome"], "planned");
    assert!(!project.layout().exists());
    let image = base().layout.image(None, &Platform::linux_amd64());
    let digest = image.expect("the base image").digest().to_string();
    insta::assert_snapshot!(
        planned.stdout.lines().filter(|line| !line.starts_with("::")).collect::<Vec<_>>().join("\n")
            .replace(&digest, "DIGEST")
            .replace(&base().layout.path().display().to_string(), "BASE")
            .replace(&base().version, "VERSION"),
        @"
    packages of `uv.lock`
    base image oci-layout:BASE@DIGEST with Python VERSION
    application main:app of 5 files
    base image   oci-layout:BASE@DIGEST
    Python       VERSION for linux/amd64
    application  main:app on port 8000
    files        5
    packages     2 of uv.lock
    changed      3 of 3 layers: there is no earlier image to compare with (linux/amd64)
    "
    );
}

#[test]
fn one_changed_line_changes_one_layer() {
    let layers = |changed: bool| {
        let project = Project::new("shop");
        if changed {
            project.write("shop/prices.py", "PRICES = {'tea': 4, 'cake': 5}\n");
        }
        let built = project.step().run();
        assert_eq!(built.code, 0, "{}", built.log);
        let (_, image) = written(&project);
        image.layers().map(|layer| layer.digest).collect::<Vec<_>>()
    };
    let (before, after) = (layers(false), layers(true));
    assert_eq!(before[..2], after[..2]);
    assert_ne!(before[2], after[2]);
}
