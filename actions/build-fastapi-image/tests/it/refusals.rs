//! What cannot be built, by name, and what the user reads.

use oci_image::{Draft, Platform};
use oci_registry::Layout;
use tempfile::TempDir;
use test_kit::{RegistryServer, Step};

use crate::base::base;
use crate::project::Project;

/// Runs a step that must fail, and gives its exit status, reason and message.
fn refused(project: &Project, step: Step) -> String {
    let finished = step.run();
    assert!(!project.layout().exists(), "something was written");
    let reason = finished.outputs.get("failure-reason");
    let message: Vec<&str> = finished
        .log
        .lines()
        .filter(|line| line.starts_with("::error") || line.starts_with("hint:"))
        .collect();
    let text = format!(
        "{} {}\n{}",
        finished.code,
        reason.map_or("", String::as_str),
        message.join("\n")
    );
    without_digests(&text)
        .replace(&base().version, "VERSION")
        .replace(&project.index.url(), "INDEX")
        .replace(&base().layout.path().display().to_string(), "BASE")
        .replace(&project.workspace().display().to_string(), "WORKSPACE")
}

/// Replaces digests, which differ from machine to machine.
fn without_digests(text: &str) -> String {
    const DIGITS: usize = 64;
    let mut parts = text.split("sha256:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let is_digest = part.len() >= DIGITS
            && part
                .bytes()
                .take(DIGITS)
                .all(|byte| byte.is_ascii_hexdigit());
        if is_digest {
            format!("{text}sha256:…{}", &part[DIGITS..])
        } else {
            format!("{text}sha256:{part}")
        }
    })
}

#[test]
fn a_lock_file_that_does_not_match() {
    let project = Project::new("shop");
    project.wheel("httpx", "0.28.0", "py3-none-any");
    project.depends(&["fastapi>=1.1", "httpx"]);
    insta::assert_snapshot!(refused(&project, project.step()), @r#"
    2 invalid-input
    ::error::`uv.lock` does not match `pyproject.toml`: `fastapi` was `>=1`, is `>=1.1`; `httpx` is new; `uvicorn` is gone
    hint: run `uv lock` and commit the file
    "#);
}

#[test]
fn a_package_that_is_another_one() {
    let project = Project::new("shop");
    project.index.tamper("fastapi-1.2.0-py3-none-any.whl");
    let told = refused(&project, project.step());
    insta::assert_snapshot!(told, @r#"
    3 refused
    ::error::a package is not the one that `uv.lock` was made with: Failed to download `fastapi==1.2.0` cause: Hash mismatch for `fastapi==1.2.0` Expected: sha256:… Computed: sha256:…
    hint: find out why the package index gives another file before you lock again: the package may have been tampered with
    "#);
    // The same without its index, from the address in the lock file.
    let direct = refused(&project, project.step().env("UV_DEFAULT_INDEX", ""));
    assert_eq!(direct, told);
}

#[test]
fn a_package_without_a_wheel_for_the_platform() {
    let project = Project::new("shop");
    project.wheel("native", "2.0", "cp311-cp311-win_amd64");
    project.depends(&["fastapi>=1", "uvicorn", "native"]);
    project.lock();
    insta::assert_snapshot!(refused(&project, project.step()), @"
    2 invalid-input
    ::error::there is no wheel for linux/amd64 and Python VERSION of `native` 2.0 (it has `cp311-cp311-win_amd64`)
    hint: only wheels are installed: choose a version or a `python-version` that has one, or build it by `uv build --wheel` into an index of your own, and lock again
    ");
}

#[test]
fn folders_that_are_no_project() {
    let project = Project::new("shop");
    let mut told = refused(&project, project.step().input("path", "nowhere"));
    project.remove("uv.lock");
    told.push_str("\n\n");
    told.push_str(&refused(&project, project.step()));
    project.write(
        "pyproject.toml",
        "[project]\nname = \"shop\"\nversion = 1 2\n",
    );
    project.write("uv.lock", "version = 1\n");
    told.push_str("\n\n");
    told.push_str(&refused(&project, project.step()));
    insta::assert_snapshot!(told, @"
    2 invalid-input
    ::error::`nowhere` holds no `pyproject.toml`
    hint: set `path` to the folder of the project

    2 invalid-input
    ::error::`shop` holds no lock file: `uv.lock`, `pylock.toml`, `poetry.lock` or `requirements.txt`
    hint: run `uv lock` and commit the file

    2 invalid-input
    ::error file=shop/pyproject.toml,line=3::read `shop/pyproject.toml`: TOML parse error at line 3, column 11%0A  |%0A3 | version = 1 2%0A  |           ^^^%0Astring values must be quoted, expected literal string%0A
    ");
}

#[test]
fn applications_that_are_not_there() {
    let project = Project::new("shop");
    let named = |app: &str| refused(&project, project.step().input("app", app));
    let mut told = [
        named("main"),
        named("shop.web:app"),
        named("main:service"),
        named("main:app()"),
    ]
    .join("\n\n");
    project.remove("main.py");
    told.push_str("\n\n");
    told.push_str(&refused(&project, project.step()));
    insta::assert_snapshot!(told, @"
    2 invalid-input
    ::error::application `main`: it has no attribute after a colon
    hint: `app` is MODULE:ATTRIBUTE, as `uvicorn` takes it; the module is below the project's folder or `src`

    2 invalid-input
    ::error::application `shop.web:app`: there is no module `shop.web`
    hint: `app` is MODULE:ATTRIBUTE, as `uvicorn` takes it; the module is below the project's folder or `src`

    2 invalid-input
    ::error::application `main:service`: `main.py` has no `service`
    hint: `app` is MODULE:ATTRIBUTE, as `uvicorn` takes it; the module is below the project's folder or `src`

    2 invalid-input
    ::error::application `main:app()`: `app` in `main.py` is an application, not a function that makes one
    hint: `app` is MODULE:ATTRIBUTE, as `uvicorn` takes it; the module is below the project's folder or `src`

    2 invalid-input
    ::error::no FastAPI application was found in `main.py`, `app.py`, `api.py`, `app/main.py`, `app/app.py`, `app/api.py`
    hint: set `app` to MODULE:ATTRIBUTE, or `entrypoint` in [tool.fastapi] of pyproject.toml
    ");
}

#[test]
fn a_project_without_a_server() {
    let project = Project::new("shop");
    project.depends(&["fastapi"]);
    project.lock();
    insta::assert_snapshot!(refused(&project, project.step()), @"
    2 invalid-input
    ::error::none of `uvicorn`, `granian` and `gunicorn` is among the packages
    hint: add one to the dependencies, say by `uv add uvicorn`, and commit the files
    ");
}

#[test]
fn another_python_than_the_base_image_has() {
    let project = Project::new("shop");
    let mut told = refused(&project, project.step().input("python-version", "3.99"));
    project.write(".python-version", "2.7\n");
    told.push_str("\n\n");
    told.push_str(&refused(&project, project.step()));
    insta::assert_snapshot!(told, @r#"
    2 invalid-input
    ::error::the base image `oci-layout:BASE@sha256:…` has Python VERSION, `python-version` asks for 3.99
    hint: name a base image of that version in `base-image`, or change what the project asks for

    2 invalid-input
    ::error::the base image `oci-layout:BASE@sha256:…` has Python VERSION, `.python-version` asks for 2.7
    hint: name a base image of that version in `base-image`, or change what the project asks for
    "#);
}

#[test]
fn base_images_that_cannot_serve() {
    let project = Project::new("shop");
    let server = RegistryServer::start();
    let host = server.address.to_string();
    let on = |name: &str| {
        let step = project
            .step()
            .input("base-image", name)
            .input("plain-http", &host);
        refused(&project, step)
    };
    let empty = TempDir::new().expect("a folder");
    let layout = Layout::create(empty.path()).expect("a layout");
    let image = Draft::from_scratch(Platform::linux_amd64()).finish();
    layout.put(&image, &["nothing:1"]).expect("an image");
    let told = [
        on(&format!("{host}/library/python:3.14-slim")),
        on("oci-layout:nowhere"),
        on("Python:Slim"),
        on(&format!("oci-layout:{}:2", empty.path().display())),
        on(&format!("oci-layout:{}", empty.path().display())),
    ]
    .join("\n\n")
    .replace(&host, "REGISTRY")
    .replace(&empty.path().display().to_string(), "EMPTY");
    insta::assert_snapshot!(told, @r#"
    2 invalid-input
    ::error::`REGISTRY/library/python:3.14-slim` does not exist
    hint: check the name and the tag; registries also say this of private images when no credentials are given

    2 invalid-input
    ::error::`WORKSPACE/nowhere` is no OCI layout: it has no `oci-layout` file
    hint: name a folder that a build wrote with `oci-layout`

    2 invalid-input
    ::error::`Python:Slim` is no image reference: invalid reference format
    hint: write HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:DIGEST, in lower case

    2 invalid-input
    ::error::the layout `EMPTY` does not hold `2`: it holds `nothing:1`
    hint: name one of them after a colon, or its digest after `@`

    2 invalid-input
    ::error::the base image `oci-layout:EMPTY@sha256:…` does not say which Python it has: no variable PYTHON_VERSION
    hint: set `python-version`
    "#);
}

#[test]
fn inputs_that_cannot_be() {
    let project = Project::new("shop");
    let told = [
        project.bare_step().input("push", "false"),
        project.bare_step(),
        project.step().input("image", "localhost:5000/shop:1"),
        project.step().input("tags", "ok\nnot ok"),
        project.step().input("platforms", "linux/s390x"),
        project.step().input("port", "70000"),
    ]
    .map(|step| refused(&project, step))
    .join("\n\n");
    insta::assert_snapshot!(told, @r#"
    2 invalid-input
    ::error::the image would go nowhere: `push` is false and `oci-layout` is not set
    hint: set `oci-layout` to a folder, or push

    2 invalid-input
    ::error::`image` is missing: the repository to push to
    hint: set `image` to REGISTRY/REPOSITORY, or `push` to false and `oci-layout` to a folder

    2 invalid-input
    ::error::`image` is `localhost:5000/shop:1`: it names a repository, without tag or digest
    hint: put the tag into `tags`

    2 invalid-input
    ::error::`tags` has `not ok`, which is no tag
    hint: a tag has up to 128 letters, digits, `.`, `_` and `-`, and starts with a letter, digit or `_`

    2 invalid-input
    ::error::`platforms` has `linux/s390x`: it can hold `linux/amd64` and `linux/arm64`
    hint: name the platforms one a line

    2 invalid-input
    ::error::invalid value '70000' for 'port <PORT>': 70000 is not in 0..=65535
    hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
}

#[test]
fn a_base_image_without_python_where_it_is_said_to_be() {
    let project = Project::new("shop");
    let step = project.step().input("python", "/opt/python/bin/python3");
    insta::assert_snapshot!(refused(&project, step), @r#"
    2 invalid-input
    ::error::the base image `oci-layout:BASE@sha256:…` has no `/opt/python/bin/python3`
    hint: set `python` to the interpreter's path in the base image
    "#);
}

#[test]
fn a_base_image_whose_python_does_not_run() {
    let project = Project::new("shop");
    let step = project.step().input("python", "/usr/bin/true");
    let layout = base().with_file("/usr/bin/true", b"no program");
    let name = format!("oci-layout:{}", layout.path().display());
    let told = refused(&project, step.input("base-image", name));
    let told = told.replace(&layout.path().display().to_string(), "OTHER");
    insta::assert_snapshot!(told, @"
    2 invalid-input
    ::error::the base image's Python `/usr/bin/true` does not run here: /usr/bin/true: error while loading shared libraries: /usr/bin/true: file too short; enter the root: No such file or directory (os error 2)
    hint: set `bytecode` to none for an image that is the same without it, or build on a machine of the image's processor
    ");
}

#[test]
fn an_application_that_does_not_compile() {
    let project = Project::new("shop");
    project.write("shop/prices.py", "PRICES = {'tea': 3\n");
    insta::assert_snapshot!(refused(&project, project.step().input("bytecode", "all")), @"
    1 checks-failed
    ::error::the application does not compile: shop/prices.py: SyntaxError: '{' was never closed (prices.py, line 1)
    ");
}

#[test]
fn a_disk_that_is_full() {
    let project = Project::new("shop");
    let small = project.workspace().join("small");
    fs_err::create_dir_all(&small).expect("a folder");
    // A file system of its own, which only this process sees. A shell would lose the inputs, whose
    // names are none for its variables.
    let script = "import os, subprocess, sys
mount = ['/bin/mount', '-t', 'tmpfs', '-o', 'size=1m', 'small', os.environ['RUNNER_TEMP']]
subprocess.run(mount, check=True)
os.execv(sys.argv[1], sys.argv[1:])";
    let python = base().program.display().to_string();
    let namespaces = ["--map-root-user", "--mount", &python, "-c", script];
    let step = project
        .step()
        .env("RUNNER_TEMP", small.display().to_string())
        .started_by("/usr/bin/unshare", &namespaces);
    let told = refused(&project, step);
    assert!(told.starts_with("1 remote-failed\n"), "{told}");
    assert!(told.contains("No space left on device"), "{told}");
    assert!(
        told.contains("\nhint: the machine's disk is full: free some space"),
        "{told}"
    );
}
