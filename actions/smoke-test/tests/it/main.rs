//! The program as a step of a workflow, against a real HTTP server.

#![allow(
    clippy::expect_used,
    reason = "a test ends with the reason when its own preparation fails"
)]

mod inputs;
mod server;

use insta::assert_snapshot;
use server::Server;
use test_kit::{Finished, Step};

const ORDERS: &str = r#"# An order is made and found again.
POST {{base_url}}/orders
{ "item": "tea" }
HTTP 201
[Captures]
id: jsonpath "$.id"

GET {{base_url}}/orders/{{id}}
HTTP 200
[Asserts]
jsonpath "$.item" == "tea"
"#;

/// The reference: ready at once, orders can be made and found.
fn orders() -> Server {
    Server::start(|asked, _| match asked.line.as_str() {
        "GET /readyz" => (200, "{}".into()),
        "POST /orders" => (201, r#"{"id": 7, "item": "tea"}"#.into()),
        "GET /orders/7" => (200, r#"{"id": 7, "item": "tea"}"#.into()),
        _ => (404, r#"{"detail": "not found"}"#.into()),
    })
}

fn step(server: &Server) -> Step {
    Step::new(env!("CARGO_BIN_EXE_smoke-test")).input("base-url", server.url())
}

/// Renders a run without what differs from run to run: the port and the times.
fn render(finished: &Finished, server: &Server) -> String {
    plain(&finished.render(&[]), server)
}

fn plain(text: &str, server: &Server) -> String {
    text.replace(&server.address.to_string(), "SERVER")
        .lines()
        .map(|line| match line.split_once("duration-ms=") {
            Some(("", _)) => "duration-ms=N".into(),
            _ => without_times(line),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Turns `12 ms` and a table's last column into `N`.
fn without_times(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let mut out = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let next = words.get(index + 1).copied().unwrap_or_default();
        let time = next.starts_with("ms")
            || (next == "|" && index + 2 == words.len() && line.starts_with("| "));
        out.push(if time && number(word) { "N" } else { word });
    }
    out.join(" ")
}

#[test]
fn checks_that_hold_are_counted() {
    let server = orders();
    let step = step(&server).file("deploy/smoke/orders.hurl", ORDERS).run();
    assert_snapshot!(render(&step, &server), @r#"
    exit status: 0
    ----- log
    http://SERVER/readyz is ready
    deploy/smoke/orders.hurl: 2 requests hold, N ms
    2 of 2 requests hold in 1 file
    ----- outputs
    duration-ms=N
    failed=0
    outcome=done
    passed=2
    report=.fastapi-eks-actions/smoke-test.json
    requests=2
    ----- summary
    ### Smoke test: 2 of 2 requests hold

    | | file | request | status | ms |
    |---|---|---|---|---|
    | ✓ | deploy/smoke/orders.hurl:2 | POST http://SERVER/orders | 201 | N |
    | ✓ | deploy/smoke/orders.hurl:8 | GET http://SERVER/orders/7 | 200 | N |
    "#);
    let report = step.report.expect("a report");
    let second = &report["files"][0]["requests"][1];
    assert_eq!(
        (second["line"].as_u64(), second["status"].as_u64()),
        (Some(8), Some(200))
    );
}

#[test]
fn a_check_that_does_not_hold_is_shown_with_its_place() {
    let server = orders();
    let step = step(&server)
        .file(
            "deploy/smoke/a.hurl",
            ORDERS.replace("== \"tea\"", "== \"coffee\""),
        )
        .file(
            "deploy/smoke/b.hurl",
            "GET {{base_url}}/nothing\nHTTP 200\n\nGET {{base_url}}/never-sent\n",
        )
        .run();
    assert_snapshot!(render(&step, &server), @r#"
    exit status: 1
    ----- log
    http://SERVER/readyz is ready
    deploy/smoke/a.hurl: 1 of 2 requests hold, N ms
    ::error file=deploy/smoke/a.hurl,line=11::`GET http://SERVER/orders/7` answered 200 in N ms%0AAssert failure%0A  --> deploy/smoke/a.hurl:11:0%0A   |%0A   | GET {{base_url}}/orders/{{id}}%0A   | ...%0A11 | jsonpath "$.item" == "coffee"%0A   |   actual:   string <tea>%0A   |   expected: string <coffee>
    deploy/smoke/b.hurl: 0 of 2 requests hold, N ms
    ::error file=deploy/smoke/b.hurl,line=2::`GET http://SERVER/nothing` answered 404 in N ms%0AAssert status code%0A  --> deploy/smoke/b.hurl:2:6%0A   |%0A   | GET {{base_url}}/nothing%0A 2 | HTTP 200%0A   |      ^^^ actual value is <404>
    ::error::not all checks hold: 2 of 3 requests failed
    1 of 3 requests hold in 2 files
    ----- outputs
    duration-ms=N
    failed=2
    failure-reason=checks-failed
    outcome=failed
    passed=1
    report=.fastapi-eks-actions/smoke-test.json
    requests=3
    ----- summary
    ### Smoke test: failed

    - not all checks hold: 2 of 3 requests failed

    ### Smoke test: 1 of 3 requests hold

    | | file | request | status | ms |
    |---|---|---|---|---|
    | ✓ | deploy/smoke/a.hurl:2 | POST http://SERVER/orders | 201 | N |
    | ✗ | deploy/smoke/a.hurl:8 | GET http://SERVER/orders/7 | 200 | N |
    | ✗ | deploy/smoke/b.hurl:1 | GET http://SERVER/nothing | 404 | N |
    | – | deploy/smoke/b.hurl | 1 not sent | | |

    ```text
    Assert failure
      --> deploy/smoke/a.hurl:11:0
       |
       | GET {{base_url}}/orders/{{id}}
       | ...
    11 | jsonpath "$.item" == "coffee"
       |   actual:   string <tea>
       |   expected: string <coffee>
    ```

    ```text
    Assert status code
      --> deploy/smoke/b.hurl:2:6
       |
       | GET {{base_url}}/nothing
     2 | HTTP 200
       |      ^^^ actual value is <404>
    ```
    "#);
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| !asked.line.contains("never-sent"))
    );
}

#[test]
fn a_release_that_does_not_answer_is_waited_for_and_then_named() {
    let server = orders();
    let step = step(&server)
        .input("base-url", "http://127.0.0.1:1")
        .input("timeout-seconds", "1")
        .file("deploy/smoke/orders.hurl", ORDERS)
        .run();
    assert_snapshot!(render(&step, &server), @r#"
    exit status: 1
    ----- log
    waiting for http://127.0.0.1:1/readyz: Failed to connect to 127.0.0.1:1
    ::error::`http://127.0.0.1:1/readyz` did not answer 2xx within 1 s: Failed to connect to 127.0.0.1:1

    hint: look at the release's pods and its ingress, at `connect-to` and `cacert`, or raise `timeout-seconds`
    ----- outputs
    failure-reason=timed-out
    outcome=failed
    report=.fastapi-eks-actions/smoke-test.json
    ----- summary
    ### Smoke test: failed

    - `http://127.0.0.1:1/readyz` did not answer 2xx within 1 s: Failed to connect to 127.0.0.1:1

    > hint: look at the release's pods and its ingress, at `connect-to` and `cacert`, or raise `timeout-seconds`
    "#);
}

#[test]
fn a_release_that_becomes_ready_late_is_waited_for() {
    let server = Server::start(|_, before| (if before < 2 { 503 } else { 200 }, "{}".into()));
    let step = step(&server)
        .input("wait-ready", "/up")
        .file("deploy/smoke/up.hurl", "GET {{base_url}}/up\nHTTP 200\n")
        .run();
    assert_snapshot!(render(&step, &server), @r#"
    exit status: 0
    ----- log
    waiting for http://SERVER/up: it answers 503
    http://SERVER/up is ready
    deploy/smoke/up.hurl: 1 request holds, N ms
    1 of 1 request hold in 1 file
    ----- outputs
    duration-ms=N
    failed=0
    outcome=done
    passed=1
    report=.fastapi-eks-actions/smoke-test.json
    requests=1
    ----- summary
    ### Smoke test: 1 of 1 request hold

    | | file | request | status | ms |
    |---|---|---|---|---|
    | ✓ | deploy/smoke/up.hurl:1 | GET http://SERVER/up | 200 | N |
    "#);
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn a_wrong_readiness_path_is_told_from_a_release_that_is_down() {
    let server = orders();
    let step = step(&server)
        .input("wait-ready", "/up")
        .input("timeout-seconds", "1")
        .file("deploy/smoke/orders.hurl", ORDERS)
        .run();
    assert_snapshot!(render(&step, &server), @r#"
    exit status: 1
    ----- log
    waiting for http://SERVER/up: it answers 404
    ::error::`http://SERVER/up` did not answer 2xx within 1 s: it answers 404

    hint: something answers, but not there: set `wait-ready` to the path that tells readiness, or `none`
    ----- outputs
    failure-reason=timed-out
    outcome=failed
    report=.fastapi-eks-actions/smoke-test.json
    ----- summary
    ### Smoke test: failed

    - `http://SERVER/up` did not answer 2xx within 1 s: it answers 404

    > hint: something answers, but not there: set `wait-ready` to the path that tells readiness, or `none`
    "#);
}

#[test]
fn no_answer_is_a_check_that_does_not_hold() {
    let server = orders();
    let step = step(&server)
        .file(
            "deploy/smoke/other.hurl",
            "GET http://127.0.0.1:1/\nHTTP 200\n",
        )
        .run();
    assert_eq!(step.code, 1);
    assert_snapshot!(plain(&step.log, &server), @r#"
    http://SERVER/readyz is ready
    deploy/smoke/other.hurl: 0 of 1 request hold, N ms
    ::error file=deploy/smoke/other.hurl,line=1::`GET http://127.0.0.1:1/` has no answer%0AHTTP connection%0A  --> deploy/smoke/other.hurl:1:5%0A   |%0A 1 | GET http://127.0.0.1:1/%0A   |     ^^^^^^^^^^^^^^^^^^^ (7) Failed to connect to 127.0.0.1:1 after N ms: Could not connect to server

    hint: nothing usable came back: look at `base-url`, `connect-to`, `cacert`, the ingress and the release's pods
    ::error::not all checks hold: 1 of 1 requests failed
    0 of 1 request hold in 1 file
    "#);
}

#[test]
fn an_ingress_is_reached_by_address_under_the_releases_name() {
    let server = orders();
    let step = step(&server)
        .input("base-url", "http://orders.example.test")
        .input("connect-to", server.address.to_string())
        .file("deploy/smoke/orders.hurl", ORDERS)
        .run();
    assert_eq!(step.code, 0, "{}", step.log);
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked.host == "orders.example.test")
    );
}

#[test]
fn a_retry_is_counted_and_only_made_when_asked_for() {
    let flaky = || Server::start(|_, before| (if before == 0 { 502 } else { 200 }, "{}".into()));
    let file = "GET {{base_url}}/\nHTTP 200\n";
    let server = flaky();
    let once = step(&server)
        .input("wait-ready", "none")
        .file("deploy/smoke/a.hurl", file)
        .run();
    assert_eq!((once.code, server.asked().len()), (1, 1));
    let server = flaky();
    let again = step(&server)
        .input("wait-ready", "none")
        .input("retry", "2")
        .input("retry-interval-ms", "1")
        .file("deploy/smoke/a.hurl", file)
        .run();
    assert_eq!((again.code, again.outputs["requests"].as_str()), (0, "2"));
    assert!(
        again
            .log
            .contains("deploy/smoke/a.hurl: request 1 of 1, try 2\n"),
        "{}",
        again.log
    );
}

#[test]
fn the_deadline_ends_a_request_that_never_does() {
    let server = Server::start(|_, _| {
        std::thread::park_timeout(std::time::Duration::from_mins(1));
        (200, String::new())
    });
    let step = step(&server)
        .input("wait-ready", "none")
        .input("timeout-seconds", "1")
        .file(
            "deploy/smoke/a.hurl",
            "GET {{base_url}}/\n[Options]\nmax-time: 50s\nHTTP 200\n",
        )
        .run();
    assert_snapshot!(render(&step, &server), @r#"
    exit status: 1
    ----- log
    ::error::`deploy/smoke/a.hurl` was not through after 1 s

    hint: raise `timeout-seconds`, or look for a request that never ends: each has 30 s unless its `[Options]` say `max-time`
    ----- outputs
    duration-ms=N
    failed=0
    failure-reason=timed-out
    outcome=failed
    passed=0
    report=.fastapi-eks-actions/smoke-test.json
    requests=0
    ----- summary
    ### Smoke test: failed

    - `deploy/smoke/a.hurl` was not through after 1 s

    > hint: raise `timeout-seconds`, or look for a request that never ends: each has 30 s unless its `[Options]` say `max-time`
    "#);
}

#[test]
fn html_is_read_with_xpath_in_any_encoding() {
    // libxml2 and ICU are linked as archives, ICU without its tables: a wrong mix ends here.
    let page = |declared: &str, u: &[u8]| {
        let head = format!("<html><head><meta charset={declared}><title>Orders ");
        [head.as_bytes(), u, b"</title></head></html>"].concat()
    };
    let utf_8 = page("utf-8", "ü".as_bytes());
    let windows = page("windows-1252", b"\xfc");
    let server = Server::of_bytes(move |asked, _| match asked.line.as_str() {
        "GET /windows" => (200, windows.clone()),
        _ => (200, utf_8.clone()),
    });
    let check = |path: &str| {
        format!(
            "GET {{{{base_url}}}}/{path}\nHTTP 200\n[Asserts]\nxpath \"string(//title)\" == \"Orders ü\"\n"
        )
    };
    let step = step(&server)
        .input("wait-ready", "none")
        .file("deploy/smoke/a.hurl", check("windows") + &check("utf-8"))
        .run();
    assert_eq!(
        (step.code, step.outputs["passed"].as_str()),
        (0, "2"),
        "{}",
        step.log
    );
}

#[test]
fn certificate_authorities_that_are_not_there_are_named() {
    let server = orders();
    let step = step(&server)
        .input("cacert", "no/ca.pem")
        .file("deploy/smoke/a.hurl", ORDERS)
        .run();
    assert_eq!(step.code, 2);
    assert!(step.log.contains("no/ca.pem"), "{}", step.log);
}

#[test]
fn the_program_needs_no_library_of_its_host() {
    let program = fs_err::read(env!("CARGO_BIN_EXE_smoke-test")).expect("the program");
    assert_eq!(&program[..5], b"\x7fELF\x02", "a 64-bit ELF file");
    let number = |at: usize, width: usize| {
        program[at..at + width]
            .iter()
            .rev()
            .fold(0_usize, |all, byte| all << 8 | usize::from(*byte))
    };
    // ELF-64: program headers at e_phoff (32), e_phentsize (54) wide, e_phnum (56) of them.
    let (start, width, count) = (number(32, 8), number(54, 2), number(56, 2));
    for header in (0..count).map(|index| start + index * width) {
        const PT_DYNAMIC: usize = 2;
        const PT_INTERP: usize = 3;
        let kind = number(header, 4);
        assert_ne!(kind, PT_INTERP, "it asks for a dynamic loader");
        if kind == PT_DYNAMIC {
            let (at, size) = (number(header + 8, 8), number(header + 32, 8));
            let needed = (at..at + size)
                .step_by(16)
                .filter(|entry| number(*entry, 8) == 1);
            assert_eq!(needed.count(), 0, "it needs shared libraries");
        }
    }
}
