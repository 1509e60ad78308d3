//! Who signed a bundle, and what it says.

use std::error::Error;

use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Artifact, Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{Error as Refused, VerificationPolicy};

use crate::Expected;

/// Verifies bundles with what one Sigstore trusts; it asks nobody.
pub struct Verifier(sigstore_verify::Verifier);

/// A statement, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The in-toto statement, as JSON.
    pub statement: Vec<u8>,
    /// Who signed: the certificate's subject alternative name, of a workflow its address.
    pub identity: String,
    /// Who vouches for the signer.
    pub issuer: String,
    /// The repository whose event started the run, by its address.
    pub repository: Option<String>,
    /// The branch or tag that the run was for.
    pub reference: Option<String>,
}

impl Verifier {
    pub(crate) fn of(root: &TrustedRoot) -> Result<Self, Refused> {
        sigstore_verify::Verifier::new(root).map(Self)
    }

    /// Verifies a bundle (JSON) about the document with a SHA-256: the signature, the certificate
    /// and its place in the log of certificates, the signature's place in the log of signatures,
    /// the time, and that the signer is who is expected. Gives the reason when one does not hold.
    pub fn verify(
        &self,
        bundle: &[u8],
        sha256: &str,
        expected: &Expected,
    ) -> Result<Signed, String> {
        let signed = self.holds(bundle, sha256).map_err(|error| chain(&*error))?;
        expected.differs(&signed).map_or(Ok(signed), Err)
    }

    fn holds(&self, bundle: &[u8], sha256: &str) -> Result<Signed, Box<dyn Error>> {
        let bundle = Bundle::from_json(std::str::from_utf8(bundle)?)?;
        let artifact = Artifact::from_digest(Sha256Hash::from_hex(sha256)?);
        // Who signed is for `Expected` to judge.
        let policy = VerificationPolicy::any_identity();
        let verified = self.0.verify(artifact, &bundle, &policy)?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err("it signs no statement".into());
        };
        let identity = verified.identity().ok_or("its certificate names nobody")?;
        let issuer = verified.issuer().ok_or("its certificate names no issuer")?;
        let certificate = verified.certificate();
        let claims = certificate.map(|certificate| &certificate.ci_claims);
        Ok(Signed {
            statement: envelope.payload.as_bytes().to_vec(),
            identity: identity.as_str().into(),
            issuer: issuer.into(),
            repository: claims.and_then(|claims| claims.source_repository_uri.clone()),
            reference: claims.and_then(|claims| claims.source_repository_ref.clone()),
        })
    }
}

fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_told = cause.to_string();
        if !told.ends_with(&cause_told) {
            told = format!("{told}: {cause_told}");
        }
        source = cause.source();
    }
    told
}
