//! The steps of the run, one file each, in order.

pub mod application;
pub mod canary;
pub mod cluster;
pub mod doctor;
pub mod images;
pub mod infrastructure;
pub mod localstack;
pub mod platform;
pub mod projects;
pub mod readers;
pub mod refusals;
pub mod registry;
pub mod second_release;
pub mod teardown;
pub mod tools;

use crate::step::Step;

/// Gives the steps in the order in which they run.
pub fn all() -> Vec<Step> {
    vec![
        doctor::step(),
        tools::step(),
        registry::step(),
        images::step(),
        cluster::step(),
        localstack::step(),
        infrastructure::step(),
        platform::step(),
        application::step(),
        readers::step(),
        projects::step(),
        refusals::step(),
        second_release::step(),
        canary::step(),
        teardown::step(),
    ]
}
