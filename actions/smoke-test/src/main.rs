//! smoke-test.
fn main() {}
