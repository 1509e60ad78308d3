//! A session: region, endpoint, certificates and credentials, checked before the first call.

use std::path::Path;
use std::time::Duration;

use action_kit::Environment;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use crate::{Account, AccountError, Identity, ServiceError};

/// Where distributions keep the certificate authorities.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// CloudFormation throttles readers early.
const ATTEMPTS: u32 = 6;

/// A session whose credentials STS has confirmed.
#[derive(Clone, Debug)]
pub struct Session {
    /// What the clients of the services are made from.
    pub config: SdkConfig,
    /// The region.
    pub region: Region,
    /// The credentials' owner.
    pub identity: Identity,
}

impl Session {
    /// Opens a session in a region (or the one that the environment sets) and refuses credentials
    /// of another account than the expected one. `AWS_ENDPOINT_URL` and every other variable of
    /// the SDKs work as usual.
    pub async fn open(
        region: Option<&str>,
        expected: Option<&Account>,
        environment: &Environment,
    ) -> Result<Self, AccountError> {
        let config = load(region, environment).await?;
        let region = config.region().cloned().ok_or(AccountError::NoRegion)?;
        provided(&config).await?;
        let identity = identity(&config).await?;
        if let Some(expected) = expected {
            identity.guard(expected)?;
        }
        Ok(Self {
            config,
            region,
            identity,
        })
    }

    /// Gives credentials that are valid now.
    pub async fn credentials(&self) -> Result<Credentials, AccountError> {
        provided(&self.config).await
    }
}

/// Finds the credentials that a session in a region would have, without asking AWS whose they are.
pub async fn credentials(
    region: Option<&str>,
    environment: &Environment,
) -> Result<Credentials, AccountError> {
    provided(&load(region, environment).await?).await
}

async fn load(region: Option<&str>, environment: &Environment) -> Result<SdkConfig, AccountError> {
    let endpoint = environment.get("AWS_ENDPOINT_URL").unwrap_or_default();
    let tls =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    // Without a bundle every call would fail late, as an unknown issuer.
    let client = if endpoint.starts_with("http://") {
        tls.build_https()
    } else {
        tls.tls_context(trust(environment)?).build_https()
    };
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_mins(1))
        .build();
    let mut loader = aws_config::from_env()
        .http_client(client)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts);
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    Ok(loader.load().await)
}

fn trust(environment: &Environment) -> Result<TlsContext, AccountError> {
    let named = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"]
        .iter()
        .find_map(|name| environment.get(name));
    let path = match named {
        Some(path) => path,
        None => BUNDLES
            .into_iter()
            .find(|path| Path::new(path).is_file())
            .ok_or_else(|| AccountError::NoCertificates {
                tried: BUNDLES.map(String::from).to_vec(),
            })?,
    };
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| AccountError::Certificates {
        path: path.into(),
        source,
    };
    let pem = fs_err::read(path).map_err(|error| unusable(error.into()))?;
    // The client would panic on a bundle without a certificate.
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(unusable("it holds no certificate".into()));
    }
    TlsContext::builder()
        .with_trust_store(TrustStore::empty().with_pem_certificate(pem))
        .build()
        .map_err(|error| unusable(error.into()))
}

async fn provided(config: &SdkConfig) -> Result<Credentials, AccountError> {
    let provider = config
        .credentials_provider()
        .ok_or_else(|| AccountError::NoCredentials("no provider is configured".into()))?;
    provider
        .provide_credentials()
        .await
        .map_err(|error| AccountError::NoCredentials(error.into()))
}

async fn identity(config: &SdkConfig) -> Result<Identity, AccountError> {
    // This is the first call: an endpoint that is not there should be told soon.
    let sts = aws_sdk_sts::config::Builder::from(config)
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .build();
    let answer = aws_sdk_sts::Client::from_conf(sts)
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| AccountError::Identity(ServiceError::from(error)))?;
    Ok(Identity {
        account: answer.account().unwrap_or_default().into(),
        arn: answer.arn().unwrap_or_default().into(),
    })
}
