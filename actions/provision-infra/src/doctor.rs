//! Whether an apply would succeed, and what it would leave would work: looked at before anything is
//! made or changed.
//!
//! [`wanted`] says what the environment asks for, [`facts`] what there is, all at once. The checks
//! compare the two; what the credentials may not look at is told, and is no failure.

pub mod account;
mod add_ons;
pub mod facts;
pub mod finding;
mod kubernetes;
pub mod quotas;
mod room;
pub mod wanted;
mod zones;

use action_kit::{Outcome, Report};
use aws_account::SdkConfig;
use jiff::civil::Date;

pub use finding::{Finding, Severity, count, to_markdown, to_text};

use self::account::Account;
use self::facts::Facts;
use self::wanted::Wanted;
use crate::cloudformation::CloudFormation;
use crate::config::Target;
use crate::eks::Eks;
use crate::error::InfraError;
use crate::layers::Layer;
use crate::manifests::{Manifest, gone};
use crate::render;
use crate::stack::{Stack, Values};

/// What is examined.
#[derive(Clone, Copy, Debug)]
pub struct Patient<'a> {
    /// What the file says.
    pub target: &'a Target,
    /// The layers.
    pub layers: &'a [Layer],
    /// The parameters that are set.
    pub settings: &'a Values,
    /// The tags by which the environment's machines are known.
    pub tags: &'a Values,
    /// The stacks that live.
    pub stacks: &'a [Stack],
    /// What is to run in the cluster.
    pub manifests: &'a [Manifest],
}

/// Looks at everything; the worst comes first.
pub async fn examine(
    config: &SdkConfig,
    cloudformation: &CloudFormation,
    patient: &Patient<'_>,
) -> Result<Vec<Finding>, InfraError> {
    let Patient {
        target,
        layers,
        settings,
        tags,
        stacks,
        manifests,
    } = patient;
    let wanted = Wanted::of(target, layers, settings, stacks);
    let (account, eks) = (Account::new(config), Eks::new(config));
    let facts = Facts::gather(
        &account,
        &eks,
        cloudformation,
        stacks,
        render::cluster(stacks),
        &wanted,
        tags,
    );
    // So many questions at once are large.
    let facts = Box::pin(facts).await?;
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    Ok(judge(&wanted, &facts, manifests, today.date()))
}

/// Compares what is wanted with what there is.
#[must_use]
pub fn judge(wanted: &Wanted, facts: &Facts, manifests: &[Manifest], today: Date) -> Vec<Finding> {
    let mut findings = zones::examine(wanted, facts);
    findings.extend(zones::examine_machines(wanted, facts));
    findings.extend(quotas::examine(wanted, facts));
    findings.extend(room::examine(wanted, facts));
    findings.push(kubernetes::examine_support(wanted, facts, today));
    if let Some(cluster) = &facts.cluster {
        findings.extend(kubernetes::examine_step(wanted, cluster));
        findings.extend(kubernetes::examine_insights(wanted, cluster));
    }
    findings.extend(add_ons::examine(wanted, facts));
    if !manifests.is_empty() {
        let gone = gone(manifests, &wanted.kubernetes);
        findings.extend(kubernetes::examine_manifests(
            wanted,
            manifests.len(),
            &gone,
        ));
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

/// Makes the report, and counts the errors.
#[must_use]
pub fn report(name: &str, findings: &[Finding]) -> (Report, usize) {
    let errors = count(findings, Severity::Error);
    let all_well = findings.iter().all(|one| one.severity == Severity::Ok);
    let outcome = if all_well {
        Outcome::Unchanged
    } else {
        Outcome::Done
    };
    let warnings = count(findings, Severity::Warning);
    let report = Report::new(outcome)
        .output("errors", errors.to_string())
        .output("warnings", warnings.to_string())
        .field("findings", findings)
        .markdown(to_markdown(name, findings));
    (report, errors)
}
