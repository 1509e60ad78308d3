//! A comment's text: the hidden header, and the plan as far as there is room.

use plan::Plan;

use crate::Header;
use crate::cut::cut;

/// What a comment on GitHub holds at most, in characters.
pub const LONGEST: usize = 65_536;

/// A plan as a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Whose plan it is.
    pub header: Header,
    /// The whole text, header and all.
    pub text: String,
}

impl Comment {
    /// Writes a plan as a comment; `place` is that of the [header](Header::of), `summary` is the Markdown of the run's summary, and `run_url` is
    /// where that stands.
    #[must_use]
    pub fn new(plan: &Plan, place: Option<&str>, summary: &str, run_url: Option<&str>) -> Self {
        let header = Header::of(plan, place);
        let text = text(&header, place, plan, summary, run_url);
        Self { header, text }
    }
}

/// Writes the text. What does not fit is cut from the details first: the list of changes stays
/// whole as long as it can, and then shows the gravest ones.
#[must_use]
pub fn text(
    header: &Header,
    place: Option<&str>,
    plan: &Plan,
    summary: &str,
    run_url: Option<&str>,
) -> String {
    let foot = foot(&header.action, place, run_url);
    let around = format!("{header}\n\n{foot}\n");
    let room = LONGEST.saturating_sub(around.chars().count());
    let rest = match run_url {
        Some(url) => format!("[the run's summary]({url}) shows them"),
        None => "the run's summary shows them".into(),
    };
    let note = format!("_More details have no room here: {rest}._");
    let list = plan.to_markdown();
    let shown = if list.chars().count() + note.chars().count() + 2 <= room {
        cut(summary, room, &note)
    } else {
        plan.to_markdown_within(room, &rest)
    };
    format!("{header}\n{}\n\n{foot}\n", shown.trim_end())
}

/// Says who wrote the comment, and where.
fn foot(action: &str, place: Option<&str>, run_url: Option<&str>) -> String {
    let place = place.map(|place| format!(" in `{place}`"));
    let run = run_url.map(|url| format!(", [run]({url})"));
    format!(
        "<sub>{action}{}{}</sub>",
        place.unwrap_or_default(),
        run.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use plan::{Change, Digest, Operation, Plan};

    use super::{Comment, LONGEST};
    use crate::Header;

    const RUN: &str = "https://github.example.com/acme/orders/actions/runs/1";

    fn plan(changes: usize) -> Plan {
        let mut changes: Vec<Change> = (0..changes)
            .map(|number| {
                let target = format!("Resource{number:04}");
                Change::new(Operation::Create, "AWS::EC2::Subnet", target).part("network")
            })
            .collect();
        if let Some(last) = changes.last_mut() {
            last.operation = Operation::Delete;
            last.loses_data = true;
        }
        let observed = Digest::of("observed");
        Plan::new(
            "provision-infra",
            "orders-staging",
            observed,
            changes,
            "now",
        )
    }

    /// Shows the first and the last lines.
    fn ends(text: &str) -> String {
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.len().saturating_sub(9);
        let [head, tail] = [&lines[..9], &lines[last..]].map(|lines| lines.join("\n"));
        format!("{head}\n[…]\n{tail}")
    }

    #[test]
    fn a_short_plan_is_shown_as_in_the_summary() {
        let plan = plan(2);
        let summary = format!("{}\nMore.\n", plan.to_markdown());
        let comment = Comment::new(&plan, Some("orders-eks"), &summary, Some(RUN));
        assert_eq!(Header::parse(&comment.text), Some(comment.header));
        assert_snapshot!(comment.text, @"
        <!-- fastapi-eks-actions: provision-infra orders-staging in orders-eks sha256:edaa92be9bdfe00393acf28074224bdfd2a298a52f7d85f983c31ed0faf243ec -->
        ### Plan for `orders-staging`: 1 to create, 1 to delete

        **network**

        | | target | kind | why |
        |---|---|---|---|
        | + create | Resource0000 | AWS::EC2::Subnet |  |
        | - delete | Resource0001 | AWS::EC2::Subnet | CANNOT BE UNDONE |

        Plan digest: `sha256:edaa92be9bdfe00393acf28074224bdfd2a298a52f7d85f983c31ed0faf243ec`

        More.

        <sub>provision-infra in `orders-eks`, [run](https://github.example.com/acme/orders/actions/runs/1)</sub>
        ");
        let comment = Comment::new(&plan, None, &summary, None);
        assert_eq!(comment.header.subject, "orders-staging");
        assert!(comment.text.ends_with("\n<sub>provision-infra</sub>\n"));
    }

    #[test]
    fn a_plan_of_seventy_thousand_characters_shows_the_gravest_changes() {
        let plan = plan(1450);
        let summary = plan.to_markdown();
        assert!(summary.chars().count() > 70_000, "{}", summary.len());
        let comment = Comment::new(&plan, None, &summary, Some(RUN));
        assert!(comment.text.chars().count() <= LONGEST);
        assert!(comment.text.chars().count() > LONGEST - 200);
        assert_snapshot!(ends(&comment.text), @"
        <!-- fastapi-eks-actions: provision-infra orders-staging sha256:a88a5d9a3a80574b917f6cefb7d8bc5eb5355e48e17f8852f2b23cd8ec0205b9 -->
        ### Plan for `orders-staging`: 1449 to create, 1 to delete

        | | target | kind | part | why |
        |---|---|---|---|---|
        | - delete | Resource1449 | AWS::EC2::Subnet | network | CANNOT BE UNDONE |
        | + create | Resource0000 | AWS::EC2::Subnet | network |  |
        | + create | Resource0001 | AWS::EC2::Subnet | network |  |
        | + create | Resource0002 | AWS::EC2::Subnet | network |  |
        […]
        | + create | Resource1078 | AWS::EC2::Subnet | network |  |
        | + create | Resource1079 | AWS::EC2::Subnet | network |  |
        | + create | Resource1080 | AWS::EC2::Subnet | network |  |

        368 more changes have no room here: [the run's summary](https://github.example.com/acme/orders/actions/runs/1) shows them

        Plan digest: `sha256:a88a5d9a3a80574b917f6cefb7d8bc5eb5355e48e17f8852f2b23cd8ec0205b9`

        <sub>provision-infra, [run](https://github.example.com/acme/orders/actions/runs/1)</sub>
        ");
    }

    #[test]
    fn of_seventy_thousand_characters_of_details_the_first_are_shown() {
        let plan = plan(3);
        let statements = "ALTER TABLE größer ADD COLUMN more text;\n".repeat(1700);
        let summary = format!(
            "{}\n<details><summary>0001</summary>\n\n```sql\n{statements}```\n\n</details>\n",
            plan.to_markdown()
        );
        assert!(summary.chars().count() > 70_000);
        let comment = Comment::new(&plan, None, &summary, Some(RUN));
        assert!(comment.text.chars().count() <= LONGEST);
        assert!(comment.text.chars().count() > LONGEST - 200);
        assert_snapshot!(ends(&comment.text), @"
        <!-- fastapi-eks-actions: provision-infra orders-staging sha256:d7db25199a488481c7018c0399215f4862cdfb96ef7acf2cb9818d4c99295b1c -->
        ### Plan for `orders-staging`: 2 to create, 1 to delete

        **network**

        | | target | kind | why |
        |---|---|---|---|
        | + create | Resource0000 | AWS::EC2::Subnet |  |
        | + create | Resource0001 | AWS::EC2::Subnet |  |
        […]
        ALTER TABLE größer ADD COLUMN more text;
        ALTER TABLE größer ADD COLUMN more text;
        ```

        </details>

        _More details have no room here: [the run's summary](https://github.example.com/acme/orders/actions/runs/1) shows them._

        <sub>provision-infra, [run](https://github.example.com/acme/orders/actions/runs/1)</sub>
        ");
    }
}
