//! aws-account.
