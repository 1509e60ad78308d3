//! The action, as a step of a workflow: with the real uv, real wheels, and a real registry.

#![allow(
    clippy::expect_used,
    reason = "a test ends with the reason when its own preparation fails"
)]

mod base;
mod builds;
mod determinism;
mod enter;
mod evidence;
mod index;
mod locks;
mod packages;
mod project;
mod refusals;
mod reuse;
mod signed;
