//! What the program says about inputs that it cannot use, before it talks to any cluster or right after.

use insta::assert_snapshot;

use crate::cluster::step;

#[test]
fn an_image_by_its_tag_is_refused() {
    let finished = step()
        .input("image", "registry.example.com/orders:1.2.3")
        .run();
    assert_eq!(finished.code, 2);
    assert_snapshot!(finished.render(&[]), @r#"
    exit status: 2
    ----- log
    ::error::invalid value 'registry.example.com/orders:1.2.3' for 'image <REFERENCE>': `registry.example.com/orders:1.2.3` names no digest: a tag can point to another image tomorrow, write `repository@sha256:…` (output `image` of build-fastapi-image)

    hint: set it in the step's `with:` block; the action's README lists the inputs
    ----- outputs
    failure-reason=invalid-input
    outcome=failed
    report=.fastapi-eks-actions/helm-deploy.json
    ----- summary
    ### Deploy with Helm: failed

    - invalid value 'registry.example.com/orders:1.2.3' for 'image <REFERENCE>': `registry.example.com/orders:1.2.3` names no digest: a tag can point to another image tomorrow, write `repository@sha256:…` (output `image` of build-fastapi-image)

    > hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
}

#[test]
fn a_name_that_kubernetes_refuses_is_refused_at_the_door() {
    let finished = step().input("release", "Orders_1").run();
    assert_eq!(finished.code, 2);
    assert_snapshot!(finished.log.trim(), @r#"
    ::error::invalid value 'Orders_1' for 'release <NAME>': `Orders_1` is no name: up to 53 lower-case letters, digits and hyphens, a letter or digit at both ends

    hint: set it in the step's `with:` block; the action's README lists the inputs
    "#);
}

#[test]
fn a_cluster_must_be_named() {
    let finished = step().input("kubeconfig", "").run();
    assert_eq!(finished.code, 2);
    assert_snapshot!(finished.log.trim(), @r#"
    ::error::no cluster is named: `kubeconfig` and `cluster` are both empty

    hint: give `kubeconfig` (a path, or the content from a secret), or `cluster` and `region` for EKS
    "#);
}

#[test]
fn a_kubeconfig_that_is_none_is_explained() {
    let finished = step()
        .file("kubeconfig", "clusters: []\n")
        .input("kubeconfig", "kubeconfig")
        .run();
    assert_eq!(finished.code, 2);
    let folder = finished.log.clone();
    assert!(folder.contains("read the kubeconfig"), "{folder}");
    assert!(
        folder.contains("hint: `kubeconfig` is the path"),
        "{folder}"
    );
}

#[test]
fn an_unknown_chart_is_answered_with_the_choices() {
    let finished = step().input("chart", "fastapi-apps").run();
    assert_eq!(finished.code, 2);
    assert_snapshot!(crate::cluster::without_server(&finished), @r#"
    exit status: 2
    ::error::`chart` is `fastapi-apps`: no built-in chart has this name, and the workspace has no chart at this path

    hint: built in are `fastapi-app`, `fastapi-database`; else give a folder with a Chart.yaml, a .tgz, an oci:// reference, or `chart-repository`
    "#);
}

#[test]
fn a_values_file_that_is_not_there_is_named() {
    let finished = step().input("values", "deploy/values.yaml").run();
    assert_eq!(finished.code, 2);
    assert_snapshot!(crate::cluster::without_server(&finished), @r#"
    exit status: 2
    ::error::`values` names `deploy/values.yaml`, which is no file

    hint: paths start at the workspace; check out the repository before this step
    "#);
}

#[test]
fn values_that_break_the_schema_are_explained() {
    let finished = step()
        .file("deploy/values.yaml", "replicas: many\nimgae: {}\n")
        .input("values", "deploy/values.yaml")
        .run();
    assert_eq!(finished.code, 2);
    assert_snapshot!(crate::cluster::without_server(&finished), @r#"
    exit status: 2
    ::error file=deploy/values.yaml::chart `fastapi-app` refuses the values: fastapi-app: - at '/replicas': got string, want integer - at '': additional properties 'imgae' not allowed

    hint: correct the value that the message names; the chart's values.yaml explains each
    "#);
}

#[test]
fn a_chart_s_own_refusal_is_told_without_helm_s_words_around_it() {
    let finished = step().input("image", "").run();
    assert_eq!(finished.code, 2);
    assert_snapshot!(crate::cluster::without_server(&finished), @r#"
    exit status: 2
    ::error::chart `fastapi-app` refuses the values: image.repository is empty: give helm-deploy an `image` with a digest (repository@sha256:...), or set image.repository and image.digest

    hint: correct the value that the message names; the chart's values.yaml explains each
    "#);
}
