//! Puts the built-in charts into the program, as a list of paths and texts.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "Cargo talks to a build script by variables and standard output"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=charts");
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("charts");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut code = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root)?.display().to_string();
        writeln!(
            code,
            "    ({name:?}, include_str!({:?})),",
            file.display().to_string()
        )?;
    }
    code.push_str("]\n");
    let target = PathBuf::from(std::env::var("OUT_DIR")?).join("charts.rs");
    fs_err::write(target, code)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
