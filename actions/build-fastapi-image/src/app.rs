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
    /// Whether the attribute is a function that makes the application.
    pub(crate) factory: bool,
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = if self.factory { "()" } else { "" };
        write!(f, "{}:{}{call}", self.module, self.attribute)
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
            return Ok(App {
                module,
                attribute,
                factory: false,
            });
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
    let (attribute, called) = match attribute.strip_suffix("()") {
        Some(attribute) => (attribute, true),
        None => (attribute, false),
    };
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
    let shown = file.strip_prefix(folder).unwrap_or(&file).display();
    // An attribute can come to be in more ways than a search sees: only its name must occur.
    let occurs = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|word| word == attribute);
    if !occurs && !text.contains("import *") {
        return Err(unknown(format!("`{shown}` has no `{attribute}`")));
    }
    if called && applications(&text).any(|found| found == attribute) {
        return Err(unknown(format!(
            "`{attribute}` in `{shown}` is an application, not a function that makes one"
        )));
    }
    Ok(App {
        module: module.into(),
        attribute: attribute.into(),
        factory: called || is_function(&text, attribute),
    })
}

/// Says whether a module defines a function. An `async` one is an application itself, without
/// FastAPI.
fn is_function(text: &str, name: &str) -> bool {
    let definition = format!("def {name}(");
    text.lines().any(|line| line.starts_with(&definition))
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
    let usual = |name: &str| assignments(text).any(|(target, _)| target == name);
    for name in ["app", "api"] {
        if usual(name) {
            return Some(name.into());
        }
    }
    applications(text).next().map(String::from)
}

/// Gives the names that a module assigns `FastAPI(…)` to.
fn applications(text: &str) -> impl Iterator<Item = &str> {
    assignments(text)
        .filter(|(_, value)| value.starts_with("FastAPI(") || value.starts_with("fastapi.FastAPI("))
        .map(|(target, _)| target)
}

/// Gives the names that a module assigns, each with the start of what it assigns.
fn assignments(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter(|line| !line.starts_with([' ', '\t', '#']))
        .filter_map(|line| {
            let (target, value) = line.split_once('=')?;
            Some((target.split(':').next()?.trim(), value.trim_start()))
        })
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

    #[test]
    fn factories() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "from x import make\n\napp = FastAPI()\n\n\ndef create(name='x'):\n    return app\n\n\nasync def raw(scope, receive, send):\n    pass\n";
        fs_err::write(folder.path().join("main.py"), text).expect("a module");
        let names = [
            "main:app",
            "main:app()",
            "main:create",
            "main:create()",
            "main:make()",
            "main:raw",
            "main:created()",
        ];
        let told = names.map(|name| match check(folder.path(), name) {
            Ok(app) => app.to_string(),
            Err(error) => error.to_string(),
        });
        insta::assert_snapshot!(told.join("\n"), @"
        main:app
        application `main:app()`: `app` in `main.py` is an application, not a function that makes one
        main:create()
        main:create()
        main:make()
        main:raw
        application `main:created()`: `main.py` has no `created`
        ");
    }
}
