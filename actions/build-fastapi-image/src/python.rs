//! Versions of Python, and what a project says about them.

use std::fmt;

use pep440_rs::VersionSpecifiers;

/// A version of Python, as far as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version(Vec<u32>);

impl Version {
    /// Reads `3`, `3.14` or `3.14.2`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parts: Option<Vec<u32>> = text
            .trim()
            .split('.')
            .map(|part| part.parse().ok())
            .collect();
        parts.filter(|parts| parts.len() <= 3).map(Self)
    }

    /// Gives the version without its last part: what wheels are made for.
    pub(crate) fn minor(&self) -> Self {
        Self(self.0.iter().copied().take(2).collect())
    }

    /// Says whether both agree as far as `self` was written.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Gives the number after the first dot.
    pub(crate) fn minor_number(&self) -> u32 {
        self.0.get(1).copied().unwrap_or(0)
    }

    /// Gives the version as packages' versions are compared.
    pub(crate) fn release(&self) -> pep440_rs::Version {
        pep440_rs::Version::new(self.0.iter().copied().map(u64::from))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

/// Says whether a version fits a specifier such as `>=3.11,<4`; one that cannot be read excludes
/// nothing.
pub(crate) fn fits(version: &Version, specifier: &str) -> bool {
    specifier
        .parse::<VersionSpecifiers>()
        .map_or(true, |specifiers| specifiers.contains(&version.release()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers() {
        let version = Version::parse("3.14.3").expect("a version");
        let cases = [
            (">=3.11", true),
            (">=3.11,<3.14", false),
            (">=3.11, <4", true),
            ("==3.14.*", true),
            ("==3.13.*", false),
            ("~=3.12", true),
            ("~=3.14.1", true),
            ("~=3.13.1", false),
            ("!=3.14.3", false),
            (">3.14", true),
            ("", true),
        ];
        for (specifier, expected) in cases {
            assert_eq!(fits(&version, specifier), expected, "{specifier}");
        }
    }

    #[test]
    fn versions() {
        let written = |text| Version::parse(text).map(|version| version.minor().to_string());
        assert_eq!(written("3.14.3"), Some("3.14".into()));
        assert_eq!(written("3.14\n"), Some("3.14".into()));
        assert_eq!(written("pypy3"), None);
    }
}
