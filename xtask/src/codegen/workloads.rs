//! The table of what runs in a cluster, from `tests/platform/workloads.yaml`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Something that runs.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Workload {
    kind: String,
    name: String,
    namespace: Option<String>,
    chart: Option<String>,
    add_on: Option<String>,
    why: String,
}

/// Writes the table of a file: what runs on every node first. `stacks` is the folder with the
/// templates, whose add-ons must be those of the file.
pub(super) fn table(file: &Path, stacks: &Path) -> Result<String> {
    let text = fs_err::read_to_string(file)?;
    checked(&text, &add_ons(stacks)?).with_context(|| format!("in `{}`", file.display()))
}

fn checked(text: &str, made: &BTreeSet<String>) -> Result<String> {
    let workloads: Vec<Workload> = serde_yaml::from_str(text)?;
    let named: BTreeSet<String> = workloads
        .iter()
        .filter_map(|one| one.add_on.clone())
        .collect();
    if named != *made {
        bail!("the add-ons are {named:?}, and the stacks have {made:?}");
    }
    Ok(rows(&workloads))
}

fn rows(workloads: &[Workload]) -> String {
    let mut table = String::from("| | name | comes from | why |\n|---|---|---|---|\n");
    let (everywhere, others): (Vec<&Workload>, Vec<&Workload>) =
        workloads.iter().partition(|one| one.kind == "DaemonSet");
    for one in everywhere.into_iter().chain(others) {
        let name = match &one.namespace {
            Some(namespace) => format!("`{namespace}/{}`", one.name),
            None => one.name.clone(),
        };
        let from = match (&one.chart, &one.add_on) {
            (Some(chart), _) => format!("chart `{chart}`, by helm-deploy"),
            (None, Some(add_on)) => format!("add-on `{add_on}`, by provision-infra"),
            (None, None) => String::new(),
        };
        let _ = writeln!(table, "| {} | {name} | {from} | {} |", one.kind, one.why);
    }
    table
}

/// Lists the add-ons that the templates of a folder make.
fn add_ons(stacks: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs_err::read_dir(stacks)? {
        let text = fs_err::read_to_string(entry?.path())?;
        let lines = text.lines().map(str::trim);
        names.extend(lines.filter_map(|line| Some(line.strip_prefix("AddonName: ")?.to_owned())));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_on_every_node_comes_first_and_add_ons_are_those_of_the_stacks() {
        let text = "[{kind: Deployment, name: web, chart: app, why: a}, {kind: DaemonSet, name: net, namespace: system, add-on: cni, why: b}]";
        let table = checked(text, &BTreeSet::from(["cni".to_owned()])).unwrap();
        assert_eq!(
            table.lines().skip(2).collect::<Vec<_>>(),
            [
                "| DaemonSet | `system/net` | add-on `cni`, by provision-infra | b |",
                "| Deployment | web | chart `app`, by helm-deploy | a |",
            ]
        );
        let more = BTreeSet::from(["cni".to_owned(), "dns".to_owned()]);
        let error = checked(text, &more).unwrap_err().to_string();
        assert!(error.contains("dns"), "{error}");
    }
}
