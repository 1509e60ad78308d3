//! The environment as a value, so that nothing below `main` reads the process's own.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The variables that the runner (or a shell) gave to the process.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Takes the process's variables; those that are not UTF-8 are left out.
    #[must_use]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// Gives a variable's value; one that is set to an empty string counts as absent, since
    /// that is how a runner passes an omitted input.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Gives a variable as a path.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// Gives the variables whose names start with `prefix`, in order.
    pub fn starting_with<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .range(prefix.to_owned()..)
            .take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Says whether the process runs as a step of a workflow.
    #[must_use]
    pub fn in_actions(&self) -> bool {
        self.get("GITHUB_ACTIONS") == Some("true")
    }

    /// Gives the folder that the repository is checked out into: the runner's workspace, or the
    /// current folder.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.path("GITHUB_WORKSPACE")
            .unwrap_or_else(|| PathBuf::from("."))
    }

    /// Gives the address of this run on GitHub, when it has one.
    #[must_use]
    pub fn run_url(&self) -> Option<String> {
        let server = self.get("GITHUB_SERVER_URL")?;
        let repository = self.get("GITHUB_REPOSITORY")?;
        let run = self.get("GITHUB_RUN_ID")?;
        Some(format!("{server}/{repository}/actions/runs/{run}"))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(variables: T) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}
