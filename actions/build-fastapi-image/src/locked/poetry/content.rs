//! The digest by which Poetry knows whether `pyproject.toml` is the one that it locked.
//!
//! It is that of a part of the file as Python's `json.dumps(…, sort_keys=True)` writes it, and the
//! part grew from version to version.

use std::fmt::Write as _;

use oci_image::Digest;
use toml::{Table, Value};

/// The keys that count even when they are missing, as they did from the start.
const ALWAYS: [&str; 4] = ["dependencies", "source", "extras", "dev-dependencies"];
const OF_PROJECT: [&str; 3] = ["requires-python", "dependencies", "optional-dependencies"];

/// Reads the version of Poetry that wrote a lock file, from its first line.
pub(super) fn made_by(lock: &str) -> Option<(u64, u64)> {
    let (_, version) = lock.lines().next()?.split_once("by Poetry ")?;
    let mut parts = version.split(['.', ' ']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// Gives the digests that a lock file of a version of Poetry may have, in hexadecimal.
pub(super) fn digests(content: &Table, by: Option<(u64, u64)>) -> Vec<String> {
    let before = |version| by.is_none_or(|by| by < version);
    let mut contents = vec![relevant(content, true, true)];
    if before((2, 3)) {
        contents.push(relevant(content, true, false));
    }
    // Poetry 1 did not know [project].
    if before((2, 0)) {
        contents.push(relevant(content, false, false));
    }
    let digest = |text: &String| Digest::of(text).hex().to_owned();
    contents.iter().map(digest).collect()
}

/// Writes what counts.
fn relevant(content: &Table, with_project: bool, with_groups: bool) -> String {
    let table = |keys: &[&str]| {
        let mut table = Some(content);
        for key in keys {
            table = table.and_then(|table| table.get(*key)?.as_table());
        }
        table.cloned().unwrap_or_default()
    };
    let mut project = table(&["project"]);
    project.retain(|key, _| with_project && OF_PROJECT.contains(&key));
    let mut groups = table(&["dependency-groups"]);
    groups.retain(|_, _| with_groups);
    let own = table(&["tool", "poetry"]);
    let is_new = !project.is_empty() || !groups.is_empty();
    let mut poetry: Vec<(&str, Option<&Value>)> = ALWAYS
        .iter()
        .map(|key| (*key, own.get(*key)))
        .filter(|(_, value)| value.is_some() || !is_new)
        .collect();
    if let Some(group) = own.get("group") {
        poetry.push(("group", Some(group)));
    }
    poetry.sort_by_key(|(key, _)| *key);
    let mut json = String::new();
    if !is_new {
        object(&mut json, poetry);
        return json;
    }
    let mut tool = String::new();
    object(&mut tool, poetry);
    let mut parts = Vec::new();
    for (key, table) in [("dependency-groups", groups), ("project", project)] {
        if !table.is_empty() {
            let mut text = String::new();
            value(&mut text, &Value::Table(table));
            parts.push(format!("\"{key}\": {text}"));
        }
    }
    format!("{{{}, \"tool\": {{\"poetry\": {tool}}}}}", parts.join(", "))
}

fn object<'a>(json: &mut String, entries: impl IntoIterator<Item = (&'a str, Option<&'a Value>)>) {
    json.push('{');
    for (index, (key, entry)) in entries.into_iter().enumerate() {
        json.push_str(if index > 0 { ", " } else { "" });
        string(json, key);
        json.push_str(": ");
        match entry {
            Some(entry) => value(json, entry),
            None => json.push_str("null"),
        }
    }
    json.push('}');
}

fn value(json: &mut String, entry: &Value) {
    match entry {
        Value::Table(table) => {
            // Python compares keys by code points, as a sorted table does.
            let mut entries: Vec<_> = table
                .iter()
                .map(|(key, v)| (key.as_str(), Some(v)))
                .collect();
            entries.sort_by_key(|(key, _)| *key);
            object(json, entries);
        }
        Value::Array(entries) => {
            json.push('[');
            for (index, entry) in entries.iter().enumerate() {
                json.push_str(if index > 0 { ", " } else { "" });
                value(json, entry);
            }
            json.push(']');
        }
        Value::String(text) => string(json, text),
        Value::Boolean(truth) => json.push_str(if *truth { "true" } else { "false" }),
        Value::Integer(number) => json.push_str(&number.to_string()),
        // Neither occurs among requirements.
        Value::Float(number) => json.push_str(&number.to_string()),
        Value::Datetime(time) => json.push_str(&time.to_string()),
    }
}

/// Writes a text in ASCII only.
fn string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ' '..='~' => json.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Poetry itself computes for this text.
    const OF_2_5: &str = "58b43129c76afd15aa8d05fd2a83288003a5353be0425c4042c1ac635a95f4d0";
    const OF_2_2: &str = "54b138e74b94bf94bdf1e0316e8189ebf51a85695a9f26c339dd2c501d623497";
    const OF_1_8: &str = "13ad1f7c9efe5cb81cb0b7857e9c10fedbdb68c6c632cc5ef4e82ed7e5b4ef49";

    #[test]
    fn digests_of_all_versions() {
        let content = r#"[project]
name = "shop"
dependencies = ["fastapi>=1", "été==1 ; python_version < '4'"]

[dependency-groups]
dev = ["pytest>=9"]

[tool.poetry]
package-mode = false
extras = { "b" = ["x"], "a\"\u007f😀" = ["y\\z"] }

[tool.poetry.dependencies]
numpy = [{ version = "^1", python = "<3.12", optional = true }, { version = "^2", priority = 3 }]

[tool.poetry.group.web]
optional = true

[tool.poetry.group.web.dependencies]
httpx = "*"
"#;
        let content: Table = toml::from_str(content).expect("a project");
        assert_eq!(digests(&content, None), [OF_2_5, OF_2_2, OF_1_8]);
        assert_eq!(digests(&content, Some((2, 5))), [OF_2_5]);
        assert_eq!(digests(&content, Some((2, 1))), [OF_2_5, OF_2_2]);
    }

    #[test]
    fn the_version_of_poetry() {
        let line = "# This file is automatically @generated by Poetry 1.8.5 and should not be changed by hand.\n";
        assert_eq!(made_by(line), Some((1, 8)));
        assert_eq!(made_by("# by Poetry 2.3.0-dev and\n"), Some((2, 3)));
        assert_eq!(made_by("[[package]]\n"), None);
    }
}
