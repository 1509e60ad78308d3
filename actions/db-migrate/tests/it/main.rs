//! The program as a step of a workflow: what it refuses, and what a real API server says to it.

#![allow(
    clippy::expect_used,
    reason = "a test ends with the reason when its own preparation fails"
)]

mod cluster;

use insta::assert_snapshot;
use test_kit::{Finished, Step};

const IMAGE: &str = "registry.example.com/orders@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A step whose inputs are right.
pub(crate) fn step() -> Step {
    Step::new(env!("CARGO_BIN_EXE_db-migrate"))
        .input("image", IMAGE)
        .input("namespace", "orders")
        .input("kubeconfig", "kubeconfig")
        .input("database-secret", "orders-database")
}

/// Gives exit status and log.
pub(crate) fn said(finished: &Finished) -> String {
    format!("{} {}", finished.code, finished.log.trim_end())
}

#[test]
fn an_image_without_a_digest_is_refused() {
    let step = step()
        .input("image", "registry.example.com/orders:latest")
        .run();
    assert_snapshot!(step.render(&[]), @r#"
    exit status: 2
    ----- log
    ::error::invalid value 'registry.example.com/orders:latest' for 'image <IMAGE>': name the image by digest, `REPOSITORY@sha256:…`: a tag may move between plan and deployment

    hint: set it in the step's `with:` block; the action's README lists the inputs
    ----- outputs
    failure-reason=invalid-input
    outcome=failed
    report=.fastapi-eks-actions/db-migrate.json
    ----- summary
    ### Migrate a database: failed

    - invalid value 'registry.example.com/orders:latest' for 'image <IMAGE>': name the image by digest, `REPOSITORY@sha256:…`: a tag may move between plan and deployment

    > hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
}

#[test]
fn one_cluster_and_one_database_are_demanded() {
    assert_snapshot!(said(&step().input("kubeconfig", "").run()), @r#"
    2 ::error::no cluster: neither `kubeconfig` nor `cluster` is given

    hint: give `kubeconfig` for any cluster, or `cluster` and `region` for one of EKS
    "#);
    assert_snapshot!(said(&step().input("cluster", "shop").run()), @r#"
    2 ::error::two clusters: both `kubeconfig` and `cluster` are given

    hint: give `kubeconfig` for any cluster, or `cluster` and `region` for one of EKS
    "#);
    assert_snapshot!(said(&step().input("database-secret", "").run()), @r#"
    2 ::error::no database: neither `database-secret` nor `postgresql` is given

    hint: name a secret with the database's address in `database-secret`, or a cluster of the postgres-operator in `postgresql`, `database` and `role`
    "#);
    assert_snapshot!(said(&step().input("postgresql", "orders-db").run()), @r#"
    2 ::error::two databases: both `database-secret` and `postgresql` are given

    hint: name a secret with the database's address in `database-secret`, or a cluster of the postgres-operator in `postgresql`, `database` and `role`
    "#);
    let incomplete = step()
        .input("database-secret", "")
        .input("postgresql", "orders-db")
        .input("role", "orders");
    assert_snapshot!(said(&incomplete.run()), @r#"
    2 ::error::`postgresql` names the cluster `orders-db`, but `database` or `role` is missing

    hint: give all three: `postgresql`, `database` and `role`
    "#);
}

#[test]
fn what_does_not_have_its_form_is_refused() {
    assert_snapshot!(said(&step().input("namespace", "Orders").run()), @r#"
    2 ::error::invalid value 'Orders' for 'namespace <NAME>': a name has lower-case letters, digits, `-` and `.`, and starts and ends with a letter or digit

    hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
    assert_snapshot!(said(&step().input("plan-digest", "sha256:1").run()), @r#"
    2 ::error::invalid value 'sha256:1' for 'plan-digest <DIGEST>': `sha256:1` is no digest: `sha256:` and 64 lower-case hexadecimal digits

    hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
    assert_snapshot!(said(&step().input("env", "A=1\n2=B").run()), @r#"
    2 ::error::invalid value '2=B' for 'env <NAME=VALUE>': write NAME=VALUE; a name has letters, digits and `_`, and starts with no digit

    hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
    assert_snapshot!(said(&step().input("timeout-seconds", "5").run()), @r#"
    2 ::error::invalid value '5' for 'timeout-seconds <SECONDS>': 5 is not in 10..=4294967295

    hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
}

#[test]
fn a_kubeconfig_that_is_not_there_is_named() {
    let log = step().run().log;
    assert!(log.starts_with("::error::read the kubeconfig `"), "{log}");
    assert!(
        log.contains("hint: `kubeconfig` is the path of a kubeconfig file, or its whole content"),
        "{log}"
    );
}
