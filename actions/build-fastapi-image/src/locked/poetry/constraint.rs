//! Ranges of versions in Poetry's form: `^1.2`, `~1.2`, `1.2.*`, `>=1,<2 || >=3`.

use pep440_rs::{Version, VersionSpecifiers};

/// Reads ranges, any of which will do; `None` for what is none.
pub(super) fn parse(text: &str) -> Option<Vec<VersionSpecifiers>> {
    text.split('|')
        .map(str::trim)
        .filter(|range| !range.is_empty())
        .map(range)
        .collect()
}

fn range(text: &str) -> Option<VersionSpecifiers> {
    let mut bounds = Vec::new();
    let mut operator = String::new();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        // An operator may stand apart from its version.
        operator.push_str(word);
        if word.contains(|c: char| c.is_ascii_alphanumeric() || c == '*') {
            bounds.extend(bound(&std::mem::take(&mut operator))?);
        }
    }
    bounds.join(",").parse().ok()
}

/// Writes one bound as Python's own specifiers have it.
fn bound(text: &str) -> Option<Vec<String>> {
    let end = text
        .find(|c: char| c.is_ascii_alphanumeric() || c == '*')
        .unwrap_or(text.len());
    let (operator, version) = text.split_at(end);
    let version = version.trim_start_matches('v');
    if version.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.')) {
        return Some(Vec::new());
    }
    let parts = || -> Option<Vec<u64>> {
        let version: Version = version.parse().ok()?;
        Some(version.release().to_vec())
    };
    let between = |high: Vec<u64>| {
        let high: Vec<String> = high.iter().map(u64::to_string).collect();
        vec![format!(">={version}"), format!("<{}", high.join("."))]
    };
    Some(match operator {
        "^" => between(breaking(&parts()?)),
        "~" => {
            let mut high: Vec<u64> = parts()?.into_iter().take(2).collect();
            *high.last_mut()? += 1;
            between(high)
        }
        "" | "=" => vec![format!("=={version}")],
        _ => vec![format!("{operator}{version}")],
    })
}

/// Gives the next version that may break: the first part that is not zero decides.
fn breaking(parts: &[u64]) -> Vec<u64> {
    let last = parts.len().saturating_sub(1).min(2);
    let decides = parts
        .iter()
        .take(last)
        .position(|part| *part > 0)
        .unwrap_or(last);
    let mut high: Vec<u64> = parts.iter().copied().take(decides + 1).collect();
    if let Some(part) = high.last_mut() {
        *part += 1;
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let cases = [
            ("^1.2.3", ">=1.2.3, <2"),
            ("^0.2.3", ">=0.2.3, <0.3"),
            ("^0.0.3", ">=0.0.3, <0.0.4"),
            ("^0.0", ">=0.0, <0.1"),
            ("^0", ">=0, <1"),
            ("^3.11", ">=3.11, <4"),
            ("~1.2.3", ">=1.2.3, <1.3"),
            ("~1", ">=1, <2"),
            ("~=1.4.5", "~=1.4.5"),
            ("1.2.3", "==1.2.3"),
            ("1.2.*", "==1.2.*"),
            ("!=1.5", "!=1.5"),
            ("*", ""),
            (">= 1.0, < 2", ">=1.0, <2"),
            (">=1.0 <2", ">=1.0, <2"),
            ("^1.0 || ^3.0", ">=1.0, <2 | >=3.0, <4"),
            ("<2|>=3", "<2 | >=3"),
        ];
        for (text, expected) in cases {
            let ranges: Vec<String> = parse(text)
                .expect(text)
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(ranges.join(" | "), expected, "{text}");
        }
        assert_eq!(parse("^one"), None);
    }
}
