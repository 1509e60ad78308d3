//! Lock files that cannot be used, and what the user reads.

use std::path::Path;

use tempfile::TempDir;

use super::{chosen, fixture, locked, selection, target, told};
use crate::locked::{Locked, Selection, read};

/// Makes a project of files, and reads it.
pub(super) fn project(files: &[(&str, &str)]) -> Result<Locked, String> {
    let folder = TempDir::new().expect("a folder");
    let shop = folder.path().join("shop");
    fs_err::create_dir_all(&shop).expect("a folder");
    for (name, text) in files {
        fs_err::write(shop.join(name), text).expect("a file");
    }
    read(
        folder.path(),
        &shop,
        Path::new("shop"),
        &Selection::default(),
    )
    .map(|(_, locked)| locked)
    .map_err(|error| told(&error))
}

/// Reads a project that must be refused, on amd64 at the latest.
fn refused(files: &[(&str, &str)]) -> String {
    match project(files) {
        Err(told) => told,
        Ok(locked) => match locked.packages(&target("linux/amd64", "3.13.1")) {
            Err(error) => told(&error),
            Ok(packages) => panic!("nothing is wrong: {packages:?}"),
        },
    }
}

pub(super) const PROJECT: &str = "[project]\nname = \"shop\"\nversion = \"1.0\"\nrequires-python = \">=3.11\"\ndependencies = [\"native\"]\n";

/// Writes a lock file of uv with one package.
pub(super) fn uv_lock(package: &str) -> String {
    format!(
        r#"
version = 1
requires-python = ">=3.11"
[[package]]
name = "shop"
version = "1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "native" }}]
[package.metadata]
requires-dist = [{{ name = "native" }}]
[[package]]
name = "native"
{package}
"#
    )
}

fn with_uv(package: &str) -> String {
    refused(&[("pyproject.toml", PROJECT), ("uv.lock", &uv_lock(package))])
}

#[test]
fn packages_without_a_wheel() {
    let hash = "0".repeat(64);
    let wheels = |tags: &[&str]| {
        let files = tags.iter().map(|tag| {
            format!("{{ url = \"https://files.example.org/native-2.0-{tag}.whl\", hash = \"sha256:{hash}\" }}")
        });
        let files: Vec<String> = files.collect();
        format!(
            "version = \"2.0\"\nsource = {{ registry = \"https://pypi.example.org/simple\" }}\nwheels = [{}]",
            files.join(", ")
        )
    };
    let all = [
        with_uv(&wheels(&[
            "cp311-cp311-win_amd64",
            "cp311-cp311-macosx_11_0_arm64",
            "cp311-cp311-musllinux_1_2_x86_64",
            "cp312-cp312-manylinux_2_28_x86_64",
            "cp313-cp313-manylinux_2_39_x86_64",
        ])),
        with_uv(
            "version = \"2.0\"\nsource = { registry = \"https://pypi.example.org/simple\" }\nsdist = { url = \"https://files.example.org/native-2.0.tar.gz\" }",
        ),
        with_uv(
            "version = \"2.0\"\nsource = { git = \"https://reader:canary@git.example.org/native?rev=v2#0123\" }",
        ),
        with_uv(
            "version = \"2.0\"\nsource = { url = \"https://files.example.org/native-2.0.zip\" }\nsdist = { hash = \"sha256:0\" }",
        ),
    ];
    insta::assert_snapshot!(all.join("\n\n"), @r"
    invalid-input there is no wheel for linux/amd64 and Python 3.13.1 of `native` 2.0 (it has `cp312-cp312-manylinux_2_28_x86_64`, `cp313-cp313-manylinux_2_39_x86_64`, `cp311-cp311-win_amd64`, `cp311-cp311-macosx_11_0_arm64` and 1 more)
    hint: only wheels are installed: choose a version or a `python-version` that has one, or build it by `uv build --wheel` into an index of your own, and lock again

    invalid-input there is no wheel for linux/amd64 and Python 3.13.1 of `native` 2.0 (it has a source distribution only)
    hint: only wheels are installed: choose a version or a `python-version` that has one, or build it by `uv build --wheel` into an index of your own, and lock again

    invalid-input there is no wheel for linux/amd64 and Python 3.13.1 of `native` 2.0 (it comes from git https://git.example.org/native?rev=v2#0123)
    hint: only wheels are installed: choose a version or a `python-version` that has one, or build it by `uv build --wheel` into an index of your own, and lock again

    invalid-input there is no wheel for linux/amd64 and Python 3.13.1 of `native` 2.0 (it has a source distribution only)
    hint: only wheels are installed: choose a version or a `python-version` that has one, or build it by `uv build --wheel` into an index of your own, and lock again
    ");
}

#[test]
fn a_package_without_a_hash() {
    let wheel = "version = \"2.0\"\nsource = { registry = \"https://pypi.example.org/simple\" }\nwheels = [{ url = \"https://files.example.org/native-2.0-py3-none-any.whl\", hash = \"md5:0\" }]";
    insta::assert_snapshot!(with_uv(wheel), @r"
    invalid-input `uv.lock` has no SHA-256 of `native`
    hint: lock again from an index that tells the SHA-256 of its files
    ");
}

#[test]
fn lock_files_for_others() {
    let plain = locked("workspace", &Selection::default()).expect("a lock file");
    let pylock = locked("pylock", &Selection::default()).expect("a lock file");
    let poetry = locked("poetry-1", &Selection::default()).expect("a lock file");
    let other = r#"
version = 1
requires-python = ">=3.11"
supported-markers = ["sys_platform == 'darwin'", "platform_machine == 'aarch64'"]
[[package]]
name = "shop"
version = "1.0"
source = { virtual = "." }
"#;
    let mac = "[project]\nname = \"shop\"\nversion = \"1.0\"\nrequires-python = \">=3.11\"\n[tool.uv]\nenvironments = [\"sys_platform == 'darwin'\", \"platform_machine == 'aarch64'\"]";
    let told = [
        chosen(&plain, "linux/amd64", "3.9.1"),
        chosen(&pylock, "linux/amd64", "3.10"),
        chosen(&poetry, "linux/amd64", "3.10"),
        refused(&[("pyproject.toml", mac), ("uv.lock", other)]),
    ];
    insta::assert_snapshot!(told.join("\n\n"), @r"
    invalid-input `uv.lock` is for Python `>=3.10, <4`, not for 3.9.1
    hint: lock for this platform and Python as well, or set another `python-version` or base image

    invalid-input `pylock.toml` is for Python `>=3.11`, not for 3.10
    hint: lock for this platform and Python as well, or set another `python-version` or base image

    invalid-input `poetry.lock` is for Python `>=3.11, <4`, not for 3.10
    hint: lock for this platform and Python as well, or set another `python-version` or base image

    invalid-input `uv.lock` is for other environments than linux/amd64 and Python 3.13.1: `sys_platform == 'darwin'`, `platform_machine == 'aarch64'`
    hint: lock for this platform and Python as well, or set another `python-version` or base image
    ");
}

#[test]
fn groups_extras_and_packages_that_do_not_exist() {
    let ask = |name: &str, package, groups: &[&str], extras: &[&str]| {
        let found = locked(name, &selection(package, groups, extras));
        told(&found.expect_err("a refusal"))
    };
    let told = [
        ask("workspace", None, &["docs"], &[]),
        ask("workspace", None, &[], &["cpu", "postgres"]),
        ask("workspace", Some("shop-web"), &[], &[]),
        ask("poetry-1", None, &["docs"], &[]),
        ask("poetry-2", None, &[], &["postgres"]),
        ask("pylock", None, &["docs"], &[]),
        ask("pylock", Some("other"), &[], &[]),
        ask("requirements", None, &["dev"], &[]),
    ];
    insta::assert_snapshot!(told.join("\n\n"), @r"
    invalid-input there is no group `docs`: there are `dev`, `lint` and `none`

    invalid-input there is no extra `postgres`: there are `all`, `cpu`, `empty`, `gpu` and `test`

    invalid-input there is no package `shop-web`: there are `shop`, `shop-api` and `shop-core`

    invalid-input there is no group `docs`: there are `dev` and `web`

    invalid-input there is no extra `postgres`: there is `pg`

    invalid-input there is no group `docs`: there are `default` and `web`

    invalid-input there is no package `other`: there is `shop`

    invalid-input there is no group `dev`: there are none
    ");
}

#[test]
fn extras_that_cannot_be_together() {
    let both = locked("workspace", &selection(None, &[], &["cpu", "gpu"])).expect("a lock file");
    insta::assert_snapshot!(chosen(&both, "linux/amd64", "3.13.1"), @r"
    invalid-input `uv.lock` has `torch` more than once for linux/amd64 and Python 3.13.1: 2.0 from https://pypi.example.org/simple, 2.1 from https://pypi.example.org/simple
    hint: choose between the groups and extras that bring them, or lock again
    ");
}

#[test]
fn requirements_that_are_not_exact() {
    let hash = format!("--hash=sha256:{}", "0".repeat(64));
    let list = |line: &str| {
        let text = format!("# pinned\nfastapi==1.2 {hash}\n{line}\n");
        refused(&[("requirements.txt", &text)])
    };
    let told = [
        list("httpx>=0.28"),
        list("httpx"),
        list("httpx==0.28.*"),
        list("httpx==0.28.1"),
        list("httpx==0.28.1 --hash=md5:0"),
        list("httpx @ https://reader:canary@files.example.org/httpx-0.28.1-py3-none-any.whl"),
        list("httpx= =0.28 @ canary"),
        list("-e git+https://reader:canary@git.example.org/httpx"),
        list("./httpx"),
        list("-r more.txt"),
        list("--process-dependency-links=canary"),
    ];
    let told = told.join("\n\n");
    assert!(!told.contains("canary"), "{told}");
    insta::assert_snapshot!(told, @r"
    invalid-input `shop/requirements.txt`, line 3: `httpx` has no version behind `==`
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3

    invalid-input `shop/requirements.txt`, line 3: `httpx` has no version behind `==`
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3

    invalid-input `shop/requirements.txt`, line 3: `httpx` has no version behind `==`
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3

    invalid-input `shop/requirements.txt`, line 3: `httpx` has no `--hash=sha256:…`
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3

    invalid-input `shop/requirements.txt`, line 3: `httpx` has no `--hash=sha256:…`
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3

    invalid-input `shop/requirements.txt`, line 3: `httpx` has no `--hash=sha256:…`
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3

    invalid-input `shop/requirements.txt`, line 3: what starts with `httpx` is no requirement
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3

    invalid-input `shop/requirements.txt`, line 3: an address is installed as source: only wheels are installed
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3

    invalid-input `shop/requirements.txt`, line 3: `./httpx` is neither a wheel nor a project
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3

    invalid-input `shop/requirements.txt`, line 3: there is no file `more.txt`
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3

    invalid-input `shop/requirements.txt`, line 3: the option `--process-dependency-links` is not understood
    hint: each package needs its version and its hashes: `uv pip compile --generate-hashes` or `pip-compile --generate-hashes` writes them
    at shop/requirements.txt:3
    ");
}

#[test]
fn requirements_that_lack_what_the_project_asks_for() {
    let hash = format!("--hash=sha256:{}", "0".repeat(64));
    let list = format!("fastapi==1.2 {hash}\nuvicorn==0.30 {hash}\n");
    let project = "[project]\nname = \"shop\"\ndependencies = [\"fastapi>=1\", \"httpx\", \"uvicorn>=0.40\", \"tomli; python_version < '3.11'\"]";
    let told = refused(&[("pyproject.toml", project), ("requirements.txt", &list)]);
    insta::assert_snapshot!(told, @r"
    invalid-input `requirements.txt` does not match `pyproject.toml`: `httpx` is new; `uvicorn` is locked at 0.30, `>=0.40` is asked for
    hint: make the lock file again as it was made before, and commit it
    ");
}

#[test]
fn files_that_cannot_be_read() {
    let lock = |name: &str, text: &str| refused(&[("pyproject.toml", PROJECT), (name, text)]);
    let project = |text: &str| refused(&[("pyproject.toml", text), ("uv.lock", &uv_lock(""))]);
    let marker = "[[packages]]\nname = \"native\"\nmarker = \"python > 3\"\n";
    let told = [
        lock("uv.lock", "version = 1\n[[package]]\nname = 1\n"),
        lock("uv.lock", "version = 2\n"),
        lock("pylock.toml", "lock-version = \"2.0\"\n"),
        lock("poetry.lock", "[metadata]\nlock-version = \"3.0\"\n"),
        lock("pylock.toml", &format!("lock-version = \"1.0\"\n{marker}")),
        project("[project]\nname = \"shop\"\ndependencies = [\"fast api\"]\n"),
        with_uv("source = { directory = \"../../native\" }"),
        project("[tool.ruff]\n"),
        refused(&[("pyproject.toml", PROJECT)]),
        refused(&[]),
    ];
    insta::assert_snapshot!(told.join("\n\n"), @r"
    invalid-input read `shop/uv.lock`
    at shop/uv.lock:3

    invalid-input `uv.lock` is of version 2, this action reads version 1
    hint: make the lock file by a release of its tool that this action knows, or use a newer release of this action

    invalid-input `pylock.toml` is of version 2.0, this action reads version 1.0
    hint: make the lock file by a release of its tool that this action knows, or use a newer release of this action

    invalid-input `poetry.lock` is of version 3.0, this action reads version 1 or 2
    hint: make the lock file by a release of its tool that this action knows, or use a newer release of this action

    invalid-input `pylock.toml` cannot be used: the marker `python > 3` of `native`: Expected a quoted string or a valid marker name, found `python`

    invalid-input `shop/pyproject.toml` asks for `fast api`: Expected one of `@`, `(`, `<`, `=`, `>`, `~`, `!`, `;`, found `a`
    at shop/pyproject.toml:3

    invalid-input `native` is at `../../native`, which is not in the checkout
    hint: move it into the repository, or install it from an index as a wheel

    invalid-input `shop/pyproject.toml` has no [project] table
    hint: add the table, with the name of the project

    invalid-input `shop` holds no lock file: `uv.lock`, `pylock.toml`, `poetry.lock` or `requirements.txt`
    hint: run `uv lock` and commit the file

    invalid-input `shop` holds no `pyproject.toml`
    hint: set `path` to the folder of the project
    ");
}

#[test]
fn a_workspace_whose_root_is_no_project() {
    let folder = TempDir::new().expect("a folder");
    let api = folder.path().join("api");
    fs_err::create_dir_all(&api).expect("a folder");
    let root = "[tool.uv.workspace]\nmembers = [\"*\"]\n";
    fs_err::write(folder.path().join("pyproject.toml"), root).expect("a file");
    fs_err::write(folder.path().join("uv.lock"), "version = 1\n").expect("a file");
    fs_err::write(api.join("pyproject.toml"), "[project]\nname = \"Api\"\n").expect("a file");
    let found = read(
        folder.path(),
        folder.path(),
        Path::new("."),
        &Selection::default(),
    );
    insta::assert_snapshot!(told(&found.expect_err("a refusal")), @r"
    invalid-input `pyproject.toml` has no [project] table
    hint: set `package` to the one to build: there is `api`
    ");
}

#[test]
fn an_older_state_of_a_poetry_project() {
    let text = |name: &str| fs_err::read_to_string(fixture("poetry-2").join(name)).expect("a file");
    let changed = text("pyproject.toml")
        .replace("\"cryptography\"", "\"cryptography>=47\"")
        .replace("dependencies = [\n", "dependencies = [\n    \"orjson\",\n");
    let told = refused(&[
        ("pyproject.toml", &changed),
        ("poetry.lock", &text("poetry.lock")),
    ]);
    insta::assert_snapshot!(told, @r"
    invalid-input `poetry.lock` does not match `pyproject.toml`: `orjson` is new; `cryptography` is locked at 46.0, `>=47` is asked for
    hint: run `poetry lock` and commit the file
    ");
}
