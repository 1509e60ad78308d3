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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use insta::assert_snapshot;

    use super::{Operation, Order, Pod};
    use crate::database::Database;
    use crate::inputs::tests::inputs;
    use crate::job::PROGRAM;

    fn job(arguments: &[&str], operation: Operation) -> serde_json::Value {
        let inputs = inputs(arguments);
        let database = Database::of(&inputs).unwrap();
        let pod = Pod {
            inputs: &inputs,
            database: &database,
        };
        let order = Order {
            operation,
            target: "head",
            config: "alembic.ini",
            wait: 120,
            expected: &["0004".to_owned()],
        };
        let mut job = pod.job(&order, 900, &BTreeMap::from([("run", "1".to_owned())]));
        let program = &mut job["spec"]["template"]["spec"]["containers"][0]["command"][2];
        assert_eq!(program, PROGRAM);
        *program = "PROGRAM".into();
        job.sort_all_objects();
        job
    }

    /// Writes an object's fields, one a line.
    fn lines(object: &serde_json::Value) -> String {
        let fields = object.as_object().into_iter().flatten();
        let lines: Vec<String> = fields
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn a_job_is_confined_and_runs_once() {
        let mut job = job(&["--database-secret=orders"], Operation::Apply);
        let template = job["spec"]["template"].take();
        assert_snapshot!(lines(&job), @r#"
    apiVersion: "batch/v1"
    kind: "Job"
    metadata: {"annotations":{"run":"1"},"labels":{"app.kubernetes.io/component":"migration","app.kubernetes.io/managed-by":"fastapi-eks-actions","app.kubernetes.io/name":"db-migrate"}}
    spec: {"activeDeadlineSeconds":900,"backoffLimit":0,"template":null,"ttlSecondsAfterFinished":3600}
    "#);
        let mut pod = template["spec"].clone();
        let container = pod["containers"][0].take();
        assert_snapshot!(lines(&pod), @r#"
    automountServiceAccountToken: false
    containers: [null]
    enableServiceLinks: false
    restartPolicy: "Never"
    securityContext: {"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}
    volumes: [{"emptyDir":{},"name":"tmp"}]
    "#);
        assert_snapshot!(lines(&container), @r#"
    args: ["{\"operation\":\"apply\",\"target\":\"head\",\"config\":\"alembic.ini\",\"wait\":120,\"expected\":[\"0004\"]}"]
    command: ["python","-c","PROGRAM"]
    env: [{"name":"PYTHONUNBUFFERED","value":"1"},{"name":"PYTHONDONTWRITEBYTECODE","value":"1"},{"name":"HOME","value":"/tmp"},{"name":"DATABASE_URL","valueFrom":{"secretKeyRef":{"key":"DATABASE_URL","name":"orders"}}}]
    image: "registry.example.com/orders@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
    name: "alembic"
    resources: {"limits":{"memory":"512Mi"},"requests":{"cpu":"100m","memory":"128Mi"}}
    securityContext: {"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"readOnlyRootFilesystem":true}
    volumeMounts: [{"mountPath":"/tmp","name":"tmp"}]
    "#);
    }

    #[test]
    fn an_operators_database_is_addressed_by_its_convention() {
        let job = job(
            &[
                "--postgresql=orders-db",
                "--database=orders",
                "--role=orders_owner",
                "--env=DATABASE_SSL=verify-full",
                "--env=PRICE=5$",
                "--service-account=migrations",
            ],
            Operation::Observe,
        );
        let spec = &job["spec"]["template"]["spec"];
        assert_eq!(spec["serviceAccountName"], "migrations");
        let env = serde_json::to_string_pretty(&spec["containers"][0]["env"]).unwrap();
        assert_snapshot!(env, @r#"
    [
      {
        "name": "PYTHONUNBUFFERED",
        "value": "1"
      },
      {
        "name": "PYTHONDONTWRITEBYTECODE",
        "value": "1"
      },
      {
        "name": "HOME",
        "value": "/tmp"
      },
      {
        "name": "DATABASE_USER",
        "valueFrom": {
          "secretKeyRef": {
            "key": "username",
            "name": "orders-owner.orders-db.credentials.postgresql.acid.zalan.do"
          }
        }
      },
      {
        "name": "DATABASE_PASSWORD",
        "valueFrom": {
          "secretKeyRef": {
            "key": "password",
            "name": "orders-owner.orders-db.credentials.postgresql.acid.zalan.do"
          }
        }
      },
      {
        "name": "DATABASE_URL",
        "value": "postgresql+asyncpg://$(DATABASE_USER):$(DATABASE_PASSWORD)@orders-db:5432/orders"
      },
      {
        "name": "DATABASE_SSL",
        "value": "verify-full"
      },
      {
        "name": "PRICE",
        "value": "5$"
      }
    ]
    "#);
    }
}
