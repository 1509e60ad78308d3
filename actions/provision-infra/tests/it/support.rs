//! What the tests need: a LocalStack, configurations, templates.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;

use action_kit::Environment;
use tempfile::TempDir;
use test_kit::{Finished, Step};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_provision-infra");
pub(crate) const ACCOUNT: &str = "000000000000";

/// A network that is made in a moment.
pub(crate) const NETWORK: &str = "\
Parameters: {VpcCidr: {Type: String}}
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !Ref VpcCidr}}
Outputs:
  VpcId: {Value: !Ref Vpc}
";
/// A layer that depends on it.
pub(crate) const CLUSTER: &str = "\
Parameters: {VpcId: {Type: String}}
Resources:
  Subnet:
    Type: AWS::EC2::Subnet
    Properties: {CidrBlock: 10.40.0.0/24, VpcId: !Ref VpcId}
";

/// Gives the LocalStack's address.
pub(crate) fn endpoint() -> String {
    let environment = Environment::of_process();
    let endpoint = ["LOCALSTACK_ENDPOINT", "AWS_ENDPOINT_URL"]
        .iter()
        .find_map(|name| environment.get(name))
        .unwrap_or("http://127.0.0.1:4566")
        .to_owned();
    assert!(
        TcpStream::connect(address(&endpoint)).is_ok(),
        "no LocalStack answers at {endpoint}: `cargo xtask test` starts one; \
         LOCALSTACK_ENDPOINT names another"
    );
    endpoint
}

pub(crate) fn address(endpoint: &str) -> &str {
    endpoint.trim_start_matches("http://").trim_end_matches('/')
}

/// Gives a project name that no other run has.
pub(crate) fn project(tag: &str) -> String {
    format!("it{:x}{tag}", std::process::id())
}

pub(crate) fn configuration(project: &str, more: &str) -> String {
    format!(
        "project: {project}\nregion: eu-west-1\naccount: \"{ACCOUNT}\"\n\
         environments:\n  test:\n    nat: single\n{more}"
    )
}

/// Prepares a run on LocalStack.
pub(crate) fn step(folder: &Path, mode: &str) -> Step {
    credentials(Step::new(BINARY).workspace(folder).input("mode", mode))
        .env("AWS_ENDPOINT_URL", endpoint())
}

pub(crate) fn credentials(step: Step) -> Step {
    step.env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "a secret of a test")
}

/// Writes the configuration and, when they are given, templates.
pub(crate) fn prepare(folder: &Path, configuration: &str, templates: Option<(&str, &str)>) {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    };
    write("deploy/infrastructure.yaml", configuration);
    if let Some((network, cluster)) = templates {
        write("stacks/network.yaml", network);
        write("stacks/cluster.yaml", cluster);
    }
}

/// Prepares an environment of the two small layers under a name that no other run has; gives its
/// project, too.
pub(crate) fn small_environment(tag: &str) -> (TempDir, String) {
    let (folder, project) = (TempDir::new().unwrap(), project(tag));
    let configuration = configuration(&project, "");
    prepare(folder.path(), &configuration, Some((NETWORK, CLUSTER)));
    (folder, project)
}

/// Destroys an environment, whatever state it is in.
pub(crate) fn destroy(folder: &Path, project: &str) -> Finished {
    step(folder, "destroy")
        .input("confirm-destroy", format!("{project}-test"))
        .run()
}

/// Stands between a run and LocalStack. What `seize` says yes to is not passed on; it may answer.
pub(crate) fn proxy<F>(seize: F) -> String
where
    F: Fn(&str, &mut TcpStream) -> bool + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = format!("http://{}", listener.local_addr().unwrap());
    let upstream = address(&endpoint()).to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (upstream, seize) = (upstream.clone(), seize.clone());
            std::thread::spawn(move || pass_on(client, &upstream, &seize));
        }
    });
    own
}

fn pass_on(mut client: TcpStream, upstream: &str, seize: &impl Fn(&str, &mut TcpStream) -> bool) {
    let mut server = TcpStream::connect(upstream).unwrap();
    let mut answers = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut answers.0, &mut answers.1));
    let mut buffer = vec![0; 65536];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        if seize(&text, &mut client) || server.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// Gives the status of a stack, when there is one.
pub(crate) fn status(stack: &str) -> Option<String> {
    let answer = describe(stack);
    if answer.contains("does not exist") {
        return None;
    }
    let status = between(&answer, "<StackStatus>");
    Some(status.unwrap_or_else(|| panic!("{answer}")))
}

/// Gives the role that a stack is changed as.
pub(crate) fn role(stack: &str) -> Option<String> {
    between(&describe(stack), "<RoleARN>")
}

pub(crate) fn between(text: &str, start: &str) -> Option<String> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once('<')?.0.to_owned())
}

fn describe(stack: &str) -> String {
    let query = format!("Action=DescribeStacks&Version=2010-05-15&StackName={stack}");
    call("cloudformation", &query)
}

/// Calls a service beside the action, as somebody would by hand; gives the whole answer.
pub(crate) fn call(service: &str, body: &str) -> String {
    request(service, "/", "application/x-www-form-urlencoded", body)
}

/// Posts a document to a service; gives the whole answer.
pub(crate) fn request(service: &str, path: &str, kind: &str, body: &str) -> String {
    send(
        ("test", "eu-west-1"),
        service,
        &format!("POST {path}"),
        &[("Content-Type", kind)],
        body,
    )
}

/// Sends a request with a key to a service of a region; gives the whole answer.
pub(crate) fn send(
    (key, region): (&str, &str),
    service: &str,
    start: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> String {
    let endpoint = endpoint();
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let request = format!(
        "{start} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/{service}/\
         aws4_request, SignedHeaders=host, Signature=0\r\n\
         {}Content-Length: {}\r\n\r\n{body}",
        address(&endpoint),
        headers.collect::<String>(),
        body.len()
    );
    let mut connection = TcpStream::connect(address(&endpoint)).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}
