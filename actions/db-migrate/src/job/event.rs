//! What the Job's program tells, one JSON document a line behind a marker.

use serde::Deserialize;

/// Stands in front of a line that is for the action.
const MARKER: &str = "@db-migrate ";

/// Something that happens in the Job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// The database cannot be reached yet.
    Waiting { error: String },
    /// A migration begins.
    Running { revision: String, message: String },
    /// A migration is through.
    Ran { revision: String, milliseconds: u64 },
    /// Something that people should know.
    Note { text: String },
    /// The end.
    Result(Told),
}

/// What came of the Job, in its program's words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Told {
    pub(crate) kind: Kind,
    /// Revisions of the database when it began; nothing when it was not reached.
    pub(crate) before: Option<Vec<String>>,
    /// Revisions of the database when it ended, read from the database.
    #[serde(default)]
    pub(crate) after: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) pending: Vec<Pending>,
    #[serde(default)]
    pub(crate) applied: Vec<String>,
    #[serde(default)]
    pub(crate) error: String,
    /// The migration that failed.
    #[serde(default)]
    pub(crate) revision: Option<String>,
    #[serde(default)]
    pub(crate) statement: Option<String>,
    #[serde(default)]
    pub(crate) file: Option<String>,
    #[serde(default)]
    pub(crate) line: Option<u64>,
}

/// How the Job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// It did what it should.
    Ok,
    /// A migration failed.
    Migration,
    /// The application's `env.py` cannot be run.
    Environment,
    /// The database did not answer in time.
    Unreachable,
    /// Another session migrates.
    Locked,
    /// The database has moved since the plan.
    Changed,
    /// The database has a revision that the image has not.
    Unknown,
    /// The image has no such target, or several heads.
    Target,
    /// The image has no Alembic.
    NoAlembic,
    /// The image has no such configuration.
    NoConfig,
}

/// A migration that the image has and the database has not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Pending {
    pub(crate) revision: String,
    pub(crate) message: String,
    /// Its statements, where they can be told without a database; a long text is cut.
    pub(crate) sql: Option<String>,
    /// Digest of all of its statements.
    pub(crate) sha256: Option<String>,
}

/// Reads a line of the log: nothing when it is one for people.
pub(crate) fn parse(line: &str) -> Option<Event> {
    serde_json::from_str(line.strip_prefix(MARKER)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{Event, Kind, parse};
    use crate::job::PROGRAM;

    #[test]
    fn events_are_told_from_other_lines() {
        assert_eq!(parse("INFO Running upgrade"), None);
        assert_eq!(parse("@db-migrate {"), None);
        let line = r#"@db-migrate {"event": "ran", "revision": "1", "milliseconds": 7}"#;
        let ran = Event::Ran {
            revision: "1".into(),
            milliseconds: 7,
        };
        assert_eq!(parse(line), Some(ran));
        let line = r#"@db-migrate {"event": "result", "kind": "no-alembic", "error": "x", "before": null}"#;
        let Some(Event::Result(told)) = parse(line) else {
            unreachable!("the line is a result")
        };
        assert_eq!((told.kind, told.before), (Kind::NoAlembic, None));
    }

    #[test]
    fn the_program_and_the_parser_agree() {
        assert!(PROGRAM.contains(&format!("MARKER = \"{}\"", super::MARKER)));
        // Kubernetes expands `$(NAME)` in arguments.
        assert!(!PROGRAM.contains('$'));
    }
}
