//! Logins at the registries of AWS accounts (ECR), from the credentials that AWS's tools use.

use std::time::SystemTime;

use action_kit::Environment;
use aws_account::EcrHost;
use oci_distribution::errors::OciDistributionError;
use serde::Deserialize;

use crate::access::decode;
use crate::requests::http_client;
use crate::retry::with_retry;
use crate::traffic::Meter;
use crate::{Access, Credentials, RegistryError};

/// The answer, as far as it counts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    authorization_data: Vec<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    authorization_token: String,
}

impl Access {
    /// Logs in at a registry that is an AWS account's, unless there are credentials for it already;
    /// other registries are left alone. The login lasts twelve hours.
    ///
    /// That Docker's configuration leaves the registry to a program (`ecr-login`) is no obstacle:
    /// the program would do the same.
    pub async fn login_to_ecr(
        self,
        registry: &str,
        environment: &Environment,
    ) -> Result<Self, RegistryError> {
        let Some(host) = EcrHost::of(registry).filter(|_| !self.has_login(registry)) else {
            return Ok(self);
        };
        let aws = aws_account::credentials(Some(host.region()), environment).await?;
        let endpoint = ["AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL"];
        let endpoint = endpoint.iter().find_map(|name| environment.get(name));
        let credentials = ecr_login(&host, endpoint, &aws).await?;
        Ok(self.login(registry, credentials))
    }
}

/// Asks ECR for a login, at its own endpoint or another one.
pub async fn ecr_login(
    host: &EcrHost,
    endpoint: Option<&str>,
    aws: &aws_account::Credentials,
) -> Result<Credentials, RegistryError> {
    let failed = |source| RegistryError::EcrLogin {
        registry: host.host().into(),
        source,
    };
    let http = http_client()?;
    let doing = || format!("ask ECR for a login at `{}`", host.host());
    let answer = with_retry(doing, host.host(), &Meter::default(), async || {
        // What was signed is only taken for some minutes: each attempt has its own.
        let signed = host
            .login_request(endpoint, aws, SystemTime::now())
            .map_err(|error| OciDistributionError::GenericError(Some(error.to_string())))?;
        let mut request = http.post(&signed.url).body(signed.body);
        for (name, value) in &signed.headers {
            request = request.header(name, value.expose());
        }
        let answer = request.send().await?;
        let code = answer.status().as_u16();
        let text = answer.text().await?;
        if code == 200 {
            return Ok(text);
        }
        Err(OciDistributionError::ServerError {
            code,
            url: signed.url,
            message: text,
        })
    })
    .await
    .map_err(|error| failed(error.into()))?;
    let answer: Answer = serde_json::from_str(&answer).map_err(|error| failed(error.into()))?;
    let mut tokens = answer.authorization_data.iter();
    let credentials = tokens
        .next()
        .and_then(|data| decode(&data.authorization_token));
    credentials.ok_or_else(|| failed("the answer has no login".into()))
}
