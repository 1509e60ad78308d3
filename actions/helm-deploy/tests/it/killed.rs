//! Runs that are killed at each stage, by the real signal, and the runs after them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use tempfile::TempDir;
use test_kit::{ApiServer, Step, tool};

use crate::cluster::{OTHER, image, in_namespace, kubectl, statuses};
use crate::foresight::{chart, deployment};

/// What happens at the call of Helm that makes or undoes a revision.
const BEFORE: &str = "kill -9 $PPID; exit 1";
const AFTER: &str = "\"$helm\" \"$@\"; kill -9 $PPID; exit 0";
const WHILE_FOLLOWED: &str =
    "\"$helm\" \"$@\"; (sleep 1; kill -9 $PPID) >/dev/null 2>&1 </dev/null & exit 0";
/// Goes on when it is told to, by a file beside it.
const HELD_BACK: &str = "while [ ! -e \"${0%/*}/go\" ]; do sleep 0.1; done";

/// Waits until Helm has begun, and ends both.
const WHILE_APPLIED: &str = "\"$helm\" \"$@\" >/dev/null 2>&1 </dev/null & child=$!
while kill -0 $child; do
  case \"$(\"$helm\" status orders --namespace killed-amid --kubeconfig \"$kubeconfig\" --output json)\" in
  *pending-upgrade*) kill -9 $child $PPID ;;
  esac
done
exit 1";

/// Puts a program in Helm's place that does something at a call and is Helm otherwise.
pub(crate) fn helm_that(at_rendering: &str, at_change: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let program = folder.path().join("helm");
    let text = format!(
        "#!/bin/sh\nhelm='{}'\nkubeconfig='{}'\ncase \"$*\" in\n*--dry-run*) {at_rendering} ;;\n\
         upgrade*|rollback*) {at_change} ;;\nesac\nexec \"$helm\" \"$@\"\n",
        tool("helm", "helm").display(),
        ApiServer::shared().kubeconfig().display()
    );
    fs_err::write(&program, text).expect("a program");
    fs_err::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("a program");
    folder
}

pub(crate) fn with_helm(step: Step, folder: &Path) -> Step {
    step.env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
}

/// Runs a step that is killed, then the same in another run of the workflow; gives its outcome.
fn killed_then_again(step: impl Fn() -> Step, helm: &TempDir) -> String {
    let killed = with_helm(step(), helm.path()).run();
    assert_eq!(killed.code, -1, "it was not killed: {}", killed.log);
    let next = step().input("wait", "false").env("GITHUB_RUN_ID", "2");
    let next = next.run();
    assert_eq!(next.code, 0, "{}", next.log);
    next.outputs["outcome"].clone()
}

fn running(space: &str) -> String {
    let path = "jsonpath={.spec.template.spec.containers[0].image}";
    kubectl(&["-n", space, "get", "deployment", "orders", "-o", path])
}

#[test]
fn an_upgrade_that_was_killed_is_finished_by_the_next_run() {
    let _server = ApiServer::shared();
    thread::scope(|scope| {
        for (space, helm, outcome) in [
            ("killed-rendering", helm_that(BEFORE, ""), "done"),
            ("killed-before", helm_that("", BEFORE), "done"),
            ("killed-after", helm_that("", AFTER), "unchanged"),
            (
                "killed-following",
                helm_that("", WHILE_FOLLOWED),
                "unchanged",
            ),
        ] {
            scope.spawn(move || {
                let first = in_namespace(space, "apply").run();
                assert_eq!(first.code, 0, "{}", first.log);
                let upgrade = || {
                    let step = in_namespace(space, "apply").input("image", image(OTHER));
                    step.input("wait", "true")
                };
                assert_eq!(killed_then_again(upgrade, &helm), outcome, "{space}");
                assert_eq!(statuses(space), ["1 superseded", "2 deployed"], "{space}");
                assert_eq!(running(space), image(OTHER), "{space}");
            });
        }
    });
}

#[test]
fn what_helm_had_begun_is_undone_by_the_next_run() {
    let _server = ApiServer::shared();
    let space = "killed-amid";
    // Nobody runs it: Helm waits.
    let hook = "---\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: prepare\n  annotations:\n    helm.sh/hook: pre-upgrade\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: prepare, image: 'registry.example.com/prepare:1'}]\n";
    let old = deployment("", "1");
    let first = chart(space, "apply", &old).run();
    assert_eq!(first.code, 0, "{}", first.log);
    let upgrade = chart(space, "apply", &(deployment("", "2") + hook));
    let killed = with_helm(upgrade, helm_that("", WHILE_APPLIED).path()).run();
    assert_eq!(killed.code, -1, "it was not killed: {}", killed.log);
    assert_eq!(statuses(space), ["1 deployed", "2 pending-upgrade"]);
    let next = chart(space, "apply", &deployment("", "3")).env("GITHUB_RUN_ID", "2");
    let next = next.run();
    assert_eq!(next.code, 0, "{}", next.log);
    assert!(
        next.log.contains("going back to revision 1 first"),
        "{}",
        next.log
    );
    let path = "jsonpath={.spec.template.spec.containers[0].image}";
    let image = kubectl(&["-n", space, "get", "deployment", "web", "-o", path]);
    assert_eq!(image, "registry.example.com/web:3");
    let statuses = statuses(space);
    assert_eq!(
        statuses.last().map(String::as_str),
        Some("4 deployed"),
        "{statuses:?}"
    );
}

#[test]
fn a_first_installation_that_was_killed_is_finished_by_the_next_run() {
    let _server = ApiServer::shared();
    thread::scope(|scope| {
        for (space, helm, outcome) in [
            ("killed-first-before", helm_that("", BEFORE), "done"),
            ("killed-first-after", helm_that("", AFTER), "unchanged"),
        ] {
            scope.spawn(move || {
                let install = || in_namespace(space, "apply");
                assert_eq!(killed_then_again(install, &helm), outcome, "{space}");
                assert_eq!(statuses(space), ["1 deployed"], "{space}");
            });
        }
    });
}

#[test]
fn a_return_that_was_killed_ends_where_it_was_to() {
    let _server = ApiServer::shared();
    thread::scope(|scope| {
        for (space, helm) in [
            ("killed-back-before", helm_that("", BEFORE)),
            ("killed-back-after", helm_that("", AFTER)),
        ] {
            scope.spawn(move || {
                let first = in_namespace(space, "apply").run();
                assert_eq!(first.code, 0, "{}", first.log);
                let old = running(space);
                let second = in_namespace(space, "apply").input("image", image(OTHER));
                assert_eq!(second.run().code, 0);
                let back = || in_namespace(space, "rollback").input("revision", "1");
                assert_eq!(killed_then_again(back, &helm), "done", "{space}");
                assert_eq!(running(space), old, "{space}");
                let statuses = statuses(space);
                let deployed = |status: &&String| status.ends_with(" deployed");
                assert_eq!(statuses.iter().filter(deployed).count(), 1, "{statuses:?}");
                assert!(
                    deployed(&statuses.last().expect("a revision")),
                    "{statuses:?}"
                );
            });
        }
    });
}

#[test]
fn of_two_runs_at_once_one_is_refused() {
    let _server = ApiServer::shared();
    let space = "at-once";
    let first = in_namespace(space, "apply").run();
    assert_eq!(first.code, 0, "{}", first.log);
    let slow = helm_that("", HELD_BACK);
    thread::scope(|scope| {
        let folder = slow.path();
        let one = scope.spawn(move || {
            let step = in_namespace(space, "apply").input("image", image(OTHER));
            with_helm(step, folder).run()
        });
        let held = "jsonpath={.items[*].spec.holderIdentity}";
        while kubectl(&["-n", space, "get", "leases", "-o", held]).is_empty() {
            thread::sleep(std::time::Duration::from_millis(50));
        }
        let other = in_namespace(space, "apply").input("set", "ingress.enabled=false");
        let other = other.env("GITHUB_RUN_ID", "2").run();
        fs_err::write(folder.join("go"), "").expect("a file");
        assert_eq!(other.code, 4, "{}", other.log);
        assert_eq!(other.outputs["failure-reason"], "locked");
        let one = one.join().expect("the first run");
        assert_eq!(one.code, 0, "{}", one.log);
    });
    assert_eq!(statuses(space), ["1 superseded", "2 deployed"]);
    assert_eq!(running(space), image(OTHER));
}
