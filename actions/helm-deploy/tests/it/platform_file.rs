//! What `platform.yaml` may say, and in which order its releases come.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use action_kit::Failure;
use helm_deploy::inputs::Name;
use helm_deploy::platform::order::{Ended, all_needs, in_order, order};
use helm_deploy::platform::planned::{Share, combine};
use helm_deploy::platform::{Platform, PlatformError};
use insta::assert_snapshot;
use plan::{Change, Digest, Operation, Plan};

const WHOLE: &str = "\
# What runs below the application.
add-ons: [coredns, vpc-cni]
releases:
  - name: issuers
    namespace: cert-manager
    chart: charts/issuers
    needs: [cert-manager]
  - name: cert-manager
    namespace: cert-manager
    chart: oci://registry.example.com/charts/cert-manager
    version: 1.20.2
    digest: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    values: [values/cert-manager.yaml]
    environments:
      production: {values: [values/cert-manager.production.yaml]}
      test: {}
  - name: database
    namespace: orders
    chart: fastapi-database
";

fn parse(text: &str, environment: Option<&str>) -> Result<Platform, PlatformError> {
    Platform::parse(
        text,
        Path::new("deploy/platform.yaml"),
        environment,
        |path| !path.starts_with("deploy/absent") && path != Path::new("deploy/absent.yaml"),
    )
}

/// What a user reads of a file that is refused: the line, the message, what to do.
fn refusal(text: &str, environment: Option<&str>) -> String {
    let error = parse(text, environment).expect_err("it cannot be used");
    let line = error.position().and_then(|position| position.line);
    let line = line.map(|line| line.to_string());
    let line = line.unwrap_or_else(|| "-".into());
    format!("{line}: {error}\nhint: {}", error.hints().join(" "))
}

#[test]
fn a_file_is_read_for_an_environment() {
    let platform = parse(WHOLE, Some("production")).expect("a file");
    let releases: Vec<String> = platform
        .releases
        .iter()
        .map(|one| {
            format!(
                "{}/{} {} {:?} {:?}",
                one.namespace, one.name, one.chart, one.values, one.needs
            )
        })
        .collect();
    assert_snapshot!(releases.join("\n"), @r#"
    cert-manager/cert-manager oci://registry.example.com/charts/cert-manager ["deploy/values/cert-manager.yaml", "deploy/values/cert-manager.production.yaml"] []
    cert-manager/issuers deploy/charts/issuers [] [0]
    orders/database fastapi-database [] []
    "#);
    let pin = platform.releases[0].pin.as_ref().expect("a pin");
    assert_eq!((pin.version.as_str(), pin.line), ("1.20.2", 12));
    assert_eq!(platform.subject(), "deploy/platform.yaml (production)");
    let test = parse(WHOLE, Some("test")).expect("a file");
    assert_eq!(
        test.releases[0].values,
        [Path::new("deploy/values/cert-manager.yaml")]
    );
}

#[test]
fn what_cannot_be_is_refused_with_its_line() {
    let two = |first: &str, second: &str| {
        format!(
            "releases:\n- name: one\n  namespace: x\n  chart: one\n{first}- name: two\n  namespace: x\n  chart: two\n{second}"
        )
    };
    assert_snapshot!(refusal("releases:\n- name: one\n  namspace: x\n", None), @r#"
    3: deploy/platform.yaml: unknown field `namspace`, expected one of name, namespace, chart, repository, version, digest, values, environments, needs at line 3, column 3
    hint: the README of helm-deploy shows a complete file
    "#);
    assert_snapshot!(refusal("releases:\n- {name: One, namespace: x, chart: c}\n", None), @r#"
    2: deploy/platform.yaml: `One` is no name: up to 53 lower-case letters, digits and hyphens, a letter or digit at both ends at line 2, column 10
    hint: the README of helm-deploy shows a complete file
    "#);
    assert_snapshot!(refusal(&two("", "- {name: one, namespace: y, chart: c}\n"), None), @r#"
    8: deploy/platform.yaml: release `one` is there twice
    hint: give each release of the file a name of its own
    "#);
    assert_snapshot!(refusal(&two("", "add-ons: [two]\n"), None), @r#"
    5: deploy/platform.yaml: `two` stands below `add-ons`, which provision-infra owns, and is a release as well
    hint: one side owns it: take it out of `releases`, or out of `add-ons` and infrastructure.yaml
    "#);
    assert_snapshot!(refusal(&two("", "  needs: [three]\n"), None), @r#"
    8: deploy/platform.yaml: release `two` needs `three`, which is no release of this file
    hint: `needs` names releases of this file
    "#);
    assert_snapshot!(refusal(&two("  needs: [two]\n", "  needs: [one]\n"), None), @r#"
    2: deploy/platform.yaml: releases need each other: `one` needs `two` needs `one`
    hint: take one of these out of the other's `needs`
    "#);
    assert_snapshot!(refusal(&two("  version: 1.0.0\n", ""), None), @r#"
    4: deploy/platform.yaml: chart `one` is not from outside: it has no `version` and no `digest`
    hint: the commit pins it: leave both out
    "#);
    assert_snapshot!(refusal(&two("  repository: https://charts.example.com\n", ""), None), @r#"
    4: deploy/platform.yaml: chart `one` comes from outside and has no `version`
    hint: what is reviewed must stay what is installed: write the version and `digest: unknown`, and `mode: pin` finds the digest
    "#);
    assert_snapshot!(refusal(&two("", "  values: [absent.yaml]\n"), None), @r#"
    8: deploy/platform.yaml: `deploy/absent.yaml` is no file
    hint: paths in the file start at the file's own folder
    "#);
    assert_snapshot!(refusal(&two("  environments: {test: {values: [absent.yaml]}, production: {}}\n", ""), Some("production")), @r#"
    5: deploy/platform.yaml: `deploy/absent.yaml` is no file
    hint: paths in the file start at the file's own folder
    "#);
    assert_snapshot!(refusal("releases:\n- name: one\n  namespace: x\n  chart: absent\n", None), @r#"
    4: deploy/platform.yaml: `deploy/absent` is no chart
    hint: name a folder with a Chart.yaml or a .tgz, from the file's own folder on, a built-in chart, or one from outside: an oci:// reference, or a name with `repository`
    "#);
    assert_snapshot!(refusal(WHOLE, None), @r#"
    -: deploy/platform.yaml: no `environment` is given, and releases have values for `production`, `test`
    hint: set the input `environment` to one of these
    "#);
    assert_snapshot!(refusal(WHOLE, Some("staging")), @r#"
    -: deploy/platform.yaml: no release has an environment `staging`; there are `production`, `test`
    hint: set the input `environment` to one of these
    "#);
    assert_snapshot!(refusal(&two("", ""), Some("test")), @r#"
    -: deploy/platform.yaml: no release has an environment `test`
    hint: set the input `environment` to one of these
    "#);
}

#[test]
fn each_comes_after_what_it_needs_and_else_where_it_stands() {
    assert_eq!(order(&[vec![], vec![], vec![]]), Ok(vec![0, 1, 2]));
    assert_eq!(order(&[vec![2], vec![], vec![1]]), Ok(vec![1, 2, 0]));
    assert_eq!(
        order(&[vec![3], vec![], vec![1], vec![]]),
        Ok(vec![1, 2, 3, 0])
    );
    assert_eq!(order(&[]), Ok(vec![]));
    assert_eq!(order(&[vec![0]]), Err(vec![0]));
    // Who only needs a circle is no part of it.
    assert_eq!(
        order(&[vec![1], vec![2], vec![3], vec![1]]),
        Err(vec![1, 2, 3])
    );
}

#[test]
fn needs_of_needs_are_needed() {
    let needs = [vec![], vec![0], vec![], vec![1, 2]];
    assert_eq!(all_needs(&needs, 3), BTreeSet::from([0, 1, 2]));
    assert!(all_needs(&needs, 0).is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn what_needs_nothing_of_another_is_done_at_the_same_time() {
    let needs = [vec![], vec![], vec![], vec![0, 1], vec![3]];
    let log = RefCell::new(Vec::new());
    let most = RefCell::new((0, 0));
    let ended = in_order(&needs, 2, async |one| -> Result<usize, ()> {
        log.borrow_mut().push(format!("+{one}"));
        most.borrow_mut().0 += 1;
        let now = most.borrow().0;
        let before = most.borrow().1;
        most.borrow_mut().1 = before.max(now);
        tokio::task::yield_now().await;
        most.borrow_mut().0 -= 1;
        log.borrow_mut().push(format!("-{one}"));
        Ok(one)
    });
    let ended = ended.await;
    assert_eq!(ended, [0, 1, 2, 3, 4].map(Ended::Done));
    assert_eq!(most.borrow().1, 2);
    let log = log.borrow();
    let at = |what: &str| log.iter().position(|line| line == what);
    assert!(
        at("-0") < at("+3") && at("-1") < at("+3") && at("-3") < at("+4"),
        "{log:?}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn what_needs_one_that_failed_is_not_begun() {
    let needs = [vec![], vec![0], vec![1], vec![]];
    let ended = in_order(
        &needs,
        1,
        async |one| if one == 0 { Err("no") } else { Ok(one) },
    );
    assert_eq!(
        ended.await,
        [
            Ended::Failed("no"),
            Ended::Skipped(0),
            Ended::Skipped(1),
            Ended::Done(3)
        ]
    );
}

#[test]
fn the_plan_of_all_names_the_releases_and_what_may_become_another() {
    let name = |text: &str| text.parse::<Name>().expect("a name");
    let plan =
        |observed: &str, changes| Plan::new("helm-deploy", "x", Digest::of(observed), changes, "");
    let kinds = plan(
        "a",
        vec![Change::new(
            Operation::Create,
            "CustomResourceDefinition",
            "widgets",
        )],
    );
    let uses = plan("b", vec![Change::new(Operation::Create, "Widget", "one")]);
    let (first, second) = (name("kinds"), name("uses"));
    let whole = |uses: &Plan| {
        let share = |release, plan, early| Share {
            release,
            plan,
            early,
        };
        let shares = [share(&first, &kinds, false), share(&second, uses, true)];
        combine(
            "platform.yaml".into(),
            &["x"].into(),
            &shares,
            String::new(),
        )
    };
    assert_snapshot!(whole(&uses).to_text(), @r#"
    Plan for platform.yaml: 3 to create
      + create x (Namespace)
      kinds
        + create widgets (CustomResourceDefinition)
      uses
        + create one (Widget): known after apply
    Plan digest: sha256:a37c5eba3a4c3cfdb102a7544755165b3a851b17759cf56cd016a49488d618b3
    "#);
    let other = plan("c", uses.changes.clone());
    assert_ne!(whole(&uses).digest(), whole(&other).digest());
}
