//! Who is compared: the action, and its peers with two Dockerfiles each.

use anyhow::{Result, bail};

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

/// The name of the action's row.
pub const ACTION: &str = "action";
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

/// Chooses contenders by what their names begin with; all when nothing is named.
pub fn choose(only: &[String]) -> Result<Vec<&'static Contender>> {
    let fits = |contender: &&Contender, word: &str| contender.name.starts_with(word);
    for word in only {
        if !CONTENDERS.iter().any(|contender| fits(&contender, word)) {
            let names = CONTENDERS.map(|contender| contender.name);
            bail!(
                "nobody who is compared is called `{word}`\nhint: there are {}",
                names.join(", ")
            );
        }
    }
    let chosen = CONTENDERS
        .iter()
        .filter(|contender| only.is_empty() || only.iter().any(|word| fits(contender, word)));
    Ok(chosen.collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn names(only: &[&str]) -> Result<String> {
        let only: Vec<String> = only.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = choose(&only)?.iter().map(|one| one.name).collect();
        Ok(names.join(" "))
    }

    #[test]
    fn contenders_are_chosen_by_the_start_of_their_names() {
        assert_eq!(
            names(&["buildah", "action"]).unwrap(),
            "action buildah-guide buildah-layers buildah-layers-cache"
        );
        assert_eq!(choose(&[]).unwrap().len(), CONTENDERS.len());
        let error = names(&["action", "docker"]).unwrap_err().to_string();
        assert!(
            error.contains("`docker`") && error.contains("buildah-guide"),
            "{error}"
        );
    }

    #[test]
    fn every_dockerfile_is_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench");
        for contender in CONTENDERS.iter().filter(|one| one.tool != Tool::Action) {
            assert!(folder.join(contender.dockerfile).is_file(), "{contender:?}");
        }
    }
}
