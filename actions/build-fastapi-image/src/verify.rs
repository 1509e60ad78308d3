//! Checks an image that was pushed: all of it is there, and what is attached to it tells the truth
//! about it.

use std::fmt::Write as _;

use action_kit::{Failed, Outcome, Report};
use oci_image::{Digest, Image};
use oci_registry::{Published, Reference, Registry, RegistryError, reference};
use serde::Serialize;
use serde_json::Value;

use crate::error::BuildError;
use crate::previous::packages;
use crate::{provenance, sbom};

/// The label of an image that tells the digest of its base image.
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Holds,
    /// There is nothing that could be checked.
    Missing,
    Wrong,
}

/// A check of an image.
#[derive(Debug, Serialize)]
struct Check {
    /// What was checked: a platform, or the index of all.
    subject: String,
    about: &'static str,
    verdict: Verdict,
    detail: String,
}

/// Verifies the image that the input `image` names.
pub(crate) async fn verify(image: Option<&str>, registry: &Registry) -> Result<Report, Failed> {
    let image = image.ok_or(BuildError::NoImage)?;
    let last = image.rsplit('/').next().unwrap_or_default();
    if !last.contains([':', '@']) {
        return Err(BuildError::ImageWithoutTag(image.into()).into());
    }
    let named = reference(image)?;
    let found = registry.published(&named).await?;
    let published = found.ok_or_else(|| RegistryError::NotFound(named.whole()))?;
    let pinned = named.clone_with_digest(published.digest.to_string());
    let verifier = Verifier {
        registry,
        image: &pinned,
    };
    let mut checks = Vec::new();
    for image in &published.images {
        checks.push(verifier.blobs(image).await?);
        checks.push(verifier.sbom(image).await?);
    }
    checks.push(verifier.provenance(&published).await?);
    end(&pinned, &published.digest, &checks)
}

struct Verifier<'a> {
    registry: &'a Registry,
    image: &'a Reference,
}

impl Verifier<'_> {
    /// Looks whether a first pull would find everything.
    async fn blobs(&self, image: &Image) -> Result<Check, RegistryError> {
        let lacking = self.registry.lacks(image, self.image).await?;
        let count = image.layers().count();
        Ok(Check {
            subject: image.platform().to_string(),
            about: "layers",
            verdict: if lacking.is_empty() {
                Verdict::Holds
            } else {
                Verdict::Wrong
            },
            detail: match lacking.first() {
                Some(one) => format!("the registry lacks {} of {count}: {one}", lacking.len()),
                None => format!("all {count} are there"),
            },
        })
    }

    /// Compares the bill of materials with what the layers say that they hold.
    async fn sbom(&self, image: &Image) -> Result<Check, RegistryError> {
        let found = self.attached(image.digest(), sbom::MEDIA_TYPE).await?;
        let results = found.iter().map(|document| agrees(document, image));
        let (verdict, detail) = best(results);
        Ok(Check {
            subject: image.platform().to_string(),
            about: "bill of materials",
            verdict,
            detail,
        })
    }

    /// Compares the provenance with the image: it is about this one, and its base images are the
    /// ones that the image names.
    async fn provenance(&self, published: &Published) -> Result<Check, RegistryError> {
        let found = self
            .attached(&published.digest, provenance::MEDIA_TYPE)
            .await?;
        let statements = found
            .iter()
            .filter(|statement| statement["predicateType"] == provenance::PREDICATE);
        let (verdict, detail) = best(statements.map(|statement| comes_from(statement, published)));
        Ok(Check {
            subject: published.digest.short().to_owned(),
            about: "provenance",
            verdict,
            detail,
        })
    }

    /// Reads the documents of one type that are attached to a digest.
    async fn attached(&self, digest: &Digest, kind: &str) -> Result<Vec<Value>, RegistryError> {
        let listed = self
            .registry
            .referrers(self.image, digest, Some(kind))
            .await?;
        let mut documents = Vec::new();
        for descriptor in &listed {
            let (_, content) = self.registry.artifact(self.image, descriptor).await?;
            documents.push(serde_json::from_slice(&content).unwrap_or_default());
        }
        Ok(documents)
    }
}

/// Gives the best of several results: others may have attached documents of the same type.
fn best(results: impl Iterator<Item = Result<String, String>>) -> (Verdict, String) {
    let mut wrong = None;
    for result in results {
        match result {
            Ok(detail) => return (Verdict::Holds, detail),
            Err(detail) => wrong = Some(detail),
        }
    }
    match wrong {
        Some(detail) => (Verdict::Wrong, detail),
        None => (Verdict::Missing, "nothing is attached".into()),
    }
}

fn agrees(document: &Value, image: &Image) -> Result<String, String> {
    let listed = sbom::packages(document).ok_or("it is no CycloneDX document")?;
    let held = packages(image);
    if let Some((name, version)) = held.iter().find(|(name, _)| !listed.contains_key(*name)) {
        return Err(format!("it lacks {name} {version}, which the image holds"));
    }
    if let Some((name, version)) = listed
        .iter()
        .find(|(name, version)| held.get(*name) != Some(version))
    {
        let held = held.get(name).unwrap_or(&"none");
        return Err(format!("it lists {name} {version}, the image holds {held}"));
    }
    let base = base_digest(image);
    if base.is_some() && sbom::base_digest(document) != base {
        return Err("it lists another base image".into());
    }
    Ok(format!("{} packages, as the layers say", listed.len()))
}

fn comes_from(statement: &Value, published: &Published) -> Result<String, String> {
    let told = provenance::read(statement).ok_or("it does not follow SLSA's provenance")?;
    let images = published.images.iter().map(Image::digest);
    for digest in std::iter::once(&published.digest).chain(images) {
        if !told.subjects.contains(&digest.hex()) {
            return Err(format!("it is not about {digest}"));
        }
    }
    for image in &published.images {
        let base = base_digest(image).and_then(|digest| digest.strip_prefix("sha256:"));
        if let Some(base) = base
            && !told.materials.contains(&base)
        {
            return Err(format!("it does not name the base image sha256:{base}"));
        }
    }
    let commit = told
        .commit
        .map_or_else(|| "no commit".into(), |commit| format!("commit {commit}"));
    Ok(format!("{commit}, by {}; unsigned", told.builder))
}

fn base_digest(image: &Image) -> Option<&str> {
    let labels = image.config().value().config.labels.as_ref()?;
    labels.get(BASE_DIGEST).map(String::as_str)
}

fn end(image: &Reference, digest: &Digest, checks: &[Check]) -> Result<Report, Failed> {
    let mut report = Report::new(Outcome::Done)
        .output("image", image.whole())
        .output("digest", digest.to_string())
        .field("checks", checks);
    let mut markdown =
        format!("### Image verified\n\n`{image}`\n\n| subject | check | result |\n|---|---|---|\n");
    for check in checks {
        let Check {
            subject,
            about,
            verdict,
            detail,
        } = check;
        let word = match verdict {
            Verdict::Holds => "holds",
            Verdict::Missing => "MISSING",
            Verdict::Wrong => "WRONG",
        };
        report = report.line(format!("{word:<8} {subject:<12} {about}: {detail}"));
        let _ = writeln!(markdown, "| {subject} | {about} | {word}: {detail} |");
    }
    report = report.markdown(markdown);
    let named = |verdict: Verdict| {
        let found = checks.iter().filter(|check| check.verdict == verdict);
        found
            .map(|check| format!("{} of {} ({})", check.about, check.subject, check.detail))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (wrong, missing) = (named(Verdict::Wrong), named(Verdict::Missing));
    let image = image.whole();
    match (wrong.is_empty(), missing.is_empty()) {
        (true, true) => Ok(report),
        (false, _) => Err(Failed::from(BuildError::Unverified { image, wrong }).with(report)),
        (true, false) => Err(Failed::from(BuildError::NoEvidence { image, missing }).with(report)),
    }
}
