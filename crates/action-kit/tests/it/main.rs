//! The facts about the runner that the kit stands on, each shown on the `greet` example.

use test_kit::Step;

fn greet() -> Step {
    Step::new(env!("CARGO_BIN_EXE_greet"))
}

#[test]
fn hyphens_stay_in_a_variables_name_and_empty_inputs_take_their_default() {
    let step = greet()
        .input("who", "Ada")
        .input("repeat-count", "")
        .input("others", "")
        .run();
    assert_eq!(step.outputs["greeting"], "hello Ada");
    let step = greet().input("who", "Ada").input("repeat-count", "2").run();
    assert_eq!(step.outputs["greeting"], "hello Ada, hello Ada");
}

#[test]
fn an_empty_required_input_is_missing() {
    let step = greet().input("who", "").run();
    insta::assert_snapshot!(step.render(&[]), @r"
    exit status: 2
    ----- log
    ::error::required inputs are missing: who <WHO>

    hint: set it in the step's `with:` block; the action's README lists the inputs
    ----- outputs
    failure-reason=invalid-input
    outcome=failed
    report=.fastapi-eks-actions/greet.json
    ----- summary
    ### Greet: failed

    - required inputs are missing: who <WHO>

    > hint: set it in the step's `with:` block; the action's README lists the inputs
    ");
}

#[test]
fn a_wrong_value_names_the_input_the_value_and_the_choices() {
    let step = greet()
        .on_a_laptop()
        .arg("--who=Ada")
        .arg("--format=xml")
        .run();
    insta::assert_snapshot!(step.render(&[]), @r"
    exit status: 2
    ----- log
    error: invalid value 'xml' for '--format <FORMAT>' [possible values: text, json]

    hint: `--help` lists the inputs and their values
    ----- outputs

    ----- summary
    ");
}

#[test]
fn booleans_follow_yaml_and_lists_have_one_item_a_line() {
    for yes in ["true", "True", "TRUE"] {
        let step = greet()
            .input("who", "Ada")
            .input("loud", yes)
            .input("others", "Bob\n\n  Cy \n")
            .run();
        assert_eq!(step.outputs["greeting"], "HELLO ADA AND BOB AND CY");
    }
    let step = greet()
        .on_a_laptop()
        .arg("--who=Ada")
        .arg("--loud")
        .arg("--others=Bob")
        .arg("--others")
        .arg("Cy")
        .run();
    assert_eq!(step.stdout, "HELLO ADA AND BOB AND CY\n");
    assert_eq!(
        greet()
            .input("who", "Ada")
            .input("loud", "maybe")
            .run()
            .code,
        2
    );
}

#[test]
fn a_flag_wins_over_a_variable() {
    let step = greet().input("who", "Ada").arg("--who").arg("Bob").run();
    assert_eq!(step.outputs["greeting"], "hello Bob");
}

#[test]
fn a_secret_reaches_no_log_and_no_report() {
    let canary = "canary-5f1d7c";
    let step = greet()
        .input("who", format!("the {canary}"))
        .input("password", canary)
        .run();
    let masks = step
        .log
        .lines()
        .filter(|line| line.contains(canary))
        .collect::<Vec<_>>();
    assert_eq!(
        masks,
        [format!("::add-mask::{canary}")],
        "the runner is told once, and nothing else says it"
    );
    assert_eq!(step.outputs["greeting"], "hello the ***");
    assert!(!step.summary.contains(canary) && !step.report.unwrap().to_string().contains(canary));
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_a_variable_or_file_is_read() {
    let step = greet()
        .on_a_laptop()
        .arg("--who=Ada")
        .arg("--password=canary-5f1d7c")
        .run();
    assert_eq!(step.code, 2);
    assert!(
        step.log.contains("env:NAME") && !step.log.contains("canary"),
        "{}",
        step.log
    );
    for source in [["--password", "env:PW"], ["--password", "file:pw"]] {
        let step = greet()
            .on_a_laptop()
            .env("PW", "canary-5f1d7c")
            .file("pw", "canary-5f1d7c\n")
            .arg("--who=Ada");
        let step = source
            .iter()
            .fold(step, |step, argument| step.arg(*argument))
            .run();
        assert!(step.log.contains("the password is ***"), "{}", step.log);
    }
    let step = greet()
        .on_a_laptop()
        .arg("--who=Ada")
        .arg("--password=env:ABSENT")
        .run();
    assert!(
        step.code == 2 && step.log.contains("read `--password` from `env:ABSENT`"),
        "{}",
        step.log
    );
}

#[test]
fn a_failure_shows_its_chain_its_hint_and_its_exit_status() {
    let step = greet().on_a_laptop().arg("--who=nobody").run();
    insta::assert_snapshot!(step.render(&[]), @r"
    exit status: 3
    ----- log
    error: greet `nobody`
      caused by: invalid digit found in string

    hint: name somebody
    ----- outputs

    ----- summary
    ");
    let step = greet().input("who", "nobody").run();
    assert_eq!(
        (
            step.outputs["outcome"].as_str(),
            step.outputs["failure-reason"].as_str()
        ),
        ("refused", "refused")
    );
    // What was found before it failed reaches the workflow as well.
    assert_eq!(step.outputs["greeting"], "nobody is there");
    assert_eq!(step.report.unwrap()["error"][0], "greet `nobody`");
}

#[test]
fn a_warning_is_one_annotation_with_its_lines_escaped() {
    let step = greet().input("who", "100%").run();
    assert!(
        step.log
            .contains("::warning::greeting%0Ain two lines people=100%25\n"),
        "{}",
        step.log
    );
    assert!(step.log.contains("::group::greetings\n") && step.log.contains("::endgroup::\n"));
}

#[test]
fn lines_of_named_work_begin_with_its_name_and_are_not_folded() {
    let step = greet().input("who", "Ada").input("others", "Bob").run();
    assert!(
        step.log
            .contains("\n[Bob] ── by name\n::warning::[Bob] hello%0Aagain\n[Bob] one\n[Bob] two\n"),
        "{}",
        step.log
    );
}

#[test]
fn format_json_prints_one_document() {
    let step = greet()
        .on_a_laptop()
        .arg("--who=Ada")
        .arg("--format=json")
        .run();
    let report: serde_json::Value = serde_json::from_str(&step.stdout).unwrap();
    assert_eq!(report["greeting"], "hello Ada");
    assert_eq!(report["outcome"], "done");
}

#[test]
fn describe_tells_generators_all_that_action_yml_needs() {
    let step = greet().on_a_laptop().arg("describe").run();
    let described: action_kit::Description = serde_json::from_str(&step.stdout).unwrap();
    let named: Vec<(&str, bool, Option<&str>, bool, bool)> = described
        .inputs
        .iter()
        .map(|input| {
            (
                input.name.as_str(),
                input.required,
                input.default.as_deref(),
                input.list,
                input.secret,
            )
        })
        .collect();
    assert_eq!(
        named,
        [
            ("who", true, None, false, false),
            ("repeat-count", false, Some("1"), false, false),
            ("loud", false, Some("false"), false, false),
            ("others", false, None, true, false),
            ("password", false, None, false, true),
            ("format", false, Some("text"), false, false),
            ("report", false, None, false, false),
        ]
    );
    assert_eq!(described.outputs.last().unwrap().name, "greeting");
}
