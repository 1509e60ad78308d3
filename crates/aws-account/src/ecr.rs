//! The registry of an account (ECR): its host, and the signed request for a login there.
//!
//! It is one request of one service, signed here as EKS tokens are: the service's whole SDK would
//! add more code to an action than the rest of its AWS part.

use std::error::Error;
use std::time::SystemTime;

use action_kit::Secret;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

use crate::AccountError;

/// The domains of the partitions; the longer one comes first.
const DOMAINS: [&str; 2] = ["amazonaws.com.cn", "amazonaws.com"];
const BODY: &str = "{}";

/// An account's registry in a region, by its host:
/// `123456789012.dkr.ecr.eu-west-1.amazonaws.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcrHost {
    host: String,
    region: String,
    domain: &'static str,
    fips: bool,
}

/// A request that AWS takes for a few minutes. What proves who asks is secret.
#[derive(Clone, Debug)]
pub struct SignedRequest {
    /// The address, for a POST.
    pub url: String,
    /// The headers.
    pub headers: Vec<(String, Secret)>,
    /// The body.
    pub body: &'static str,
}

impl EcrHost {
    /// Recognises the host of an account's registry.
    #[must_use]
    pub fn of(host: &str) -> Option<Self> {
        let (domain, rest) = DOMAINS.into_iter().find_map(|domain| {
            let rest = host.strip_suffix(domain)?.strip_suffix('.')?;
            Some((domain, rest))
        })?;
        let parts: Vec<&str> = rest.split('.').collect();
        let [account, "dkr", service, region] = parts[..] else {
            return None;
        };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let fips = service == "ecr-fips";
        (is_account && (fips || service == "ecr")).then(|| Self {
            host: host.into(),
            region: region.into(),
            domain,
            fips,
        })
    }

    /// Gives the host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Gives the region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Signs the request for a login (`ecr:GetAuthorizationToken`), for the service's own endpoint
    /// or another one.
    pub fn login_request(
        &self,
        endpoint: Option<&str>,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<SignedRequest, AccountError> {
        let url = endpoint.map_or_else(|| self.endpoint(), String::from);
        let url = format!("{}/", url.trim_end_matches('/'));
        self.signed(url, credentials, now)
            .map_err(|source| AccountError::SignLogin {
                registry: self.host.clone(),
                source,
            })
    }

    fn endpoint(&self) -> String {
        let service = if self.fips { "ecr-fips" } else { "api.ecr" };
        format!("https://{service}.{}.{}", self.region, self.domain)
    }

    fn signed(
        &self,
        url: String,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<SignedRequest, Box<dyn Error + Send + Sync>> {
        let identity = credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("ecr")
            .time(now)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            (
                "x-amz-target",
                "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
            ),
        ];
        let body = SignableBody::Bytes(BODY.as_bytes());
        let request = SignableRequest::new("POST", &url, headers.into_iter(), body)?;
        let (instructions, _) = sign(request, &parameters)?.into_parts();
        let headers = headers.into_iter().chain(instructions.headers());
        let headers = headers
            .map(|(name, value)| (name.into(), Secret::new(value)))
            .collect();
        Ok(SignedRequest {
            url,
            headers,
            body: BODY,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;

    use super::*;

    fn written(host: &str, endpoint: Option<&str>, session: Option<&str>) -> String {
        let credentials = Credentials::new(
            "AKIDEXAMPLE",
            "an example of a secret key",
            session.map(String::from),
            None,
            "test",
        );
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        let request = EcrHost::of(host)
            .unwrap()
            .login_request(endpoint, &credentials, now)
            .unwrap();
        assert!(!format!("{request:?}").contains("AKIDEXAMPLE"));
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| format!("{name}: {}", value.expose()));
        let headers: Vec<String> = headers.collect();
        format!("POST {}\n{}", request.url, headers.join("\n"))
    }

    #[test]
    fn hosts_of_accounts_are_recognised() {
        for (host, region) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1"),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            (
                "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
                "us-east-1",
            ),
        ] {
            let found = EcrHost::of(host).unwrap();
            assert_eq!((found.host(), found.region()), (host, region));
        }
        for host in [
            "ghcr.io",
            "public.ecr.aws",
            "12345.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.com",
            "123456789012.dkr.s3.eu-west-1.amazonaws.com",
            "x.123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(EcrHost::of(host), None, "{host}");
        }
    }

    #[test]
    fn the_request_is_signed_for_the_region() {
        let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        assert_snapshot!(written(host, None, None), @"
        POST https://api.ecr.eu-west-1.amazonaws.com/
        content-type: application/x-amz-json-1.1
        x-amz-target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken
        x-amz-date: 20260102T030405Z
        authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/ecr/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=2b09ad13cf22a7a57dbb074c36a7daeedc065ccd64e32e59098dea9f3fb39849
        ");
    }

    #[test]
    fn a_session_token_is_signed_too() {
        let host = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com";
        assert_snapshot!(written(host, None, Some("a/b+c=")), @"
        POST https://ecr-fips.us-east-1.amazonaws.com/
        content-type: application/x-amz-json-1.1
        x-amz-target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken
        x-amz-date: 20260102T030405Z
        authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/ecr/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=5d5c59f175f16ded13a2b2aff2835baa84eae5d2b998f217e4acf4bb14a2e7a6
        x-amz-security-token: a/b+c=
        ");
    }

    #[test]
    fn another_endpoint_is_asked_instead() {
        let host = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn";
        let own = written(host, None, None);
        assert!(own.starts_with("POST https://api.ecr.cn-north-1.amazonaws.com.cn/\n"));
        let other = written(host, Some("http://localhost:4566/"), None);
        assert!(other.starts_with("POST http://localhost:4566/\n"));
    }
}
