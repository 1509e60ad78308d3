//! A run that is killed in the middle: the next one goes on.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use action_kit::Command;

use crate::outside::Environment;
use crate::support::{BINARY, destroy, proxy, small_environment, status, step};

/// Whether the call that the run is killed at still reaches CloudFormation.
#[derive(Clone, Copy, PartialEq)]
enum Kill {
    Before,
    After,
}

/// Tells when something is about to be asked for, and lets that happen or not.
fn watched(action: &str, kill: Kill) -> (String, Receiver<()>) {
    let (teller, asked) = channel();
    let action = format!("Action={action}&");
    let own = proxy(move |text, _| {
        let asks = text.contains(&action);
        if asks {
            let _ = teller.send(());
        }
        asks && kill == Kill::Before
    });
    (own, asked)
}

/// Runs the action until it asks for something, and kills it then.
fn run_until(folder: &Path, arguments: &[&str], action: &str, kill: Kill) {
    let (proxy, asked) = watched(action, kill);
    let mut child = Command::new(BINARY)
        .args(["--stacks=stacks"])
        .args(arguments)
        .env("AWS_ENDPOINT_URL", proxy)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .current_dir(folder)
        .to_std()
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let told = asked.recv_timeout(Duration::from_mins(1));
    child.kill().unwrap();
    child.wait().unwrap();
    told.unwrap_or_else(|_| panic!("the run never gets as far as {action}"));
}

/// Kills one run of each at the same call, before and after it reaches CloudFormation, and lets
/// the next one go on.
fn killed_at(tag: &str, action: &str) {
    let (folder, project) = small_environment(tag);
    let folder = folder.path();
    let name = format!("{project}-test");
    let network = format!("{name}-network");
    for kill in [Kill::Before, Kill::After] {
        run_until(folder, &["--mode=apply"], action, kill);
        if (action, kill) == ("ExecuteChangeSet", Kill::Before) {
            assert_eq!(status(&network).as_deref(), Some("REVIEW_IN_PROGRESS"));
        }
        let applied = step(folder, "apply").input("stacks", "stacks").run();
        assert_eq!(applied.code, 0, "{}", applied.log);
        assert_eq!(status(&network).as_deref(), Some("CREATE_COMPLETE"));
        let again = step(folder, "apply").input("stacks", "stacks").run();
        assert_eq!(again.outputs["outcome"], "unchanged", "{}", again.log);
        destroyed(folder, &project);
    }
}

fn destroyed(folder: &Path, project: &str) {
    let finished = destroy(folder, project);
    assert_eq!(finished.code, 0, "{}", finished.log);
    for layer in ["network", "cluster"] {
        assert_eq!(status(&format!("{project}-test-{layer}")), None);
    }
}

#[test]
fn killed_when_a_change_set_is_made() {
    killed_at("ka", "CreateChangeSet");
}

#[test]
fn killed_when_a_change_set_is_executed() {
    killed_at("kb", "ExecuteChangeSet");
}

#[test]
fn killed_when_a_stack_is_protected() {
    killed_at("kc", "UpdateTerminationProtection");
}

#[test]
fn killed_while_the_events_are_read() {
    killed_at("kd", "DescribeStackEvents");
}

#[test]
fn killed_while_what_the_cluster_left_behind_is_removed() {
    let mut environment = Environment::new("kf");
    for action in [
        "DeleteLoadBalancer",
        "RevokeSecurityGroupIngress",
        "DeleteVolume",
    ] {
        for kill in [Kill::Before, Kill::After] {
            let made = &environment.made;
            let names = [&environment.name, &made.volume, &made.snapshot];
            let confirmed = names.map(|name| format!("--confirm-destroy={name}"));
            let mut arguments = vec!["--mode=destroy"];
            arguments.extend(confirmed.iter().map(String::as_str));
            run_until(environment.folder.path(), &arguments, action, kill);
            assert!(action == "DeleteVolume" || !made.remaining().is_empty());
            let finished = environment.destroy();
            assert_eq!(finished.code, 0, "{}", finished.log);
            assert!(environment.made.remaining().is_empty());
            environment.live();
        }
    }
    assert_eq!(environment.destroy().code, 0);
}

#[test]
fn killed_when_stacks_are_deleted() {
    let (folder, project) = small_environment("ke");
    let folder = folder.path();
    let confirmed = format!("--confirm-destroy={project}-test");
    for action in ["UpdateTerminationProtection", "DeleteStack"] {
        for kill in [Kill::Before, Kill::After] {
            let applied = step(folder, "apply").input("stacks", "stacks").run();
            assert_eq!(applied.code, 0, "{}", applied.log);
            run_until(folder, &["--mode=destroy", &confirmed], action, kill);
            destroyed(folder, &project);
        }
    }
}
