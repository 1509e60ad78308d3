//! Tests of the action: what it makes of observations, and the program against a real API server
//! with the real `helm`.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a test ends with the reason when its own preparation fails, and starts programs with nothing in between"
)]

mod charts;
mod cluster;
mod diagnosis;
mod drift;
mod foresight;
mod hooks;
mod inputs;
mod killed;
mod planning;
mod platform;
mod platform_file;
mod platform_pins;
mod rollout;
mod stand_in;
mod steps;
mod traffic;
