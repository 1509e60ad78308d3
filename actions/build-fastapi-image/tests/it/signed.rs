//! Provenance that is signed by a Sigstore of the test's own, and who is believed.

use std::collections::BTreeMap;

use oci_image::{Artifact, Digest};
use oci_registry::reference;
use serde_json::Value;
use test_kit::{Finished, SIGNER, Sigstore, Step};

use crate::project::Project;
use crate::reuse::Shop;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const STATEMENT: &str = "application/vnd.in-toto+json";
const SBOM: &str = "application/vnd.cyclonedx+json";

/// A shop's image, and the Sigstore that may sign it.
struct Stage {
    shop: Shop,
    project: Project,
    sigstore: Sigstore,
}

impl Stage {
    async fn open() -> Self {
        Self {
            shop: Shop::open().await,
            project: Project::new("shop"),
            sigstore: Sigstore::start(),
        }
    }

    fn build(&self) -> Step {
        let host = self.shop.server.address.to_string();
        self.project
            .bare_step()
            .input("base-image", self.shop.base())
            .input("image", format!("{host}/acme/shop"))
            .input("plain-http", host)
    }

    /// Builds and signs; gives the image's reference.
    fn signed(&self, claims: &[(&str, &str)]) -> String {
        let finished = self.sigstore.known_to(self.build(), claims).run();
        assert_eq!(finished.code, 0, "{}", finished.log);
        finished.outputs["image"].clone()
    }

    fn verify(&self, image: &str, inputs: &[(&str, &str)]) -> Finished {
        let step = Step::new(env!("CARGO_BIN_EXE_build-fastapi-image"))
            .workspace(self.project.workspace())
            .input("mode", "verify")
            .input("image", image)
            .input("plain-http", self.shop.server.address.to_string())
            .input("tuf-mirror", self.sigstore.mirror())
            .input("tuf-root", self.sigstore.root().display().to_string())
            .input("certificate-oidc-issuer", self.sigstore.issuer());
        let inputs = inputs.iter();
        inputs
            .fold(step, |step, (name, value)| step.input(name, *value))
            .run()
    }

    /// Reads the documents of a type that are attached to an image.
    async fn attached(&self, image: &str, kind: &str) -> Vec<Vec<u8>> {
        let image = reference(image).expect("a reference");
        let digest: Digest = image.digest().expect("a digest").parse().expect("a digest");
        let listed = self.shop.registry.referrers(&image, &digest, Some(kind));
        let mut documents = Vec::new();
        for descriptor in listed.await.expect("a list") {
            let artifact = self.shop.registry.artifact(&image, &descriptor).await;
            documents.push(artifact.expect("an artifact").1);
        }
        documents
    }
}

/// Gives the checks of a verification, one a line.
fn checks(verified: &Finished) -> Vec<String> {
    let report = verified.report.as_ref().expect("a report");
    let checks = report["checks"].as_array().expect("checks").iter();
    let line = |check: &Value| {
        let text = |name: &str| check[name].as_str().expect("text").to_owned();
        format!("{} {}: {}", text("about"), text("verdict"), text("detail"))
    };
    checks.map(line).collect()
}

#[tokio::test]
async fn a_job_with_a_token_signs_and_its_workflow_is_believed() {
    let stage = Stage::open().await;
    let image = stage.signed(&[]);
    let bundles = stage.attached(&image, BUNDLE).await;
    assert_eq!(bundles.len(), 1);
    assert!(stage.attached(&image, STATEMENT).await.is_empty());

    let pattern = "https://github.com/octo-org/*/.github/workflows/*@refs/heads/main";
    let verified = stage.verify(&image, &[("certificate-identity", pattern)]);
    assert_eq!(verified.code, 0, "{}", verified.log);
    let report = verified.report.as_ref().expect("a report");
    assert_eq!(report["signer"], SIGNER);
    let told = checks(&verified);
    let last = told.last().expect("a check");
    assert!(last.starts_with("signed provenance holds"), "{last}");
    assert!(last.contains(SIGNER), "{last}");

    // A reusable workflow signs for all who call it: the repository and its branch count as well.
    let ours = ("source-repository", "https://github.com/octo-org/orders");
    let verified = stage.verify(&image, &[ours, ("source-ref", "refs/heads/*")]);
    assert_eq!(verified.code, 0, "{}", verified.log);
    for theirs in [
        ("source-repository", "https://github.com/mallory/orders"),
        ("source-ref", "refs/heads/release"),
    ] {
        let verified = stage.verify(&image, &[theirs]);
        assert_eq!(verified.code, 1, "{}", verified.log);
        assert!(verified.log.contains(theirs.1), "{}", verified.log);
    }

    // Whoever expects nobody learns who it was.
    let verified = stage.verify(&image, &[]);
    assert_eq!(verified.code, 0, "{}", verified.log);
    assert!(verified.log.contains(SIGNER), "{}", verified.log);
}

#[tokio::test]
async fn another_workflow_and_nobody_at_all_are_not_believed() {
    let stage = Stage::open().await;
    let expected = [("certificate-identity", SIGNER)];
    let other = "octo-org/orders/.github/workflows/pull-request.yml@refs/pull/7/merge";
    let image = stage.signed(&[("job_workflow_ref", other)]);
    let verified = stage.verify(&image, &expected);
    assert_eq!(verified.code, 1, "{}", verified.log);
    assert_eq!(verified.outputs["failure-reason"], "checks-failed");
    assert!(
        verified.log.contains("pull-request.yml"),
        "{}",
        verified.log
    );

    // The right one signs the same image: what others attach does not harm it.
    assert_eq!(stage.signed(&[]), image);
    assert_eq!(stage.attached(&image, BUNDLE).await.len(), 2);
    let verified = stage.verify(&image, &expected);
    assert_eq!(verified.code, 0, "{}", verified.log);

    let unsigned = Stage::open().await;
    let finished = unsigned.build().run();
    assert_eq!(finished.code, 0, "{}", finished.log);
    let verified = unsigned.verify(&finished.outputs["image"], &expected);
    assert_eq!(verified.code, 3, "{}", verified.log);
    assert_eq!(verified.outputs["failure-reason"], "evidence-missing");
}

#[tokio::test]
async fn who_signs_the_provenance_signs_for_the_bills_of_materials() {
    let stage = Stage::open().await;
    let image = stage.signed(&[]);
    let bundle = stage.attached(&image, BUNDLE).await.remove(0);
    let bill = stage.attached(&image, SBOM).await.remove(0);

    // The same packages, in a document that nobody signed for.
    let name = reference(&image).expect("a reference");
    let copy = format!("{}/acme/copy", stage.shop.server.address);
    let copy = reference(&copy).expect("a reference");
    let platform = oci_image::Platform::linux_amd64();
    let copied = stage.shop.registry.copy(&name, &platform, &copy).await;
    let copied = copied.expect("a copy").reference;
    let bill: Value = serde_json::from_slice(&bill).expect("JSON");
    let forged = serde_json::to_vec_pretty(&bill).expect("JSON");
    let to = reference(&copied).expect("a reference");
    let found = stage.shop.registry.published(&to).await.expect("an answer");
    let subject = found.expect("an image").descriptor;
    for (kind, content) in [(SBOM, forged), (BUNDLE, bundle)] {
        let artifact = Artifact::of(kind, kind, content, subject.clone(), BTreeMap::new());
        let attached = stage.shop.registry.attach(&[artifact], &to).await;
        attached.expect("an artifact");
    }
    let verified = stage.verify(&copied, &[("certificate-identity", SIGNER)]);
    assert_eq!(verified.code, 1, "{}", verified.log);
    let cause = "it is not the one that the provenance names";
    assert!(verified.log.contains(cause), "{}", verified.log);
}

#[tokio::test]
async fn a_private_repository_is_not_named_in_public() {
    let stage = Stage::open().await;
    // No Sigstore of its own is named: the public one would be asked.
    let github = ("iss", "https://token.actions.githubusercontent.com");
    let private = ("repository_visibility", "private");
    let private = stage.sigstore.variables(&[github, private]);
    let step = private
        .iter()
        .fold(stage.build(), |step, (name, value)| step.env(name, value));
    let finished = step.run();
    assert_eq!(finished.code, 0, "{}", finished.log);
    assert!(finished.log.contains("is not public"), "{}", finished.log);
    let report = finished.report.expect("a report");
    let why = report["unsigned"].as_str().expect("a reason");
    assert!(why.contains("is not public"), "{why}");
    let image = &finished.outputs["image"];
    assert_eq!(stage.attached(image, STATEMENT).await.len(), 1);

    // One's own Sigstore may know it.
    let image = stage.signed(&[("repository_visibility", "private")]);
    assert_eq!(stage.attached(&image, BUNDLE).await.len(), 1);
}

#[tokio::test]
async fn what_must_be_signed_is_refused_before_it_is_built() {
    let stage = Stage::open().await;
    let finished = stage.build().input("sign", "true").run();
    assert_eq!(finished.code, 2, "{}", finished.log);
    assert!(finished.log.contains("id-token: write"), "{}", finished.log);

    // A job that gets no token fails, and no tag means its image.
    let [(url, address), (bearer, _)] = stage.sigstore.variables(&[]);
    let step = stage.build().input("tags", "1.0").env(url, address);
    let finished = step.env(bearer, "canary-bearer").run();
    assert_eq!(finished.code, 1, "{}", finished.log);
    assert_eq!(finished.outputs["failure-reason"], "remote-failed");
    assert!(masked(&finished), "{}", finished.log);
    assert_eq!(stage.shop.server.chosen_tags("acme/shop"), [""; 0]);
}

/// Says whether the token stands in the log only where the runner is told to mask it.
fn masked(finished: &Finished) -> bool {
    let lines = finished.log.lines();
    lines
        .filter(|line| line.contains("canary-bearer"))
        .all(|line| line.starts_with("::add-mask::"))
}
