//! The end-to-end run.
fn main() {}
