//! Logins at ECR, from a server that answers as the service's model says.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use action_kit::{Environment, Failure as _, Secret};
use aws_account::Credentials;
use oci_registry::{Access, EcrHost, RegistryError, ecr_login};

const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// `AWS:canary-password`, in base64.
const ANSWER: &str = r#"{"authorizationData": [{"authorizationToken": "QVdTOmNhbmFyeS1wYXNzd29yZA==", "expiresAt": 1767366245.0, "proxyEndpoint": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}]}"#;

/// Answers one request after the other, and hands over what was asked.
fn service(answers: &'static [(&str, &str)]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (asked, requests) = channel();
    std::thread::spawn(move || {
        for ((status, body), client) in answers.iter().zip(listener.incoming().flatten()) {
            let _ = asked.send(answer(client, status, body));
        }
    });
    (address, requests)
}

fn answer(mut client: TcpStream, status: &str, body: &str) -> String {
    let mut request = Vec::new();
    let mut block = [0; 4096];
    // The body is the empty object.
    while !request.ends_with(b"\r\n\r\n{}") {
        match client.read(&mut block) {
            Ok(size) if size > 0 => request.extend_from_slice(&block[..size]),
            _ => break,
        }
    }
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    client.write_all(text.as_bytes()).expect("a client");
    String::from_utf8_lossy(&request).to_lowercase()
}

async fn login(at: SocketAddr) -> Result<oci_registry::Credentials, RegistryError> {
    let host = EcrHost::of(REGISTRY).expect("a host");
    let aws = Credentials::new("AKIDEXAMPLE", "canary-key", None, None, "test");
    ecr_login(&host, Some(&format!("http://{at}")), &aws).await
}

#[tokio::test]
async fn a_login_is_asked_for_and_read() {
    let (address, requests) = service(&[
        (
            "500 Internal Server Error",
            r#"{"__type": "ServerException"}"#,
        ),
        ("200 OK", ANSWER),
    ]);
    let found = login(address).await.expect("a login");
    assert_eq!(found.username, "AWS");
    assert_eq!(found.password.expose(), "canary-password");
    // The service hangs up when it has answered for the last time.
    let requests: Vec<String> = requests.iter().collect();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert!(request.starts_with("post / http/1.1\r\n"), "{request}");
        for header in [
            "x-amz-target: amazonec2containerregistry_v20150921.getauthorizationtoken\r\n",
            "content-type: application/x-amz-json-1.1\r\n",
            "/eu-west-1/ecr/aws4_request, signedheaders=",
        ] {
            assert!(request.contains(header), "{request}");
        }
        assert!(!request.contains("canary"), "{request}");
    }
}

#[tokio::test]
async fn refusals_are_told() {
    let (address, _requests) = service(&[(
        "400 Bad Request",
        r#"{"__type": "AccessDeniedException", "Message": "not you"}"#,
    )]);
    let error = login(address).await.expect_err("a refusal");
    assert_eq!(
        error.to_string(),
        format!("log in at `{REGISTRY}` with AWS credentials")
    );
    assert_eq!(error.reason().word(), "remote-failed");
    assert_eq!(
        error.hints(),
        ["the role needs `ecr:GetAuthorizationToken`"]
    );

    let (address, _requests) = service(&[("200 OK", r#"{"authorizationData": []}"#)]);
    let error = login(address).await.expect_err("no login");
    assert!(matches!(error, RegistryError::EcrLogin { .. }), "{error:?}");
}

#[tokio::test]
async fn other_registries_and_known_ones_are_left_alone() {
    // Whoever looked for AWS credentials here would find none.
    let environment = Environment::default();
    let known = Access::default().login(
        REGISTRY,
        oci_registry::Credentials {
            username: "AWS".into(),
            password: Secret::new("canary-password"),
        },
    );
    for (access, registry) in [(known, REGISTRY), (Access::default(), "ghcr.io")] {
        let before = access.secrets().count();
        let access = access.login_to_ecr(registry, &environment).await;
        assert_eq!(access.expect("access").secrets().count(), before);
    }
}
