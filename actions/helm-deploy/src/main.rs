//! helm-deploy.
fn main() {}
