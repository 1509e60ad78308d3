//! The files: found by pattern, all parsed before the first request is sent.

use std::path::{Path, PathBuf};

use hurl_core::ast::HurlFile;
use hurl_core::error::{DisplaySourceError, OutputFormat};
use hurl_core::parser::parse_hurl_file;

use crate::error::SmokeError;

/// A Hurl file.
#[derive(Debug)]
pub(crate) struct Source {
    /// The path for people, relative to the workspace.
    pub(crate) name: String,
    /// The folder that the files of its requests are read from.
    pub(crate) folder: PathBuf,
    /// The text.
    pub(crate) text: String,
    /// What it says.
    pub(crate) parsed: HurlFile,
    /// What `{{base_url}}` stands for.
    pub(crate) base_url: String,
}

/// Finds and parses the files, each once, in the order of the patterns.
pub(crate) fn find(
    patterns: &[String],
    workspace: &Path,
    base_url: &str,
) -> Result<Vec<Source>, SmokeError> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        let mut found = matches(pattern, workspace)?;
        if found.is_empty() {
            return Err(SmokeError::NoFile {
                pattern: pattern.clone(),
            });
        }
        found.retain(|path| !paths.contains(path));
        paths.append(&mut found);
    }
    paths
        .iter()
        .map(|path| parse(path, workspace, base_url))
        .collect()
}

fn matches(pattern: &str, workspace: &Path) -> Result<Vec<PathBuf>, SmokeError> {
    let root = PathBuf::from(glob::Pattern::escape(&workspace.to_string_lossy()));
    let whole = root.join(pattern);
    let found = glob::glob(&whole.to_string_lossy()).map_err(|source| SmokeError::Pattern {
        pattern: pattern.into(),
        source,
    })?;
    Ok(found
        .filter_map(Result::ok)
        .filter(|path| path.is_file())
        .collect())
}

fn parse(path: &Path, workspace: &Path, base_url: &str) -> Result<Source, SmokeError> {
    let name = path
        .strip_prefix(workspace)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned();
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(source) => return Err(SmokeError::Unreadable { name, source }),
    };
    let parsed = match parse_hurl_file(&text) {
        Ok(parsed) => parsed,
        Err(error) => {
            return Err(SmokeError::Syntax {
                line: error.pos.line as u64,
                shown: shown(&error.render(&name, &text, None, OutputFormat::Terminal(false))),
                name,
            });
        }
    };
    if parsed.entries.is_empty() {
        return Err(SmokeError::NoRequest { name });
    }
    let folder = path.parent().unwrap_or(workspace).to_path_buf();
    Ok(Source {
        name,
        folder,
        text,
        parsed,
        base_url: base_url.into(),
    })
}

/// Takes the empty margin from the end of what Hurl shows.
pub(crate) fn shown(rendered: &str) -> String {
    rendered
        .trim_end_matches(|end: char| end == '|' || end.is_whitespace())
        .into()
}
