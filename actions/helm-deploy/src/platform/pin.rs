//! Holding charts from outside to another version: its digest is looked up, and both are written
//! into the file in place of the old ones.

use std::path::Path;

use action_kit::{Context, Failed, Outcome, Report};
use plan::Digest;
use serde_json::json;
use serde_saphyr::Spanned;

use super::error::{Wrong, wrong};
use super::file::{Outside, outside};
use super::text_of;
use crate::error::DeployError;
use crate::helm::Helm;
use crate::inputs::{Inputs, SubjectError};

/// Pins the chart of the release that the inputs name, or the charts of all.
pub(crate) async fn pin(file: &Path, inputs: &Inputs, context: &Context) -> Result<Report, Failed> {
    if inputs.chart_version.is_some() && inputs.release.is_none() {
        return Err(DeployError::from(SubjectError::WhichRelease).into());
    }
    let before = text_of(file, context)?;
    let charts = chosen(&before, file, inputs)?;
    let helm = Helm::without_cluster(context)?;
    let (mut after, mut rows) = (before.clone(), Vec::new());
    let mut report = Report::new(Outcome::Done);
    // From the end, so that each stays where it was found.
    for one in charts.iter().rev() {
        let version = inputs.chart_version.as_ref().unwrap_or(&one.version.value);
        let repository = one.repository.as_deref();
        let archive = helm.pull(&one.chart, repository, version).await?;
        let digest = Digest::of(fs_err::read(archive).map_err(DeployError::Scratch)?);
        after = rewrite(
            &after,
            &[(&one.version, version), (&one.digest, digest.as_str())],
        );
        report = report.line(format!(
            "release {}: {} {version} is {digest}",
            one.release, one.chart
        ));
        rows.push(json!({
            "release": one.release,
            "chart": one.chart,
            "version": version,
            "digest": digest,
            "was": {"version": one.version.value, "digest": one.digest.value},
        }));
    }
    if after == before {
        let report = Report::new(Outcome::Unchanged).field("releases", rows);
        return Ok(report.line(format!("{}: every pin holds", file.display())));
    }
    fs_err::write(context.path(file), &after).map_err(DeployError::PinFile)?;
    Ok(report.field("releases", rows))
}

/// Finds the releases that are to be pinned, in the order of the file.
fn chosen(text: &str, file: &Path, inputs: &Inputs) -> Result<Vec<Outside>, DeployError> {
    let mut charts = outside(text, file)?;
    let Some(name) = &inputs.release else {
        return Ok(charts);
    };
    charts.retain(|one| one.release == *name);
    if charts.is_empty() {
        return Err(wrong(file, None, Wrong::NothingToPin(name.clone())).into());
    }
    Ok(charts)
}

/// Puts other words in the place of some, in the same quotation marks, and leaves the rest of the
/// text as it is.
fn rewrite(text: &str, words: &[(&Spanned<String>, &str)]) -> String {
    let mut places: Vec<_> = words
        .iter()
        .filter_map(|(old, new)| {
            let span = old.defined.span();
            let start = usize::try_from(span.byte_offset()?).ok()?;
            Some((start..start + usize::try_from(span.byte_len()?).ok()?, *new))
        })
        .collect();
    places.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
    let mut text = text.to_owned();
    for (place, new) in places {
        let first = text[place.clone()].chars().next();
        let mark = first.filter(|first| ['"', '\''].contains(first));
        let mark = mark.map(String::from).unwrap_or_default();
        text.replace_range(place, &format!("{mark}{new}{mark}"));
    }
    text
}
