//! Markdown cut to a length, so that what is left still renders: no table without a row, no fence
//! and no `<details>` left open.

/// Cuts Markdown to `room` characters together with `note`, which says where the rest stands; what
/// fits as it is stays as it is. Nothing but the note is left when no line fits.
#[must_use]
pub fn cut(markdown: &str, room: usize, note: &str) -> String {
    if markdown.chars().count() <= room {
        return markdown.into();
    }
    let note = format!("\n{note}\n");
    let room = room.saturating_sub(note.chars().count());
    let lines: Vec<&str> = markdown.split_inclusive('\n').collect();
    let mut open = Open::default();
    let (mut bytes, mut characters) = (0, 0);
    let mut best = (0, String::new());
    for (number, line) in lines.iter().enumerate() {
        let was = open.clone();
        open.read(line);
        bytes += line.len();
        characters += line.chars().count();
        if characters > room {
            break;
        }
        let next = lines.get(number + 1).copied().unwrap_or_default();
        if open.is_good_end(&was, line, next) {
            let ends = open.ends();
            if characters + ends.chars().count() <= room {
                best = (bytes, ends);
            }
        }
    }
    let (bytes, ends) = best;
    format!("{}{ends}{note}", &markdown[..bytes])
}

/// What is open after some lines.
#[derive(Clone, Default, PartialEq)]
struct Open {
    /// The fence of a block of code.
    fence: Option<String>,
    /// How many `<details>`.
    details: usize,
}

impl Open {
    fn read(&mut self, line: &str) {
        let text = line.trim();
        if let Some(fence) = &self.fence {
            // A fence is closed by its own kind, as long or longer, with nothing behind it.
            let kind = fence.chars().next().unwrap_or('`');
            if text.starts_with(fence.as_str()) && text.chars().all(|one| one == kind) {
                self.fence = None;
            }
            return;
        }
        self.fence = fence_of(text);
        if self.fence.is_none() {
            self.details += text.matches("<details").count();
            self.details = self
                .details
                .saturating_sub(text.matches("</details>").count());
        }
    }

    /// Says whether a reader would take it well that the text ends after this line: it does not
    /// only announce what comes next.
    fn is_good_end(&self, was: &Self, line: &str, next: &str) -> bool {
        let text = line.trim();
        let opens = self.details > was.details || (self.fence.is_some() && self.fence != was.fence);
        if opens {
            return false;
        }
        if self.fence.is_some() {
            return true;
        }
        let announces = text.starts_with('#') || is_delimiter(text) || is_delimiter(next.trim());
        !text.is_empty() && !announces
    }

    /// Closes what is open.
    fn ends(&self) -> String {
        let mut ends = String::new();
        if let Some(fence) = &self.fence {
            ends = format!("{fence}\n");
        }
        ends + &"\n</details>\n".repeat(self.details)
    }
}

/// Gives the fence that a line opens a block of code with.
fn fence_of(text: &str) -> Option<String> {
    let kind = text.chars().next().filter(|one| matches!(one, '`' | '~'))?;
    let fence: String = text.chars().take_while(|one| *one == kind).collect();
    let info = &text[fence.len()..];
    (fence.len() >= 3 && !info.contains('`')).then_some(fence)
}

/// Says whether a line stands between a table's head and its rows.
fn is_delimiter(text: &str) -> bool {
    text.starts_with('|') && text.contains('-') && text.chars().all(|one| "|-: ".contains(one))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::cut;

    const NOTE: &str = "The rest has no room here.";

    /// Cuts at every length there is, and gives the different results.
    fn all(markdown: &str) -> Vec<String> {
        let most = markdown.chars().count();
        let mut results: Vec<String> = (0..=most)
            .map(|room| {
                let text = cut(markdown, room, NOTE);
                let length = text.chars().count();
                assert!(length <= room.max(NOTE.len() + 2), "{length} > {room}");
                text
            })
            .collect();
        assert_eq!(results.pop().as_deref(), Some(markdown));
        results.dedup();
        results
    }

    #[test]
    fn a_table_keeps_its_head_only_with_a_row() {
        let rows = "| create | a |\n".repeat(8);
        let markdown = format!("### Plan\n\n**network**\n\n| | target |\n|---|---|\n{rows}");
        let results = all(&markdown);
        assert_snapshot!(results[..3].join("=====\n"), @r"

        The rest has no room here.
        =====
        ### Plan

        **network**

        The rest has no room here.
        =====
        ### Plan

        **network**

        | | target |
        |---|---|
        | create | a |

        The rest has no room here.
        ");
    }

    #[test]
    fn what_is_open_is_closed() {
        let sql = "SELECT 1;\n".repeat(9);
        let markdown = format!(
            "Before.\n\n<details><summary>What</summary>\n\n````sql\n```\n{sql}````\n\n</details>\n\nAfter.\n"
        );
        let results = all(&markdown);
        for text in &results {
            assert_eq!(
                text.matches("<details>").count(),
                text.matches("</details>").count(),
                "{text}"
            );
            assert_eq!(text.matches("````").count() % 2, 0, "{text}");
        }
        assert_snapshot!(results[3], @"
        Before.

        <details><summary>What</summary>

        ````sql
        ```
        SELECT 1;
        ````

        </details>

        The rest has no room here.
        ");
    }

    #[test]
    fn characters_are_counted_and_never_split() {
        let markdown = "größer\n".repeat(20);
        assert_eq!(markdown.chars().count(), 140);
        assert_eq!(cut(&markdown, 140, NOTE), markdown);
        let text = cut(&markdown, 139, NOTE);
        assert_eq!(text, format!("{}\n{NOTE}\n", "größer\n".repeat(15)));
        // A single line that is too long leaves only the note.
        assert_eq!(cut(&"ü".repeat(200), 100, NOTE), format!("\n{NOTE}\n"));
    }
}
