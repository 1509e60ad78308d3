//! The action: its plans as values, its program as a step of a workflow, and the whole of it on a
//! LocalStack.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where its preparation fails"
)]

mod bootstrap;
mod checks;
mod config;
mod doctor;
mod drift;
mod faults;
mod guard;
mod inputs;
mod killed;
mod leftovers;
mod life;
mod name_server;
mod names;
mod outside;
mod plans;
mod refusals;
mod reviewed;
mod support;
mod upgrade;
