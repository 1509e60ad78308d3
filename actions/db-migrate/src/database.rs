//! Which database, and how the Job's pod learns its address. No password passes through here.

use std::fmt;

use serde_json::{Value, json};

use crate::error::MigrateError;
use crate::inputs::{Identifier, Inputs, Name, Variable};

/// Where the address of the database comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// A secret holds all of it.
    Secret { name: Name, key: String },
    /// It is composed for a database cluster of Zalando's postgres-operator.
    Operator {
        cluster: Name,
        database: Identifier,
        role: Identifier,
        scheme: String,
    },
}

impl Database {
    /// Takes one of the two ways from the inputs.
    pub(crate) fn of(inputs: &Inputs) -> Result<Self, MigrateError> {
        match (&inputs.database_secret, &inputs.postgresql) {
            (Some(name), None) => Ok(Self::Secret {
                name: name.clone(),
                key: inputs.database_secret_key.clone(),
            }),
            (None, Some(cluster)) => match (&inputs.database, &inputs.role) {
                (Some(database), Some(role)) => Ok(Self::Operator {
                    cluster: cluster.clone(),
                    database: database.clone(),
                    role: role.clone(),
                    scheme: inputs.database_scheme.clone(),
                }),
                _ => Err(MigrateError::OperatorIncomplete {
                    cluster: cluster.to_string(),
                }),
            },
            (None, None) => Err(MigrateError::NoDatabase),
            (Some(_), Some(_)) => Err(MigrateError::TwoDatabases),
        }
    }

    /// Gives the variables of the Job's container.
    pub(crate) fn env(&self, variable: &Variable) -> Vec<Value> {
        let of_secret = |variable: &str, secret: &str, key: &str| {
            json!({
                "name": variable,
                "valueFrom": {"secretKeyRef": {"name": secret, "key": key}},
            })
        };
        match self {
            Self::Secret { name, key } => vec![of_secret(variable.as_str(), name.as_str(), key)],
            Self::Operator {
                cluster,
                database,
                role,
                scheme,
            } => {
                // The operator's convention; it turns underscores of a role into hyphens.
                let role = role.as_str().replace('_', "-");
                let secret = format!("{role}.{cluster}.credentials.postgresql.acid.zalan.do");
                let database = database.as_str();
                vec![
                    of_secret("DATABASE_USER", &secret, "username"),
                    of_secret("DATABASE_PASSWORD", &secret, "password"),
                    json!({
                        "name": variable.as_str(),
                        "value": format!("{scheme}://$(DATABASE_USER):$(DATABASE_PASSWORD)@{cluster}:5432/{database}"),
                    }),
                    // The operator's servers refuse connections without TLS.
                    json!({"name": "DATABASE_SSL", "value": "require"}),
                ]
            }
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { name, key } => write!(f, "secret {name}, key {key}"),
            Self::Operator {
                cluster, database, ..
            } => write!(f, "{}/{}", cluster, database.as_str()),
        }
    }
}
