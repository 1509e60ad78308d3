//! A Sigstore: whom it trusts, and where it signs.

use std::path::Path;
use std::time::Duration;

use sigstore_sign::trust_root::{SigningConfig, TrustedRoot, TufBootstrap, TufConfig};
use sigstore_sign::{SigningContext, SigningServices, oidc};

use crate::{EvidenceError, IdentityToken, TokenSource, Verifier};

const USER_AGENT: &str = concat!("fastapi-eks-actions/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one request may take: none asks for more than a few kilobytes.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Where the public Sigstore says whom it trusts.
const PUBLIC: &str = "https://tuf-repo-cdn.sigstore.dev";

/// Which Sigstore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Instance {
    /// The public one: whoever signs is named in a log that everybody can read.
    #[default]
    Public,
    /// One of one's own.
    Own {
        /// The address of its repository of trust.
        mirror: String,
        /// The first root of that repository, as JSON.
        root: Vec<u8>,
    },
}

impl Instance {
    /// Reads the two inputs that name one, as `cosign initialize` has them.
    pub fn read(mirror: Option<&str>, root: Option<&Path>) -> Result<Self, EvidenceError> {
        match (mirror, root) {
            (None, None) => Ok(Self::Public),
            (Some(mirror), Some(path)) => Ok(Self::Own {
                mirror: mirror.into(),
                root: fs_err::read(path).map_err(|source| EvidenceError::Root {
                    path: path.into(),
                    source,
                })?,
            }),
            (None, Some(_)) => Err(EvidenceError::HalfInstance("`tuf-mirror`")),
            (Some(_), None) => Err(EvidenceError::HalfInstance("`tuf-root`")),
        }
    }

    fn address(&self) -> &str {
        match self {
            Self::Public => PUBLIC,
            Self::Own { mirror, .. } => mirror,
        }
    }
}

/// A Sigstore, as far as it is known; nothing is sent before it is asked for.
#[derive(Clone, Debug)]
pub struct Sigstore {
    instance: Instance,
    http: reqwest::Client,
}

impl Sigstore {
    /// Makes a client.
    pub fn connect(instance: Instance) -> Result<Self, EvidenceError> {
        // Fails when another part of the process installed a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| EvidenceError::Client(error.into()))?;
        Ok(Self { instance, http })
    }

    /// Asks for the token that names this run.
    pub async fn token(&self, source: &TokenSource) -> Result<IdentityToken, EvidenceError> {
        source.token(&self.http).await
    }

    /// Says whether a signature would name the signer in public.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.instance == Instance::Public
    }

    /// Signs a statement (in-toto, as JSON) in the name of a run; gives the bundle, as JSON.
    pub async fn sign(
        &self,
        statement: &[u8],
        token: &IdentityToken,
    ) -> Result<Vec<u8>, EvidenceError> {
        let config = SigningConfig::from_tuf(self.repository())
            .await
            .map_err(|error| self.untrusted(error))?;
        let services =
            SigningServices::from_signing_config(&config).map_err(|error| self.untrusted(error))?;
        let authority = services.fulcio_url().to_owned();
        let token = oidc::IdentityToken::from_jwt(token.secret().expose())
            .map_err(|error| EvidenceError::UnreadableToken(error.into()))?;
        let context = SigningContext::new(services).with_http_client(self.http.clone());
        let bundle = context.signer(token).sign_raw_statement(statement).await;
        let bundle = bundle.and_then(|bundle| Ok(bundle.to_json()?));
        match bundle {
            Ok(bundle) => Ok(bundle.into_bytes()),
            Err(error) => Err(EvidenceError::Sign {
                authority,
                source: error.into(),
            }),
        }
    }

    /// Reads whom this Sigstore trusts, to verify what it signed.
    pub async fn verifier(&self) -> Result<Verifier, EvidenceError> {
        let root = TrustedRoot::from_tuf(self.repository())
            .await
            .map_err(|error| self.untrusted(error))?;
        Verifier::of(&root).map_err(|error| self.untrusted(error))
    }

    /// Where trust begins. Nothing is kept between runs: a runner has nothing from the last one.
    fn repository(&self) -> TufConfig {
        let config = match &self.instance {
            Instance::Public => TufConfig::production(),
            Instance::Own { mirror, root } => {
                TufConfig::custom(mirror, TufBootstrap::trusted(root))
            }
        };
        config.without_cache().with_http_client(self.http.clone())
    }

    fn untrusted(
        &self,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> EvidenceError {
        EvidenceError::Trust {
            repository: self.instance.address().into(),
            source: error.into(),
        }
    }
}
