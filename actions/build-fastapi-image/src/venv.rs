//! The packages as a virtual environment that is the same wherever it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use oci_image::{Entries, EntryError};

use crate::error::BuildError;
use crate::locked::normal;
use crate::plan::{Plan, VENV};

/// Gives the folder of the packages, inside the image.
pub(crate) fn site_packages(plan: &Plan) -> String {
    format!("{VENV}/lib/python{}/site-packages", plan.python.minor())
}

/// Gives the settings that make a folder of packages a virtual environment.
fn settings(plan: &Plan) -> String {
    let home = Path::new(&plan.interpreter).parent();
    let home = home.unwrap_or(Path::new("/")).display();
    format!(
        "home = {home}\ninclude-system-site-packages = false\nversion = {}\n",
        plan.python
    )
}

/// The names of the interpreter, which is the base image's.
const INTERPRETERS: [&str; 2] = ["python", "python3"];

/// Adds what makes a folder of packages a virtual environment: its settings and its interpreter.
pub(crate) fn frame(entries: &mut Entries, plan: &Plan) -> Result<(), EntryError> {
    entries.file(&format!("{VENV}/pyvenv.cfg"), 0o644, settings(plan))?;
    for name in INTERPRETERS {
        entries.link(&format!("{VENV}/bin/{name}"), &plan.interpreter)?;
    }
    Ok(())
}

/// Lays the parts of an environment together below a folder that stands for `/`.
pub(crate) fn assemble(parts: &[PathBuf], root: &Path, plan: &Plan) -> io::Result<()> {
    let venv = VENV.trim_start_matches('/');
    let to = root.join(venv);
    for part in parts {
        link_tree(&part.join(venv), &to)?;
    }
    fs_err::create_dir_all(to.join("bin"))?;
    fs_err::write(to.join("pyvenv.cfg"), settings(plan))?;
    for name in INTERPRETERS {
        fs_err::os::unix::fs::symlink(&plan.interpreter, to.join("bin").join(name))?;
    }
    Ok(())
}

fn link_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_tree(&entry.path(), &to)?;
        } else if to.symlink_metadata().is_err() {
            fs_err::hard_link(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Turns what uv installed into a part of the environment: programs start with its Python, and
/// nothing tells of the machine that it was made on. `root` is the folder that stands for `/`.
pub(crate) fn arrange(root: &Path, plan: &Plan) -> io::Result<()> {
    let site = root.join(site_packages(plan).trim_start_matches('/'));
    let installed = site.join("bin");
    if installed.is_dir() {
        let bin = root.join(VENV.trim_start_matches('/')).join("bin");
        fs_err::create_dir_all(&bin)?;
        for entry in fs_err::read_dir(&installed)? {
            let entry = entry?;
            let to = bin.join(entry.file_name());
            fs_err::rename(entry.path(), &to)?;
            own_interpreter(&to)?;
        }
        fs_err::remove_dir(&installed)?;
    }
    clean(&site)
}

/// A file that two packages of one folder bring, each with bytes of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The path, from the folder of the packages.
    pub(crate) path: String,
    /// The package whose file is to stay: the last by name.
    pub(crate) winner: String,
}

/// Finds the files that several packages bring. uv installs packages side by side, so whose bytes
/// such a file has is left to chance.
pub(crate) fn conflicts(site: &Path) -> Result<Vec<Conflict>, BuildError> {
    let doing = || BuildError::file("read what the packages hold");
    let mut owners: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for entry in fs_err::read_dir(site).map_err(doing())? {
        let folder = entry.map_err(doing())?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let Some((package, _)) = name
            .strip_suffix(".dist-info")
            .and_then(|name| name.rsplit_once('-'))
        else {
            continue;
        };
        let record = folder.join("RECORD");
        let record = fs_err::read_to_string(record).map_err(doing())?;
        for line in record.lines() {
            let mut fields = line.rsplitn(3, ',');
            let (_, digest, path) = (fields.next(), fields.next(), fields.next());
            let path = path.unwrap_or_default().trim_matches('"');
            owners
                .entry(path.to_owned())
                .or_default()
                .insert(normal(package), digest.unwrap_or_default().to_owned());
        }
    }
    let differing = owners.into_iter().filter_map(|(path, owners)| {
        let digests: BTreeSet<&String> = owners.values().collect();
        let (winner, _) = owners.last_key_value().filter(|_| digests.len() > 1)?;
        Some(Conflict {
            path,
            winner: winner.clone(),
        })
    });
    Ok(differing.collect())
}

/// Lets a script start with the environment's Python instead of the one that installed it.
fn own_interpreter(script: &Path) -> io::Result<()> {
    let bytes = fs_err::read(script)?;
    let Some(text) = std::str::from_utf8(&bytes)
        .ok()
        .filter(|text| text.starts_with("#!"))
    else {
        return Ok(());
    };
    // A path that is too long for the kernel is wrapped into three lines of shell.
    let wrapped = text
        .lines()
        .nth(1)
        .is_some_and(|line| line.starts_with("'''exec'"));
    if !wrapped
        && !text
            .lines()
            .next()
            .is_some_and(|line| line.contains("python"))
    {
        return Ok(());
    }
    let skip = if wrapped { 3 } else { 1 };
    let rest = text.splitn(skip + 1, '\n').nth(skip).unwrap_or_default();
    replace(script, &format!("#!{VENV}/bin/python\n{rest}"))
}

/// Puts another file in the place of one: that one may be uv's cache's as well.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let permissions = fs_err::metadata(path)?.permissions();
    fs_err::remove_file(path)?;
    fs_err::write(path, text)?;
    fs_err::set_permissions(path, permissions)
}

/// The files of a package that tell when it was installed, and from which place.
const TOLD: [&str; 2] = ["uv_cache.json", "direct_url.json"];

/// Takes out what tells when and how packages were installed.
fn clean(site: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(site)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == ".lock") {
            fs_err::remove_file(&path)?;
        }
        if path
            .extension()
            .is_some_and(|extension| extension == "dist-info")
        {
            for told in TOLD {
                let file = path.join(told);
                if file.is_file() {
                    fs_err::remove_file(file)?;
                }
            }
            let record = path.join("RECORD");
            if record.is_file() {
                let text = fs_err::read_to_string(&record)?;
                replace(&record, &recorded(&text))?;
            }
        }
    }
    Ok(())
}

/// Gives a list of installed files for the place where they are now.
fn recorded(record: &str) -> String {
    let mut lines: Vec<String> = record
        .lines()
        .filter(|line| !TOLD.iter().any(|told| line.contains(&format!("/{told},"))))
        .map(|line| match line.strip_prefix("bin/") {
            // The script's first line changed: a file may be listed without digest and size.
            Some(line) => {
                let name = line.split(',').next().unwrap_or_default();
                format!("../../../bin/{name},,")
            }
            None => line.to_owned(),
        })
        .collect();
    lines.sort();
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_name_the_new_places() {
        assert_eq!(
            recorded("x/__init__.py,sha256=a,1\nbin/x,sha256=b,2\nx-1.dist-info/uv_cache.json,,\n"),
            "../../../bin/x,,\nx/__init__.py,sha256=a,1\n"
        );
    }

    #[test]
    fn scripts_start_with_the_environments_python() {
        let folder = tempfile::tempdir().expect("a folder");
        let cases = [
            (
                "#!/usr/bin/python3\nimport x\n",
                "#!/opt/venv/bin/python\nimport x\n",
            ),
            (
                "#!/bin/sh\n'''exec' '/long path/python' \"$0\" \"$@\"\n' '''\nimport x\n",
                "#!/opt/venv/bin/python\nimport x\n",
            ),
            ("#!/bin/sh\necho x\n", "#!/bin/sh\necho x\n"),
        ];
        for (before, after) in cases {
            let script = folder.path().join("script");
            fs_err::write(&script, before).expect("a script");
            own_interpreter(&script).expect("a script");
            assert_eq!(fs_err::read_to_string(&script).expect("a script"), after);
        }
    }
}
