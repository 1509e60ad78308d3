//! The files through which a runner takes outputs and step summaries.

use std::io::Write;
use std::path::Path;

use thiserror::Error;

use crate::failure::{Failure, Reason};

/// A step summary larger than this is refused by GitHub (1 MiB a step).
const SUMMARY_LIMIT: usize = 1024 * 1024;
const SUMMARY_CUT: &str = "\n\n… cut: the whole report is in the JSON file.\n";

/// A file of the runner's cannot be written.
#[derive(Debug, Error)]
#[error("write {what}")]
pub(crate) struct OutputError {
    what: &'static str,
    source: std::io::Error,
}

impl Failure for OutputError {
    fn reason(&self) -> Reason {
        Reason::RemoteFailed
    }

    fn hints(&self) -> Vec<String> {
        vec!["the runner gives this file to every step: is it mounted into the container, and is there room?".into()]
    }
}

/// Appends an output. The delimiter is random, so that a value cannot end its own block.
pub(crate) fn append_output(file: &Path, name: &str, value: &str) -> Result<(), OutputError> {
    let mut delimiter = random_delimiter()?;
    while value.contains(&delimiter) {
        delimiter = random_delimiter()?;
    }
    append(
        file,
        "an output",
        &format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"),
    )
}

/// Appends Markdown to the step summary, cut to what GitHub accepts.
pub(crate) fn append_summary(file: &Path, markdown: &str) -> Result<(), OutputError> {
    append(file, "the step summary", &cut(markdown, SUMMARY_LIMIT))
}

/// Cuts a text at a line so that it fits into `limit` bytes, and says that it did.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - SUMMARY_CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let end = text[..end].rfind('\n').unwrap_or(end);
    format!("{}{SUMMARY_CUT}", &text[..end])
}

fn append(file: &Path, what: &'static str, text: &str) -> Result<(), OutputError> {
    fs_err::OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| OutputError { what, source })
}

fn random_delimiter() -> Result<String, OutputError> {
    use std::io::Read;
    let mut bytes = [0u8; 16];
    fs_err::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|source| OutputError {
            what: "an output (no randomness for its delimiter)",
            source,
        })?;
    Ok(bytes.iter().fold(String::from("end_"), |text, byte| {
        text + &format!("{byte:02x}")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_end_its_own_block() {
        let file = tempfile::NamedTempFile::new().unwrap();
        append_output(file.path(), "a", "1\nend_00\nb=2").unwrap();
        append_output(file.path(), "c", "").unwrap();
        let text = fs_err::read_to_string(file.path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let (name, delimiter) = lines[0].split_once("<<").unwrap();
        assert_eq!((name, lines[4]), ("a", delimiter));
        assert_eq!(&lines[1..4], ["1", "end_00", "b=2"]);
        assert!(
            lines[5].starts_with("c<<") && !lines[5].ends_with(delimiter),
            "each block has its own delimiter"
        );
    }

    #[test]
    fn a_summary_is_cut_at_a_line_and_says_so() {
        let cut = cut(&"0123456789\n".repeat(20), 120);
        assert!(cut.len() <= 120 && cut.ends_with(SUMMARY_CUT), "{cut}");
        assert!(cut.starts_with("0123456789\n"));
    }
}
