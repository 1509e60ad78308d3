//! The tables and diagrams in the README files, between markers.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::{Description, Input};

/// Replaces the tables of inputs and outputs in an action's README.
pub(super) fn with_tables(readme: &str, action: &Description) -> Result<String> {
    let mut inputs = String::from("| input | meaning | default |\n|---|---|---|\n");
    for input in &action.inputs {
        let _ = writeln!(
            inputs,
            "| `{}` | {} | {} |",
            input.name,
            cell(&meaning(input)),
            default(input)
        );
    }
    let mut outputs = String::from("| output | meaning |\n|---|---|\n");
    for output in &action.outputs {
        let _ = writeln!(
            outputs,
            "| `{}` | {} |",
            output.name,
            cell(&output.description)
        );
    }
    let readme = between(readme, "inputs", &inputs)?;
    between(&readme, "outputs", &outputs)
}

/// Replaces the diagram in an action's README.
pub(super) fn with_diagram(readme: &str, diagram: &str) -> Result<String> {
    between(readme, "diagram", diagram)
}

/// Replaces the table of what runs in a cluster.
pub(super) fn with_workloads(readme: &str, table: &str) -> Result<String> {
    between(readme, "workloads", table)
}

/// Replaces the table of actions in the workspace's README.
pub(super) fn with_actions(readme: &str, actions: &[Description]) -> Result<String> {
    let mut table = String::from("| action | what it does |\n|---|---|\n");
    for action in actions {
        let _ = writeln!(
            table,
            "| [`{0}`](actions/{0}/README.md) | {1} |",
            action.name,
            cell(&action.description)
        );
    }
    between(readme, "actions", &table)
}

fn meaning(input: &Input) -> String {
    let mut text = input.description.clone();
    if input.list {
        text.push_str("; one a line");
    }
    if input.secret {
        text.push_str("; secret");
    }
    if !input.choices.is_empty() {
        let choices: Vec<String> = input
            .choices
            .iter()
            .map(|choice| format!("`{choice}`"))
            .collect();
        let _ = write!(text, " ({})", choices.join(", "));
    }
    text
}

fn default(input: &Input) -> String {
    match &input.default {
        Some(value) => format!("`{}`", cell(value)),
        None if input.required => "**required**".into(),
        None => String::new(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Puts a text between `<!-- name -->` and `<!-- /name -->`.
fn between(readme: &str, name: &str, text: &str) -> Result<String> {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = readme
        .split_once(&start)
        .with_context(|| format!("there is no line `{}`", start.trim()))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("there is no line `{end}`"))?;
    Ok(format!("{before}{start}{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn what_stands_between_the_markers_is_replaced_and_nothing_else() {
        let readme = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n";
        assert_eq!(
            between(readme, "x", "new\n").unwrap(),
            "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n"
        );
        assert!(
            between("no markers", "x", "")
                .unwrap_err()
                .to_string()
                .contains("<!-- x -->")
        );
    }
}
