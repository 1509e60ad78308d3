//! Who is expected to have signed.

use glob::{MatchOptions, Pattern};

use crate::{EvidenceError, Signed};

/// Who vouches for the runs of workflows on github.com.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

/// In a pattern, a star does not reach across a slash: it stands for one owner, repository, file
/// or branch.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Whose signature counts: what the certificate must say, each as a pattern.
///
/// A reusable workflow signs in its own name, whoever calls it: then only the repository tells
/// whose image it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    issuer: String,
    identity: Option<Pattern>,
    repository: Option<Pattern>,
    reference: Option<Pattern>,
}

impl Expected {
    /// Expects anybody for whom an issuer of tokens vouches.
    #[must_use]
    pub fn of(issuer: &str) -> Self {
        Self {
            issuer: issuer.into(),
            identity: None,
            repository: None,
            reference: None,
        }
    }

    /// Expects a workflow: the certificate's subject alternative name,
    /// `https://github.com/OWNER/REPOSITORY/.github/workflows/FILE@REF`.
    pub fn identity(mut self, text: &str) -> Result<Self, EvidenceError> {
        self.identity = Some(pattern("certificate-identity", text)?);
        Ok(self)
    }

    /// Expects a repository whose event started the run: `https://github.com/OWNER/REPOSITORY`.
    pub fn repository(mut self, text: &str) -> Result<Self, EvidenceError> {
        self.repository = Some(pattern("source-repository", text)?);
        Ok(self)
    }

    /// Expects a branch or tag of that repository: `refs/heads/main`.
    pub fn reference(mut self, text: &str) -> Result<Self, EvidenceError> {
        self.reference = Some(pattern("source-ref", text)?);
        Ok(self)
    }

    /// Says whether anybody will do.
    #[must_use]
    pub fn is_anybody(&self) -> bool {
        self.identity.is_none() && self.repository.is_none() && self.reference.is_none()
    }

    /// Says in what a signer is another one, if so.
    pub(crate) fn differs(&self, signed: &Signed) -> Option<String> {
        let Signed {
            issuer, identity, ..
        } = signed;
        if !self.is_anybody() && *issuer != self.issuer {
            let expected = &self.issuer;
            return Some(format!("{issuer} vouches for the signer, not {expected}"));
        }
        let parts = [
            ("by", &self.identity, Some(identity)),
            (
                "for the repository",
                &self.repository,
                signed.repository.as_ref(),
            ),
            ("for the ref", &self.reference, signed.reference.as_ref()),
        ];
        parts.into_iter().find_map(|(word, expected, found)| {
            let expected = expected.as_ref()?;
            let found = found.map_or("none", String::as_str);
            let same = expected.matches_with(found, OPTIONS);
            (!same).then(|| format!("it is signed {word} {found}, not {expected}"))
        })
    }
}

fn pattern(input: &'static str, text: &str) -> Result<Pattern, EvidenceError> {
    Pattern::new(text).map_err(|source| EvidenceError::Pattern {
        input,
        pattern: text.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::{Expected, GITHUB_ISSUER};
    use crate::Signed;

    const SIGNER: &str =
        "https://github.com/octo-org/orders/.github/workflows/application.yml@refs/heads/main";

    fn signed() -> Signed {
        Signed {
            statement: Vec::new(),
            identity: SIGNER.into(),
            issuer: GITHUB_ISSUER.into(),
            repository: Some("https://github.com/octo-org/orders".into()),
            reference: Some("refs/heads/main".into()),
        }
    }

    fn expected() -> Expected {
        Expected::of(GITHUB_ISSUER)
    }

    #[test]
    fn a_star_stands_for_one_part_of_an_identity() {
        for pattern in [
            SIGNER,
            "https://github.com/octo-org/*/.github/workflows/*@refs/heads/main",
            "https://github.com/octo-org/**/application.yml@refs/heads/*",
        ] {
            let expected = expected().identity(pattern).expect("a pattern");
            assert_eq!(expected.differs(&signed()), None, "{pattern}");
        }
        for pattern in [
            "https://github.com/octo-org/*@refs/heads/main",
            "https://github.com/octo-org/orders/.github/workflows/application.yml",
            "https://github.com/octo-org/orders/.github/workflows/application.yml@refs/tags/*",
        ] {
            let expected = expected().identity(pattern).expect("a pattern");
            let told = expected.differs(&signed()).unwrap_or_default();
            assert_eq!(told, format!("it is signed by {SIGNER}, not {pattern}"));
        }
    }

    #[test]
    fn another_repository_branch_or_issuer_is_told() {
        let ours = expected()
            .repository("https://github.com/octo-org/orders")
            .and_then(|expected| expected.reference("refs/heads/main"))
            .expect("patterns");
        assert_eq!(ours.differs(&signed()), None);
        let other = Signed {
            repository: Some("https://github.com/mallory/orders".into()),
            ..signed()
        };
        let told = ours.differs(&other).expect("another repository");
        assert!(told.contains("https://github.com/mallory/orders"), "{told}");
        let branch = Signed {
            reference: Some("refs/pull/7/merge".into()),
            ..signed()
        };
        let told = ours.differs(&branch).expect("another branch");
        assert!(told.contains("refs/pull/7/merge"), "{told}");
        let nameless = Signed {
            repository: None,
            ..signed()
        };
        assert!(ours.differs(&nameless).is_some());
        let issuer = Signed {
            issuer: "https://accounts.example.com".into(),
            ..signed()
        };
        let told = ours.differs(&issuer).expect("another issuer");
        assert!(told.contains("https://accounts.example.com"), "{told}");
        assert_eq!(expected().differs(&issuer), None);
    }

    #[test]
    fn a_pattern_that_cannot_be_one_is_refused() {
        let refused = expected().identity("https://github.com/octo[");
        let refused = refused.expect_err("no pattern").to_string();
        assert!(refused.contains("octo["), "{refused}");
    }
}
