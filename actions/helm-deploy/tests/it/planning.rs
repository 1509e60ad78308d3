//! Plans from literal observations.

use helm_deploy::inputs::Name;
use helm_deploy::plan::{Definition, Live, Observed, Repair, differences, plan};
use helm_deploy::{Objects, Revision, changed_fields, objects};
use insta::assert_snapshot;
use serde_json::json;

fn release(replicas: u32, image: &str) -> Objects {
    let manifest = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: orders\nspec:\n  replicas: {replicas}\n  template:\n    spec:\n      containers:\n        - name: app\n          image: {image}\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: orders\nspec:\n  ports: []\n"
    );
    objects(&manifest, "a test").expect("a manifest")
}

fn revision(revision: u32, status: &str) -> Revision {
    Revision {
        revision,
        status: status.into(),
    }
}

fn observed(before: Objects, after: Objects) -> Observed {
    Observed {
        namespace_exists: true,
        revisions: vec![revision(1, "deployed")],
        live: Some(Live {
            revision: 1,
            objects: before,
            hooks: Objects::new(),
            values: json!({}),
        }),
        wanted: after,
        values: json!({}),
        ..Observed::default()
    }
}

fn rendered(observed: &Observed) -> String {
    let name = |text: &str| text.parse::<Name>().expect("a name");
    let plan = plan(
        &name("shop"),
        &name("orders"),
        observed,
        "2026-01-02T03:04:05Z".into(),
    );
    let text = plan.to_text();
    text.lines()
        .filter(|line| !line.starts_with("Plan digest"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_first_installation_creates_everything() {
    let observed = Observed {
        wanted: release(3, "a"),
        values: json!({}),
        crds: vec![Definition {
            name: "widgets.example.com".into(),
            ..Definition::default()
        }],
        ..Observed::default()
    };
    assert_snapshot!(rendered(&observed), @r#"
    Plan for shop/orders: 4 to create
      + create shop (Namespace)
      + create widgets.example.com (CustomResourceDefinition): comes with the chart; Helm does not upgrade it
      + create orders (Deployment)
      + create orders (Service)
    "#);
}

#[test]
fn an_upgrade_names_the_fields() {
    assert_snapshot!(rendered(&observed(release(3, "a"), release(4, "b"))), @r#"
    Plan for shop/orders: 1 to update
      ~ update orders (Deployment): spec.replicas, spec.template.spec.containers.app.image (new pods)
    "#);
}

#[test]
fn the_same_release_is_no_change() {
    let mut same = observed(release(3, "a"), release(3, "a"));
    assert_snapshot!(rendered(&same), @"Plan for shop/orders: no changes");
    same.values = json!({"unused": 1});
    assert_snapshot!(rendered(&same), @r#"
    Plan for shop/orders: 1 to update
      ~ update orders (release): other values, the same objects
    "#);
}

#[test]
fn data_that_would_go_is_named_and_what_is_kept_is_not_deleted() {
    let database = |annotations: &str| {
        let manifest = format!(
            "apiVersion: acid.zalan.do/v1\nkind: postgresql\nmetadata:\n  name: orders-db\n  annotations: {annotations}\n"
        );
        objects(&manifest, "a test").expect("a manifest")
    };
    assert_snapshot!(rendered(&observed(database("{}"), Objects::new())), @r#"
    Plan for shop/orders: 1 to delete
      - delete orders-db (postgresql): CANNOT BE UNDONE
    "#);
    let kept = observed(database("{helm.sh/resource-policy: keep}"), Objects::new());
    assert_snapshot!(rendered(&kept), @"Plan for shop/orders: no changes");
    assert!(differences(&kept).is_empty());
}

#[test]
fn a_pending_revision_is_repaired_in_the_least_harmful_way() {
    let with = |statuses: &[(u32, &str)], pending: Objects| {
        let mut observed = observed(release(3, "a"), release(3, "b"));
        observed.revisions = statuses
            .iter()
            .map(|(number, status)| revision(*number, status))
            .collect();
        observed.pending = Some(pending);
        observed.repair()
    };
    let upgrade = &[(1, "deployed"), (2, "pending-upgrade")];
    assert_eq!(with(upgrade, release(3, "b")), Some(Repair::Forget(2)));
    assert_eq!(
        with(upgrade, release(3, "c")),
        Some(Repair::RollBack { from: 2, to: 1 })
    );
    assert_eq!(
        with(&[(1, "pending-install")], release(3, "c")),
        Some(Repair::Uninstall(1))
    );
    assert_eq!(
        with(&[(1, "superseded"), (2, "uninstalling")], release(3, "b")),
        Some(Repair::Uninstall(2))
    );
    assert_eq!(
        with(&[(1, "superseded"), (2, "deployed")], release(3, "b")),
        None
    );
    assert_eq!(with(&[(1, "failed")], release(3, "b")), None);
}

#[test]
fn a_hook_runs_with_every_upgrade_and_one_that_changed_is_a_reason_for_it() {
    let hook = |image: &str| {
        let manifest = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: prepare\nspec:\n  image: {image}\n"
        );
        objects(&manifest, "a test").expect("a manifest")
    };
    let with = |before: &str, after: &str, wanted: Objects| {
        let mut observed = observed(release(3, "a"), wanted);
        observed.hooks = hook(after);
        if let Some(live) = &mut observed.live {
            live.hooks = hook(before);
        }
        rendered(&observed)
    };
    assert_snapshot!(with("1", "1", release(3, "a")), @"Plan for shop/orders: no changes");
    assert_snapshot!(with("1", "2", release(3, "a")), @r#"
    Plan for shop/orders: 1 to run
      > run prepare (Job): a hook of the chart
    "#);
    assert_snapshot!(with("1", "1", release(3, "b")), @r#"
    Plan for shop/orders: 1 to update, 1 to run
      ~ update orders (Deployment): spec.template.spec.containers.app.image (new pods)
      > run prepare (Job): a hook of the chart
    "#);
}

#[test]
fn items_with_names_are_compared_by_name() {
    let before =
        json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["x"]});
    let after =
        json!({"env": [{"name": "B", "value": "3"}, {"name": "A", "value": "1"}], "args": ["y"]});
    assert_eq!(changed_fields(&before, &after), ["args", "env.B.value"]);
}

#[test]
fn the_digest_tells_values_apart_that_the_changes_do_not() {
    let digest = |observed: &Observed| {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        plan(&name("shop"), &name("orders"), observed, String::new()).digest()
    };
    let one = observed(release(3, "a"), release(3, "b"));
    let two = observed(release(3, "a"), release(3, "c"));
    assert_eq!(rendered(&one), rendered(&two));
    assert_ne!(digest(&one), digest(&two));
}
