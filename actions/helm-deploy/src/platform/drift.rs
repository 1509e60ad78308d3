//! Drift of all releases, each looked at whatever is found of the others.

use std::cell::Cell;

use action_kit::{Failed, Outcome, Report, named};

use super::order::{Ended, in_order};
use super::{AT_ONCE, Run, report};
use crate::drift::find;
use crate::error::DeployError;

/// Looks for drift and tells it.
pub(crate) async fn show(run: &Run) -> Result<Report, Failed> {
    let releases = &run.platform.releases;
    let alone = vec![Vec::new(); releases.len()];
    let drifted = Cell::new(0);
    let ended = in_order(&alone, AT_ONCE, async |one| -> Result<Report, Failed> {
        let session = run.open(&releases[one])?;
        let (report, count) = named(releases[one].name.as_str(), find(&session)).await?;
        drifted.set(drifted.get() + count);
        Ok(report)
    });
    let ended = ended.await;
    let count = drifted.get();
    let outcome = if count == 0 {
        Outcome::Unchanged
    } else {
        Outcome::Done
    };
    let mut report = report::all(run, outcome, &ended).output("drifted", count.to_string());
    for one in &ended {
        if let Ended::Done(own) = one {
            report = report.markdown(own.summary()).markdown("\n");
        }
    }
    if let Some(error) = run.trouble(ended) {
        return Err(Failed::from(error).with(report));
    }
    if count > 0 && run.inputs.fail_on_drift {
        let error = DeployError::Drifted {
            subject: run.platform.subject(),
            count,
        };
        return Err(Failed::from(error).with(report));
    }
    Ok(report)
}
