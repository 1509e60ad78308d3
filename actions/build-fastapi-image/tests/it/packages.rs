//! Packages that get in each other's way, or out of theirs.

use std::io::Read as _;

use oci_image::Platform;
use oci_registry::Layout;

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
