//! What the image will be: every choice is made here, from what was found.

use std::collections::{BTreeMap, BTreeSet};

use oci_image::{Digest, Document, Draft, Image, Layer, Platform};
use serde::Serialize;

use crate::app::App;
use crate::error::BuildError;
use crate::inputs::{Bytecode, Request};
use crate::labels::{self, About};
use crate::layers::{self, FORM, Group};
use crate::locked::{Package, Target};
use crate::observe::Observed;
use crate::openapi::OpenApi;
use crate::previous::{INPUTS, Known, PACKAGES};
use crate::python::{Version, fits};
use crate::server::{self, Serve};
use crate::sources::Source;

/// Where the packages are.
pub(crate) const VENV: &str = "/opt/venv";
/// Where the application is.
pub(crate) const APP: &str = "/app";

/// What will be built.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The kind of the lock file.
    pub(crate) lock: &'static str,
    pub(crate) base: String,
    pub(crate) python: Version,
    pub(crate) interpreter: String,
    pub(crate) app: App,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) working_dir: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) bytecode: Bytecode,
    pub(crate) sources: Vec<Source>,
    pub(crate) images: Vec<PlannedImage>,
}

/// The image of one platform.
#[derive(Clone, Debug)]
pub(crate) struct PlannedImage {
    pub(crate) platform: Platform,
    pub(crate) base: Image,
    pub(crate) packages: Vec<Package>,
    pub(crate) labels: BTreeMap<String, String>,
    /// The layers above the base image, bottom first.
    pub(crate) layers: Vec<PlannedLayer>,
}

/// A layer above the base image.
#[derive(Clone, Debug)]
pub(crate) struct PlannedLayer {
    pub(crate) holds: Holds,
    /// The digest of everything that its bytes depend on.
    pub(crate) key: Digest,
    /// The layer itself, when an earlier image has it.
    pub(crate) known: Option<Known>,
}

/// What a layer holds.
#[derive(Clone, Debug)]
pub(crate) enum Holds {
    /// Packages.
    Packages(Group),
    /// The application, and the frame of its environment.
    Application,
}

impl Holds {
    /// Names the layer, for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Packages(group) => &group.name,
            Self::Application => "application",
        }
    }
}

/// Plans the image.
pub(crate) fn plan(request: &Request, observed: &Observed) -> Result<Plan, BuildError> {
    let python = python(request, observed)?;
    let working_dir = working_dir(observed);
    let variables = variables(request, observed, &working_dir);
    let mut plan = Plan {
        lock: observed.locked.format.word(),
        base: observed.base.name.clone(),
        interpreter: request.python.clone(),
        app: observed.app.clone(),
        entrypoint: Vec::new(),
        port: request.port,
        user: request.user.clone(),
        bytecode: request.bytecode,
        sources: observed.sources.clone(),
        images: Vec::new(),
        working_dir,
        variables,
        python,
    };
    let application = plan.application_key();
    for base in &observed.base.images {
        let image = image(&plan, base, &application, request, observed)?;
        plan.images.push(image);
    }
    plan.entrypoint = entrypoint(&plan, request)?;
    Ok(plan)
}

/// Gives the words that start the application; the server is among the packages of all platforms.
fn entrypoint(plan: &Plan, request: &Request) -> Result<Vec<String>, BuildError> {
    let serve = Serve {
        server: request.server,
        arguments: &request.server_arguments,
        python: &format!("{VENV}/bin/python"),
        app: &plan.app,
        port: plan.port,
        graceful_shutdown_seconds: request.graceful_shutdown_seconds,
    };
    let version = |name: &str| {
        let packages = |image: &PlannedImage| {
            let mut packages = image.packages.iter();
            let package = packages.find(|package| package.name == name);
            package.map(|package| package.version.clone())
        };
        let versions: Option<Vec<String>> = plan.images.iter().map(packages).collect();
        versions?.into_iter().next()
    };
    server::entrypoint(&serve, &version)
}

fn image(
    plan: &Plan,
    base: &Image,
    application: &Digest,
    request: &Request,
    observed: &Observed,
) -> Result<PlannedImage, BuildError> {
    let platform = base.platform();
    let target = Target::new(platform.clone(), plan.python.clone());
    let packages = observed.locked.packages(&target)?;
    // Who wants the document of the application needs all of it at hand.
    let reuses = request.openapi != OpenApi::True;
    let planned = |holds: Holds, key: Digest| PlannedLayer {
        known: reuses.then(|| observed.previous.find(&key)).flatten(),
        holds,
        key,
    };
    let mut layers: Vec<PlannedLayer> = layers::groups(&packages)
        .into_iter()
        .map(|group| {
            let key = group.key(&platform, &plan.python, plan.bytecode);
            planned(Holds::Packages(group), key)
        })
        .collect();
    layers.push(planned(Holds::Application, application.clone()));
    Ok(PlannedImage {
        labels: labels(request, observed, base),
        base: base.clone(),
        platform,
        packages,
        layers,
    })
}

/// Says which Python the base image has, and whether everybody agrees.
fn python(request: &Request, observed: &Observed) -> Result<Version, BuildError> {
    let base = &observed.base;
    let parse =
        |text: &str| Version::parse(text).ok_or_else(|| BuildError::PythonVersion(text.to_owned()));
    let told = base.images.iter().map(|image| {
        let settings = &image.config().value().config;
        settings.variable("PYTHON_VERSION")
    });
    let told: BTreeSet<Option<&str>> = told.collect();
    let told: Vec<Option<&str>> = told.into_iter().collect();
    let found = match (&told[..], request.python_version.as_deref()) {
        (&[Some(text)], _) | (&[None], Some(text)) => parse(text)?,
        (&[None], None) | (&[], _) => return Err(BuildError::UnknownPython(base.name.clone())),
        (several, _) => {
            let several = several.iter().map(|text| text.unwrap_or("none"));
            return Err(BuildError::SeveralPythons {
                base: base.name.clone(),
                found: several.collect::<Vec<_>>().join(", "),
            });
        }
    };
    let other = |asked: &str, wanted: &str| BuildError::OtherPython {
        base: base.name.clone(),
        found: found.to_string(),
        asked: asked.into(),
        wanted: wanted.into(),
    };
    let asked = [
        ("python-version", &request.python_version),
        (".python-version", &observed.files.python_version),
    ];
    // The input is there to differ from the file.
    if let Some((asked, text)) = asked
        .iter()
        .find_map(|(asked, text)| Some((*asked, text.as_ref()?)))
        && !parse(text)?.minor().covers(&found)
    {
        return Err(other(asked, text));
    }
    if let Some(specifier) = &observed.files.pyproject.project.requires_python
        && !fits(&found, specifier)
    {
        return Err(other("requires-python", specifier));
    }
    Ok(found)
}

/// What the bytes of the application's layer depend on.
#[derive(Serialize)]
struct ApplicationKey<'a> {
    form: u32,
    python: String,
    interpreter: &'a str,
    bytecode: bool,
    sources: &'a [Source],
}

impl Plan {
    fn application_key(&self) -> Digest {
        let key = ApplicationKey {
            form: FORM,
            python: self.python.to_string(),
            interpreter: &self.interpreter,
            bytecode: self.bytecode == Bytecode::All,
            sources: &self.sources,
        };
        Document::of(key).digest().clone()
    }

    /// Lists the layers that have to be made, each once: platforms may share one.
    pub(crate) fn missing(&self) -> BTreeMap<&Digest, (&PlannedImage, &PlannedLayer)> {
        let layers = self
            .images
            .iter()
            .flat_map(|image| image.layers.iter().map(move |layer| (image, layer)));
        layers
            .filter(|(_, layer)| layer.known.is_none())
            .map(|(image, layer)| (&layer.key, (image, layer)))
            .collect()
    }

    /// Makes the image of a platform on top of its base image; `layers` gives those above it by
    /// their key.
    pub(crate) fn draft(
        &self,
        planned: &PlannedImage,
        created: &str,
        layers: &BTreeMap<Digest, Layer>,
    ) -> Draft {
        let mut draft = Draft::on(&planned.base)
            .created(created)
            .entrypoint(self.entrypoint.clone())
            .user(&self.user)
            .working_dir(&self.working_dir)
            .port(self.port)
            .stop_signal("SIGTERM");
        for layer in &planned.layers {
            let made = layer.known.as_ref().map(|known| &known.layer);
            let Some(made) = made.or_else(|| layers.get(&layer.key)) else {
                continue;
            };
            let mut annotations = BTreeMap::from([(INPUTS.to_owned(), layer.key.to_string())]);
            if let Holds::Packages(group) = &layer.holds {
                annotations.insert(PACKAGES.into(), group.listed());
            }
            draft = draft.annotated_layer(made.clone(), layer.holds.name(), annotations);
        }
        for (name, value) in &self.variables {
            draft = draft.env(name, value);
        }
        for (name, value) in &planned.labels {
            draft = draft.label(name, value).annotation(name, value);
        }
        draft
    }
}

/// Gives the folder that the application starts in: its own, inside the part of the checkout that
/// the image holds.
fn working_dir(observed: &Observed) -> String {
    let mut members = observed.locked.members.iter();
    let project = members.find(|member| member.project);
    inside(project.map_or("".as_ref(), |member| &member.folder))
}

fn inside(path: &std::path::Path) -> String {
    let path = path.to_string_lossy();
    match path.trim_matches(['.', '/']) {
        "" => APP.into(),
        path => format!("{APP}/{path}"),
    }
}

fn variables(request: &Request, observed: &Observed, working_dir: &str) -> Vec<(String, String)> {
    let base = observed.base.images.first();
    let path = base
        .and_then(|base| base.config().value().config.variable("PATH"))
        .unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let mut variables = vec![
        ("PATH".to_owned(), format!("{VENV}/bin:{path}")),
        ("VIRTUAL_ENV".into(), VENV.into()),
        ("PYTHONUNBUFFERED".into(), "1".into()),
        // The root file system may be read-only, and nobody would find what is written to it.
        ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
        ("PORT".into(), request.port.to_string()),
    ];
    let roots = observed.locked.members.iter();
    let roots: Vec<String> = roots
        .map(|member| inside(&member.import_root))
        .filter(|root| root != working_dir)
        .collect();
    if !roots.is_empty() {
        variables.push(("PYTHONPATH".into(), roots.join(":")));
    }
    variables
}

fn labels(request: &Request, observed: &Observed, base: &Image) -> BTreeMap<String, String> {
    let project = &observed.files.pyproject.project;
    let about = About {
        title: Some(&project.name),
        version: project.version.as_deref(),
        description: project.description.as_deref(),
        license: project.license.as_ref(),
        urls: project.urls.clone(),
        base_digest: base.digest().as_str(),
        health_path: &request.health_path,
    };
    let mut labels = labels::labels(&about, &observed.checkout);
    labels.extend(request.labels.clone());
    labels
}
