//! What the image will be: every choice is made here, from what was found.

use action_kit::{Outcome, Report};
use oci_image::{Draft, Layer};

use crate::app::App;
use crate::error::BuildError;
use crate::inputs::Request;
use crate::lock;
use crate::observe::Observed;
use crate::python::{Version, fits};

/// Where the packages are.
pub(crate) const VENV: &str = "/opt/venv";
/// Where the application is.
pub(crate) const APP: &str = "/app";
/// Who the application runs as.
const USER: &str = "65532:65532";

/// What will be built.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) base: String,
    pub(crate) python: Version,
    pub(crate) interpreter: String,
    pub(crate) app: App,
    pub(crate) files: Vec<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) port: u16,
    pub(crate) platform: String,
}

/// Plans the image.
pub(crate) fn plan(request: &Request, observed: &Observed) -> Result<Plan, BuildError> {
    let python = python(request, observed)?;
    if !lock::holds(&observed.files, "uvicorn") {
        return Err(BuildError::NoServer);
    }
    let words = [
        &format!("{VENV}/bin/python"),
        "-m",
        "uvicorn",
        &observed.app.to_string(),
        "--host",
        "0.0.0.0",
        "--port",
        &request.port.to_string(),
        "--timeout-graceful-shutdown",
        &request.graceful_shutdown_seconds.to_string(),
    ];
    Ok(Plan {
        base: observed.base.name.clone(),
        interpreter: request.python.clone(),
        app: observed.app.clone(),
        files: observed.paths.clone(),
        entrypoint: words.map(String::from).to_vec(),
        variables: variables(request, observed),
        labels: labels(request, observed),
        port: request.port,
        platform: request.platform.to_string(),
        python,
    })
}

/// Says which Python the base image has, and whether everybody agrees.
fn python(request: &Request, observed: &Observed) -> Result<Version, BuildError> {
    let base = &observed.base;
    let parse =
        |text: &str| Version::parse(text).ok_or_else(|| BuildError::PythonVersion(text.to_owned()));
    let found = base
        .image
        .config()
        .value()
        .config
        .variable("PYTHON_VERSION");
    let found = match (found, request.python_version.as_deref()) {
        (Some(text), _) | (None, Some(text)) => parse(text)?,
        (None, None) => return Err(BuildError::UnknownPython(base.name.clone())),
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

fn variables(request: &Request, observed: &Observed) -> Vec<(String, String)> {
    let base = &observed.base.image.config().value().config;
    let path = base
        .variable("PATH")
        .unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let mut variables = vec![
        ("PATH".to_owned(), format!("{VENV}/bin:{path}")),
        ("VIRTUAL_ENV".into(), VENV.into()),
        ("PYTHONUNBUFFERED".into(), "1".into()),
        // The root file system may be read-only, and nobody would find what is written to it.
        ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
        ("PORT".into(), request.port.to_string()),
    ];
    if observed.paths.iter().any(|path| path.starts_with("src/")) {
        variables.push(("PYTHONPATH".into(), format!("{APP}/src")));
    }
    variables
}

fn labels(request: &Request, observed: &Observed) -> Vec<(String, String)> {
    let project = &observed.files.pyproject.project;
    let digest = Some(observed.base.image.digest().to_string());
    let known = [
        (
            "title",
            Some(project.name.clone()).filter(|name| !name.is_empty()),
        ),
        ("version", project.version.clone()),
        ("description", project.description.clone()),
        ("revision", request.revision.clone()),
        ("source", request.source.clone()),
        ("base.digest", digest),
    ];
    known
        .into_iter()
        .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), value?)))
        .collect()
}

impl Plan {
    /// Makes the image on top of the base image.
    pub(crate) fn draft(&self, observed: &Observed, layers: &[(Layer, &str)]) -> Draft {
        let mut draft = Draft::on(&observed.base.image)
            .entrypoint(self.entrypoint.clone())
            .user(USER)
            .working_dir(APP)
            .port(self.port)
            .stop_signal("SIGTERM");
        for (layer, what) in layers {
            draft = draft.layer(layer.clone(), what);
        }
        for (name, value) in &self.variables {
            draft = draft.env(name, value);
        }
        for (name, value) in &self.labels {
            draft = draft.label(name, value).annotation(name, value);
        }
        draft
    }

    /// Reports the plan.
    pub(crate) fn report(&self, outcome: Outcome) -> Report {
        let mut report = Report::new(outcome)
            .field("base-image", &self.base)
            .field("python", self.python.to_string())
            .field("platform", &self.platform)
            .field("app", self.app.to_string())
            .field("entrypoint", &self.entrypoint)
            .field(
                "labels",
                std::collections::BTreeMap::from_iter(self.labels.clone()),
            )
            .field("files", &self.files)
            .line(format!("base image   {}", self.base))
            .line(format!(
                "Python       {} for {}",
                self.python, self.platform
            ))
            .line(format!("application  {} on port {}", self.app, self.port))
            .line(format!("files        {}", self.files.len()));
        if outcome == Outcome::Planned {
            report = report.markdown(format!(
                "### Image to be built\n\n| | |\n|---|---|\n| base image | `{}` |\n| Python | {} |\n| application | `{}` |\n| files | {} |",
                self.base,
                self.python,
                self.app,
                self.files.len()
            ));
        }
        report
    }
}
