//! What is attached to an image, and what `mode: verify` says of it.

use std::collections::BTreeMap;

use oci_image::{Artifact, Digest, Platform};
use oci_registry::{Reference, reference};
use serde_json::Value;
use test_kit::{Finished, Step};

use crate::project::Project;
use crate::reuse::Shop;

const SBOM: &str = "application/vnd.cyclonedx+json";
const STATEMENT: &str = "application/vnd.in-toto+json";
const BOTH: [(&str, &str); 1] = [("platforms", "linux/amd64\nlinux/arm64")];

impl Shop {
    /// Reads what is attached to a digest, as JSON.
    async fn attached(&self, image: &Reference, subject: &Digest, kind: &str) -> Vec<Value> {
        let listed = self.registry.referrers(image, subject, Some(kind)).await;
        let mut documents = Vec::new();
        for descriptor in listed.expect("a list") {
            let artifact = self.registry.artifact(image, &descriptor).await;
            let (_, content) = artifact.expect("an artifact");
            documents.push(serde_json::from_slice(&content).expect("JSON"));
        }
        documents
    }

    fn verify(&self, project: &Project, image: &str) -> Finished {
        Step::new(env!("CARGO_BIN_EXE_build-fastapi-image"))
            .workspace(project.workspace())
            .input("mode", "verify")
            .input("image", image)
            .input("plain-http", self.server.address.to_string())
            .run()
    }

    /// Attaches a document to the only image of a repository.
    async fn attach(&self, image: &str, kind: &str, document: &Value) {
        let image = reference(image).expect("a reference");
        let found = self.registry.published(&image).await.expect("an answer");
        let subject = found.expect("an image").descriptor;
        let content = document.to_string().into_bytes();
        let artifact = Artifact::of(kind, kind, content, subject, BTreeMap::new());
        let attached = self.registry.attach(&[artifact], &image).await;
        attached.expect("an artifact");
    }
}

fn named(report: &Value) -> (&str, Reference) {
    let name = report["image"].as_str().expect("a reference");
    (name, reference(name).expect("a reference"))
}

#[tokio::test]
async fn an_image_says_what_it_is_made_of_and_where_it_comes_from() {
    let shop = Shop::open().await;
    let project = Project::new("shop");
    let finished = project
        .bare_step()
        .input("base-image", shop.base())
        .input("image", format!("{}/acme/shop", shop.server.address))
        .input("plain-http", shop.server.address.to_string())
        .input("registry-username", "somebody")
        .input("registry-password", "canary-registry")
        .input("platforms", BOTH[0].1)
        .env("UV_INDEX_WHEELS_PASSWORD", "canary-index")
        .env("GITHUB_SERVER_URL", "https://github.example.com")
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_SHA", "0123456789abcdef")
        .env("GITHUB_REF", "refs/heads/main")
        .env(
            "GITHUB_WORKFLOW_REF",
            "acme/shop/.github/workflows/ci.yml@refs/heads/main",
        )
        .env("GITHUB_RUN_ID", "7")
        .env("GITHUB_RUN_ATTEMPT", "2")
        .run();
    assert_eq!(finished.code, 0, "{}", finished.log);
    let report = finished.report.expect("a report");
    let (_, image) = named(&report);
    let published = shop.published(&report["image"]).await;
    assert_eq!(published.images.len(), 2);
    let wheel = project.index.digest("fastapi-1.2.0-py3-none-any.whl");
    for image_of_platform in &published.images {
        let digest = image_of_platform.digest();
        let documents = shop.attached(&image, digest, SBOM).await;
        let [document] = &documents[..] else {
            panic!("{documents:?}");
        };
        assert!(!document.to_string().contains("canary"), "{document}");
        let component = |name: &str| {
            let components = document["components"].as_array().expect("components");
            let found = components.iter().find(|one| one["name"] == name);
            found.unwrap_or_else(|| panic!("{name} in {document}"))
        };
        let fastapi = component("fastapi");
        assert_eq!(
            fastapi["purl"],
            "pkg:pypi/fastapi@1.2.0?file_name=fastapi-1.2.0-py3-none-any.whl"
        );
        assert_eq!(fastapi["hashes"][0]["content"], wheel.as_str());
        assert_eq!(component("shop")["type"], "application");
        let base = component(&shop.base().replace(":slim", ""));
        let base = base["version"].as_str().expect("a digest");
        assert!(base.starts_with("sha256:"), "{base}");
        assert_eq!(document["compositions"][0]["assemblies"][0], "base-image");
        let all = document["components"].as_array().expect("components").len();
        let needed = document["dependencies"][0]["dependsOn"].as_array();
        assert_eq!(needed.expect("a list").len(), all);
    }
    let documents = shop.attached(&image, &published.digest, STATEMENT).await;
    let [statement] = &documents[..] else {
        panic!("{documents:?}");
    };
    assert!(!statement.to_string().contains("canary"), "{statement}");
    let here = project.workspace().display().to_string();
    assert!(!statement.to_string().contains(&here), "{statement}");
    let subject = &statement["subject"][0]["digest"]["sha256"];
    assert_eq!(subject, published.digest.hex());
    let run = &statement["predicate"]["runDetails"];
    assert_eq!(
        run["builder"]["id"],
        "https://github.example.com/acme/shop/.github/workflows/ci.yml@refs/heads/main"
    );
    assert_eq!(
        run["metadata"]["invocationId"],
        "https://github.example.com/acme/shop/actions/runs/7/attempts/2"
    );
    let source = &statement["predicate"]["buildDefinition"]["resolvedDependencies"][0];
    assert_eq!(
        source["uri"],
        "git+https://github.example.com/acme/shop@refs/heads/main"
    );
    assert_eq!(source["digest"]["gitCommit"], "0123456789abcdef");
}

#[tokio::test]
async fn an_image_is_verified_by_tag_and_by_digest() {
    let shop = Shop::open().await;
    let project = Project::new("shop");
    let report = shop.built(&project, &[BOTH[0], ("tags", "1.0")]);
    let again = shop.built(&project, &[BOTH[0], ("tags", "1.0")]);
    assert_eq!(report["attached"], again["attached"]);
    assert_eq!(report["attached"].as_array().expect("a list").len(), 3);
    let tagged = format!("{}/acme/shop:1.0", shop.server.address);
    for name in [named(&report).0, &tagged] {
        let verified = shop.verify(&project, name);
        assert_eq!(verified.code, 0, "{}", verified.log);
        assert_eq!(verified.outputs["image"], named(&report).0);
        let report = verified.report.expect("a report");
        let checks = report["checks"].as_array().expect("checks");
        let told: Vec<String> = checks
            .iter()
            .map(|check| {
                let text = |name: &str| check[name].as_str().expect("text").to_owned();
                format!("{} {}", text("about"), text("verdict"))
            })
            .collect();
        assert_eq!(
            told,
            [
                "layers holds",
                "bill of materials holds",
                "layers holds",
                "bill of materials holds",
                "provenance holds"
            ]
        );
    }
    let without = shop.verify(&project, &format!("{}/acme/shop", shop.server.address));
    assert_eq!(without.code, 2, "{}", without.log);
}

#[tokio::test]
async fn what_lacks_evidence_is_refused_and_what_lies_fails() {
    let shop = Shop::open().await;
    let project = Project::new("shop");
    let bare = shop.verify(&project, &shop.base());
    assert_eq!(
        (bare.code, bare.outputs["failure-reason"].as_str()),
        (3, "evidence-missing"),
        "{}",
        bare.log
    );
    assert!(bare.log.contains("lacks evidence"), "{}", bare.log);

    let report = shop.built(&project, &[]);
    let (_, image) = named(&report);
    let published = shop.published(&report["image"]).await;
    let sbom = &shop.attached(&image, &published.digest, SBOM).await[0];
    let statement = &shop.attached(&image, &published.digest, STATEMENT).await[0];
    let mut shortened = sbom.clone();
    let components = shortened["components"].as_array_mut();
    let components = components.expect("components");
    components.retain(|component| component["name"] != "uvicorn");
    let mut other = statement.clone();
    other["subject"][0]["digest"]["sha256"] = "0".repeat(64).into();
    for (name, sbom, statement, cause) in [
        (
            "shortened",
            &shortened,
            statement,
            "it lacks uvicorn 0.40.0, which the image holds",
        ),
        ("other", sbom, &other, "it is not about sha256:"),
    ] {
        let to = format!("{}/acme/{name}:copy", shop.server.address);
        let to = reference(&to).expect("a reference");
        let platform = Platform::linux_amd64();
        let copied = shop.registry.copy(&image, &platform, &to).await;
        let copied = copied.expect("a copy").reference;
        shop.attach(&copied, SBOM, sbom).await;
        shop.attach(&copied, STATEMENT, statement).await;
        let verified = shop.verify(&project, &copied);
        assert_eq!(
            (verified.code, verified.outputs["failure-reason"].as_str()),
            (1, "checks-failed"),
            "{}",
            verified.log
        );
        assert!(verified.log.contains(cause), "{}", verified.log);
    }
}
