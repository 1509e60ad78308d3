//! The config of an image: how it is started, and what its layers unpack to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, Platform};

/// The config document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// When the image was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The processor, in Go's words.
    pub architecture: String,
    /// The operating system, in Go's words.
    pub os: String,
    /// The variant of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// How a container is started.
    #[serde(default)]
    pub config: Settings,
    /// The layers.
    pub rootfs: RootFs,
    /// One entry a layer, and one for each step that made none.
    #[serde(default)]
    pub history: Vec<History>,
}

/// How a container is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Settings {
    /// The user, as name or number, with an optional group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The ports, as `8000/tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<Set>,
    /// The variables, as `NAME=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// The program and its fixed arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments that a user may replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// The folders that outlive a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Set>,
    /// The folder that the program starts in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// What is said about the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// The signal that ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
}

/// A set, in the form that Go writes: an object whose values are empty objects.
pub type Set = BTreeMap<String, Value>;

pub(crate) fn member() -> Value {
    Value::Object(serde_json::Map::new())
}

/// The layers, as what they unpack to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digest of each layer's uncompressed archive, bottom first.
    pub diff_ids: Vec<Digest>,
}

/// How a layer came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl Config {
    /// Gives the config of an image without layers.
    #[must_use]
    pub fn new(platform: Platform) -> Self {
        Self {
            created: Some(crate::EPOCH.into()),
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
            config: Settings::default(),
            rootfs: RootFs {
                kind: "layers".into(),
                diff_ids: Vec::new(),
            },
            history: Vec::new(),
        }
    }

    /// Gives the platform that the image runs on.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: self.variant.clone(),
        }
    }
}

impl Settings {
    /// Gives a variable's value.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().flatten().find_map(|line| {
            line.split_once('=')
                .filter(|(found, _)| *found == name)
                .map(|(_, value)| value)
        })
    }

    /// Sets a variable, in its old place when it was there.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        let line = format!("{name}={value}");
        let lines = self.env.get_or_insert_default();
        let prefix = format!("{name}=");
        match lines.iter_mut().find(|old| old.starts_with(&prefix)) {
            Some(old) => *old = line,
            None => lines.push(line),
        }
    }
}
