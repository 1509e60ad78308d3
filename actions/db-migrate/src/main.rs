//! db-migrate.
fn main() {}
