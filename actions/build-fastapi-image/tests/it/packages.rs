//! Packages that get in each other's way, or out of theirs.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use oci_image::Platform;
use oci_registry::Layout;

use crate::base::base;
use crate::project::Project;

fn file(project: &Project, wanted: &str) -> String {
    let layout = Layout::open(project.layout()).expect("a layout");
    let image = layout
        .image(None, &Platform::linux_amd64())
        .expect("an image");
    let mut found = String::new();
    for layer in image.layers().skip(1) {
        let file = fs_err::File::open(layout.blob(&layer.digest)).expect("a layer");
        let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(file));
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            if entry.path().expect("a path").ends_with(wanted) {
                found.clear();
                entry.read_to_string(&mut found).expect("a text");
            }
        }
    }
    found
}

#[test]
fn of_two_packages_with_one_file_the_last_by_name_wins() {
    // These two names share a layer.
    let project = Project::new("shop");
    for (name, text) in [("left", "of left\n"), ("one", "of one\n")] {
        project.wheel_of(name, "1.0", &[("both.txt", text), ("same.txt", "same\n")]);
    }
    project.depends(&["fastapi>=1", "uvicorn", "left", "one"]);
    project.lock();
    for _ in 0..3 {
        let built = project.step().run();
        assert_eq!(built.code, 0, "{}", built.log);
        assert_eq!(file(&project, "site-packages/both.txt"), "of one\n");
        assert_eq!(file(&project, "site-packages/same.txt"), "same\n");
        let warning = "several packages bring `both.txt`: that of `one` is taken";
        assert!(built.log.contains(warning), "{}", built.log);
        fs_err::remove_dir_all(project.layout()).expect("the layout");
    }
}

/// Gives the files of a wheel that uv keeps, by their path in the wheel.
fn kept(cache: &Path, name: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![cache.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs_err::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let shown = path.display().to_string();
            let inside = shown.split_once("/archive-v0/");
            let inside = inside.and_then(|(_, inside)| inside.split_once('/'));
            if path.is_dir() && !path.is_symlink() {
                waiting.push(path);
            } else if let Some((_, inside)) = inside.filter(|(_, path)| path.starts_with(name)) {
                found.insert(inside.into(), fs_err::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn what_uv_keeps_stays_as_it_is() {
    let project = Project::new("shop");
    let minor = base().version.replacen("3.", "3", 1);
    let tag = minor.split('.').next().unwrap_or_default();
    let compiled = format!("worn/__pycache__/extra.cpython-{tag}.pyc");
    let files = [
        ("worn/extra.py", "A = 1\n"),
        (&*compiled, "brought along"),
        ("worn-1.0.data/scripts/worn-tool", "#!python\nprint(1)\n"),
    ];
    project.wheel_of("worn", "1.0", &files);
    project.depends(&["fastapi>=1", "uvicorn", "worn"]);
    project.lock();
    let cache = project.cache();
    let build = |bytecode: &str| {
        let step = project.step().input("bytecode", bytecode);
        let built = step.env("UV_CACHE_DIR", cache.display().to_string()).run();
        assert_eq!(built.code, 0, "{}", built.log);
        built.outputs["digest"].clone()
    };
    build("none");
    let before = kept(&cache, "worn");
    assert_eq!(before[&compiled], b"brought along");
    let digest = build("packages");
    assert!(kept(&cache, "worn") == before, "what uv keeps has changed");
    fs_err::remove_dir_all(&cache).expect("the cache");
    assert_eq!(build("packages"), digest);
    assert!(kept(&cache, "worn") == before, "what uv keeps has changed");
}

#[test]
fn a_wheel_that_writes_outside_its_tree_is_refused() {
    let project = Project::new("shop");
    project.wheel_of(
        "evil",
        "1.0",
        &[("../../../../../etc/cron.d/evil", "* * * * * root evil\n")],
    );
    project.depends(&["fastapi>=1", "uvicorn", "evil"]);
    project.lock();
    let refused = project.step().run();
    assert_eq!(refused.code, 3, "{}", refused.log);
    assert!(!project.layout().exists(), "something was written");
    insta::assert_snapshot!(
        refused.log.lines().filter(|line| line.starts_with("::error") || line.starts_with("hint:")).collect::<Vec<_>>().join("\n"),
        @"
    ::error::a wheel writes outside its tree: `../../../../../etc/cron.d/evil`
    hint: a wheel may only write into its environment: find out where this one comes from, or choose another version
    "
    );
}

#[test]
fn wheels_come_from_where_the_lock_file_says() {
    let project = Project::new("shop");
    for (name, text) in [("left", "of left\n"), ("one", "of one\n")] {
        project.wheel_of(name, "1.0", &[("both.txt", text)]);
    }
    project.depends(&["fastapi>=1", "uvicorn", "left", "one"]);
    project.lock();
    let through_index = project.step().run();
    assert_eq!(through_index.code, 0, "{}", through_index.log);
    fs_err::remove_dir_all(project.layout()).expect("the layout");
    project.index.forget_pages();
    let direct = project.step().env("UV_DEFAULT_INDEX", "").run();
    assert_eq!(direct.code, 0, "{}", direct.log);
    assert_eq!(direct.outputs["digest"], through_index.outputs["digest"]);
    assert_eq!(file(&project, "site-packages/both.txt"), "of one\n");
    let refused = project.step().run();
    assert_ne!(refused.code, 0, "the index still has its pages");
}
