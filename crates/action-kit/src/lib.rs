//! The GitHub Actions runner, as the actions see it.
//!
//! This is the only crate that knows how a runner hands over inputs and takes
//! outputs, summaries, masks and annotations. An action is a clap struct of
//! [inputs](inputs), a [`Metadata`] and an async function from both to a
//! [`Report`]; [`main`] does the rest. The same program serves on a laptop:
//! every input is a flag as well.
//!
//! ```no_run
//! use action_kit::{Common, Context, Failed, Metadata, Outcome, Report};
//!
//! /// Says hello.
//! #[derive(clap::Args)]
//! struct Inputs {
//!     /// Whom to greet
//!     #[arg(long)]
//!     who: String,
//!     #[command(flatten)]
//!     common: Common,
//! }
//!
//! impl AsRef<Common> for Inputs {
//!     fn as_ref(&self) -> &Common {
//!         &self.common
//!     }
//! }
//!
//! const METADATA: Metadata = Metadata {
//!     name: "hello",
//!     title: "Say hello",
//!     description: "Says hello.",
//!     outputs: &[],
//!     icon: "smile",
//!     color: "blue",
//! };
//!
//! fn main() -> std::process::ExitCode {
//!     action_kit::main(&METADATA, async |inputs: Inputs, _: Context| -> Result<Report, Failed> {
//!         Ok(Report::new(Outcome::Done).line(format!("hello {}", inputs.who)))
//!     })
//! }
//! ```

mod command;
mod common;
mod console;
mod describe;
mod entry;
mod environment;
mod failure;
pub mod inputs;
mod outputs;
mod report;
mod secret;

pub use command::{Command, CommandError, Finished};
pub use common::{Common, Format, Mode};
pub use console::{Console, Group, named};
pub use describe::{Description, InputDescription, Metadata, OutputDescription};
pub use entry::{Context, main};
pub use environment::Environment;
pub use failure::{Failed, Failure, Position, Reason};
pub use report::{Outcome, Report};
pub use secret::Secret;
