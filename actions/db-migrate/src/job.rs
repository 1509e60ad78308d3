//! The Job: its manifest, and a life of it from creation to its result.

mod event;
mod manifest;
mod watch;

pub(crate) use event::{Kind, Pending, Told};
pub(crate) use manifest::{Operation, Order, Pod};
pub(crate) use watch::{Begun, Jobs};

/// The program that the image's Python runs.
pub(crate) const PROGRAM: &str = include_str!("job/migrate.py");
