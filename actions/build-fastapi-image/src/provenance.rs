//! Where an image comes from: an in-toto statement (v1) whose predicate is SLSA provenance (v1).
//!
//! It tells what the builder was asked for, what it resolved that to (each by digest) and which run
//! it was. It says nothing of times, so that a run that is repeated attaches nothing new.

use std::collections::BTreeMap;

use action_kit::Environment;
use oci_image::{Artifact, Digest, Image};
use serde_json::{Map, Value, json};

use crate::base::ON_DISK;
use crate::inputs::Request;
use crate::observe::Observed;
use crate::plan::Plan;
use crate::purl;
use crate::sbom::{self, repository};

/// The media type of a statement, and the type of the artifact that holds it.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.in-toto+json";
/// The predicate of a statement on provenance.
pub(crate) const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// The annotation that tells the predicate of an attached statement.
pub(crate) const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// How the external parameters are to be read.
const BUILD_TYPE: &str = "https://fastapi-eks-actions.dev/build-fastapi-image/v1";
/// Who builds where no workflow does.
const LOCAL: &str = "https://fastapi-eks-actions.dev/build-fastapi-image/local";

/// What a statement on provenance is made of.
pub(crate) struct Origin<'a> {
    pub(crate) request: &'a Request,
    pub(crate) plan: &'a Plan,
    pub(crate) observed: &'a Observed,
    /// The images, one a platform.
    pub(crate) images: &'a [Image],
    /// Their bills of materials.
    pub(crate) bills: &'a [Artifact],
}

impl Origin<'_> {
    /// Writes the statement: `whole` names the images of all platforms.
    pub(crate) fn statement(&self, whole: &Digest) -> Vec<u8> {
        let Self {
            request,
            plan,
            observed,
            images,
            bills,
        } = self;
        let name = match &request.repository {
            Some(repository) => format!("{}/{}", repository.registry(), repository.repository()),
            None => observed.files.pyproject.project.name.clone(),
        };
        let mut subjects = vec![json!({"name": name, "digest": sha256(whole)})];
        let platforms = images.iter().filter(|image| image.digest() != whole);
        subjects.extend(platforms.map(|image| {
            let name = format!("{name} ({})", image.platform());
            json!({"name": name, "digest": sha256(image.digest())})
        }));
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subjects,
            "predicateType": PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": parameters(request, plan),
                    "internalParameters": {"github": github(&request.environment)},
                    "resolvedDependencies": dependencies(plan, observed),
                },
                "runDetails": run(&request.environment, bills),
            },
        });
        statement.to_string().into_bytes()
    }
}

fn sha256(digest: &Digest) -> Value {
    json!({"sha256": digest.hex()})
}

/// What the image was asked to be. Paths are the workspace's, whatever machine it is on.
fn parameters(request: &Request, plan: &Plan) -> Value {
    let folder = request.folder.strip_prefix(&request.workspace);
    let platforms = plan.images.iter().map(|image| image.platform.to_string());
    let registry = |name: &&String| !name.starts_with(ON_DISK);
    json!({
        "path": folder.ok(),
        "package": request.selection.package,
        "groups": request.selection.groups,
        "extras": request.selection.extras,
        "base-image": request.base_image.as_ref().filter(registry),
        "platforms": platforms.collect::<Vec<_>>(),
        "python-version": request.python_version,
        "app": request.app,
        "entrypoint": plan.entrypoint,
        "port": plan.port,
        "user": plan.user,
        "labels": request.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
        "exclude": request.exclude,
        "lock": plan.lock,
    })
}

/// What of the run GitHub vouches for.
fn github(environment: &Environment) -> Value {
    let facts = [
        ("event_name", "GITHUB_EVENT_NAME"),
        ("repository_id", "GITHUB_REPOSITORY_ID"),
        ("repository_owner_id", "GITHUB_REPOSITORY_OWNER_ID"),
        ("runner_environment", "RUNNER_ENVIRONMENT"),
    ];
    let facts = facts
        .iter()
        .filter_map(|(name, variable)| Some(((*name).into(), environment.get(variable)?.into())));
    Value::Object(facts.collect::<Map<_, _>>())
}

/// What the build was made of, each by digest.
fn dependencies(plan: &Plan, observed: &Observed) -> Vec<Value> {
    let mut dependencies = Vec::new();
    let checkout = &observed.checkout;
    if let (Some(source), Some(commit)) = (&checkout.source, checkout.revision()) {
        let reference = checkout.reference.as_deref().unwrap_or(commit);
        dependencies.push(json!({
            "uri": format!("git+{source}@{reference}"),
            "digest": {"gitCommit": commit},
        }));
    }
    let place = repository(&plan.base);
    let name = place.and_then(|place| place.rsplit('/').next());
    for image in &plan.images {
        let (digest, platform) = (image.base.digest(), &image.platform);
        dependencies.push(json!({
            "uri": purl::image(name.unwrap_or("base-image"), digest, platform, place),
            "digest": sha256(digest),
            "annotations": {"role": "base image"},
        }));
    }
    let packages = plan.images.iter().flat_map(|image| &image.packages);
    let mut wheels: Vec<(String, Option<&Digest>)> = packages
        .map(|package| {
            let wheel = package.wheel.as_ref();
            let sha256 = wheel.and_then(|wheel| wheel.sha256.as_ref());
            (purl::python(package), sha256)
        })
        .collect();
    wheels.sort();
    wheels.dedup();
    dependencies.extend(wheels.into_iter().map(|(uri, digest)| match digest {
        Some(digest) => json!({"uri": uri, "digest": sha256(digest)}),
        None => json!({"uri": uri}),
    }));
    dependencies
}

/// Who built it, in which run, and what else came of it: who signs the statement signs for the
/// bills of materials as well.
fn run(environment: &Environment, bills: &[Artifact]) -> Value {
    let mut run = builder(environment);
    run["byproducts"] = bills
        .iter()
        .map(|bill| {
            json!({
                "name": format!("bill of materials of {}", bill.subject().digest),
                "digest": sha256(&Digest::of(bill.content())),
                "mediaType": sbom::MEDIA_TYPE,
            })
        })
        .collect();
    run
}

fn builder(environment: &Environment) -> Value {
    let get = |name: &str| environment.get(name);
    let server = get("GITHUB_SERVER_URL");
    let (Some(server), Some(workflow)) = (server, get("GITHUB_WORKFLOW_REF")) else {
        return json!({"builder": {"id": LOCAL}});
    };
    let mut run = json!({"builder": {"id": format!("{server}/{workflow}")}});
    let known = (
        get("GITHUB_REPOSITORY"),
        get("GITHUB_RUN_ID"),
        get("GITHUB_RUN_ATTEMPT"),
    );
    if let (Some(repository), Some(id), Some(attempt)) = known {
        let url = format!("{server}/{repository}/actions/runs/{id}/attempts/{attempt}");
        run["metadata"] = json!({"invocationId": url});
    }
    run
}

/// What a statement on provenance says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told<'a> {
    /// The digests of the subjects, as hexadecimal digits.
    pub(crate) subjects: Vec<&'a str>,
    /// The digests of what the image was made of.
    pub(crate) materials: Vec<&'a str>,
    /// The digests of what else came of the build: bills of materials.
    pub(crate) byproducts: Vec<&'a str>,
    pub(crate) builder: &'a str,
    pub(crate) commit: Option<&'a str>,
}

/// Reads a statement; nothing when it is none on provenance.
pub(crate) fn read(statement: &Value) -> Option<Told<'_>> {
    if statement["predicateType"] != PREDICATE {
        return None;
    }
    let predicate = &statement["predicate"];
    let materials = predicate["buildDefinition"]["resolvedDependencies"].as_array()?;
    let subjects = statement["subject"].as_array()?;
    let byproducts = predicate["runDetails"]["byproducts"].as_array();
    Some(Told {
        subjects: digests(subjects, "sha256").collect(),
        materials: digests(materials, "sha256").collect(),
        byproducts: digests(byproducts.map_or(&[], Vec::as_slice), "sha256").collect(),
        builder: predicate["runDetails"]["builder"]["id"].as_str()?,
        commit: digests(materials, "gitCommit").next(),
    })
}

fn digests<'a>(list: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a str> {
    list.iter()
        .filter_map(move |one| one["digest"][kind].as_str())
}
