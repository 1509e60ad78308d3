//! Finds the application, as `fastapi run` would.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::BuildError;
use crate::project::Pyproject;

/// Where `fastapi run` looks when nobody tells.
const PLACES: [&str; 6] = [
    "main.py",
    "app.py",
    "api.py",
    "app/main.py",
    "app/app.py",
    "app/api.py",
];

/// An application: a module, and the attribute that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) module: String,
    pub(crate) attribute: String,
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.module, self.attribute)
    }
}

/// Finds the application of a project: the one that is named, or the one in the usual places.
pub(crate) fn find(
    folder: &Path,
    named: Option<&str>,
    pyproject: &Pyproject,
) -> Result<App, BuildError> {
    if let Some(name) = named.or(pyproject.tool.fastapi.entrypoint.as_deref()) {
        return check(folder, name);
    }
    for place in PLACES {
        let file = folder.join(place);
        let Ok(text) = fs_err::read_to_string(&file) else {
            continue;
        };
        if let Some(attribute) = attribute(&text) {
            let module = place.trim_end_matches(".py").replace('/', ".");
            return Ok(App { module, attribute });
        }
    }
    let places: Vec<String> = PLACES.iter().map(|place| format!("`{place}`")).collect();
    Err(BuildError::NoApp(places.join(", ")))
}

fn check(folder: &Path, name: &str) -> Result<App, BuildError> {
    let unknown = |why: String| BuildError::UnknownApp {
        app: name.into(),
        why,
    };
    let (module, attribute) = name
        .split_once(':')
        .ok_or_else(|| unknown("it has no attribute after a colon".into()))?;
    let identifier = |part: &str| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        !part.is_empty() && part.chars().all(word) && !part.starts_with(|c: char| c.is_numeric())
    };
    if !module.split('.').chain([attribute]).all(identifier) {
        return Err(unknown("it is not made of Python's names".into()));
    }
    let file = module_file(folder, module)
        .ok_or_else(|| unknown(format!("there is no module `{module}`")))?;
    let text = fs_err::read_to_string(&file).map_err(BuildError::file("read the application"))?;
    // An attribute can come to be in more ways than a search sees: only its name must occur.
    let occurs = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|word| word == attribute);
    if !occurs && !text.contains("import *") {
        let shown = file.strip_prefix(folder).unwrap_or(&file).display();
        return Err(unknown(format!("`{shown}` has no `{attribute}`")));
    }
    Ok(App {
        module: module.into(),
        attribute: attribute.into(),
    })
}

fn module_file(folder: &Path, module: &str) -> Option<PathBuf> {
    let path = module.replace('.', "/");
    [folder.to_owned(), folder.join("src")]
        .iter()
        .flat_map(|root| {
            [
                root.join(format!("{path}.py")),
                root.join(&path).join("__init__.py"),
            ]
        })
        .find(|file| file.is_file())
}

/// Finds the attribute that a module assigns an application to: `app`, `api`, or another name.
fn attribute(text: &str) -> Option<String> {
    let assigned: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with([' ', '\t', '#']))
        .filter_map(|line| {
            let (target, value) = line.split_once('=')?;
            let target = target.split(':').next()?.trim();
            let application = value.trim_start().starts_with("FastAPI(")
                || value.trim_start().starts_with("fastapi.FastAPI(");
            let usual = target == "app" || target == "api";
            (application || usual).then_some(target)
        })
        .collect();
    let pick = |name: &str| assigned.iter().find(|found| **found == name).copied();
    pick("app")
        .or_else(|| pick("api"))
        .or_else(|| assigned.first().copied())
        .map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes() {
        let cases = [
            (
                "from fastapi import FastAPI\napp = FastAPI()\n",
                Some("app"),
            ),
            ("app: FastAPI = create()\n", Some("app")),
            ("service = FastAPI(\n    title='x',\n)\n", Some("service")),
            (
                "import fastapi\nx = fastapi.FastAPI()\napi = x\n",
                Some("api"),
            ),
            ("def make():\n    app = FastAPI()\n    return app\n", None),
            ("value = 1\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(attribute(text).as_deref(), expected, "{text}");
        }
    }
}
