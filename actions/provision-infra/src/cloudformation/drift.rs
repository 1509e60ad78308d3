//! CloudFormation's own detection of drift.

use aws_sdk_cloudformation::types::{PropertyDifference, StackResourceDrift};

use super::{CloudFormation, failed};
use crate::drift::{Difference, Finding, Resting};
use crate::error::InfraError;
use crate::watch::{Deadline, Pace};

impl CloudFormation {
    /// Has CloudFormation begin to look for drift in a stack; gives the id of the detection.
    pub async fn detect_drift(&self, stack: &str) -> Result<String, InfraError> {
        let answer = self
            .client
            .detect_stack_drift()
            .stack_name(stack)
            .send()
            .await
            .map_err(failed(format!("look for drift in the stack `{stack}`")))?;
        Ok(answer.stack_drift_detection_id().unwrap_or_default().into())
    }

    /// Waits for a detection; says what went wrong with it, if anything did.
    pub async fn detected(
        &self,
        stack: &str,
        detection: &str,
        deadline: &Deadline,
    ) -> Result<Option<String>, InfraError> {
        let mut pace = Pace::default();
        loop {
            let answer = self
                .client
                .describe_stack_drift_detection_status()
                .stack_drift_detection_id(detection)
                .send()
                .await
                .map_err(failed(format!("follow the drift detection of `{stack}`")))?;
            let status = answer
                .detection_status()
                .map_or("", |status| status.as_str());
            match status {
                "DETECTION_COMPLETE" => return Ok(None),
                "DETECTION_FAILED" => {
                    return Ok(answer.detection_status_reason().map(String::from));
                }
                _ => {
                    deadline.check(stack, status, &[])?;
                    pace.wait().await;
                }
            }
        }
    }

    /// Lists what the last detection found, resource by resource.
    pub async fn drifts(&self, stack: &str) -> Result<Vec<Finding>, InfraError> {
        let mut findings = Vec::new();
        let mut token = None;
        loop {
            let page = self
                .client
                .describe_stack_resource_drifts()
                .stack_name(stack)
                .set_next_token(token)
                .send()
                .await
                .map_err(failed(format!("read the drift of the stack `{stack}`")))?;
            findings.extend(page.stack_resource_drifts().iter().map(finding));
            token = page.next_token().map(String::from);
            if token.is_none() {
                return Ok(findings);
            }
        }
    }
}

fn finding(drift: &StackResourceDrift) -> Finding {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let status = drift.stack_resource_drift_status();
    let differences = drift.property_differences().iter().map(difference);
    Finding {
        logical_id: text(drift.logical_resource_id()),
        physical_id: text(drift.physical_resource_id()),
        kind: text(drift.resource_type()),
        state: match status.map_or("", |status| status.as_str()) {
            "IN_SYNC" => Resting::InSync,
            "MODIFIED" => Resting::Changed(differences.collect()),
            "DELETED" => Resting::Deleted,
            _ => Resting::Unchecked(text(drift.drift_status_reason())),
        },
    }
}

fn difference(difference: &PropertyDifference) -> Difference {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    Difference {
        property: text(difference.property_path()),
        expected: text(difference.expected_value()),
        actual: text(difference.actual_value()),
    }
}
