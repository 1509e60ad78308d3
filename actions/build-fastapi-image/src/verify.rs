//! Checks an image that was pushed: all of it is there, and what is attached to it tells the truth
//! about it.

use std::fmt::Write as _;

use action_kit::{Context, Failed, Outcome, Report};
use evidence::{BUNDLE, Expected, Signed, Sigstore};
use oci_image::{Descriptor, Digest, Image};
use oci_registry::{Published, Reference, Registry, RegistryError, reference};
use serde::Serialize;
use serde_json::Value;

use crate::error::BuildError;
use crate::inputs::Inputs;
use crate::previous::packages;
use crate::{provenance, sbom, sign};

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
pub(crate) async fn verify(
    inputs: &Inputs,
    context: &Context,
    registry: &Registry,
) -> Result<Report, Failed> {
    let image = inputs.image.as_ref().ok_or(BuildError::NoImage)?;
    let last = image.rsplit('/').next().unwrap_or_default();
    if !last.contains([':', '@']) {
        return Err(BuildError::ImageWithoutTag(image.into()).into());
    }
    let expected = inputs.expected()?;
    let sigstore = Sigstore::connect(inputs.sigstore(context)?)?;
    let named = reference(image)?;
    let found = registry.published(&named).await?;
    let published = found.ok_or_else(|| RegistryError::NotFound(named.whole()))?;
    let pinned = named.clone_with_digest(published.digest.to_string());
    let verifier = Verifier {
        registry,
        sigstore: &sigstore,
        expected: &expected,
        image: &pinned,
    };
    let (provenance, origin) = verifier.provenance(&published).await?;
    let mut checks = Vec::new();
    for image in &published.images {
        checks.push(verifier.blobs(image).await?);
        checks.push(verifier.sbom(image, &origin.bills).await?);
    }
    checks.push(provenance);
    end(&pinned, &published.digest, &checks, origin.signer)
}

struct Verifier<'a> {
    registry: &'a Registry,
    sigstore: &'a Sigstore,
    expected: &'a Expected,
    image: &'a Reference,
}

/// What a statement on provenance vouches for.
#[derive(Debug, Default)]
struct Origin {
    /// Who signed it: the certificate's identity.
    signer: Option<String>,
    /// The digests of the bills of materials, as hexadecimal digits.
    bills: Vec<String>,
    detail: String,
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

    /// Compares the bill of materials with what the layers say that they hold, and with what the
    /// provenance vouches for.
    async fn sbom(&self, image: &Image, vouched: &[String]) -> Result<Check, RegistryError> {
        let found = self.attached(image.digest(), sbom::MEDIA_TYPE).await?;
        let results = found.iter().map(|document| {
            let detail = agrees(&parsed(document), image)?;
            let digest = Digest::of(document);
            if vouched.is_empty() || vouched.iter().any(|known| known == digest.hex()) {
                return Ok(detail);
            }
            Err("it is not the one that the provenance names".into())
        });
        let (verdict, detail) = match best(results) {
            Ok(detail) => (Verdict::Holds, detail),
            Err(failed) => failed,
        };
        Ok(Check {
            subject: image.platform().to_string(),
            about: "bill of materials",
            verdict,
            detail,
        })
    }

    /// Compares the provenance with the image: it is about this one, its base images are the ones
    /// that the image names, and who must have signed it has.
    async fn provenance(&self, published: &Published) -> Result<(Check, Origin), Failed> {
        let subject = &published.digest;
        let mut results = Vec::new();
        let bundles = self.attached(subject, BUNDLE).await?;
        if !bundles.is_empty() {
            let sigstore = self.sigstore.verifier().await?;
            for bundle in &bundles {
                let signed = sigstore.verify(bundle, subject.hex(), self.expected);
                results.push(signed.and_then(|signed| {
                    let mut origin = comes_from(&parsed(&signed.statement), published)?;
                    let Signed {
                        identity, issuer, ..
                    } = signed;
                    let _ = write!(origin.detail, "; signed by {identity}, says {issuer}");
                    origin.signer = Some(identity);
                    Ok(origin)
                }));
            }
        }
        if self.expected.is_anybody() {
            let statements = self.attached(subject, provenance::MEDIA_TYPE).await?;
            results.extend(statements.iter().map(|statement| {
                let mut origin = comes_from(&parsed(statement), published)?;
                origin.detail.push_str("; unsigned");
                Ok(origin)
            }));
        }
        let (verdict, origin) = match best(results.into_iter()) {
            Ok(origin) => (Verdict::Holds, origin),
            Err((verdict, detail)) => (
                verdict,
                Origin {
                    detail,
                    ..Origin::default()
                },
            ),
        };
        let check = Check {
            subject: subject.short().to_owned(),
            about: if self.expected.is_anybody() {
                "provenance"
            } else {
                "signed provenance"
            },
            verdict,
            detail: origin.detail.clone(),
        };
        Ok((check, origin))
    }

    /// Reads the documents of one type that are attached to a digest; of statements, those on
    /// provenance.
    async fn attached(&self, digest: &Digest, kind: &str) -> Result<Vec<Vec<u8>>, RegistryError> {
        let listed = self
            .registry
            .referrers(self.image, digest, Some(kind))
            .await?;
        let mut documents = Vec::new();
        for descriptor in listed.iter().filter(|one| !states_else(one)) {
            let (_, content) = self.registry.artifact(self.image, descriptor).await?;
            documents.push(content);
        }
        Ok(documents)
    }
}

/// Says whether an artifact is marked as a statement on something else than provenance.
fn states_else(artifact: &Descriptor) -> bool {
    [provenance::PREDICATE_TYPE, sign::PREDICATE_TYPE]
        .iter()
        .filter_map(|name| artifact.annotations.get(*name))
        .any(|predicate| predicate != provenance::PREDICATE)
}

/// Reads JSON; what is none has no fields.
fn parsed(document: &[u8]) -> Value {
    serde_json::from_slice(document).unwrap_or_default()
}

/// Gives the best of several results: others may have attached documents of the same type.
fn best<T>(results: impl Iterator<Item = Result<T, String>>) -> Result<T, (Verdict, String)> {
    let mut failed = (Verdict::Missing, "nothing is attached".into());
    for result in results {
        match result {
            Ok(found) => return Ok(found),
            Err(detail) => failed = (Verdict::Wrong, detail),
        }
    }
    Err(failed)
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

fn comes_from(statement: &Value, published: &Published) -> Result<Origin, String> {
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
    Ok(Origin {
        signer: None,
        bills: told.byproducts.into_iter().map(String::from).collect(),
        detail: format!("{commit}, by {}", told.builder),
    })
}

fn base_digest(image: &Image) -> Option<&str> {
    let labels = image.config().value().config.labels.as_ref()?;
    labels.get(BASE_DIGEST).map(String::as_str)
}

fn end(
    image: &Reference,
    digest: &Digest,
    checks: &[Check],
    signer: Option<String>,
) -> Result<Report, Failed> {
    let mut report = Report::new(Outcome::Done)
        .output("image", image.whole())
        .output("digest", digest.to_string())
        .field("checks", checks)
        .field("signer", signer);
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
