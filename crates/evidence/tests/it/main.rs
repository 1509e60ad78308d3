//! Statements are signed and verified with a real Sigstore of the test's own.

#![allow(
    clippy::expect_used,
    reason = "a test ends with the reason when its own preparation fails"
)]

use std::error::Error as _;

use action_kit::Environment;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use evidence::{EvidenceError, Expected, IdentityToken, Instance, TokenSource};
use serde_json::{Value, json};
use test_kit::{SIGNER, Sigstore};

const SUBJECT: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const OTHER: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

fn statement() -> Vec<u8> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "orders", "digest": {"sha256": SUBJECT}}],
        "predicateType": "https://example.com/predicate/v1",
        "predicate": {"said": "so"},
    });
    statement.to_string().into_bytes()
}

fn client(server: &Sigstore) -> evidence::Sigstore {
    let instance = Instance::read(Some(server.mirror()), Some(&server.root()));
    evidence::Sigstore::connect(instance.expect("an instance")).expect("a client")
}

async fn token(server: &Sigstore, claims: &[(&str, &str)]) -> IdentityToken {
    let environment: Environment = server.variables(claims).into_iter().collect();
    let source = TokenSource::of(&environment).expect("a job that may ask");
    client(server).token(&source).await.expect("a token")
}

/// Signs the statement; gives the bundle.
async fn signed(server: &Sigstore, claims: &[(&str, &str)]) -> Vec<u8> {
    let token = token(server, claims).await;
    let bundle = client(server).sign(&statement(), &token).await;
    bundle.unwrap_or_else(|error| panic!("{}\n{}", whole(&error), server.log()))
}

fn anybody() -> Expected {
    Expected::of("")
}

fn whole(error: &EvidenceError) -> String {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}

#[tokio::test]
async fn what_a_workflow_signs_is_known_to_be_its_own() {
    let server = Sigstore::start();
    let bundle = signed(&server, &[]).await;
    let verifier = client(&server).verifier().await.expect("trust");
    let workflow = "https://github.com/octo-org/*/.github/workflows/application.yml@refs/heads/*";
    let expected = Expected::of(server.issuer())
        .identity(workflow)
        .and_then(|expected| expected.repository("https://github.com/octo-org/orders"))
        .and_then(|expected| expected.reference("refs/heads/main"))
        .expect("patterns");
    let found = verifier.verify(&bundle, SUBJECT, &expected);
    let found = found.expect("a signature");
    assert_eq!(found.identity, SIGNER);
    assert_eq!(found.issuer, server.issuer());
    assert_eq!(found.statement, statement());

    // Others believe it as well, and know as well whom not to believe.
    server.believes(&bundle, SUBJECT, SIGNER).expect("belief");
    let other = SIGNER.replace("application", "other");
    let told = server.believes(&bundle, SUBJECT, &other);
    assert!(told.expect_err("another signer").contains("identity"));
    let told = server.believes(&bundle, OTHER, SIGNER);
    assert!(told.expect_err("another subject").contains("digest"));
}

#[tokio::test]
async fn another_workflow_is_not_who_is_expected() {
    let server = Sigstore::start();
    let other = "octo-org/orders/.github/workflows/other.yml@refs/heads/main";
    let bundle = signed(&server, &[("job_workflow_ref", other)]).await;
    let verifier = client(&server).verifier().await.expect("trust");
    let anybody = verifier
        .verify(&bundle, SUBJECT, &anybody())
        .expect("a signature");
    assert!(anybody.identity.ends_with(other), "{}", anybody.identity);
    let expected = Expected::of(server.issuer()).identity(SIGNER);
    let refused = verifier.verify(&bundle, SUBJECT, &expected.expect("a pattern"));
    let refused = refused.expect_err("another signer");
    assert!(refused.contains("other.yml"), "{refused}");
    assert!(refused.contains(SIGNER), "{refused}");
}

#[tokio::test]
async fn a_changed_bundle_and_another_subject_are_refused() {
    let server = Sigstore::start();
    let bundle = signed(&server, &[]).await;
    let verifier = client(&server).verifier().await.expect("trust");
    let refused = verifier.verify(&bundle, OTHER, &anybody());
    let refused = refused.expect_err("another subject");
    assert!(refused.contains("mismatch"), "{refused}");

    let mut changed: Value = serde_json::from_slice(&bundle).expect("JSON");
    let said = String::from_utf8(statement()).expect("text");
    let said = said.replace(r#""said":"so""#, r#""said":"no""#);
    assert_ne!(said.as_bytes(), statement());
    changed["dsseEnvelope"]["payload"] = BASE64_STANDARD.encode(said).into();
    let refused = verifier.verify(changed.to_string().as_bytes(), SUBJECT, &anybody());
    let refused = refused.expect_err("another statement");
    assert!(refused.contains("signature"), "{refused}");

    let mut unlogged: Value = serde_json::from_slice(&bundle).expect("JSON");
    let material = &mut unlogged["verificationMaterial"];
    material["tlogEntries"] = json!([]);
    let refused = verifier.verify(unlogged.to_string().as_bytes(), SUBJECT, &anybody());
    assert!(refused.is_err(), "a signature that is in no log");
    assert!(verifier.verify(b"{}", SUBJECT, &anybody()).is_err());
}

#[tokio::test]
async fn one_sigstore_does_not_believe_another() {
    let (mine, theirs) = (Sigstore::start(), Sigstore::start());
    let bundle = signed(&theirs, &[]).await;
    let verifier = client(&mine).verifier().await.expect("trust");
    assert!(verifier.verify(&bundle, SUBJECT, &anybody()).is_err());

    // Their repository of trust is not what my root says.
    let instance = Instance::read(Some(theirs.mirror()), Some(&mine.root()));
    let client = evidence::Sigstore::connect(instance.expect("an instance")).expect("a client");
    let error = client.verifier().await.err().expect("no trust");
    assert!(matches!(error, EvidenceError::Trust { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains(theirs.mirror()), "{told}");
}

#[tokio::test]
async fn a_job_that_may_not_ask_gets_no_token() {
    let server = Sigstore::start();
    let [(url, address), (bearer, _)] = server.variables(&[]);
    let environment = Environment::from_iter([(url, &*address), (bearer, "canary-bearer")]);
    let source = TokenSource::of(&environment).expect("variables");
    let error = client(&server).token(&source).await;
    let told = whole(&error.expect_err("no token"));
    assert!(told.contains("401"), "{told}");
    assert!(!told.contains("canary"), "{told}");
    let nothing = Environment::from_iter([(url, &*address)]);
    assert!(TokenSource::of(&nothing).is_none());
}

#[tokio::test]
async fn a_token_says_whether_the_repository_is_public() {
    let server = Sigstore::start();
    let github = ("iss", "https://token.actions.githubusercontent.com");
    assert!(token(&server, &[github]).await.is_public());
    let private = [github, ("repository_visibility", "private")];
    assert!(!token(&server, &private).await.is_public());
    // A server of one's own calls repositories public that only its users see.
    assert!(!token(&server, &[]).await.is_public());
}

#[test]
fn half_a_sigstore_is_none() {
    let half = Instance::read(Some("https://tuf.example.com"), None);
    let told = half.expect_err("half of one").to_string();
    assert!(told.contains("`tuf-root` is missing"), "{told}");
    let half = Instance::read(None, Some("root.json".as_ref()));
    let told = half.expect_err("half of one").to_string();
    assert!(told.contains("`tuf-mirror` is missing"), "{told}");
}
