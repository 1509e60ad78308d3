//! Tests of the action.
