//! What the action is given: files, patterns and secrets.

use insta::assert_snapshot;

use crate::server::Server;
use crate::{ORDERS, orders, plain, render, step};
use test_kit::Finished;

#[test]
fn a_file_that_does_not_parse_stops_everything_before_the_first_request() {
    let server = orders();
    let step = step(&server)
        .file("deploy/smoke/a.hurl", ORDERS)
        .file(
            "deploy/smoke/b.hurl",
            "GET {{base_url}}/\nHTTP 200\n[Assert]\nstatus == 200\n",
        )
        .run();
    assert_snapshot!(render(&step, &server), @r#"
    exit status: 2
    ----- log
    ::error file=deploy/smoke/b.hurl,line=3::parse `deploy/smoke/b.hurl`:%0AParsing response section name%0A  --> deploy/smoke/b.hurl:3:2%0A   |%0A 3 | [Assert]%0A   |  ^ the section is not valid. Did you mean Asserts?

    hint: the format is described at https://hurl.dev
    ----- outputs
    failure-reason=invalid-input
    outcome=failed
    report=.fastapi-eks-actions/smoke-test.json
    ----- summary
    ### Smoke test: failed

    - parse `deploy/smoke/b.hurl`: Parsing response section name   --> deploy/smoke/b.hurl:3:2    |  3 | [Assert]    |  ^ the section is not valid. Did you mean Asserts?

    > hint: the format is described at https://hurl.dev
    "#);
    assert!(server.asked().is_empty());
}

#[test]
fn files_that_are_not_there_or_ask_nothing_are_refused() {
    let server = orders();
    let missing = step(&server).run();
    assert_snapshot!(render(&missing, &server), @r#"
    exit status: 2
    ----- log
    ::error::no file matches `deploy/smoke/*.hurl`

    hint: patterns are relative to the workspace: check out the repository first, or set `files`
    ----- outputs
    failure-reason=invalid-input
    outcome=failed
    report=.fastapi-eks-actions/smoke-test.json
    ----- summary
    ### Smoke test: failed

    - no file matches `deploy/smoke/*.hurl`

    > hint: patterns are relative to the workspace: check out the repository first, or set `files`
    "#);
    let empty = step(&server).file("deploy/smoke/a.hurl", "# later\n").run();
    assert_snapshot!(empty.log, @r#"
    ::error file=deploy/smoke/a.hurl::`deploy/smoke/a.hurl` has no request

    hint: write a request, `GET {{base_url}}/healthz` say, or delete the file
    "#);
    let pattern = step(&server).input("files", "deploy/***").run();
    assert_snapshot!(pattern.log, @"::error::read the pattern `deploy/***` of `files`: Pattern syntax error near position 25: wildcards are either regular `*` or recursive `**`");
    let binary = step(&server)
        .file("deploy/smoke/a.hurl", [0xff, 0xfe])
        .run();
    assert!(
        binary
            .log
            .starts_with("::error file=deploy/smoke/a.hurl::read `deploy/smoke/a.hurl`"),
        "{}",
        binary.log
    );
}

#[test]
fn patterns_keep_their_order_and_a_file_runs_once() {
    let server = orders();
    let ask = |path: &str| format!("GET {{{{base_url}}}}/{path}\nHTTP 404\n");
    let step = step(&server)
        .input("wait-ready", "none")
        .input("files", "checks/last.hurl\nchecks/*.hurl")
        .file("checks/first.hurl", ask("first"))
        .file("checks/last.hurl", ask("last"))
        .run();
    assert_eq!(step.code, 0, "{}", step.log);
    let asked: Vec<String> = server.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(asked, ["GET /last", "GET /first"]);
}

#[test]
fn a_secret_is_used_and_never_shown() {
    let server = Server::start(|asked, _| match asked.line.split('?').next() {
        Some("POST /login") => (
            200,
            format!(
                r#"{{"you": "{}", "token": "tok-{}"}}"#,
                asked.body.replace('"', ""),
                asked.authorization.len()
            ),
        ),
        _ => (200, format!(r#"{{"seen": "{}"}}"#, asked.authorization)),
    });
    let step = step(&server)
        .input("wait-ready", "none")
        .input("secrets", "password=p@ss-w0rd!\nuser=\"quoted\"")
        .input("variables", "tries=3")
        .file(
            "deploy/smoke/login.hurl",
            r#"POST {{base_url}}/login
Authorization: Bearer {{password}}
[Query]
key: {{password}}
`{{password}}`
HTTP 200
[Captures]
token: jsonpath "$.token" redact

GET {{base_url}}/me/{{password}}
Authorization: {{token}}
HTTP 200
[Asserts]
jsonpath "$.seen" == "{{password}}"
jsonpath "$.seen" == "nobody {{tries}}"
"#,
        )
        .run();
    let sent = server.asked();
    assert_eq!(sent[0].authorization, "Bearer p@ss-w0rd!");
    assert_eq!(sent[0].line, "POST /login?key=p%40ss-w0rd%21");
    assert!(sent[1].authorization.starts_with("tok-"), "{sent:?}");
    let log: String = step
        .log
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"))
        .collect::<Vec<_>>()
        .join("\n");
    let report = step.report.as_ref().expect("a report").to_string();
    for (place, text) in [
        ("log", &log),
        ("summary", &step.summary),
        ("report", &report),
    ] {
        for secret in ["p@ss-w0rd!", "p%40ss-w0rd", &sent[1].authorization] {
            assert!(!text.contains(secret), "{place} holds {secret}: {text}");
        }
    }
    assert_snapshot!(plain(&log, &server), @r#"
    deploy/smoke/login.hurl: 1 of 2 requests hold, N ms
    ::error file=deploy/smoke/login.hurl,line=14::`GET http://SERVER/me/***` answered 200 in N ms%0AAssert failure%0A  --> deploy/smoke/login.hurl:14:0%0A   |%0A   | GET {{base_url}}/me/{{password}}%0A   | ...%0A14 | jsonpath "$.seen" == "{{password}}"%0A   |   actual:   string <***>%0A   |   expected: string <***>
    ::error file=deploy/smoke/login.hurl,line=15::`GET http://SERVER/me/***` answered 200 in N ms%0AAssert failure%0A  --> deploy/smoke/login.hurl:15:0%0A   |%0A   | GET {{base_url}}/me/{{password}}%0A   | ...%0A15 | jsonpath "$.seen" == "nobody {{tries}}"%0A   |   actual:   string <***>%0A   |   expected: string <nobody 3>
    ::error::not all checks hold: 1 of 2 requests failed
    1 of 2 requests hold in 1 file
    "#);
}

#[test]
fn secrets_that_cannot_be_used_are_named_by_line_not_by_value() {
    let server = orders();
    let wrong = step(&server)
        .input("secrets", "good=long-enough\nbad value")
        .file("deploy/smoke/a.hurl", ORDERS)
        .run();
    let short = step(&server)
        .input("secrets", "pin=123")
        .file("deploy/smoke/a.hurl", ORDERS)
        .run();
    for step in [&wrong, &short] {
        assert_eq!(step.code, 2);
        assert_eq!(step.outputs["failure-reason"], "invalid-input");
    }
    let error = |step: &Finished| {
        step.log
            .lines()
            .skip_while(|line| line.starts_with("::add-mask"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_snapshot!(error(&wrong), @r#"
    ::error::read line 2 of `secrets`: write NAME=VALUE

    hint: write one NAME=VALUE a line; a value has no line break
    "#);
    assert_snapshot!(error(&short), @r#"
    ::error::the value of `pin` in `secrets` is too short to be masked

    hint: give four characters or more, or pass it in `variables` if it is no secret
    "#);
}
