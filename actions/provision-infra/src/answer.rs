//! What AWS answers to a question that a run can do without.

use aws_account::ServiceError;

/// What is known, or why it is not.
pub type Answer<T> = Result<T, Unknown>;

/// The codes of services for a permission that lacks.
const DENIED: [&str; 3] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
];

/// A question that was not answered.
#[derive(Debug)]
pub struct Unknown {
    /// The action of IAM that the question needs: `eks:ListInsights`.
    pub action: &'static str,
    /// What came instead of an answer.
    pub source: ServiceError,
}

impl Unknown {
    /// Turns a failed call into what is not known.
    pub fn of<E: Into<ServiceError>>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self {
            action,
            source: error.into(),
        }
    }

    /// Says whether the credentials lack the permission.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        DENIED.iter().any(|code| self.source.is(code))
    }
}
