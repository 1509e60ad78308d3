//! What is said of a `uv.lock` that was made for another state of the project.

use std::path::Path;

use tempfile::TempDir;

use super::{fixture, told};
use crate::error::BuildError;
use crate::locked::{Selection, read};

/// Copies the workspace, with one file changed, and says how its lock file differs.
fn differences(file: &str, from: &str, to: &str) -> Vec<String> {
    let folder = TempDir::new().expect("a folder");
    for name in [
        "pyproject.toml",
        "uv.lock",
        "api/pyproject.toml",
        "core/pyproject.toml",
    ] {
        let mut text = fs_err::read_to_string(fixture("workspace").join(name)).expect("a file");
        if name == file {
            assert!(text.contains(from), "`{from}` is not in {name}");
            text = text.replace(from, to);
        }
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs_err::write(path, text).expect("a file");
    }
    match read(
        folder.path(),
        folder.path(),
        Path::new("."),
        &Selection::default(),
    ) {
        Ok(_) => Vec::new(),
        Err(BuildError::Outdated { differences, .. }) => differences,
        Err(error) => panic!("{}", told(&error)),
    }
}

const ROOT: &str = "pyproject.toml";
/// Changes of a file: what stands there, and what shall.
const CHANGES: [(&str, &str, &str); 21] = [
    (
        ROOT,
        "\"fastapi[all]>=1\"",
        "\"fastapi[all]>=1.1\", \"orjson\"",
    ),
    (ROOT, "    \"cryptography\",\n", ""),
    (ROOT, "fastapi[all]", "fastapi"),
    (ROOT, "'Windows'", "'Darwin'"),
    (ROOT, "\"shop-core[pg]\"", "\"shop-core\""),
    (
        ROOT,
        "requires-python = \">=3.10\"",
        "requires-python = \">=3.11\"",
    ),
    (ROOT, "version = \"1.0\"", "version = \"1.1\""),
    (
        ROOT,
        "test = [\"pytest\"]",
        "test = [\"pytest>=9\", \"httpx\"]\ndocs = []",
    ),
    (ROOT, "lint = [\"httpx>=0.2,<1\"]", "lint = [\"ruff\"]"),
    (ROOT, "empty = []\n", ""),
    (ROOT, "torch==2.1", "torch==2.2"),
    (ROOT, "\"click<9\"", "\"click<8\""),
    (ROOT, "starlette==0.50.0", "starlette==0.51.0"),
    (ROOT, "[\"colorama\"]", "[]"),
    (ROOT, "[tool.uv]\n", "[tool.uv]\nresolution = \"lowest\"\n"),
    (
        ROOT,
        "[tool.uv]\n",
        "[tool.uv]\nenvironments = [\"sys_platform == 'linux'\"]\n",
    ),
    (ROOT, "\"api\", ", ""),
    (
        ROOT,
        "{ workspace = true }",
        "{ git = \"https://git.example.org/core\" }",
    ),
    ("core/pyproject.toml", "\"click\"", "\"click>=8\", \"rich\""),
    ("core/pyproject.toml", "pg = [", "postgres = ["),
    ("api/pyproject.toml", "\"shop\"]", "\"httpx\"]"),
];

#[test]
fn what_differs() {
    let told: Vec<String> = CHANGES
        .iter()
        .map(|(file, from, to)| {
            let differences = differences(file, from, to);
            format!("{from:?} -> {to:?}\n    {}", differences.join("\n    "))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    "\"fastapi[all]>=1\"" -> "\"fastapi[all]>=1.1\", \"orjson\""
        `fastapi` was `>=1`, is `>=1.1`
        `orjson` is new
    "    \"cryptography\",\n" -> ""
        `cryptography` is gone
    "fastapi[all]" -> "fastapi"
        `fastapi` has another marker, source or extra
    "'Windows'" -> "'Darwin'"
        `httpx` has another marker, source or extra
    "\"shop-core[pg]\"" -> "\"shop-core\""
        `shop-core` has another marker, source or extra
    "requires-python = \">=3.10\"" -> "requires-python = \">=3.11\""
        `requires-python` was `>=3.10, <4`, is `>=3.11` and `>=3.9,<4`
    "version = \"1.0\"" -> "version = \"1.1\""
        `shop` was 1.0, is 1.1
    "test = [\"pytest\"]" -> "test = [\"pytest>=9\", \"httpx\"]\ndocs = []"
        extra `docs` is new
        `pytest` was any version, is `>=9` in extra `all`
        `httpx` is new in extra `test`
        `pytest` was any version, is `>=9` in extra `test`
    "lint = [\"httpx>=0.2,<1\"]" -> "lint = [\"ruff\"]"
        `httpx` is gone in group `dev`
        `ruff` is new in group `dev`
        `httpx` is gone in group `lint`
        `ruff` is new in group `lint`
    "empty = []\n" -> ""
        extra `empty` is gone
    "torch==2.1" -> "torch==2.2"
        `torch` was `==2.1`, is `==2.2` in extra `gpu`
    "\"click<9\"" -> "\"click<8\""
        `click` was `<9`, is `<8` in `constraint-dependencies`
    "starlette==0.50.0" -> "starlette==0.51.0"
        `starlette` was `==0.50.0`, is `==0.51.0` in `override-dependencies`
    "[\"colorama\"]" -> "[]"
        `colorama` is gone in `exclude-dependencies`
    "[tool.uv]\n" -> "[tool.uv]\nresolution = \"lowest\"\n"
        `resolution` was `highest`, is `lowest`
    "[tool.uv]\n" -> "[tool.uv]\nenvironments = [\"sys_platform == 'linux'\"]\n"
        `environments` has changed
    "\"api\", " -> ""
        `shop-api` is gone
    "{ workspace = true }" -> "{ git = \"https://git.example.org/core\" }"
        `shop-core` has another marker, source or extra
    "\"click\"" -> "\"click>=8\", \"rich\""
        `click` was any version, is `>=8` in `shop-core`
        `rich` is new in `shop-core`
    "pg = [" -> "postgres = ["
        extra `postgres` is new
        extra `pg` is gone
        `asyncpg` is gone in extra `pg` of `shop-core`
        `asyncpg` is new in extra `postgres` of `shop-core`
    "\"shop\"]" -> "\"httpx\"]"
        `httpx` is new in `shop-api`
        `shop` is gone in `shop-api`
    "#);
}

#[test]
fn what_is_the_same_in_other_words() {
    let root = "pyproject.toml";
    let same = [
        (root, "\"fastapi[all]>=1\"", "\"FastAPI [ALL] >= 1.0\""),
        (
            root,
            "\"httpx; platform_system == 'Windows'\"",
            "\"httpx; sys_platform == 'win32'\"",
        ),
        (
            root,
            "numpy>=2; python_version >= '3.12'",
            "numpy>=2; python_full_version >= '3.12.0' and python_version > '3.9'",
        ),
        (
            root,
            "test = [\"pytest\"]",
            "Test = [\"pytest ; python_version > '3.2'\"]",
        ),
        (
            root,
            "requires-python = \">=3.10\"",
            "requires-python = \">=3.10.0,<4.0\"",
        ),
        (root, "version = \"1.0\"", "version = \"1.0.0\""),
        (root, "version = \"1.0\"", "dynamic = [\"version\"]"),
        (
            root,
            "lint = [\"httpx>=0.2,<1\"]",
            "LINT = [\"httpx<1,>=0.2\"]",
        ),
        (
            root,
            "all = [\"shop[test]\", \"httpx\"]",
            "all = [\"pytest\", \"httpx\"]",
        ),
        (root, "{ workspace = true }", "{ path = \"core\" }"),
        (
            "core/pyproject.toml",
            "dependencies = [\"click\"]",
            "dynamic = [\"dependencies\"]",
        ),
    ];
    for (file, from, to) in same {
        assert_eq!(
            differences(file, from, to),
            Vec::<String>::new(),
            "{from} -> {to}"
        );
    }
}
