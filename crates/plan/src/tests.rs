//! Plans on literal changes: text, Markdown, digest.

use insta::assert_snapshot;

use crate::{Change, Digest, Operation, Plan, PlanError};

fn plan() -> Plan {
    let replaced = Change {
        loses_data: true,
        ..Change::new(Operation::Replace, "AWS::S3::Bucket", "Archive")
            .part("shop-prod-data")
            .reason("BucketName changes")
    };
    let later = Change {
        known_after_apply: true,
        ..Change::new(Operation::Create, "AWS::EKS::Cluster", "Cluster").part("shop-prod-cluster")
    };
    Plan::new(
        "provision-infra",
        "shop-prod",
        Digest::of("world"),
        vec![
            Change::new(Operation::Create, "AWS::EC2::VPC", "Vpc").part("shop-prod-network"),
            Change::new(Operation::Update, "AWS::EC2::Subnet", "A|B")
                .part("shop-prod-network")
                .reason("Tags"),
            replaced,
            later,
        ],
        "2026-01-02T03:04:05Z",
    )
}

#[test]
fn a_plan_is_rendered_for_a_terminal() {
    assert_snapshot!(plan().to_text(), @r#"
    Plan for shop-prod: 2 to create, 1 to update, 1 to replace
      shop-prod-network
        + create Vpc (AWS::EC2::VPC)
        ~ update A|B (AWS::EC2::Subnet): Tags
      shop-prod-data
        ± replace Archive (AWS::S3::Bucket): CANNOT BE UNDONE; BucketName changes
      shop-prod-cluster
        + create Cluster (AWS::EKS::Cluster): known after apply
    Plan digest: sha256:c27d723e9e5562d05fc14e7b06794969cd7b62eeb0026a1f2358a78a26fe0ec7
    "#);
}

#[test]
fn a_plan_is_rendered_as_markdown() {
    assert_snapshot!(plan().to_markdown(), @r#"
    ### Plan for `shop-prod`: 2 to create, 1 to update, 1 to replace

    **shop-prod-network**

    | | target | kind | why |
    |---|---|---|---|
    | + create | Vpc | AWS::EC2::VPC |  |
    | ~ update | A\|B | AWS::EC2::Subnet | Tags |

    **shop-prod-data**

    | | target | kind | why |
    |---|---|---|---|
    | ± replace | Archive | AWS::S3::Bucket | CANNOT BE UNDONE; BucketName changes |

    **shop-prod-cluster**

    | | target | kind | why |
    |---|---|---|---|
    | + create | Cluster | AWS::EKS::Cluster | known after apply |

    Plan digest: `sha256:c27d723e9e5562d05fc14e7b06794969cd7b62eeb0026a1f2358a78a26fe0ec7`
    "#);
}

#[test]
fn nothing_to_do_is_said() {
    let empty = Plan {
        changes: Vec::new(),
        ..plan()
    };
    assert!(empty.is_empty());
    assert!(
        empty
            .to_text()
            .starts_with("Plan for shop-prod: no changes\n")
    );
}

#[test]
fn many_rows_are_folded() {
    let many = Plan {
        changes: vec![Change::new(Operation::Run, "revision", "0001"); 26],
        ..plan()
    };
    assert!(
        many.to_markdown()
            .contains("<details><summary>Changes: 26 changes</summary>")
    );
}

#[test]
fn json_is_canonical_and_read_back() {
    assert_snapshot!(plan().to_json(), @r#"{"action":"provision-infra","changes":[{"kind":"AWS::EC2::VPC","operation":"create","part":"shop-prod-network","target":"Vpc"},{"kind":"AWS::EC2::Subnet","operation":"update","part":"shop-prod-network","reason":"Tags","target":"A|B"},{"kind":"AWS::S3::Bucket","loses_data":true,"operation":"replace","part":"shop-prod-data","reason":"BucketName changes","target":"Archive"},{"kind":"AWS::EKS::Cluster","known_after_apply":true,"operation":"create","part":"shop-prod-cluster","target":"Cluster"}],"created":"2026-01-02T03:04:05Z","observed":"sha256:486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7","schema":1,"subject":"shop-prod"}"#);
    assert_eq!(Plan::parse(&plan().to_json()).unwrap(), plan());
}

#[test]
fn the_digest_covers_everything_but_the_time() {
    let later = Plan {
        created: "2027-01-01T00:00:00Z".into(),
        ..plan()
    };
    assert_eq!(plan().digest(), later.digest());
    let elsewhere = Plan {
        observed: Digest::of("another world"),
        ..plan()
    };
    assert_ne!(plan().digest(), elsewhere.digest());
    assert_eq!(
        elsewhere.differences(&plan()),
        ["the same changes, to or from values other than the reviewed ones"]
    );
}

#[test]
fn differences_name_what_moved() {
    let mut now = plan();
    now.changes.remove(0);
    now.changes[0].reason = "CidrBlock".into();
    assert_snapshot!(now.differences(&plan()).join("\n"), @r#"
    new: ~ update A|B (AWS::EC2::Subnet): CidrBlock
    gone: + create Vpc (AWS::EC2::VPC)
    gone: ~ update A|B (AWS::EC2::Subnet): Tags
    "#);
    assert!(now.differences(&now).is_empty());
}

#[test]
fn another_schema_is_refused_before_anything_else() {
    let error = Plan::parse(r#"{"schema": 2, "new": true}"#).unwrap_err();
    assert!(matches!(error, PlanError::Schema { found: 2 }), "{error}");
    let error = Plan::parse("[]").unwrap_err();
    assert!(matches!(error, PlanError::NotAPlan(_)), "{error}");
}

#[test]
fn a_digest_is_checked_at_the_door() {
    let digest = Digest::of("");
    assert_eq!(digest.short(), "e3b0c44298fc");
    assert_eq!(digest.as_str().parse::<Digest>().unwrap(), digest);
    for wrong in [
        "",
        "sha256:12",
        "SHA256:e3",
        &digest.as_str().to_uppercase(),
    ] {
        assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
    }
}

/// What a comment on GitHub holds.
const COMMENT: usize = 65_536;

#[test]
fn a_plan_of_seventy_thousand_characters_is_cut_to_fit_a_comment() {
    let updates = (0..600).map(|number| {
        Change::new(
            Operation::Update,
            "AWS::EC2::Subnet",
            format!("Subnet{number:03}"),
        )
        .part("shop-prod-network")
        .reason("Tags: one value of a certain length → another value of a certain length")
    });
    let deleted = Change::new(Operation::Delete, "AWS::EC2::Route", "Route")
        .part("shop-prod-network")
        .reason("é".repeat(300));
    let mut long = plan();
    long.changes.splice(0..0, updates.chain([deleted]));
    assert!(long.to_markdown().len() > 70_000);
    let cut = long.to_markdown_within(COMMENT, "see the summary of the run");
    assert!(
        cut.len() <= COMMENT && cut.len() > COMMENT - 300,
        "{}",
        cut.len()
    );
    let lines: Vec<&str> = cut.lines().collect();
    let (head, tail) = (lines[..7].join("\n"), lines[lines.len() - 5..].join("\n"));
    assert_snapshot!(format!("{head}\n[…]\n{tail}"), @r#"
    ### Plan for `shop-prod`: 2 to create, 601 to update, 1 to replace, 1 to delete

    | | target | kind | part | why |
    |---|---|---|---|---|
    | ± replace | Archive | AWS::S3::Bucket | shop-prod-data | CANNOT BE UNDONE; BucketName changes |
    | - delete | Route | AWS::EC2::Route | shop-prod-network | éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé… |
    | ~ update | Subnet000 | AWS::EC2::Subnet | shop-prod-network | Tags: one value of a certain length → another value of a certain length |
    […]
    | ~ update | Subnet461 | AWS::EC2::Subnet | shop-prod-network | Tags: one value of a certain length → another value of a certain length |

    141 more changes have no room here: see the summary of the run

    Plan digest: `sha256:cebb9dd175da4eec3ef0bf9209bd6643da93e69832ab4d441995456f44079af1`
    "#);
}

#[test]
fn a_plan_that_fits_is_not_cut() {
    let plan = plan();
    assert_eq!(
        plan.to_markdown_within(COMMENT, "elsewhere"),
        plan.to_markdown()
    );
    let tight = plan.to_markdown_within(1, "elsewhere");
    assert!(
        tight.contains("4 more changes have no room here: elsewhere"),
        "{tight}"
    );
}
