//! What is chosen from a lock file, beside what uv chooses.

use std::path::Path;

use oci_image::{Draft, Platform};
use oci_registry::Layout;
use serde_json::Value;
use tempfile::TempDir;

use crate::project::Project;

/// The platforms, as the input and as uv names them.
const PLATFORMS: [(&str, &str); 2] = [
    ("linux/amd64", "x86_64-manylinux_2_28"),
    ("linux/arm64", "aarch64-manylinux_2_28"),
];
const PYTHONS: [&str; 5] = ["3.10.4", "3.11.9", "3.12.0", "3.13.1", "3.14.2"];
/// The wheels of one version of a package.
const TAGS: [&str; 22] = [
    "cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp310-cp310-musllinux_1_2_x86_64",
    "cp311-cp311-manylinux2014_x86_64",
    "cp311-cp311-manylinux_2_12_x86_64.manylinux2010_x86_64",
    "cp311-cp311-linux_x86_64",
    "cp311-cp311-manylinux_2_28_aarch64",
    "cp311-abi3-manylinux_2_28_x86_64",
    "cp312-cp312-manylinux_2_39_x86_64",
    "cp312-cp312-manylinux_2_34_aarch64",
    "cp312-none-manylinux_2_17_x86_64",
    "cp313-cp313t-manylinux_2_28_x86_64",
    "cp313-cp313-win_amd64",
    "cp313-cp313-macosx_11_0_arm64",
    "cp313-none-any",
    "cp38-abi3-manylinux_2_17_aarch64.manylinux2014_aarch64",
    "cp37-abi3-manylinux_2_5_x86_64.manylinux1_x86_64",
    "pp310-pypy310_pp73-manylinux_2_28_x86_64",
    "py3-none-manylinux_2_17_x86_64",
    "py314-none-any",
    "py2.py3-none-any",
    "1-py3-none-any",
    "2x-py3-none-any",
];

const SHOP: &str = r#"[project]
name = "shop"
version = "1.0"
requires-python = ">=3.10"
dependencies = [
    "fastapi",
    "uvicorn",
    "native",
    "core[pg]",
    "server[fast]",
    "old<2; python_version < '3.12'",
    "old>=2; python_version >= '3.12'",
]

[dependency-groups]
dev = ["windows"]

[tool.uv.workspace]
members = ["core"]

[tool.uv.sources]
core = { workspace = true }
"#;
/// A project that it needs.
const CORE: &str = r#"[project]
name = "core"
version = "0.3"
requires-python = ">=3.10"

[project.optional-dependencies]
pg = ["pg"]

[tool.uv]
package = true
"#;

/// Makes a project whose packages differ from platform to platform and from Python to Python.
fn project() -> Project {
    let project = Project::new("shop");
    for tag in TAGS {
        project.wheel("native", "1.0", tag);
    }
    for python in ["cp310", "cp311", "cp312", "cp313", "cp314"] {
        for machine in ["x86_64", "aarch64"] {
            let tag = format!("{python}-{python}-manylinux_2_28_{machine}");
            project.wheel("loop", "0.22", &tag);
        }
    }
    for (name, version) in [
        ("old", "1.0"),
        ("old", "2.0"),
        ("arm", "1.0"),
        ("pg", "3.0"),
    ] {
        project.wheel(name, version, "py3-none-any");
    }
    project.wheel("windows", "1.0", "py3-none-any");
    project.wheel_with(
        "server",
        "4.0",
        "py3-none-any",
        &[
            "Provides-Extra: fast",
            "Requires-Dist: loop; sys_platform != 'win32' and extra == 'fast'",
            "Requires-Dist: windows; platform_system == 'Windows'",
            "Requires-Dist: arm; platform_machine == 'aarch64'",
        ],
    );
    project.write("pyproject.toml", SHOP);
    project.write("core/pyproject.toml", CORE);
    project.lock();
    project
}

/// Makes a base image that says which Python it has: a plan asks no more of it.
fn base(folder: &Path, platform: &str, python: &str) -> String {
    let layout = Layout::create(folder).expect("a layout");
    let platform: Platform = platform.parse().expect("a platform");
    let image = Draft::from_scratch(platform).env("PYTHON_VERSION", python);
    layout.put(&image.finish(), &["python"]).expect("an image");
    format!("oci-layout:{}", folder.display())
}

/// Gives the wheels that a plan has chosen.
fn planned(project: &Project, platform: &str, python: &str) -> Vec<String> {
    let folder = TempDir::new().expect("a folder");
    let planned = project
        .bare_step()
        .input("mode", "plan")
        .input("base-image", base(folder.path(), platform, python))
        .input("platforms", platform)
        .run();
    assert_eq!(planned.code, 0, "{}", planned.log);
    let report = planned.report.expect("a report");
    let packages = report["locked"][platform]
        .as_array()
        .expect("packages")
        .iter();
    packages
        .filter_map(|package| package["wheel"]["name"].as_str())
        .map(String::from)
        .collect()
}

/// Gives the wheels that uv has installed from its own export of the lock file.
fn installed(project: &Project, platform: &str, python: &str) -> Vec<String> {
    let folder = TempDir::new().expect("a folder");
    let list = folder.path().join("requirements.txt").display().to_string();
    let target = folder.path().join("target").display().to_string();
    let what = ["export", "--frozen", "--no-dev", "--no-emit-workspace"];
    project.uv(&[&what[..], &["--no-header", "--output-file", &list]].concat());
    let how = ["--no-deps", "--only-binary", ":all:", "--require-hashes"];
    let platform = ["--python-platform", platform, "--python-version", python];
    let rest = ["--target", &target, "--requirements", &list];
    project.uv(&[&["pip", "install"], &how[..], &platform, &rest].concat());
    let mut wheels = Vec::new();
    for entry in fs_err::read_dir(&target).expect("the packages") {
        let path = entry.expect("a package").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if let Some(package) = name.strip_suffix(".dist-info") {
            let about = fs_err::read_to_string(path.join("WHEEL")).expect("about the wheel");
            let tag = about.lines().find_map(|line| line.strip_prefix("Tag: "));
            wheels.push(format!("{package}-{}.whl", tag.expect("a tag")));
        }
    }
    wheels.sort();
    wheels
}

#[test]
fn the_wheels_are_those_that_uv_takes() {
    let project = project();
    for (platform, uv_platform) in PLATFORMS {
        for python in PYTHONS {
            assert_eq!(
                planned(&project, platform, python),
                installed(&project, uv_platform, python),
                "{platform} {python}"
            );
        }
    }
}

#[test]
fn a_lock_file_is_stale_when_uv_says_so() {
    let project = project();
    let file = project.path().join("pyproject.toml");
    let text = fs_err::read_to_string(&file).expect("the project");
    let folder = TempDir::new().expect("a folder");
    let base = base(folder.path(), "linux/amd64", "3.12.0");
    let changes = [
        ("\"server[fast]\"", "\"Server[FAST] >= 0\""),
        ("\"fastapi\"", "\"fastapi >= 1.0\", \"fastapi\""),
        ("\"fastapi\"", "\"fastapi ; python_version > '3.4'\""),
        ("\"fastapi\"", "\"fastapi ; sys_platform == 'linux'\""),
        ("\"uvicorn\",\n", ""),
        ("core[pg]", "core"),
        ("server[fast]", "server"),
        ("<2;", "<1.5;"),
        ("dev = [\"windows\"]", "dev = []"),
        (">=3.10", ">=3.10.0, <4.0"),
        (">=3.10", ">=3.11"),
        ("version = \"1.0\"", "version = \"1.1\""),
        (
            "[tool.uv.workspace]",
            "[tool.uv]\nconstraint-dependencies = [\"pg<9\"]\n[tool.uv.workspace]",
        ),
    ];
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not there");
        project.write("pyproject.toml", &text.replacen(from, to, 1));
        let planned = project
            .bare_step()
            .input("mode", "plan")
            .input("base-image", &base)
            .run();
        let checked = project.try_uv(&["lock", "--check"]);
        assert_eq!(
            planned.code == 0,
            checked.is_ok(),
            "{from} -> {to}: {} {checked:?}",
            planned.log
        );
    }
}

#[test]
fn a_plan_needs_neither_python_nor_an_index() {
    let project = project();
    let folder = TempDir::new().expect("a folder");
    let planned = project
        .bare_step()
        .env("PATH", "")
        .env("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
        .input("mode", "plan")
        .input("base-image", base(folder.path(), "linux/arm64", "3.12.0"))
        .input("platforms", "linux/arm64")
        .run();
    assert_eq!(planned.code, 0, "{}", planned.log);
    let report = planned.report.expect("a report");
    let packages = report["locked"]["linux/arm64"]
        .as_array()
        .expect("packages")
        .iter();
    let lines = packages.map(|package| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (name, wheel) = (text(&package["name"]), text(&package["wheel"]["name"]));
        format!("{name}: {wheel}")
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    arm: arm-1.0-py3-none-any.whl
    fastapi: fastapi-1.2.0-py3-none-any.whl
    loop: loop-0.22-cp312-cp312-manylinux_2_28_aarch64.whl
    native: native-1.0-cp38-abi3-manylinux_2_17_aarch64.manylinux2014_aarch64.whl
    old: old-2.0-py3-none-any.whl
    pg: pg-3.0-py3-none-any.whl
    server: server-4.0-py3-none-any.whl
    uvicorn: uvicorn-0.40.0-py3-none-any.whl
    ");
}
