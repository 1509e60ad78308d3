//! Requests during a rollout: the program, a real API server, and an HTTP server as the ingress.

use insta::assert_snapshot;
use test_kit::{ApiServer, Finished, Step};

use crate::cluster::{OTHER, image, in_namespace, kubectl, statuses, step, without_server};
use crate::foresight::reported;
use crate::stand_in::{Answer, Controller, image_of, ingress};

/// A release of the first image that answers, and the step that brings the other one.
fn upgrade(namespace: &str, ingress: std::net::SocketAddr) -> Step {
    let first = in_namespace(namespace, "apply").run();
    assert_eq!(first.code, 0, "{}", first.log);
    in_namespace(namespace, "apply")
        .input("image", image(OTHER))
        .input("wait", "true")
        .input("traffic-url", "http://orders.example.com/readyz")
        .input("traffic-connect-to", ingress.to_string())
        .input("traffic-rate", "100")
}

/// The last error, without what differs from run to run.
pub(crate) fn told(finished: &Finished) -> String {
    let text = without_server(finished);
    let error = text.find("::error").map_or("", |start| &text[start..]);
    let words = error.split(' ').map(|word| {
        let is_time = word.len() == 24 && word.ends_with('Z');
        if is_time { "TIME" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_rollout_under_traffic_that_loses_no_request() {
    let _server = ApiServer::shared();
    let space = "traffic-kept";
    let _controller = Controller::start(space, |_| true);
    let address = ingress(|_, head| {
        assert!(head.contains("host: orders.example.com\r\n"), "{head}");
        Answer::Status(200)
    });
    let done = upgrade(space, address).run();
    assert_eq!(done.code, 0, "{}", done.log);
    let traffic = reported(&done, "traffic");
    assert!(traffic["sent"].as_u64() > Some(0), "{traffic}");
    assert_eq!(traffic["failed"], 0, "{traffic}");
    assert!(
        done.log.contains("during the rollout 0 of "),
        "{}",
        done.log
    );
}

#[test]
fn a_rollout_that_loses_requests_goes_back_at_once() {
    let _server = ApiServer::shared();
    let space = "traffic-lost";
    // The new pods never become ready: only the lost requests can end the run so soon.
    let _controller = Controller::start(space, |deployment| image_of(deployment) != image(OTHER));
    let address = ingress(|number, _| match number {
        20..23 => Answer::Status(503),
        _ => Answer::Status(200),
    });
    let lost = upgrade(space, address).input("traffic-failures", "1").run();
    assert_eq!(lost.code, 1, "{}", lost.log);
    assert_eq!(lost.outputs["failure-reason"], "checks-failed");
    let told = told(&lost);
    let (before, after) = told.split_once("requests: ").expect("what came of them");
    let (_, after) = after.split_once(" requests failed").expect("how many");
    assert_snapshot!(format!("{before}requests: N of M{after}"), @r#"
    ::error::release `orders` revision 2 loses requests: N of M: TIME status 503 Service Unavailable; TIME status 503 Service Unavailable; TIME status 503 Service Unavailable; rolled back to revision 1 (now revision 3), which is ready

    hint: a pod must go on answering until every proxy knows that it ends (`shutdown`), and take requests only when it can (`probes.readiness`): the chart's values.yaml explains both
    "#);
    assert_eq!(
        statuses(space),
        ["1 superseded", "2 superseded", "3 deployed"]
    );
}

#[test]
fn some_requests_may_fail_when_that_is_allowed() {
    let _server = ApiServer::shared();
    let space = "traffic-some";
    let _controller = Controller::start(space, |_| true);
    let address = ingress(|number, _| match number {
        5 => Answer::Status(503),
        6 => Answer::Nothing,
        _ => Answer::Status(302),
    });
    let done = upgrade(space, address).input("traffic-failures", "2").run();
    assert_eq!(done.code, 0, "{}", done.log);
    let traffic = reported(&done, "traffic");
    assert_eq!(traffic["failed"], 2, "{traffic}");
    let mut reasons: Vec<&str> = (0..2)
        .filter_map(|index| traffic["failures"][index]["reason"].as_str())
        .collect();
    reasons.sort_unstable();
    assert_snapshot!(reasons.join("\n"), @r#"
    connection closed before message completed
    status 503 Service Unavailable
    "#);
}

#[test]
fn nothing_is_begun_when_requests_fail_already() {
    let _server = ApiServer::shared();
    let space = "traffic-down";
    let address = ingress(|_, _| Answer::Status(404));
    let refused = upgrade(space, address).run();
    assert_eq!(refused.code, 1, "{}", refused.log);
    assert_eq!(refused.outputs["failure-reason"], "checks-failed");
    assert_snapshot!(told(&refused), @r#"
    ::error::`traffic-url` is `http://orders.example.com/readyz`, which fails already: status 404 Not Found; nothing was changed

    hint: correct `traffic-url` or `traffic-connect-to`; to mend an application that is down, leave them out
    "#);
    assert_eq!(statuses(space), ["1 deployed"]);
    let leases = kubectl(&[
        "-n",
        space,
        "get",
        "leases",
        "-o",
        "jsonpath={.items[*].spec.holderIdentity}",
    ]);
    assert_eq!(leases, "");
}

#[test]
fn what_cannot_be_done_is_refused_at_the_door() {
    let refused = |step: Step| {
        let finished = step.run();
        assert_eq!(finished.code, 2, "{}", finished.log);
        told(&finished)
    };
    let unfollowed = step()
        .input("wait", "false")
        .input("traffic-url", "http://orders.example.com");
    assert_snapshot!(refused(unfollowed), @r#"
    ::error::`traffic-url` is set and `wait` is false: requests are sent while the rollout is followed

    hint: leave one of the two out
    "#);
    let nowhere = step().input("traffic-url", "orders.example.com");
    assert_snapshot!(refused(nowhere), @r#"
    ::error::invalid value 'orders.example.com' for 'traffic-url <URL>': write `http://` or `https://`, a host, and a path that answers without a login

    hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
    let alone = step().input("traffic-connect-to", "127.0.0.1:80");
    assert_snapshot!(refused(alone), @r#"
    ::error::required inputs are missing: traffic-url <URL>

    hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
}
