//! The application's OpenAPI document, as the application itself tells it.
//!
//! The application is imported inside the image's file system, as nobody, without variables but
//! the image's own, and without a network where that can be taken away.

use std::time::Duration;

use action_kit::CommandError;
use clap::ValueEnum;
use serde::de::IgnoredAny;
use tokio::task::JoinSet;

use crate::enter::Who;
use crate::error::BuildError;
use crate::interpreter::{PROGRAM, RUN, last_line};
use crate::plan::{Plan, VENV};
use crate::root::Root;

/// The media type of the document, which its artifact in the registry has.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.oai.openapi+json";
/// What runs in the interpreter.
const DRIVER: &str = include_str!("openapi.py");
/// How long the application may take to be imported and to tell.
const LIMIT: Duration = Duration::from_mins(1);
/// How much of a reason is repeated.
const MOST: usize = 400;

/// Whether the application's OpenAPI document is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OpenApi {
    /// Where the application can be imported without its settings; the log says why when not
    #[default]
    Auto,
    /// It must be: the build fails when it cannot
    True,
    /// Leave it out: nothing of the application or its packages runs during the build
    False,
}

/// The document, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exported {
    /// Canonical JSON: one document for one application.
    Document(Vec<u8>),
    /// What the application or this machine lacks.
    NotPossible(String),
}

impl Exported {
    /// Gives the document; where it is only wished for, the reason goes to the log.
    pub(crate) fn document(self, wish: OpenApi) -> Result<Option<Vec<u8>>, BuildError> {
        match (self, wish) {
            (Self::Document(document), _) => Ok(Some(document)),
            (Self::NotPossible(why), OpenApi::True) => Err(BuildError::NoDocument(why)),
            (Self::NotPossible(why), _) => {
                tracing::info!("the OpenAPI document is left out: {why}");
                Ok(None)
            }
        }
    }
}

/// An application that is asked for its document, unless there is none to ask.
#[derive(Default)]
pub(crate) struct Asked(JoinSet<Result<Option<Vec<u8>>, BuildError>>);

impl Asked {
    /// Asks an application that is laid out in a root, with its packages.
    pub(crate) fn ask(root: Root, plan: &Plan, wish: OpenApi) -> Self {
        let plan = plan.clone();
        let mut asked = JoinSet::new();
        asked.spawn(async move {
            let exported = match told(&root, &plan).await {
                Ok(document) => Exported::Document(document),
                Err(why) => Exported::NotPossible(why),
            };
            exported.document(wish)
        });
        Self(asked)
    }

    /// Waits for the document; there is none when nobody was asked, or it was told before.
    pub(crate) async fn document(&mut self) -> Result<Option<Vec<u8>>, BuildError> {
        match self.0.join_next().await {
            Some(Ok(told)) => told,
            Some(Err(error)) => Err(BuildError::NoDocument(error.to_string())),
            None => Ok(None),
        }
    }
}

async fn told(root: &Root, plan: &Plan) -> Result<Vec<u8>, String> {
    let app = &plan.app;
    root.check_entry().map_err(|error| error.to_string())?;
    let call = root
        .command(
            Who::Nobody,
            &plan.working_dir,
            &format!("{VENV}/bin/python"),
        )
        .map_err(|error| error.to_string())?
        .args(["-B", "-c", RUN, &app.module, &app.attribute])
        .arg(if app.factory { "factory" } else { "" });
    let variables = plan.variables.iter();
    let call = variables
        .fold(call, |call, (name, value)| call.env(name, value))
        // A document made from sets is the same each time.
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONUTF8", "1")
        .env(PROGRAM, DRIVER);
    let finished = match tokio::time::timeout(LIMIT, call.output_async()).await {
        Ok(Ok(finished)) => finished,
        Ok(Err(CommandError::Status { tail, .. })) => {
            return Err(last_line(&tail).chars().take(MOST).collect());
        }
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("`{app}` tells nothing in {} s", LIMIT.as_secs())),
    };
    serde_json::from_str::<IgnoredAny>(&finished.stdout)
        .map_err(|error| format!("`{app}` tells no JSON: {error}"))?;
    Ok(finished.stdout.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wished_for_and_demanded() {
        let missing = || Exported::NotPossible("KeyError: 'DATABASE_URL'".into());
        assert!(matches!(missing().document(OpenApi::Auto), Ok(None)));
        let error = missing().document(OpenApi::True).expect_err("no document");
        assert_eq!(
            error.to_string(),
            "export the application's OpenAPI document: KeyError: 'DATABASE_URL'"
        );
        let document = Exported::Document(b"{}".into()).document(OpenApi::True);
        assert_eq!(document.expect("a document"), Some(b"{}".to_vec()));
    }
}
