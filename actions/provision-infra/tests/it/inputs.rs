//! What is refused before anything is asked of AWS.

use insta::assert_snapshot;
use test_kit::{Finished, Step};

use crate::support::{BINARY, CLUSTER, NETWORK, configuration, credentials};

fn run(configuration: &str, inputs: &[(&str, &str)]) -> Finished {
    let step = credentials(Step::new(BINARY))
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .file("deploy/infrastructure.yaml", configuration);
    inputs
        .iter()
        .fold(step, |step, (name, value)| step.input(name, *value))
        .run()
}

fn good() -> String {
    configuration("shop", "")
}

#[test]
fn a_missing_file_is_named() {
    let step = run(&good(), &[("config", "infra.yaml")]);
    assert_eq!(
        (step.code, step.outputs["failure-reason"].as_str()),
        (2, "invalid-input")
    );
    assert!(
        step.log.contains("::error::read `infra.yaml`: "),
        "{}",
        step.log
    );
    assert!(
        step.log
            .contains("hint: name the file with the input `config`")
    );
}

#[test]
fn a_wrong_line_is_annotated() {
    let wrong = good().replace("nat: single", "nat: none");
    assert_snapshot!(run(&wrong, &[]).render(&[]), @r#"
    exit status: 2
    ----- log
    ::add-mask::a secret of a test
    ::error file=deploy/infrastructure.yaml,line=6::deploy/infrastructure.yaml: unknown variant `none`, expected one of per-zone, single at line 6, column 10

    hint: the README of provision-infra shows a complete file
    ----- outputs
    failure-reason=invalid-input
    outcome=failed
    report=.fastapi-eks-actions/provision-infra.json
    ----- summary
    ### Provision AWS infrastructure: failed

    - deploy/infrastructure.yaml: unknown variant `none`, expected one of per-zone, single at line 6, column 10

    > hint: the README of provision-infra shows a complete file
    "#);
}

#[test]
fn an_unknown_environment_is_refused_with_the_known_ones() {
    assert_snapshot!(run(&good(), &[("environment", "prod")]).render(&[]), @r#"
    exit status: 2
    ----- log
    ::add-mask::a secret of a test
    ::error::`deploy/infrastructure.yaml` has no environment `prod`; it has test

    hint: set the input `environment` to one of these
    ----- outputs
    failure-reason=invalid-input
    outcome=failed
    report=.fastapi-eks-actions/provision-infra.json
    ----- summary
    ### Provision AWS infrastructure: failed

    - `deploy/infrastructure.yaml` has no environment `prod`; it has test

    > hint: set the input `environment` to one of these
    "#);
}

#[test]
fn a_contradiction_to_the_file_is_refused() {
    let step = run(&good(), &[("region", "us-east-1")]);
    assert_eq!(
        (step.code, step.outputs["outcome"].as_str()),
        (3, "refused")
    );
    assert_snapshot!(step.log, @r#"
    ::add-mask::a secret of a test
    ::error::the input `region` is us-east-1, `deploy/infrastructure.yaml` declares eu-west-1

    hint: leave the input out, or correct the file: the file is what was reviewed
    "#);
}

#[test]
fn a_parameter_that_nobody_gives_is_named() {
    let step = credentials(Step::new(BINARY))
        .input("stacks", "stacks")
        .file("deploy/infrastructure.yaml", good())
        .file("stacks/network.yaml", NETWORK.replace("VpcCidr", "Colour"))
        .file("stacks/cluster.yaml", CLUSTER)
        .run();
    assert_eq!(step.code, 2);
    assert_snapshot!(step.log, @r#"
    ::add-mask::a secret of a test
    ::error::the template of the layer `network` wants the parameter `Colour`, which neither `infrastructure.yaml` nor an earlier layer gives

    hint: give the parameter a default, or name it after an output of an earlier layer
    "#);
    let step = Step::new(BINARY)
        .input("stacks", "stacks")
        .file("deploy/infrastructure.yaml", good())
        .file("stacks/network.yaml", "Resources: [")
        .run();
    assert_snapshot!(step.log, @r#"
    ::error file=stacks/network.yaml,line=1::parse the template `stacks/network.yaml`: Resources: invalid type: sequence, expected a map at line 1 column 12

    hint: correct the template's YAML; `cfn-lint` says more
    "#);
    let step = Step::new(BINARY)
        .input("stacks", "elsewhere")
        .file("deploy/infrastructure.yaml", good())
        .run();
    assert_eq!(step.code, 2);
    assert!(
        step.log.contains("read the template `elsewhere`"),
        "{}",
        step.log
    );
}

#[test]
fn a_folder_of_templates_holds_those_of_layers_and_nothing_else() {
    let with = |file: &str| {
        Step::new(BINARY)
            .input("stacks", "stacks")
            .file("deploy/infrastructure.yaml", good())
            .file(file, NETWORK)
            .run()
    };
    let step = with("stacks/netwerk.yaml");
    assert_eq!(step.code, 2);
    assert_snapshot!(step.log, @r#"
    ::error::the template `stacks/netwerk.yaml` belongs to no layer

    hint: the folder in the input `stacks` holds one file for each layer that is wanted: bootstrap.yaml, zone.yaml, network.yaml, data.yaml, cluster.yaml, nodes.yaml, add-ons.yaml, edge.yaml, observability.yaml
    "#);
    let step = with("stacks/README.md");
    assert_eq!(step.code, 2);
    assert!(
        step.log
            .contains("::error::the folder `stacks` has no template of a layer"),
        "{}",
        step.log
    );
}

#[test]
fn missing_credentials_are_said() {
    let step = Step::new(BINARY)
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .file("deploy/infrastructure.yaml", good())
        .run();
    assert_eq!(step.code, 2);
    assert!(
        step.log.contains("::error::find AWS credentials: "),
        "{}",
        step.log
    );
    assert!(step.log.contains("hint: in a workflow run `aws-actions/"));
}

#[test]
fn missing_certificates_are_said_before_the_first_call() {
    let with = |bundle: &str, content: &str| {
        credentials(Step::new(BINARY))
            .env("AWS_CA_BUNDLE", bundle)
            .file("deploy/infrastructure.yaml", good())
            .file("empty.pem", content)
            .run()
    };
    let step = with("/nowhere.pem", "");
    assert_eq!(step.code, 2);
    assert_snapshot!(step.log, @r#"
    ::add-mask::a secret of a test
    ::error::read the certificate authorities of `/nowhere.pem`: failed to open file `/nowhere.pem`: No such file or directory (os error 2)

    hint: AWS_CA_BUNDLE and SSL_CERT_FILE name a file of PEM certificates
    "#);
    let step = with("empty.pem", "nothing");
    assert_eq!(step.code, 2);
    assert_snapshot!(step.log, @r#"
    ::add-mask::a secret of a test
    ::error::read the certificate authorities of `empty.pem`: it holds no certificate

    hint: AWS_CA_BUNDLE and SSL_CERT_FILE name a file of PEM certificates
    "#);
}

#[test]
fn an_endpoint_that_does_not_answer_is_named() {
    let step = run(&good(), &[]);
    assert_eq!(
        (step.code, step.outputs["failure-reason"].as_str()),
        (1, "remote-failed")
    );
    assert!(
        step.log.contains("ask STS who the credentials belong to"),
        "{}",
        step.log
    );
    assert!(step.log.contains("Connection refused"), "{}", step.log);
}

#[test]
fn a_plan_file_must_be_a_plan() {
    let step = Step::new(BINARY)
        .input("mode", "apply")
        .input("plan-digest", "sha256:12")
        .run();
    assert_eq!(step.code, 2);
    assert!(step.log.contains("is no digest"), "{}", step.log);
}
