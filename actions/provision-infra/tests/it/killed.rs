//! A run that is killed in the middle: the next one goes on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use action_kit::Command;
use tempfile::TempDir;

use crate::support::{
    BINARY, CLUSTER, NETWORK, address, configuration, destroy, endpoint, prepare, project, status,
    step,
};

/// Whether the call that the run is killed at still reaches CloudFormation.
#[derive(Clone, Copy, PartialEq)]
enum Kill {
    Before,
    After,
}

/// Forwards to LocalStack and tells when a change set is about to be executed.
fn proxy(kill: Kill) -> (String, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = format!("http://{}", listener.local_addr().unwrap());
    let upstream = address(&endpoint()).to_owned();
    let (teller, executed) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (upstream, teller) = (upstream.clone(), teller.clone());
            std::thread::spawn(move || forward(client, &upstream, &teller, kill));
        }
    });
    (own, executed)
}

fn forward(mut client: TcpStream, upstream: &str, teller: &Sender<()>, kill: Kill) {
    let mut server = TcpStream::connect(upstream).unwrap();
    let mut answers = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut answers.0, &mut answers.1));
    let mut buffer = vec![0; 65536];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..count]);
        let execute = text.contains("Action=ExecuteChangeSet");
        if execute && kill == Kill::Before {
            let _ = teller.send(());
            return;
        }
        if server.write_all(&buffer[..count]).is_err() {
            return;
        }
        if execute {
            let _ = teller.send(());
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn a_run_that_is_killed(tag: &str, kill: Kill) {
    let project = project(tag);
    let folder = TempDir::new().unwrap();
    prepare(
        folder.path(),
        &configuration(&project, ""),
        Some((NETWORK, CLUSTER)),
    );
    let (proxy, executed) = proxy(kill);
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
