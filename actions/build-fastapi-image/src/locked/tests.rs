//! Lock files in the shape of well-known projects, and what is chosen from them.

mod freshness;
mod refusals;

use std::path::{Path, PathBuf};

use action_kit::Failure;
use oci_image::Platform;

use super::{Locked, Selection, Target, read};
use crate::error::BuildError;
use crate::python::Version;

/// Gives the folder of a project with a lock file.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/locks")
        .join(name)
}

fn selection(package: Option<&str>, groups: &[&str], extras: &[&str]) -> Selection {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Selection {
        package: package.map(String::from),
        groups: owned(groups),
        extras: owned(extras),
    }
}

/// Reads a project below the fixtures.
fn locked(name: &str, selection: &Selection) -> Result<Locked, BuildError> {
    let root = fixture(name.split('/').next().expect("a name"));
    let (_, locked) = read(&root, &fixture(name), Path::new(name), selection)?;
    Ok(locked)
}

fn target(platform: &str, python: &str) -> Target {
    let platform: Platform = platform.parse().expect("a platform");
    Target::new(platform, Version::parse(python).expect("a version"))
}

/// Shows what is in the checkout, and the packages of a platform.
fn chosen(locked: &Locked, platform: &str, python: &str) -> String {
    let packages = match locked.packages(&target(platform, python)) {
        Ok(packages) => packages,
        Err(error) => return told(&error),
    };
    let members = locked.members.iter().map(|member| {
        let at = member.import_root.display();
        format!("{} on `{at}`", member.name)
    });
    let packages = packages.iter().map(|package| {
        let wheel = package.wheel.as_ref().and_then(|wheel| wheel.name.clone());
        let hashes = package.hashes.len();
        let wheel = wheel.unwrap_or_else(|| format!("one of {hashes} hashes"));
        let pure = if package.pure { ", pure" } else { "" };
        format!("{}=={}: {wheel}{pure}", package.name, package.version)
    });
    members.chain(packages).collect::<Vec<_>>().join("\n")
}

/// Shows an error as a user reads it.
fn told(error: &BuildError) -> String {
    let mut lines = vec![format!("{} {error}", error.reason())];
    lines.extend(error.hints().iter().map(|hint| format!("hint: {hint}")));
    if let Some(position) = error.position() {
        let line = position
            .line
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        lines.push(format!("at {}{line}", position.file.display()));
    }
    lines.join("\n")
}

#[test]
fn a_workspace_of_uv() {
    let plain = locked("workspace", &Selection::default()).expect("a lock file");
    assert_eq!(
        (plain.format.word(), plain.file.as_str()),
        ("uv.lock", "uv.lock")
    );
    insta::assert_snapshot!(chosen(&plain, "linux/amd64", "3.11.7"), @r"
    shop on ``
    shop-core on `core/src`
    asyncpg==0.3: asyncpg-0.3-py3-none-any.whl, pure
    click==8.0: click-8.0-py3-none-any.whl, pure
    cryptography==46.0: cryptography-46.0-cp311-abi3-manylinux_2_28_x86_64.whl
    fastapi==1.2.0: fastapi-1.2.0-py3-none-any.whl, pure
    numpy==1.9: numpy-1.9-py3-none-any.whl, pure
    starlette==0.50.0: starlette-0.50.0-py3-none-any.whl, pure
    typing-extensions==4.1: typing_extensions-4.1-py3-none-any.whl, pure
    uvicorn==0.40.0: uvicorn-0.40.0-py3-none-any.whl, pure
    uvloop==0.22: uvloop-0.22-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
    ");
    insta::assert_snapshot!(chosen(&plain, "linux/amd64", "3.13.1"), @r"
    shop on ``
    shop-core on `core/src`
    asyncpg==0.3: asyncpg-0.3-py3-none-any.whl, pure
    click==8.0: click-8.0-py3-none-any.whl, pure
    cryptography==46.0: cryptography-46.0-cp311-abi3-manylinux_2_28_x86_64.whl
    fastapi==1.2.0: fastapi-1.2.0-py3-none-any.whl, pure
    numpy==2.9: numpy-2.9-py3-none-any.whl, pure
    starlette==0.50.0: starlette-0.50.0-py3-none-any.whl, pure
    uvicorn==0.40.0: uvicorn-0.40.0-py3-none-any.whl, pure
    uvloop==0.22: uvloop-0.22-cp313-cp313-manylinux_2_28_x86_64.whl
    ");
    insta::assert_snapshot!(chosen(&plain, "linux/arm64", "3.12"), @r"
    shop on ``
    shop-core on `core/src`
    asyncpg==0.3: asyncpg-0.3-py3-none-any.whl, pure
    click==8.0: click-8.0-py3-none-any.whl, pure
    cryptography==46.0: cryptography-46.0-cp311-abi3-manylinux_2_28_aarch64.whl
    fastapi==1.2.0: fastapi-1.2.0-py3-none-any.whl, pure
    numpy==2.9: numpy-2.9-py3-none-any.whl, pure
    starlette==0.50.0: starlette-0.50.0-py3-none-any.whl, pure
    typing-extensions==4.1: typing_extensions-4.1-py3-none-any.whl, pure
    uvicorn==0.40.0: uvicorn-0.40.0-py3-none-any.whl, pure
    uvloop==0.22: uvloop-0.22-cp312-cp312-manylinux_2_17_aarch64.manylinux2014_aarch64.whl
    ");
}

#[test]
fn groups_and_extras_of_a_workspace() {
    let more = selection(None, &["Dev"], &["all", "cpu"]);
    let more = locked("workspace", &more).expect("a lock file");
    let plain = locked("workspace", &Selection::default()).expect("a lock file");
    let lines = |locked: &Locked| chosen(locked, "linux/amd64", "3.13.1");
    let (more, plain) = (lines(&more), lines(&plain));
    let known: Vec<&str> = plain.lines().collect();
    let new: Vec<&str> = more.lines().filter(|line| !known.contains(line)).collect();
    insta::assert_snapshot!(new.join("\n"), @r"
    httpx==0.28: httpx-0.28-py3-none-any.whl, pure
    pytest==9.0: pytest-9.0-py3-none-any.whl, pure
    torch==2.0: torch-2.0-py3-none-any.whl, pure
    ");
}

#[test]
fn another_project_of_a_workspace() {
    let api = locked("workspace", &selection(Some("shop-core"), &[], &[])).expect("a lock file");
    insta::assert_snapshot!(chosen(&api, "linux/amd64", "3.13.1"), @r"
    shop-core on `core/src`
    click==8.0: click-8.0-py3-none-any.whl, pure
    ");
    // The lock file is found from a project's own folder as well.
    let below = locked("workspace/core", &Selection::default()).expect("a lock file");
    assert_eq!(
        chosen(&api, "linux/amd64", "3.13.1"),
        chosen(&below, "linux/amd64", "3.13.1")
    );
}

#[test]
fn poetry_1() {
    let plain = locked("poetry-1", &Selection::default()).expect("a lock file");
    insta::assert_snapshot!(chosen(&plain, "linux/amd64", "3.11.7"), @r"
    shop on ``
    click==8.0: click-8.0-py3-none-any.whl, pure
    cryptography==46.0: cryptography-46.0-cp311-abi3-manylinux_2_28_x86_64.whl
    fastapi==1.2.0: fastapi-1.2.0-py3-none-any.whl, pure
    numpy==1.9: numpy-1.9-py3-none-any.whl, pure
    starlette==0.50.0: starlette-0.50.0-py3-none-any.whl, pure
    typing-extensions==4.1: typing_extensions-4.1-py3-none-any.whl, pure
    uvicorn==0.40.0: uvicorn-0.40.0-py3-none-any.whl, pure
    uvloop==0.22: uvloop-0.22-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
    ");
    let more = locked("poetry-1", &selection(None, &["dev", "web"], &["pg"])).expect("a lock file");
    insta::assert_snapshot!(chosen(&more, "linux/arm64", "3.13.0"), @r"
    shop on ``
    asyncpg==0.3: asyncpg-0.3-py3-none-any.whl, pure
    click==8.0: click-8.0-py3-none-any.whl, pure
    cryptography==46.0: cryptography-46.0-cp311-abi3-manylinux_2_28_aarch64.whl
    fastapi==1.2.0: fastapi-1.2.0-py3-none-any.whl, pure
    httpx==0.28: httpx-0.28-py3-none-any.whl, pure
    numpy==2.9: numpy-2.9-py3-none-any.whl, pure
    pytest==9.0: pytest-9.0-py3-none-any.whl, pure
    starlette==0.50.0: starlette-0.50.0-py3-none-any.whl, pure
    uvicorn==0.40.0: uvicorn-0.40.0-py3-none-any.whl, pure
    uvloop==0.22: uvloop-0.22-cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64.whl
    ");
}

#[test]
fn poetry_2_agrees_with_poetry_1() {
    for (groups, extras) in [(&[][..], &[][..]), (&["dev", "web"], &["pg"])] {
        let selection = selection(None, groups, extras);
        let one = locked("poetry-1", &selection).expect("a lock file");
        let two = locked("poetry-2", &selection).expect("a lock file");
        for platform in ["linux/amd64", "linux/arm64"] {
            for python in ["3.11.7", "3.12.0", "3.13.1"] {
                let (one, two) = (
                    chosen(&one, platform, python),
                    chosen(&two, platform, python),
                );
                assert_eq!(one, two, "{platform} {python}");
            }
        }
    }
}

#[test]
fn poetry_says_what_python_the_project_wants() {
    let folder = fixture("poetry-1");
    let (files, _) =
        read(&folder, &folder, Path::new("."), &Selection::default()).expect("a lock file");
    let project = files.pyproject.project;
    assert_eq!(project.name, "shop");
    assert_eq!(project.version.as_deref(), Some("1.4.0"));
    assert_eq!(project.requires_python.as_deref(), Some(">=3.11, <4"));
}

#[test]
fn pylock() {
    let plain = locked("pylock", &Selection::default()).expect("a lock file");
    insta::assert_snapshot!(chosen(&plain, "linux/amd64", "3.13.1"), @r"
    shop on ``
    fastapi==1.2.0: fastapi-1.2.0-py3-none-any.whl, pure
    house-tools==3.1: house_tools-3.1-py3-none-any.whl, pure
    ");
    let more = locked("pylock", &selection(None, &["web"], &["pg"])).expect("a lock file");
    insta::assert_snapshot!(chosen(&more, "linux/amd64", "3.13.1"), @r"
    shop on ``
    asyncpg==0.30.0: asyncpg-0.30.0-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
    fastapi==1.2.0: fastapi-1.2.0-py3-none-any.whl, pure
    house-tools==3.1: house_tools-3.1-py3-none-any.whl, pure
    httpx==0.28.1: httpx-0.28.1-py3-none-any.whl, pure
    ");
    insta::assert_snapshot!(chosen(&more, "linux/arm64", "3.13.1"), @r"
    shop on ``
    asyncpg==0.30.0: asyncpg-0.30.0-cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64.whl
    fastapi==1.2.0: fastapi-1.2.0-py3-none-any.whl, pure
    house-tools==3.1: house_tools-3.1-py3-none-any.whl, pure
    ");
}

#[test]
fn requirements() {
    let plain = locked("requirements", &Selection::default()).expect("a lock file");
    insta::assert_snapshot!(chosen(&plain, "linux/amd64", "3.14.0"), @r"
    requirements on ``
    fastapi==1.2.0: one of 2 hashes
    house-tools==3.1: house_tools-3.1-py3-none-any.whl, pure
    uvicorn==0.40.0: one of 1 hashes
    uvloop==0.22.1: one of 2 hashes
    ");
    assert!(!format!("{:?}", plain.members).contains("canary"));
}

#[test]
fn lists_for_the_installation() {
    let list = |name: &str, more: &Selection| {
        let locked = locked(name, more).expect("a lock file");
        let packages = locked.packages(&target("linux/amd64", "3.13.1"));
        let packages = packages.expect("packages");
        locked.requirements(&packages.iter().collect::<Vec<_>>())
    };
    let pylock = list("pylock", &selection(None, &["web"], &["pg"]));
    insta::assert_snapshot!(pylock, @r"
    # pylock.toml
    asyncpg==0.30.0 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000002
    fastapi==1.2.0 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000004
    ./wheels/house_tools-3.1-py3-none-any.whl --hash=sha256:0000000000000000000000000000000000000000000000000000000000000005
    httpx @ https://files.example.org/httpx-0.28.1-py3-none-any.whl --hash=sha256:0000000000000000000000000000000000000000000000000000000000000006
    ");
    insta::assert_snapshot!(list("requirements", &Selection::default()), @r"
    # requirements.txt
    fastapi==1.2.0 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000011 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000012
    house-tools @ https://reader:canary-url@files.example.org/house_tools-3.1-py3-none-any.whl --hash=sha256:0000000000000000000000000000000000000000000000000000000000000014
    uvicorn==0.40.0 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000015
    uvloop==0.22.1 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000016 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000017
    ");
}

#[test]
fn wheels_that_are_not_of_an_index() {
    let hash = format!("sha256:{}", "0".repeat(64));
    let list = |source: &str, file: &str| {
        let package = format!(
            "version = \"2.0\"\nsource = {{ {source} }}\nwheels = [{{ {file}, hash = \"{hash}\", size = 7 }}]"
        );
        let files = [
            ("pyproject.toml", refusals::PROJECT),
            ("uv.lock", &refusals::uv_lock(&package)),
        ];
        let locked = refusals::project(&files).expect("a lock file");
        let packages = locked.packages(&target("linux/arm64", "3.14.1"));
        let packages = packages.expect("packages");
        let list = locked.requirements(&packages.iter().collect::<Vec<_>>());
        list.replace(&hash, "HASH").replace("# uv.lock\n", "")
    };
    let file = "native-2.0-py3-none-any.whl";
    let url = format!("https://files.example.org/{file}");
    let lists = [
        list(&format!("url = \"{url}\""), &format!("url = \"{url}\"")),
        list(
            &format!("path = \"wheels/{file}\""),
            &format!("filename = \"{file}\""),
        ),
        list("registry = \"wheels\"", &format!("path = \"{file}\"")),
    ];
    insta::assert_snapshot!(lists.join(""), @r"
    native @ https://files.example.org/native-2.0-py3-none-any.whl --hash=HASH
    ./shop/wheels/native-2.0-py3-none-any.whl --hash=HASH
    native==2.0 --hash=HASH
    ");
}
