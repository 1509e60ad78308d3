//! The first line of a comment, which readers do not see: whose plan it is, and its digest.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use plan::{Digest, Plan};

const START: &str = "<!-- fastapi-eks-actions: ";
const END: &str = " -->";

/// What would end the line or the HTML comment before its time, and the escape itself.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'<').add(b'>');

/// Whose plan a comment shows. Two comments are the same one when action and subject are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The action that made the plan.
    pub action: String,
    /// What the plan would change.
    pub subject: String,
    /// Digest of the plan, which a reviewer of the comment approves.
    pub digest: Digest,
}

impl Header {
    /// Makes the header of a plan; `place` tells where the subject is, when its name may mean
    /// another thing elsewhere.
    #[must_use]
    pub fn of(plan: &Plan, place: Option<&str>) -> Self {
        let subject = match place {
            Some(place) => format!("{} in {place}", plan.subject),
            None => plan.subject.clone(),
        };
        Self {
            action: plan.action.clone(),
            subject,
            digest: plan.digest(),
        }
    }

    /// Reads the header of a comment; nothing when it has none.
    #[must_use]
    pub fn parse(comment: &str) -> Option<Self> {
        let line = comment.lines().next()?.trim_end();
        let inner = line.strip_prefix(START)?.strip_suffix(END)?;
        let (action, rest) = inner.split_once(' ')?;
        let (subject, digest) = rest.rsplit_once(' ')?;
        let subject = percent_decode_str(subject).decode_utf8().ok()?;
        Some(Self {
            action: action.into(),
            subject: subject.into_owned(),
            digest: digest.parse().ok()?,
        })
    }

    /// Says whether a comment with another header is an earlier or later state of this one.
    #[must_use]
    pub fn is_same_comment(&self, other: &Self) -> bool {
        self.action == other.action && self.subject == other.subject
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = utf8_percent_encode(&self.subject, ESCAPED);
        write!(f, "{START}{} {subject} {}{END}", self.action, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, Header};

    fn header(subject: &str) -> Header {
        Header {
            action: "db-migrate".into(),
            subject: subject.into(),
            digest: Digest::of("plan"),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for subject in [
            "orders-staging",
            "orders: secret orders, key DATABASE_URL",
            "a --> b",
            "50 % of <all>\nlines",
            "Größe",
        ] {
            let header = header(subject);
            let line = header.to_string();
            assert_eq!(line.matches("-->").count(), 1, "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
            let comment = format!("{line}\r\n### Plan");
            assert_eq!(Header::parse(&comment).as_ref(), Some(&header));
        }
        assert_eq!(
            header("orders-staging").to_string(),
            format!(
                "<!-- fastapi-eks-actions: db-migrate orders-staging {} -->",
                Digest::of("plan")
            )
        );
    }

    #[test]
    fn other_comments_have_no_header() {
        let line = header("orders").to_string();
        for other in [
            "",
            "Looks good",
            "<!-- fastapi-eks-actions: db-migrate orders -->",
            "<!-- fastapi-eks-actions: db-migrate orders sha256:12 -->",
            &format!("> {line}"),
            &format!("\n{line}"),
        ] {
            assert_eq!(Header::parse(other), None, "{other}");
        }
    }

    #[test]
    fn another_plan_of_the_same_subject_is_the_same_comment() {
        let one = header("orders");
        let mut other = header("orders");
        other.digest = Digest::of("another plan");
        assert!(one.is_same_comment(&other));
        assert!(!one.is_same_comment(&header("orders-db")));
        other.action = "helm-deploy".into();
        assert!(!one.is_same_comment(&other));
    }
}
