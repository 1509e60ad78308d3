//! Several releases in one run: those of `platform.yaml`, each after those that it needs.
//!
//! What is done with each is what is done with one release alone: this is about the order, the
//! plan of all together, and what becomes of the others when one fails.

mod apply;
mod drift;
mod error;
pub mod file;
pub mod order;
mod pin;
pub mod planned;
mod report;

use std::path::Path;
use std::sync::Arc;

use action_kit::{Context, Failed, Report};

use crate::access::Access;
use crate::error::DeployError;
use crate::inputs::{Inputs, Mode, SubjectError};
use crate::session::Session;

pub use error::{PlatformError, Wrong};
pub use file::{Pin, Platform, Release};
use order::Ended;

/// So many releases are worked on at the same time.
const AT_ONCE: usize = 4;

/// What every mode works with.
pub(crate) struct Run {
    pub(crate) platform: Platform,
    pub(crate) inputs: Inputs,
    pub(crate) context: Context,
    access: Arc<Access>,
}

/// Does with all releases of the file what the mode says.
pub(crate) async fn run(file: &Path, inputs: Inputs, context: Context) -> Result<Report, Failed> {
    let mode = inputs.mode;
    match mode {
        Mode::Plan | Mode::Apply | Mode::Drift => {}
        Mode::Pin => return pin::pin(file, &inputs, &context).await,
        Mode::Rollback | Mode::Uninstall => {
            return Err(DeployError::from(SubjectError::Mode).into());
        }
    }
    let platform = read(file, &inputs, &context)?;
    let access = Arc::new(Access::open(&inputs, &context).await?);
    let run = Run {
        platform,
        inputs,
        context,
        access,
    };
    match mode {
        Mode::Plan => planned::show(&run).await,
        Mode::Drift => drift::show(&run).await,
        _ => apply::apply(&run).await,
    }
}

fn read(file: &Path, inputs: &Inputs, context: &Context) -> Result<Platform, PlatformError> {
    let text = text_of(file, context)?;
    let exists = |path: &Path| context.path(path).is_file();
    Platform::parse(&text, file, inputs.environment.as_deref(), exists)
}

fn text_of(file: &Path, context: &Context) -> Result<String, PlatformError> {
    let text = fs_err::read_to_string(context.path(file));
    text.map_err(|source| PlatformError::Unreadable {
        file: file.into(),
        source,
    })
}

impl Run {
    /// Prepares one release, as if the inputs named it.
    pub(crate) fn open(&self, release: &Release) -> Result<Session, DeployError> {
        let pin = release.pin.as_ref();
        let inputs = Inputs {
            release: Some(release.name.clone()),
            namespace: Some(release.namespace.clone()),
            chart: release.chart.clone(),
            chart_repository: pin.and_then(|pin| pin.repository.clone()),
            chart_version: pin.map(|pin| pin.version.clone()),
            values: release.values.clone(),
            platform: None,
            environment: None,
            plan_file: None,
            plan_digest: None,
            ..self.inputs.clone()
        };
        let access = Arc::clone(&self.access);
        Session::open(access, release.name.clone(), inputs, self.context.clone())
    }

    /// Gathers the failures of a run over all releases; none when there was none.
    pub(crate) fn trouble<T>(&self, ended: Vec<Ended<T, Failed>>) -> Option<DeployError> {
        let name = |one: usize| self.platform.releases[one].name.clone();
        let (mut failed, mut skipped) = (Vec::new(), Vec::new());
        for (one, ended) in ended.into_iter().enumerate() {
            match ended {
                Ended::Done(_) => {}
                Ended::Failed(failure) => failed.push((name(one), failure)),
                Ended::Skipped(need) => skipped.push((name(one), name(need))),
            }
        }
        (!failed.is_empty()).then_some(DeployError::Releases { failed, skipped })
    }
}
