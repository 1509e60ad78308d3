//! An API that fails now and then, before or after it did what it was asked for: a run ends as if
//! nothing had happened.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use test_kit::Finished;

use crate::outside::in_another_network;
use crate::support::{
    CLUSTER, NETWORK, address, configuration, destroy, endpoint, prepare, small_environment,
    status, step,
};

/// What happens to the first call of each action.
#[derive(Clone, Copy)]
enum Fault {
    /// There were too many calls, as Query APIs of AWS say it.
    Throttled,
    /// The service breaks before it does anything.
    Broken,
    /// The service does what it was asked for, and breaks before it says so.
    Unsaid,
    /// The service does what it was asked for, and the connection ends before the answer.
    CutOff,
}

const TOO_MANY: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code>\
    <Message>Rate exceeded</Message></Error><RequestId>1</RequestId></ErrorResponse>";
const TOO_MANY_OF_EC2: &str = "<Response><Errors><Error><Code>RequestLimitExceeded</Code>\
    <Message>Request limit exceeded.</Message></Error></Errors><RequestID>1</RequestID></Response>";
const BROKEN: &str = "<ErrorResponse><Error><Type>Receiver</Type><Code>InternalFailure</Code>\
    <Message>Something broke</Message></Error><RequestId>1</RequestId></ErrorResponse>";

/// A call on its way.
struct Call<'a> {
    action: &'a str,
    text: &'a str,
    request: &'a [u8],
    upstream: &'a str,
}

impl Call<'_> {
    /// Gives LocalStack's answer.
    fn ask(&self) -> Vec<u8> {
        let mut server = TcpStream::connect(self.upstream).unwrap();
        server.write_all(self.request).unwrap();
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).unwrap();
        answer
    }
}

/// Stands between runs and LocalStack, one call to a connection. `judge` gives what is answered;
/// without an answer the connection ends.
fn start<F>(judge: F) -> String
where
    F: Fn(&Call) -> Option<Vec<u8>> + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = format!("http://{}", listener.local_addr().unwrap());
    let upstream = address(&endpoint()).to_owned();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let (upstream, judge) = (upstream.clone(), judge.clone());
            std::thread::spawn(move || {
                let request = read_request(&mut client)?;
                let text = String::from_utf8_lossy(&request);
                let mut parts = text.split(['\n', '&']);
                let action = parts.find_map(|part| part.strip_prefix("Action="));
                let answer = judge(&Call {
                    action: action.unwrap_or_default(),
                    text: &text,
                    request: &request,
                    upstream: &upstream,
                })?;
                client.write_all(&answer).ok()
            });
        }
    });
    own
}

/// Lets the first call of each action fail, and remembers the actions.
fn failing(fault: Fault, failed: &Arc<Mutex<BTreeSet<String>>>) -> String {
    let failed = failed.clone();
    start(move |call| {
        if !failed.lock().unwrap().insert(call.action.to_owned()) {
            return Some(call.ask());
        }
        match fault {
            Fault::Throttled if call.text.contains("Version=2016-11-15") => {
                Some(answer("503 Service Unavailable", TOO_MANY_OF_EC2))
            }
            Fault::Throttled => Some(answer("400 Bad Request", TOO_MANY)),
            Fault::Broken => Some(answer("500 Internal Server Error", BROKEN)),
            Fault::Unsaid => {
                call.ask();
                Some(answer("500 Internal Server Error", BROKEN))
            }
            Fault::CutOff => {
                call.ask();
                None
            }
        }
    })
}

/// Reads a request, and asks for a connection that ends with its answer.
fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = client.read(&mut buffer).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(format!("{head}\r\nConnection: close\r\n\r\n{body}").into());
        }
    }
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .into()
}

fn through(proxy: &str, folder: &Path, mode: &str, inputs: &[(&str, &str)]) -> Finished {
    let mut step = step(folder, mode).input("stacks", "stacks");
    for (name, value) in inputs {
        step = step.input(name, *value);
    }
    step.env("AWS_ENDPOINT_URL", proxy).run()
}

/// Lives through an environment's life while each action fails once in each run.
fn the_life_of_an_environment(tag: &str, fault: Fault) {
    let (folder, project) = small_environment(tag);
    let folder = folder.path();
    let mut failed = BTreeSet::new();
    let mut run = |mode: &str, outcome: &str, more: &[(&str, &str)]| {
        let failed_now = Arc::default();
        let finished = through(&failing(fault, &failed_now), folder, mode, more);
        assert_eq!(finished.code, 0, "{mode}: {}", finished.log);
        assert_eq!(finished.outputs["outcome"], outcome, "{}", finished.log);
        failed.extend(failed_now.lock().unwrap().clone());
        finished
    };
    let planned = run("plan", "planned", &[]);
    let digest = planned.outputs["plan-digest"].as_str();
    run("apply", "done", &[("plan-digest", digest)]);
    run("plan", "unchanged", &[]);
    let changed = CLUSTER.replace("10.40.0.0/24", "10.40.1.0/24");
    prepare(
        folder,
        &configuration(&project, ""),
        Some((NETWORK, &changed)),
    );
    run("apply", "done", &[("allow-replace", "Subnet")]);
    run("outputs", "done", &[]);
    let name = format!("{project}-test");
    let made = in_another_network(&name);
    let named = [&*name, &made.volume, &made.snapshot].join("\n");
    run("destroy", "done", &[("confirm-destroy", &named)]);
    assert!(made.remaining().is_empty());
    for layer in ["network", "cluster"] {
        assert_eq!(status(&format!("{name}-{layer}")), None);
    }
    let all = [
        "CreateChangeSet",
        "DeleteChangeSet",
        "DeleteLoadBalancer",
        "DeleteNetworkInterface",
        "DeleteSecurityGroup",
        "DeleteSnapshot",
        "DeleteStack",
        "DeleteTargetGroup",
        "DeleteVolume",
        "DescribeChangeSet",
        "DescribeLoadBalancers",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroupRules",
        "DescribeSecurityGroups",
        "DescribeSnapshots",
        "DescribeStackEvents",
        "DescribeStacks",
        "DescribeTags",
        "DescribeTargetGroups",
        "DescribeVolumes",
        "ExecuteChangeSet",
        "GetCallerIdentity",
        "GetTemplate",
        "ListChangeSets",
        "ListStackResources",
        "RevokeSecurityGroupIngress",
        "UpdateTerminationProtection",
    ];
    assert_eq!(failed.iter().collect::<Vec<_>>(), all);
}

#[test]
fn calls_that_are_throttled() {
    the_life_of_an_environment("fa", Fault::Throttled);
}

#[test]
fn calls_that_break() {
    the_life_of_an_environment("fb", Fault::Broken);
}

#[test]
fn calls_that_work_and_do_not_say_so() {
    the_life_of_an_environment("fc", Fault::Unsaid);
}

#[test]
fn calls_whose_answer_is_cut_off() {
    the_life_of_an_environment("fd", Fault::CutOff);
}

/// What CloudFormation says of a subnet that it cannot delete yet, in the form of its service model.
fn hanging(stack: &str) -> String {
    format!(
        "<member><EventId>hanging-1</EventId><StackId>{stack}</StackId>\
         <LogicalResourceId>Subnet</LogicalResourceId><ResourceType>AWS::EC2::Subnet</ResourceType>\
         <Timestamp>2026-01-01T00:00:00Z</Timestamp>\
         <ResourceStatus>DELETE_IN_PROGRESS</ResourceStatus></member>"
    )
}

#[test]
fn a_delete_that_hangs_says_at_what() {
    let (folder, project) = small_environment("fe");
    let folder = folder.path();
    let applied = step(folder, "apply").input("stacks", "stacks").run();
    assert_eq!(applied.code, 0, "{}", applied.log);

    let (name, deleting) = (format!("{project}-test"), Arc::new(Mutex::new(false)));
    let stack = format!("{name}-cluster");
    let proxy = start(move |call| {
        if call.action == "DeleteStack" && call.text.contains(&stack) {
            *deleting.lock().unwrap() = true;
            return Some(answer(
                "200 OK",
                "<DeleteStackResponse></DeleteStackResponse>",
            ));
        }
        let given = call.ask();
        if !*deleting.lock().unwrap() || !call.text.contains(&stack) {
            return Some(given);
        }
        let text = String::from_utf8(given).unwrap();
        let (_, body) = text.split_once("\r\n\r\n")?;
        let body = match call.action {
            "DescribeStacks" => body.replace("CREATE_COMPLETE", "DELETE_IN_PROGRESS"),
            "DescribeStackEvents" => {
                let id = body.split("<StackId>").nth(1)?.split('<').next()?;
                body.replacen("<StackEvents>", &format!("<StackEvents>{}", hanging(id)), 1)
            }
            _ => body.to_owned(),
        };
        Some(answer("200 OK", &body))
    });
    let more = [("confirm-destroy", &*name), ("timeout-seconds", "2")];
    let finished = through(&proxy, folder, "destroy", &more);
    assert_eq!(finished.code, 1, "{}", finished.log);
    let log = finished.log.replace(&project, "PROJECT");
    let start = log.find("::error::").expect("an error");
    insta::assert_snapshot!(log[start..].trim_end());

    // It was asked for, and is the next run's to follow.
    let destroyed = destroy(folder, &project);
    assert_eq!(destroyed.code, 0, "{}", destroyed.log);
}
