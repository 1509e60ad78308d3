//! The packages as a virtual environment that is the same wherever it was made.

use std::io;
use std::path::Path;

use crate::plan::{Plan, VENV};
use crate::root::Root;

/// Gives the folder of the packages, inside the image.
pub(crate) fn site_packages(plan: &Plan) -> String {
    format!("{VENV}/lib/python{}/site-packages", plan.python.minor())
}

/// Turns what uv installed into a virtual environment: programs start with its Python, and nothing
/// tells of the machine that it was made on.
pub(crate) fn arrange(root: &Root, plan: &Plan) -> io::Result<()> {
    let site = root.at(&site_packages(plan));
    let bin = root.at(VENV).join("bin");
    fs_err::create_dir_all(&site)?;
    fs_err::create_dir_all(&bin)?;
    let installed = site.join("bin");
    if installed.is_dir() {
        for entry in fs_err::read_dir(&installed)? {
            let entry = entry?;
            let to = bin.join(entry.file_name());
            fs_err::rename(entry.path(), &to)?;
            own_interpreter(&to)?;
        }
        fs_err::remove_dir(&installed)?;
    }
    clean(&site)?;
    for name in ["python", "python3"] {
        fs_err::os::unix::fs::symlink(&plan.interpreter, bin.join(name))?;
    }
    let home = Path::new(&plan.interpreter).parent();
    let home = home.unwrap_or(Path::new("/")).display();
    let text = format!(
        "home = {home}\ninclude-system-site-packages = false\nversion = {}\n",
        plan.python
    );
    fs_err::write(root.at(VENV).join("pyvenv.cfg"), text)
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
    fs_err::write(script, format!("#!{VENV}/bin/python\n{rest}"))
}

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
            let told = path.join("uv_cache.json");
            if told.is_file() {
                fs_err::remove_file(told)?;
            }
            let record = path.join("RECORD");
            if record.is_file() {
                let text = fs_err::read_to_string(&record)?;
                fs_err::write(record, recorded(&text))?;
            }
        }
    }
    Ok(())
}

/// Gives a list of installed files for the place where they are now.
fn recorded(record: &str) -> String {
    let mut lines: Vec<String> = record
        .lines()
        .filter(|line| !line.contains("/uv_cache.json,"))
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
