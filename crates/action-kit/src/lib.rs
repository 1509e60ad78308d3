//! action-kit.
