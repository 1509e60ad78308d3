//! A run that is killed in the middle: the next one goes on.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use action_kit::Command;
use tempfile::TempDir;

use crate::support::{
    BINARY, CLUSTER, NETWORK, configuration, destroy, prepare, project, proxy, status, step,
};

/// Whether the call that the run is killed at still reaches CloudFormation.
#[derive(Clone, Copy, PartialEq)]
enum Kill {
    Before,
    After,
}

/// Tells when a change set is about to be executed, and lets that happen or not.
fn watched(kill: Kill) -> (String, Receiver<()>) {
    let (teller, executed) = channel();
    let own = proxy(move |text, _| {
        let execute = text.contains("Action=ExecuteChangeSet");
        if execute {
            let _ = teller.send(());
        }
        execute && kill == Kill::Before
    });
    (own, executed)
}

fn a_run_that_is_killed(tag: &str, kill: Kill) {
    let project = project(tag);
    let folder = TempDir::new().unwrap();
    prepare(
        folder.path(),
        &configuration(&project, ""),
        Some((NETWORK, CLUSTER)),
    );
    let (proxy, executed) = watched(kill);
    let mut child = Command::new(BINARY)
        .args(["--mode=apply", "--stacks=stacks"])
        .env("AWS_ENDPOINT_URL", proxy)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .current_dir(folder.path())
        .to_std()
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let told = executed.recv_timeout(Duration::from_mins(1));
    child.kill().unwrap();
    child.wait().unwrap();
    told.expect("the run gets as far as executing a change set");
    let network = format!("{project}-test-network");
    if kill == Kill::Before {
        assert_eq!(status(&network).as_deref(), Some("REVIEW_IN_PROGRESS"));
    }

    let applied = step(folder.path(), "apply").input("stacks", "stacks").run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    assert_eq!(status(&network).as_deref(), Some("CREATE_COMPLETE"));
    let again = step(folder.path(), "apply").input("stacks", "stacks").run();
    assert_eq!(again.outputs["outcome"], "unchanged", "{}", again.log);
    assert_eq!(destroy(folder.path(), &project).code, 0);
    assert_eq!(status(&network), None);
}

#[test]
fn killed_before_a_change_set_is_executed() {
    a_run_that_is_killed("ka", Kill::Before);
}

#[test]
fn killed_while_a_change_set_is_executed() {
    a_run_that_is_killed("kb", Kill::After);
}
