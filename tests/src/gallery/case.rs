//! What goes wrong in the gallery, and what has to be said about it.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::context::Context;

/// One way in which a deployment fails. Its objects are in `tests/gallery/NAME`.
#[derive(Debug)]
pub struct Case {
    /// Its name, and that of its folder.
    pub name: &'static str,
    /// What is wrong.
    pub about: &'static str,
    /// The exit status of the action.
    pub code: i32,
    /// The word in `failure-reason`.
    pub reason: &'static str,
    /// What the message has to say.
    pub says: &'static [&'static str],
    /// Within so many seconds. Kubernetes itself needs its time for some: a container has to end
    /// three times before that is called a loop, a node may be about to be made.
    pub limit: u64,
}

const NOT_READY: (i32, &str) = (1, "checks-failed");
const REFUSED: (i32, &str) = (1, "remote-failed");
const INPUT: (i32, &str) = (2, "invalid-input");

const fn case(
    name: &'static str,
    about: &'static str,
    (code, reason): (i32, &'static str),
    says: &'static [&'static str],
    limit: u64,
) -> Case {
    Case {
        name,
        about,
        code,
        reason,
        says,
        limit,
    }
}

/// The whole gallery.
pub const CASES: [Case; 14] = [
    case(
        "image-tag-missing",
        "a tag that nobody pushed",
        NOT_READY,
        &["no-such-tag", "does not exist"],
        15,
    ),
    case(
        "registry-refused",
        "a registry that does not know the node",
        NOT_READY,
        &["localhost:30555/private/web:1", "may not be pulled"],
        15,
    ),
    case(
        "crash-loop",
        "a program that ends at its start",
        NOT_READY,
        &["exit status 1", "KeyError: 'DATABASE_URL'"],
        30,
    ),
    case(
        "probe-path-wrong",
        "a probe of a path that is not there",
        NOT_READY,
        &["statuscode: 404", "correct `probes`"],
        35,
    ),
    case(
        "out-of-memory",
        "a memory limit that is too low",
        NOT_READY,
        &["killed for its memory", "64Mi"],
        15,
    ),
    case(
        "unschedulable",
        "requests that no node has room for",
        NOT_READY,
        &["Insufficient cpu", "cpu free for 64"],
        45,
    ),
    case(
        "config-map-key-missing",
        "a key that the config map lacks",
        NOT_READY,
        &["couldn't find key LEVEL", "add the key"],
        15,
    ),
    case(
        "claim-without-class",
        "a volume of a class that does not exist",
        NOT_READY,
        &["volume claim `data`", "no-such-class"],
        15,
    ),
    case(
        "hook-failed",
        "a hook that fails",
        REFUSED,
        &["pre-install", "the table `orders` is locked"],
        15,
    ),
    case(
        "quota-exceeded",
        "a quota that is used up",
        NOT_READY,
        &["exceeded quota: small", "raise the ResourceQuota"],
        15,
    ),
    case(
        "field-conflict",
        "replicas that an autoscaler owns",
        REFUSED,
        &[
            "`spec.replicas` is 2 and owned by `kube-controller-manager`",
            "nothing was changed",
        ],
        15,
    ),
    case(
        "definition-missing",
        "a kind whose CRD is not installed",
        REFUSED,
        &["no matches for kind \"Widget\"", "install the operator"],
        15,
    ),
    case(
        "webhook-down",
        "an admission webhook that does not answer",
        NOT_READY,
        &["inject.example.com", "a webhook does not answer"],
        30,
    ),
    case(
        "schema-broken",
        "values that the chart's schema refuses",
        INPUT,
        &["replicas", "got string, want integer"],
        15,
    ),
];

/// Chooses cases by name; all when none is named.
pub fn choose(only: &[String]) -> Result<Vec<&'static Case>> {
    for name in only {
        if !CASES.iter().any(|case| case.name == name) {
            let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
            bail!(
                "nothing in the gallery is called `{name}`\nhint: there are {}",
                names.join(", ")
            );
        }
    }
    let chosen = |case: &&Case| only.is_empty() || only.iter().any(|name| name == case.name);
    Ok(CASES.iter().filter(chosen).collect())
}

impl Case {
    /// Gives the namespace in which it happens.
    pub fn namespace(&self) -> String {
        format!("gallery-{}", self.name)
    }

    /// Gives a file of its folder, when it has it.
    pub fn file(&self, cx: &Context, name: &str) -> Option<PathBuf> {
        let file = cx.root.join("tests/gallery").join(self.name).join(name);
        file.is_file().then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_objects_and_every_folder_its_case() {
        let gallery = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("gallery");
        let mut folders: Vec<String> = fs_err::read_dir(&gallery)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        folders.sort();
        let mut names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        names.sort_unstable();
        assert_eq!(folders, names);
        for name in names {
            assert!(gallery.join(name).join("objects.yaml").is_file(), "{name}");
        }
    }

    #[test]
    fn cases_are_chosen_by_name() {
        let chosen = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            choose(&only).map(|cases| cases.len())
        };
        assert_eq!(chosen(&[]).unwrap(), CASES.len());
        assert_eq!(chosen(&["crash-loop", "hook-failed"]).unwrap(), 2);
        let error = chosen(&["crash"]).unwrap_err().to_string();
        assert!(
            error.contains("`crash`") && error.contains("crash-loop"),
            "{error}"
        );
    }
}
