//! The bill of materials of an image (SBOM), in CycloneDX 1.6: what the lock file pins, each wheel
//! with its digest, the packages whose source is in the checkout, and the base image.
//!
//! What the base image itself holds is not looked at: the document says that this part is
//! incomplete. It is a function of the image, so that equal images have equal documents.

use std::collections::{BTreeMap, BTreeSet};

use oci_image::{Digest, Image};
use serde_json::{Value, json};

use crate::base::ON_DISK;
use crate::locked::{Member, Package};
use crate::plan::{Plan, PlannedImage};
use crate::purl;

/// The media type of the document, and the type of the artifact that holds it.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.cyclonedx+json";

/// The reference of the base image inside the document.
const BASE: &str = "base-image";
/// The property of a package that lists the digests which its lock file allows, where it does not
/// say which one is this platform's.
const ALLOWED: &str = "dev.fastapi-eks-actions:allowed-sha256";

/// What an image is made of.
pub(crate) struct Contents<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) planned: &'a PlannedImage,
    pub(crate) members: &'a [Member],
    /// The time that the image says it was made at.
    pub(crate) created: &'a str,
}

/// Writes the document of an image.
pub(crate) fn document(image: &Image, contents: &Contents<'_>) -> Vec<u8> {
    let name = contents.members.iter().find(|member| member.project);
    let name = name.map_or("application", |member| &member.name);
    let purl = purl::image(name, image.digest(), &image.platform(), None);
    let mut components = vec![base(contents), python(contents)];
    components.extend(contents.members.iter().map(member));
    components.extend(contents.planned.packages.iter().map(package));
    let parts: BTreeSet<&str> = components
        .iter()
        .filter_map(|component| component["bom-ref"].as_str())
        .collect();
    let dependencies = [json!({"ref": purl, "dependsOn": parts})];
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(image.digest())),
        "version": 1,
        "metadata": {
            "timestamp": contents.created,
            "tools": {"components": [{
                "type": "application",
                "name": "build-fastapi-image",
                "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": {
                "type": "container",
                "bom-ref": purl,
                "name": name,
                "version": image.digest(),
                "purl": purl,
            },
        },
        "components": components,
        "dependencies": dependencies,
        "compositions": [{"aggregate": "incomplete", "assemblies": [BASE]}],
    });
    document.to_string().into_bytes()
}

fn base(contents: &Contents<'_>) -> Value {
    let base = &contents.planned.base;
    let repository = repository(&contents.plan.base);
    let name = repository.and_then(|repository| repository.rsplit('/').next());
    let name = name.unwrap_or(BASE);
    json!({
        "type": "container",
        "bom-ref": BASE,
        "name": repository.unwrap_or(name),
        "version": base.digest(),
        "purl": purl::image(name, base.digest(), &base.platform(), repository),
        "hashes": [hash(base.digest())],
    })
}

/// Gives the repository of a base image that is in a registry.
pub(crate) fn repository(base: &str) -> Option<&str> {
    let (repository, _) = base.split_once("@sha256:")?;
    (!repository.starts_with(ON_DISK)).then_some(repository)
}

/// The interpreter is the base image's.
fn python(contents: &Contents<'_>) -> Value {
    let version = contents.plan.python.to_string();
    let purl = format!("pkg:generic/python@{version}");
    json!({
        "type": "application",
        "bom-ref": purl,
        "name": "python",
        "version": version,
        "purl": purl,
    })
}

fn member(member: &Member) -> Value {
    let mut component = json!({
        "type": if member.project { "application" } else { "library" },
        "bom-ref": format!("source:{}", member.name),
        "name": member.name,
    });
    if let Some(version) = &member.version {
        component["version"] = json!(version);
    }
    component
}

fn package(package: &Package) -> Value {
    let purl = purl::python(package);
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    });
    let wheel = package.wheel.as_ref();
    match (
        wheel.and_then(|wheel| wheel.sha256.as_ref()),
        &package.hashes[..],
    ) {
        (Some(sha256), _) | (None, [sha256]) => component["hashes"] = json!([hash(sha256)]),
        (None, allowed) => {
            let allowed = allowed.iter().map(Digest::hex);
            let allowed = allowed.map(|value| json!({"name": ALLOWED, "value": value}));
            component["properties"] = allowed.collect();
        }
    }
    component
}

fn hash(sha256: &Digest) -> Value {
    json!({"alg": "SHA-256", "content": sha256.hex()})
}

/// Makes a UUID of a digest: version 8 of RFC 9562, whose bits are the maker's own.
fn uuid(digest: &Digest) -> String {
    let hex = digest.hex();
    format!(
        "{}-{}-8{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}

/// Reads the packages of a document: versions by name; nothing when it is none of CycloneDX.
pub(crate) fn packages(document: &Value) -> Option<BTreeMap<&str, &str>> {
    if document["bomFormat"] != "CycloneDX" {
        return None;
    }
    let components = document["components"].as_array()?;
    let packages = components.iter().filter(|component| {
        let purl = component["purl"].as_str();
        purl.is_some_and(|purl| purl.starts_with("pkg:pypi/"))
    });
    packages
        .map(|package| Some((package["name"].as_str()?, package["version"].as_str()?)))
        .collect()
}

/// Reads the digest of the base image that a document names.
pub(crate) fn base_digest(document: &Value) -> Option<&str> {
    let components = document["components"].as_array()?;
    let base = components.iter().find(|one| one["bom-ref"] == BASE)?;
    base["version"].as_str()
}
