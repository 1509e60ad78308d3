//! Signs what is said of an image, and verifies who said it.
//!
//! A statement (in-toto, JSON) is signed without a key that anybody keeps: [Sigstore] gives the
//! workflow a certificate that is valid for minutes, for the token by which GitHub vouches for it,
//! and writes the signature into a public log. What comes of it is a *bundle*: statement,
//! signature, certificate and the log's proof in one document, which anybody can verify later,
//! without asking the workflow.
//!
//! Which Sigstore that is, and whom it trusts, is read from its repository of trust ([TUF]): the
//! public one's unless another is named.
//!
//! [Sigstore]: https://docs.sigstore.dev/about/overview/
//! [TUF]: https://theupdateframework.io/

mod error;
mod expected;
mod sigstore;
mod token;
mod verifier;

pub use error::EvidenceError;
pub use expected::{Expected, GITHUB_ISSUER};
pub use sigstore::{Instance, Sigstore};
pub use token::{IdentityToken, TokenSource};
pub use verifier::{Signed, Verifier};

/// The media type of a bundle, and the type of the artifact that holds one.
/// Source: <https://github.com/sigstore/protobuf-specs>, `sigstore_bundle.proto`.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
