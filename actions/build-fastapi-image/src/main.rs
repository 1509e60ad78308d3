//! build-fastapi-image.
fn main() {}
