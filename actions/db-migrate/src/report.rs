//! What a run tells: outputs, JSON, Markdown and lines; and plans on disk.

use std::fmt::Write as _;
use std::path::Path;

use action_kit::{Outcome, Report};
use plan::Plan;
use serde_json::{Value, json};

use crate::apply::{after, revision};
use crate::error::MigrateError;
use crate::job::{Kind, Pending, Told};
use crate::observe::Observed;

/// Reports a plan.
pub(crate) fn planned(observed: &Observed, plan: &Plan) -> Report {
    let outcome = if plan.is_empty() {
        Outcome::Unchanged
    } else {
        Outcome::Planned
    };
    looked(outcome, observed, plan)
}

/// Reports that there was nothing to run.
pub(crate) fn unchanged(observed: &Observed, plan: &Plan) -> Report {
    looked(Outcome::Unchanged, observed, plan)
        .output("applied", "")
        .field("applied", Value::Array(Vec::new()))
}

fn looked(outcome: Outcome, observed: &Observed, plan: &Plan) -> Report {
    let pending: Vec<&str> = observed
        .pending
        .iter()
        .map(|pending| pending.revision.as_str())
        .collect();
    let before = revision(&observed.before);
    Report::new(outcome)
        .output("plan-digest", plan.digest().as_str())
        .output("revision-before", &before)
        .output("revision-after", &before)
        .output("pending", pending.join("\n"))
        .field(
            "pending",
            observed.pending.iter().map(json_of).collect::<Vec<_>>(),
        )
        .field("plan", plan)
        .markdown(plan_markdown(observed, plan))
        .line(format!("the database is at {before}"))
        .line(plan.to_text())
}

fn plan_markdown(observed: &Observed, plan: &Plan) -> String {
    let mut markdown = plan.to_markdown();
    let before = revision(&observed.before);
    let _ = writeln!(markdown, "\nThe database is at `{before}`.");
    for pending in &observed.pending {
        markdown.push_str(&statements(pending));
    }
    markdown
}

fn json_of(pending: &Pending) -> Value {
    json!({
        "revision": pending.revision,
        "message": pending.message,
        "sql": pending.sql,
        "sha256": pending.sha256,
    })
}

/// Shows a migration's statements, folded.
fn statements(pending: &Pending) -> String {
    let title = format!("{} {}", pending.revision, pending.message).replace('<', "&lt;");
    match &pending.sql {
        Some(sql) => format!(
            "\n<details><summary>{title}</summary>\n\n```sql\n{}\n```\n\n</details>\n",
            sql.replace("```", "'''")
        ),
        None => format!("\n{title}: its statements are known only when it runs\n"),
    }
}

/// Reports what a Job did, well or badly.
pub(crate) fn applied(told: &Told, plan_digest: Option<&str>) -> Report {
    let mut report = Report::new(Outcome::Done)
        .output("applied", told.applied.join("\n"))
        .field("applied", &told.applied);
    if let Some(digest) = plan_digest {
        report = report.output("plan-digest", digest);
    }
    let before = told.before.as_deref().map(revision);
    if let Some(before) = &before {
        report = report.output("revision-before", before);
    }
    if let Some(after) = after(told) {
        report = report.output("revision-after", after);
    }
    if told.kind != Kind::Ok {
        return report;
    }
    let before = before.unwrap_or_default();
    let after = after(told).unwrap_or_default();
    let count = told.applied.len();
    let title = match count {
        1 => "1 migration ran".to_owned(),
        count => format!("{count} migrations ran"),
    };
    let mut markdown = format!("### Database migration: {title}\n\n`{before}` → `{after}`\n\n");
    for revision in &told.applied {
        let _ = writeln!(markdown, "- {revision}");
    }
    report
        .markdown(markdown)
        .line(format!("{title}: {before} → {after}"))
}

/// Writes a plan to disk.
pub(crate) fn save(plan: &Plan, path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    fs_err::write(path, plan.to_json() + "\n")
}

/// Reads a plan that was reviewed; `file` is its name for people.
pub(crate) fn load(path: &Path, file: &Path) -> Result<Plan, MigrateError> {
    let text = fs_err::read_to_string(path).map_err(|source| MigrateError::PlanFile {
        doing: "read the plan in",
        file: file.into(),
        source,
    })?;
    Plan::parse(&text).map_err(|source| MigrateError::NoPlan {
        file: file.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use plan::Digest;

    use super::plan_markdown;
    use crate::job::Pending;
    use crate::observe::Observed;
    use crate::plan::{Question, plan};

    #[test]
    fn a_plan_shows_the_statements() {
        let pending = |revision: &str, sql: Option<&str>| Pending {
            revision: revision.into(),
            message: "Less <b>.".into(),
            sql: sql.map(String::from),
            sha256: sql.map(|sql| Digest::of(sql).to_string()),
        };
        let observed = Observed {
            before: Vec::new(),
            pending: vec![pending("0001", Some("SELECT '```'")), pending("0002", None)],
        };
        let question = Question {
            namespace: "orders",
            database: "secret orders, key DATABASE_URL",
            image: &Digest::of("image"),
            target: "head",
        };
        let markdown = plan_markdown(&observed, &plan(&question, &observed, "now"));
        assert_snapshot!(markdown, @r#"
    ### Plan for `orders: secret orders, key DATABASE_URL`: 2 to run

    | | target | kind | why |
    |---|---|---|---|
    | > run | 0001 | revision | Less &lt;b>. |
    | > run | 0002 | revision | Less &lt;b>. |

    Plan digest: `sha256:c9abd58a6a6e20aff01c35e02d0b9c202fe1850116ca80c660e3c59931e6ddeb`

    The database is at `base`.

    <details><summary>0001 Less &lt;b>.</summary>

    ```sql
    SELECT '''''
    ```

    </details>

    0002 Less &lt;b>.: its statements are known only when it runs
    "#);
    }
}
