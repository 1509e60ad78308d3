//! An image that is being made, from nothing or on top of another one.

use std::collections::BTreeMap;

use crate::config::member;
use crate::{
    Config, Descriptor, Document, History, Image, Layer, Manifest, Platform, Settings, media_type,
};

/// An image that is being made.
#[derive(Clone, Debug)]
pub struct Draft {
    config: Config,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
}

impl Draft {
    /// Starts without layers.
    #[must_use]
    pub fn from_scratch(platform: Platform) -> Self {
        Self {
            config: Config::new(platform),
            layers: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// Starts with the layers and settings of another image; its entrypoint, command and time are
    /// not taken over, nor are its annotations and those of its layers: a manifest only says what
    /// its maker knows.
    #[must_use]
    pub fn on(base: &Image) -> Self {
        let mut config = base.config().value().clone();
        config.created = Some(crate::EPOCH.into());
        config.config.entrypoint = None;
        config.config.cmd = None;
        Self {
            config,
            layers: base.layers().map(|layer| layer.descriptor()).collect(),
            annotations: BTreeMap::new(),
        }
    }

    /// Adds a layer on top; `created_by` says what it is.
    #[must_use]
    pub fn layer(self, layer: Layer, created_by: &str) -> Self {
        self.annotated_layer(layer, created_by, BTreeMap::new())
    }

    /// Adds a layer on top, with annotations that stand in the manifest.
    #[must_use]
    pub fn annotated_layer(
        mut self,
        layer: Layer,
        created_by: &str,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        self.layers.push(Descriptor {
            annotations,
            ..layer.descriptor()
        });
        self.config.rootfs.diff_ids.push(layer.diff_id);
        self.config.history.push(History {
            created: Some(crate::EPOCH.into()),
            created_by: Some(created_by.into()),
            ..History::default()
        });
        self
    }

    /// Sets the time at which the image says that it was made, in RFC 3339.
    #[must_use]
    pub fn created(mut self, time: &str) -> Self {
        self.config.created = Some(time.into());
        self
    }

    /// Sets the program and its fixed arguments.
    #[must_use]
    pub fn entrypoint<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.config.config.entrypoint = Some(words.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the arguments that a user may replace.
    #[must_use]
    pub fn command<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.config.config.cmd = Some(words.into_iter().map(Into::into).collect());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.config.config.set_variable(name, value);
        self
    }

    /// Sets the user.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.config.config.user = user.into();
        self
    }

    /// Sets the folder that the program starts in.
    #[must_use]
    pub fn working_dir(mut self, folder: &str) -> Self {
        self.config.config.working_dir = folder.into();
        self
    }

    /// Says that the program listens on a TCP port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        let ports = self.config.config.exposed_ports.get_or_insert_default();
        ports.insert(format!("{port}/tcp"), member());
        self
    }

    /// Names a folder that outlives a container.
    #[must_use]
    pub fn volume(mut self, folder: &str) -> Self {
        let volumes = self.config.config.volumes.get_or_insert_default();
        volumes.insert(folder.into(), member());
        self
    }

    /// Sets the signal that ends the program.
    #[must_use]
    pub fn stop_signal(mut self, signal: &str) -> Self {
        self.config.config.stop_signal = Some(signal.into());
        self
    }

    /// Sets a label, which a running container can be asked for.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        let labels = self.config.config.labels.get_or_insert_default();
        labels.insert(name.into(), value.into());
        self
    }

    /// Sets an annotation, which a registry can be asked for.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.into(), value.into());
        self
    }

    /// Gives the settings that were made so far.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.config.config
    }

    /// Makes the image.
    #[must_use]
    pub fn finish(self) -> Image {
        let config = Document::of(self.config);
        let named = Descriptor::of(media_type::CONFIG, config.bytes());
        let manifest = Manifest {
            annotations: self.annotations,
            ..Manifest::new(named, self.layers)
        };
        Image::of(Document::of(manifest), config)
    }
}
