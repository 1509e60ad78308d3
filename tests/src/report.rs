//! The closing table, and the report for people, machines and CI.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::context::Context;
use crate::run::minutes;
use crate::state::{State, write_whole};

/// Writes `report.md`, `report.json` and `junit.xml`, and prints the table.
pub fn write(cx: &Context, order: &[&str], took: Duration, failed: Option<&str>) -> Result<()> {
    let state = cx.state();
    let markdown = markdown(&state, order, took, failed);
    write_whole(&cx.folder.join("report.md"), markdown.as_bytes())?;
    let json = json(&state, order, took, failed);
    write_whole(
        &cx.folder.join("report.json"),
        serde_json::to_string_pretty(&json)?.as_bytes(),
    )?;
    write_whole(
        &cx.folder.join("junit.xml"),
        junit(&state, order).as_bytes(),
    )?;
    println!("\n{}", table(&state, order));
    println!("report: {}", cx.folder.join("report.md").display());
    let failures = steps(&state, order).filter(|(_, done)| !done.ok).count();
    let count = steps(&state, order).count();
    println!("e2e: {} passed, {failures} failed", count - failures);
    Ok(())
}

/// The table that ends a run.
fn table(state: &State, order: &[&str]) -> String {
    let mut text =
        String::from("| step | result | time | what ran for real |\n|---|---|---:|---|\n");
    for (name, done) in steps(state, order) {
        let result = if done.ok { "ok" } else { "failed" };
        let real = done
            .real
            .lines()
            .next()
            .unwrap_or_default()
            .replace('|', "\\|");
        let _ = writeln!(
            text,
            "| {name} | {result} | {:.1} s | {real} |",
            done.seconds
        );
    }
    text
}

fn markdown(state: &State, order: &[&str], took: Duration, failed: Option<&str>) -> String {
    let result = failed.map_or_else(
        || "all steps passed".to_owned(),
        |name| format!("the step `{name}` failed"),
    );
    let mut text = format!(
        "# End-to-end run: {result} ({})\n\n{}",
        minutes(took),
        table(state, order)
    );
    for (name, done) in steps(state, order) {
        if done.facts.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n## {name}\n");
        for (fact, value) in &done.facts {
            match value {
                Value::String(value) => _ = writeln!(text, "- **{fact}**: {value}"),
                Value::Object(_) | Value::Array(_) => {
                    let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
                    let _ = writeln!(text, "- **{fact}**:\n\n```json\n{pretty}\n```\n");
                }
                value => _ = writeln!(text, "- **{fact}**: {value}"),
            }
        }
    }
    // The page's own title becomes a section of the report.
    text.push_str("\n#");
    text.push_str(include_str!("../FIDELITY.md"));
    text
}

fn json(state: &State, order: &[&str], took: Duration, failed: Option<&str>) -> Value {
    let steps: Vec<Value> = steps(state, order)
        .map(|(name, done)| {
            json!({ "step": name, "ok": done.ok, "seconds": done.seconds, "real": done.real, "facts": done.facts })
        })
        .collect();
    json!({ "schema": 1, "seconds": took.as_secs_f64(), "failed": failed, "source": state.source, "steps": steps })
}

fn junit(state: &State, order: &[&str]) -> String {
    let failures = steps(state, order).filter(|(_, done)| !done.ok).count();
    let count = steps(state, order).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"e2e\" tests=\"{count}\" failures=\"{failures}\">\n"
    );
    for (name, done) in steps(state, order) {
        let _ = write!(
            text,
            "  <testcase classname=\"e2e\" name=\"{name}\" time=\"{:.3}\"",
            done.seconds
        );
        if done.ok {
            text.push_str("/>\n");
        } else {
            let _ = writeln!(
                text,
                "><failure message=\"{}\"/></testcase>",
                escape(&done.real)
            );
        }
    }
    text.push_str("</testsuite>\n");
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
        .replace('\n', "&#10;")
}

fn steps<'a>(
    state: &'a State,
    order: &'a [&str],
) -> impl Iterator<Item = (&'a str, &'a crate::state::Done)> {
    order
        .iter()
        .filter_map(|name| Some((*name, state.steps.get(*name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Done;

    fn state() -> State {
        let mut state = State::default();
        let facts = [
            ("digest".to_owned(), json!("sha256:0")),
            ("zones".to_owned(), json!(["a", "b"])),
        ]
        .into();
        state.steps.insert(
            "cluster".into(),
            Done {
                ok: true,
                seconds: 45.25,
                real: "kind".into(),
                facts,
            },
        );
        state.steps.insert(
            "application".into(),
            Done {
                real: "no <pod>\nis \"ready\"".into(),
                ..Done::default()
            },
        );
        state
    }

    #[test]
    fn the_report_tells_every_step_in_order_with_its_facts() {
        let text = markdown(
            &state(),
            &["cluster", "application"],
            Duration::from_secs(75),
            Some("application"),
        );
        assert!(
            text.starts_with("# End-to-end run: the step `application` failed (1 min 15 s)\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "| cluster | ok | 45.2 s | kind |\n| application | failed | 0.0 s | no <pod> |\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("- **digest**: sha256:0\n") && text.contains("[\n  \"a\""),
            "{text}"
        );
    }

    #[test]
    fn junit_is_well_formed_and_counts_failures() {
        let text = junit(&state(), &["cluster", "application"]);
        assert!(
            text.contains("tests=\"2\" failures=\"1\"")
                && text.contains("no &lt;pod>&#10;is &quot;ready&quot;"),
            "{text}"
        );
    }
}
