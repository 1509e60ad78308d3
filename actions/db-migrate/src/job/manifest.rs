//! The Job's manifest: pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::database::Database;
use crate::inputs::{Assignment, Inputs};
use crate::job::PROGRAM;

/// How long an ended Job stays, for people who look for its log.
const KEPT_SECONDS: u32 = 3600;

/// What the Job is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// Tell where the database stands and what is pending.
    Observe,
    /// Run what is pending.
    Apply,
}

/// The argument of the Job's program.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Order<'a> {
    pub(crate) operation: Operation,
    pub(crate) target: &'a str,
    pub(crate) config: &'a str,
    /// Seconds to wait for a database that cannot be reached.
    pub(crate) wait: u64,
    /// Revisions that the database must be at.
    pub(crate) expected: &'a [String],
}

/// What the Job's pod is made of, whatever it does.
#[derive(Debug)]
pub(crate) struct Pod<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) database: &'a Database,
}

impl Pod<'_> {
    /// Writes a Job without a name.
    pub(crate) fn job(
        &self,
        order: &Order<'_>,
        seconds: u64,
        annotations: &BTreeMap<&str, String>,
    ) -> Value {
        let component = match order.operation {
            Operation::Observe => "plan",
            Operation::Apply => "migration",
        };
        let labels = json!({
            "app.kubernetes.io/name": "db-migrate",
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/managed-by": "fastapi-eks-actions",
        });
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": {
                // A migration that failed fails again, or worse.
                "backoffLimit": 0,
                "activeDeadlineSeconds": seconds.max(1),
                "ttlSecondsAfterFinished": KEPT_SECONDS,
                "template": {
                    "metadata": {"labels": labels},
                    "spec": self.spec(order),
                },
            },
        })
    }

    fn spec(&self, order: &Order<'_>) -> Value {
        let argument = serde_json::to_string(order).unwrap_or_default();
        let mut spec = json!({
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "alembic",
                "image": self.inputs.image.to_string(),
                "command": ["python", "-c", PROGRAM],
                // Kubernetes would expand `$(NAME)` here.
                "args": [argument.replace('$', "$$")],
                "env": self.env(),
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"memory": self.inputs.memory},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        });
        if let Some(account) = &self.inputs.service_account {
            spec["serviceAccountName"] = account.as_str().into();
        }
        spec
    }

    fn env(&self) -> Vec<Value> {
        let mut env = vec![
            json!({"name": "PYTHONUNBUFFERED", "value": "1"}),
            json!({"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}),
            json!({"name": "HOME", "value": "/tmp"}),
        ];
        env.extend(self.database.env(&self.inputs.database_variable));
        for Assignment { name, value } in &self.inputs.env {
            env.retain(|known| known["name"] != name.as_str());
            env.push(json!({"name": name.as_str(), "value": value}));
        }
        env
    }
}
