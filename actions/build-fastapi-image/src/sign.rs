//! Whether the provenance is signed, and the artifact that comes of it.

use std::collections::BTreeMap;

use action_kit::{Context, Failed};
use clap::ValueEnum;
use evidence::{BUNDLE, EvidenceError, IdentityToken, Instance, Sigstore, TokenSource};
use oci_image::{Artifact, Descriptor};

use crate::provenance;

/// The annotations by which others find a signed statement: cosign's.
const CONTENT: (&str, &str) = ("dev.sigstore.bundle.content", "dsse-envelope");
pub(crate) const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

/// Whether the provenance is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sign {
    /// Where the job has a token of identity and nothing private would become known; the log says why when not
    #[default]
    Auto,
    /// It must be: the build fails when it cannot
    True,
    /// Attach it unsigned
    False,
}

/// How the provenance is to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Signing {
    wish: Sign,
    instance: Instance,
    source: Option<TokenSource>,
}

/// The provenance, as it will be attached.
#[derive(Debug)]
pub(crate) struct Provenance {
    pub(crate) artifact: Artifact,
    /// Why it is not signed, where it is not.
    pub(crate) unsigned: Option<String>,
}

impl Signing {
    /// Checks what is asked for against what the job has.
    pub(crate) fn of(
        wish: Sign,
        instance: Instance,
        context: &Context,
    ) -> Result<Self, EvidenceError> {
        let source = TokenSource::of(&context.environment);
        if wish == Sign::True && source.is_none() {
            return Err(EvidenceError::NoIdentity);
        }
        Ok(Self {
            wish,
            instance,
            source,
        })
    }

    /// Makes the artifact that holds the provenance of `subject`; `published` says whether others
    /// will see the image.
    pub(crate) async fn provenance(
        &self,
        statement: Vec<u8>,
        subject: Descriptor,
        published: bool,
        context: &Context,
    ) -> Result<Provenance, Failed> {
        match self.signer(published, context).await? {
            Ok((sigstore, token)) => {
                let bundle = sigstore.sign(&statement, &token).await?;
                let annotations = [CONTENT, (PREDICATE_TYPE, provenance::PREDICATE)];
                Ok(Provenance {
                    artifact: artifact(BUNDLE, bundle, subject, annotations),
                    unsigned: None,
                })
            }
            Err(why) => {
                tracing::info!("the provenance is not signed: {why}");
                let annotations = [(provenance::PREDICATE_TYPE, provenance::PREDICATE)];
                Ok(Provenance {
                    artifact: artifact(provenance::MEDIA_TYPE, statement, subject, annotations),
                    unsigned: Some(why.into()),
                })
            }
        }
    }

    /// Gives who signs and the token to sign with, or says why nothing is signed.
    async fn signer(
        &self,
        published: bool,
        context: &Context,
    ) -> Result<Result<(Sigstore, IdentityToken), &'static str>, EvidenceError> {
        let Some(source) = &self.source else {
            return Ok(Err("the job has no token of identity"));
        };
        if self.wish == Sign::False {
            return Ok(Err("`sign` is false"));
        }
        if self.wish == Sign::Auto && !published {
            return Ok(Err("the image is not pushed"));
        }
        context.console.hide(source.secret());
        let sigstore = Sigstore::connect(self.instance.clone())?;
        let token = sigstore.token(source).await?;
        context.console.hide(token.secret());
        let known = token.is_public() || !sigstore.is_public();
        if self.wish == Sign::Auto && !known {
            return Ok(Err(
                "the repository is not public on github.com, and Sigstore's public log would name it; set `sign` to true to accept that, or `tuf-mirror` to a Sigstore of your own",
            ));
        }
        Ok(Ok((sigstore, token)))
    }
}

fn artifact<const N: usize>(
    kind: &str,
    content: Vec<u8>,
    subject: Descriptor,
    annotations: [(&str, &str); N],
) -> Artifact {
    let annotations = annotations.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Artifact::of(kind, kind, content, subject, BTreeMap::from(annotations))
}
