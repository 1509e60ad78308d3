//! Who is compared: the action, and its peers with two Dockerfiles each.

use anyhow::{Context as _, Result};

use crate::bench::ACTION;

/// What builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The action `build-fastapi-image`.
    Action,
    /// `buildkitd` and `buildctl`.
    BuildKit,
    /// `buildah`.
    Buildah,
}

/// A way to build the image.
#[derive(Debug)]
pub struct Contender {
    /// Its name.
    pub name: &'static str,
    /// What builds.
    pub tool: Tool,
    /// The Dockerfile below `tests/bench`; the action has none.
    pub dockerfile: &'static str,
    /// Whether intermediate layers go to the registry and come back from there. A laptop keeps
    /// them itself.
    pub cache: bool,
}

/// The Dockerfile in the shape of uv's guide.
const GUIDE: &str = "guide.Dockerfile";
/// The Dockerfile that keeps the environment and the source apart.
const LAYERS: &str = "layers.Dockerfile";

const fn contender(
    name: &'static str,
    tool: Tool,
    dockerfile: &'static str,
    cache: bool,
) -> Contender {
    Contender {
        name,
        tool,
        dockerfile,
        cache,
    }
}

/// All of them.
pub const CONTENDERS: [Contender; 8] = [
    contender(ACTION, Tool::Action, "", false),
    contender("buildkit-guide", Tool::BuildKit, GUIDE, false),
    contender("buildkit-layers", Tool::BuildKit, LAYERS, false),
    contender("buildkit-guide-cache", Tool::BuildKit, GUIDE, true),
    contender("buildkit-layers-cache", Tool::BuildKit, LAYERS, true),
    contender("buildah-guide", Tool::Buildah, GUIDE, false),
    contender("buildah-layers", Tool::Buildah, LAYERS, false),
    contender("buildah-layers-cache", Tool::Buildah, LAYERS, true),
];

/// The names of all of them.
pub const NAMES: [&str; CONTENDERS.len()] = {
    let mut names = [""; CONTENDERS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = CONTENDERS[index].name;
        index += 1;
    }
    names
};

/// Gives the contender of a name.
pub fn named(name: &str) -> Result<&'static Contender> {
    CONTENDERS
        .iter()
        .find(|contender| contender.name == name)
        .with_context(|| format!("nobody who is compared is called `{name}`"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_dockerfile_is_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench");
        for contender in CONTENDERS.iter().filter(|one| one.tool != Tool::Action) {
            assert!(folder.join(contender.dockerfile).is_file(), "{contender:?}");
        }
    }
}
