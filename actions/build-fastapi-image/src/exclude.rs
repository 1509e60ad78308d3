//! Which files of a project stay out of the image.

/// What never belongs into an image: history, environments, caches, tests, secrets of a developer.
const ALWAYS: [&str; 24] = [
    "**/.git",
    "**/.github",
    "**/.gitignore",
    "**/.gitattributes",
    "**/.venv",
    "**/venv",
    "**/__pycache__",
    "**/*.pyc",
    "**/*.pyo",
    "**/.pytest_cache",
    "**/.ruff_cache",
    "**/.mypy_cache",
    "**/.coverage",
    "**/*.egg-info",
    "**/node_modules",
    "**/.env",
    "**/.env.*",
    "**/.DS_Store",
    ".fastapi-eks-actions",
    "tests",
    "test",
    "uv.lock",
    "pylock.toml",
    "poetry.lock",
];

/// The rules for a project: ours, its `.dockerignore`, the input; the last that matches decides.
#[derive(Clone, Debug)]
pub(crate) struct Excluded(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    segments: Vec<String>,
    keeps: bool,
}

impl Excluded {
    /// Reads the rules; `dockerignore` is the file's text.
    pub(crate) fn new(dockerignore: &str, more: &[String]) -> Self {
        let lines = ALWAYS
            .iter()
            .copied()
            .chain([".dockerignore", "Dockerfile"])
            .chain(dockerignore.lines())
            .chain(more.iter().map(String::as_str));
        Self(lines.filter_map(Rule::parse).collect())
    }

    /// Says whether a path (from the project's folder, with `/`) stays out.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        let segments: Vec<&str> = path.split('/').collect();
        let mut excluded = false;
        for rule in &self.0 {
            if (1..=segments.len()).any(|end| matches(&rule.segments, &segments[..end])) {
                excluded = !rule.keeps;
            }
        }
        excluded
    }

    /// Says whether something below an excluded folder may be kept after all.
    pub(crate) fn has_exceptions(&self) -> bool {
        self.0.iter().any(|rule| rule.keeps)
    }
}

impl Rule {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (pattern, keeps) = match line.strip_prefix('!') {
            Some(pattern) => (pattern.trim(), true),
            None => (line, false),
        };
        let segments: Vec<String> = pattern
            .split('/')
            .filter(|segment| !segment.is_empty() && *segment != ".")
            .map(String::from)
            .collect();
        (!segments.is_empty()).then_some(Self { segments, keeps })
    }
}

fn matches(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            matches(rest, path)
                || path
                    .split_first()
                    .is_some_and(|(_, path)| matches(pattern, path))
        }
        (Some((first, rest)), Some((segment, path))) => {
            let pattern: Vec<char> = first.chars().collect();
            let text: Vec<char> = segment.chars().collect();
            matches_segment(&pattern, &text) && matches(rest, path)
        }
        _ => false,
    }
}

fn matches_segment(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => {
            matches_segment(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(_, text)| matches_segment(pattern, text))
        }
        (Some(('?', rest)), Some((_, text))) => matches_segment(rest, text),
        (Some((wanted, rest)), Some((found, text))) => {
            wanted == found && matches_segment(rest, text)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_decides() {
        let rules = Excluded::new(
            "# comment\n*.md\n!README.md\ndocs/**/*.png\n/data\n",
            &["secrets.?ml".into()],
        );
        let out = [
            ".git/config",
            "orders/__pycache__/main.cpython-314.pyc",
            "tests/test_api.py",
            "CHANGES.md",
            "docs/a/b/c.png",
            "docs/c.png",
            "data/big.bin",
            "secrets.yml",
            "deep/.env.production",
            "uv.lock",
        ];
        let kept = [
            "orders/tests/data.py",
            "orders/main.py",
            "README.md",
            "docs/c.jpg",
            "orders/data",
            ".envrc",
            "environment.py",
        ];
        for path in out {
            assert!(rules.excludes(path), "{path} should stay out");
        }
        for path in kept {
            assert!(!rules.excludes(path), "{path} should be kept");
        }
    }
}
