//! Byte-compiled modules: made by the base image's own Python, the same at each build.
//!
//! A package's files depend on its sources and on the interpreter, and on nothing else: not on the
//! folder, the user, the other packages, or how many processes work.

use std::num::NonZero;
use std::path::Path;

use crate::error::BuildError;
use crate::interpreter::{Interpreter, PROGRAM, RUN};

/// What runs in the interpreter.
const DRIVER: &str = include_str!("compile.py");
/// The first version whose files do not depend on where things are in memory: before, sets kept
/// the order of their members' addresses (python/cpython#81777).
const FIRST: (u32, u32) = (3, 11);

/// What was compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiled {
    /// How many modules now have a file.
    pub(crate) count: usize,
    /// The modules that do not compile, each with the reason.
    pub(crate) failed: Vec<String>,
}

/// Compiles the modules in a folder below the interpreter's root. They will be at `path_in_image`,
/// which tracebacks show. A package may carry templates, or files for another Python, that do not
/// compile; the interpreter would not import them either.
pub(crate) async fn compile(
    interpreter: &Interpreter,
    folder: &Path,
    path_in_image: &str,
) -> Result<Compiled, BuildError> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    compile_with(interpreter, folder, path_in_image, workers).await
}

async fn compile_with(
    interpreter: &Interpreter,
    folder: &Path,
    path_in_image: &str,
    workers: usize,
) -> Result<Compiled, BuildError> {
    if !is_reproducible(interpreter.version()) {
        return Err(BuildError::OldPython(interpreter.version().into()));
    }
    let finished = interpreter
        .command()?
        .args(["-c", RUN])
        .env(PROGRAM, DRIVER)
        .arg(interpreter.seen(folder)?)
        .arg(path_in_image)
        .arg(workers.to_string())
        .output_async()
        .await
        .map_err(BuildError::Compile)?;
    let mut failed: Vec<String> = finished.stdout.lines().map(String::from).collect();
    let all: usize = failed.pop().and_then(|last| last.parse().ok()).unwrap_or(0);
    failed.sort();
    Ok(Compiled {
        count: all.saturating_sub(failed.len()),
        failed,
    })
}

fn is_reproducible(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= FIRST
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use crate::root::Root;

    /// Sources that gave different bytes after each other, or by different hands.
    const SENSITIVE: &str = "from __future__ import annotations\n\
        KINDS = {'foo', 2, None, 'bar baz', (3, 'qux')}\n\n\n\
        def kind(value: str = '{', *names: f'{KINDS}') -> bool:\n    \
            return value in {'foo', 2, None, 'bar baz', (3, 'qux')} or value in ('foo', 1.5, b'x')\n";

    /// This machine's Python, as if this machine were unpacked from a base image.
    async fn interpreter() -> Interpreter {
        let root = Root::create(PathBuf::from("/")).expect("a root");
        let path = "/usr/bin/python3";
        Interpreter::find(&root, "this machine", path, "3")
            .await
            .expect("an interpreter")
    }

    fn tree(files: &[(&str, &str)]) -> TempDir {
        let folder = TempDir::new().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs_err::create_dir_all(path.parent().expect("its folder")).expect("a folder");
            fs_err::write(path, text).expect("a file");
        }
        folder
    }

    /// The compiled files below a folder.
    fn compiled(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut waiting = vec![folder.to_owned()];
        while let Some(next) = waiting.pop() {
            for entry in fs_err::read_dir(next).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    waiting.push(path);
                } else if path.extension().is_some_and(|end| end == "pyc") {
                    let below = path.strip_prefix(folder).expect("a path below");
                    let bytes = fs_err::read(&path).expect("a file");
                    found.insert(below.display().to_string(), bytes);
                }
            }
        }
        found
    }

    fn shop() -> Vec<(&'static str, &'static str)> {
        vec![
            ("shop/__init__.py", "import foo, qux\nbar = foo\n"),
            ("shop/kinds.py", SENSITIVE),
            (
                "shop-1.0.dist-info/RECORD",
                "shop/__init__.py,,\nshop/kinds.py,,\n",
            ),
        ]
    }

    #[tokio::test]
    async fn a_package_depends_on_no_other() {
        let interpreter = interpreter().await;
        let mut more = shop();
        more.extend([
            (
                "aaa.py",
                "import foo, qux, baz, f\nNAMES = {'foo', 'bar baz'}\n",
            ),
            ("bbb/__init__.py", SENSITIVE),
            ("zzz.py", SENSITIVE),
            ("bbb-2.dist-info/RECORD", "bbb/__init__.py,,\n"),
        ]);
        let (alone, among) = (tree(&shop()), tree(&more));
        let folder = alone.path();
        let done = compile_with(&interpreter, folder, "/x", 1).await;
        assert_eq!(done.expect("two modules").count, 2);
        let expected = compiled(alone.path());
        for workers in [1, 2, 7] {
            let folder = among.path();
            let done = compile_with(&interpreter, folder, "/x", workers).await;
            assert_eq!(done.expect("five modules").count, 5);
            let mut found = compiled(among.path());
            found.retain(|path, _| path.starts_with("shop/"));
            assert_eq!(found, expected, "with {workers} processes");
        }
    }

    #[tokio::test]
    async fn neither_the_folder_nor_the_time_is_seen() {
        let interpreter = interpreter().await;
        let (here, there) = (tree(&shop()), tree(&shop()));
        let moved = there.path().join("a-much-longer-name");
        fs_err::create_dir_all(&moved).expect("a folder");
        fs_err::rename(there.path().join("shop"), moved.join("shop")).expect("a move");
        fs_err::rename(
            there.path().join("shop-1.0.dist-info"),
            moved.join("shop-1.0.dist-info"),
        )
        .expect("a move");
        let inside = "/opt/venv/lib/python3/site-packages";
        for folder in [here.path(), &moved] {
            compile(&interpreter, folder, inside)
                .await
                .expect("two modules");
        }
        let found = compiled(here.path());
        assert_eq!(found, compiled(&moved));
        for (path, bytes) in found {
            assert_eq!(bytes[4..8], [1, 0, 0, 0], "{path} is checked at its import");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(text.contains(inside), "{path} tells another place");
        }
    }

    #[tokio::test]
    async fn what_does_not_compile_is_named() {
        let interpreter = interpreter().await;
        let folder = tree(&[
            ("good.py", "value = 1\n"),
            ("templates/new.py", "class {{ name }}:\n    pass\n"),
            ("null.py", "a = 1\0\n"),
        ]);
        let done = compile(&interpreter, folder.path(), "/x").await;
        let done = done.expect("the good one");
        assert_eq!(done.count, 1);
        let named: Vec<&str> = done
            .failed
            .iter()
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(named, ["null.py", "templates/new.py"]);
        assert_eq!(compiled(folder.path()).len(), 1);
    }

    #[test]
    fn versions_with_reproducible_files() {
        let all = ["3.10.14", "3.11.0", "3.14.3", "3.9.1", "4.0.0", ""];
        let fit: Vec<&str> = all.into_iter().filter(|one| is_reproducible(one)).collect();
        assert_eq!(fit, ["3.11.0", "3.14.3", "4.0.0"]);
    }
}
