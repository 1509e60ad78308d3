//! EKS tokens: a presigned `GetCallerIdentity` that only the named cluster accepts.

use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use action_kit::Secret;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde_json::json;

use crate::AccountError;

/// The header that ties the request to one cluster.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";
/// How long the signed address itself may be used.
const EXPIRES: Duration = Duration::from_mins(1);
/// EKS takes the token for fifteen minutes from its signing; clients renew a minute before.
const LIFETIME: Duration = Duration::from_mins(14);

/// A bearer token for a cluster.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub secret: Secret,
    /// When clients should ask for another.
    pub expires: SystemTime,
}

/// Makes a token for a cluster.
pub fn token(
    credentials: &Credentials,
    region: &str,
    cluster: &str,
    now: SystemTime,
) -> Result<Token, AccountError> {
    let url =
        presigned(credentials, region, cluster, now).map_err(|source| AccountError::Sign {
            cluster: cluster.into(),
            source,
        })?;
    Ok(Token {
        secret: Secret::new(format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url))),
        expires: now + LIFETIME,
    })
}

/// Renders a token as the `ExecCredential` that `kubectl` asks an exec plug-in for.
#[must_use]
pub fn exec_credential(token: &Token) -> String {
    let expires = jiff::Timestamp::try_from(token.expires).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {
            "token": token.secret.expose(),
            "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        },
    })
    .to_string()
}

fn presigned(
    credentials: &Credentials,
    region: &str,
    cluster: &str,
    now: SystemTime,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    let mut url =
        format!("https://sts.{region}.{domain}/?Action=GetCallerIdentity&Version=2011-06-15");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(settings)
        .build()?
        .into();
    let headers = [(CLUSTER_HEADER, cluster)];
    let request = SignableRequest::new("GET", &url, headers.into_iter(), SignableBody::empty())?;
    let (instructions, _) = sign(request, &parameters)?.into_parts();
    for (name, value) in instructions.params() {
        let _ = write!(url, "&{name}={}", escaped(value));
    }
    Ok(url)
}

/// What must be encoded in the value of a query: all but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn escaped(value: &str) -> PercentEncode<'_> {
    utf8_percent_encode(value, RESERVED)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_767_323_045);

    fn credentials(session: Option<&str>) -> Credentials {
        Credentials::new(
            "AKIDEXAMPLE",
            "an example of a secret key",
            session.map(String::from),
            None,
            "test",
        )
    }

    fn url(token: &Token) -> String {
        let encoded = token.secret.expose().strip_prefix("k8s-aws-v1.").unwrap();
        assert!(!encoded.contains('='), "{encoded}");
        String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
    }

    #[test]
    fn the_request_is_presigned_for_one_cluster() {
        let now = SystemTime::UNIX_EPOCH + NOW;
        let token = token(&credentials(None), "eu-west-1", "shop-prod", now).unwrap();
        assert_snapshot!(url(&token).replace('&', "\n&"), @r#"
    https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity
    &Version=2011-06-15
    &X-Amz-Algorithm=AWS4-HMAC-SHA256
    &X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Feu-west-1%2Fsts%2Faws4_request
    &X-Amz-Date=20260102T030405Z
    &X-Amz-Expires=60
    &X-Amz-SignedHeaders=host%3Bx-k8s-aws-id
    &X-Amz-Signature=352c57e413e0b9d1aad721207f5651761a2bbd57ecd4cc3d691a2de22b9c3bdb
    "#);
    }

    #[test]
    fn a_session_token_is_signed_too() {
        let now = SystemTime::UNIX_EPOCH + NOW;
        let token = token(&credentials(Some("a/b+c=")), "cn-north-1", "shop", now).unwrap();
        assert_snapshot!(url(&token).replace('&', "\n&"), @r#"
    https://sts.cn-north-1.amazonaws.com.cn/?Action=GetCallerIdentity
    &Version=2011-06-15
    &X-Amz-Algorithm=AWS4-HMAC-SHA256
    &X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fcn-north-1%2Fsts%2Faws4_request
    &X-Amz-Date=20260102T030405Z
    &X-Amz-Expires=60
    &X-Amz-SignedHeaders=host%3Bx-k8s-aws-id
    &X-Amz-Signature=c1b64439c95f459c0a3bc915ed13b459354395b50ea0ca0234cbd06abc457f34
    &X-Amz-Security-Token=a%2Fb%2Bc%3D
    "#);
    }

    #[test]
    fn another_cluster_or_second_gives_another_signature() {
        let now = SystemTime::UNIX_EPOCH + NOW;
        let make = |cluster: &str, now| {
            let token = token(&credentials(None), "eu-west-1", cluster, now).unwrap();
            token.secret.expose().to_owned()
        };
        assert_eq!(make("a", now), make("a", now));
        assert_ne!(make("a", now), make("b", now));
        assert_ne!(make("a", now), make("a", now + Duration::from_secs(1)));
    }

    #[test]
    fn kubectl_is_told_when_to_ask_again() {
        let token = Token {
            secret: Secret::new("k8s-aws-v1.x"),
            expires: SystemTime::UNIX_EPOCH + NOW,
        };
        assert_snapshot!(exec_credential(&token), @r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"expirationTimestamp":"2026-01-02T03:04:05Z","token":"k8s-aws-v1.x"}}"#);
        assert!(!format!("{token:?}").contains("k8s-aws"));
    }
}
