//! provision-infra.
fn main() {}
