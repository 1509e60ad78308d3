//! What the tests of several rooms share; never a dependency of what we ship.

#![allow(
    clippy::expect_used,
    reason = "a test ends with the reason when its own preparation fails"
)]

mod apiserver;
mod exchange;
mod faulty;
mod github;
mod registry;
mod sigstore;
mod step;

pub use apiserver::{ApiServer, tool};
pub use faulty::{Fault, FaultyRegistry};
pub use github::{FakeGitHub, Trouble};
pub use registry::{RegistryServer, free_address};
pub use sigstore::{SIGNER, Sigstore};
pub use step::{Finished, Step};
