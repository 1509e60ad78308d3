//! Programs inside a base image's file system: what they are, and what they see.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use build_fastapi_image::IN_ROOT;
use tempfile::TempDir;
use test_kit::{Finished, Step};

use crate::base::base;

/// The program of the action.
const PROGRAM: &str = env!("CARGO_BIN_EXE_build-fastapi-image");
/// Runs what the variable holds.
const RUN: &str = "import os; exec(os.environ.pop('PROGRAM'))";
/// Tells who and where a program is.
const WHERE: &str = "import os
print(os.getuid(), os.getgid(), os.getcwd(), os.path.exists('/proc/self'), os.path.exists('/app/main.py'))
try:
    os.chroot('.')
except PermissionError:
    print('may not change its root')
";

/// Prepares a call of the program by an ordinary user; who is one calls it as it is.
fn by_a_user() -> Step {
    let status = fs_err::read_to_string("/proc/self/status").expect("our own status");
    if !status.lines().any(|line| line.starts_with("Uid:\t0\t")) {
        return Step::new(PROGRAM);
    }
    Step::new("setpriv")
        .arg("--reuid=65534")
        .arg("--regid=65534")
        .arg("--clear-groups")
        .arg(PROGRAM)
}

/// The base image unpacked, with an application.
fn root() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let everybody = Permissions::from_mode(0o755);
    fs_err::set_permissions(folder.path(), everybody).expect("a folder for everybody");
    base().unpack(folder.path());
    // As the build itself does it.
    fs_err::create_dir_all(folder.path().join("dev")).expect("a folder");
    fs_err::write(folder.path().join("dev/null"), "").expect("a file");
    let app = folder.path().join("app");
    fs_err::create_dir_all(&app).expect("a folder");
    for (name, text) in [
        (
            "main.py",
            "import json\nprint('imported')\n\n\nclass App:\n    def openapi(self):\n        return {'paths': {'/b': 1, '/a': 'ä'}, 'openapi': '3.1.0'}\n\n\napp = App()\n\n\ndef create():\n    return app\n",
        ),
        (
            "needy.py",
            "import os\nprint('noise')\nvalue = os.environ['DATABASE_URL']\n",
        ),
    ] {
        fs_err::write(app.join(name), text).expect("a module");
    }
    folder
}

fn python(step: Step, root: &TempDir, who: &str, program: &str, words: &[&str]) -> Finished {
    let step = step
        .arg(IN_ROOT)
        .arg(root.path().display().to_string())
        .arg(who)
        .arg("/app")
        .arg("/usr/local/bin/python3")
        .arg("-S")
        .arg("-c")
        .arg(RUN)
        .env("PROGRAM", program);
    words.iter().fold(step, |step, word| step.arg(*word)).run()
}

#[test]
fn packages_run_as_nobody() {
    let root = root();
    for step in [Step::new(PROGRAM), by_a_user()] {
        let told = python(step, &root, "nobody", WHERE, &[]);
        assert_eq!(
            told.log,
            "65532 65532 /app False True\nmay not change its root\n"
        );
    }
}

#[test]
fn an_application_tells_its_document() {
    let root = root();
    let program = include_str!("../../src/openapi.py");
    let ask = |words: &[&str]| {
        let told = python(Step::new(PROGRAM), &root, "nobody", program, words);
        let last = told.log.lines().last().unwrap_or_default();
        format!("{} {:?} {last}", told.code, told.stdout)
    };
    let told = [
        ask(&["main", "app", ""]),
        ask(&["main", "create", "factory"]),
        ask(&["main", "missing", ""]),
        ask(&["needy", "app", ""]),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    0 "{\"openapi\":\"3.1.0\",\"paths\":{\"/a\":\"ä\",\"/b\":1}}" {"openapi":"3.1.0","paths":{"/a":"ä","/b":1}}
    0 "{\"openapi\":\"3.1.0\",\"paths\":{\"/a\":\"ä\",\"/b\":1}}" {"openapi":"3.1.0","paths":{"/a":"ä","/b":1}}
    1 "" AttributeError: module 'main' has no attribute 'missing'
    1 "" KeyError: 'DATABASE_URL'
    "#);
}

#[test]
fn roots_that_cannot_be_entered() {
    let told = Step::new(PROGRAM)
        .arg(IN_ROOT)
        .arg("/nowhere")
        .arg("builder")
        .run();
    assert_eq!(told.code, 70);
    assert_eq!(
        told.log,
        "enter the root: No such file or directory (os error 2)\n"
    );
}
