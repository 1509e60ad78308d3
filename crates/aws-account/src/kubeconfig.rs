//! Kubeconfigs for EKS clusters.

use std::fmt::Write as _;

use crate::{Cluster, Token};

/// How the kubeconfig's user proves who it is.
#[derive(Clone, Debug)]
pub enum Login<'a> {
    /// With a token that stands in the file and soon expires.
    Token(&'a Token),
    /// By calling a program that prints a token, each time one is needed.
    Program {
        /// The program.
        command: &'a str,
        /// Its arguments.
        arguments: &'a [String],
    },
}

/// Writes a kubeconfig with one context, named after the cluster.
#[must_use]
pub fn kubeconfig(cluster: &Cluster, login: &Login<'_>) -> String {
    let name = quoted(&cluster.name);
    let mut text = format!(
        "apiVersion: v1\n\
         kind: Config\n\
         current-context: {name}\n\
         clusters:\n\
         - name: {name}\n  \
           cluster:\n    \
             server: {}\n    \
             certificate-authority-data: {}\n\
         contexts:\n\
         - name: {name}\n  \
           context:\n    \
             cluster: {name}\n    \
             user: {name}\n\
         users:\n\
         - name: {name}\n  \
           user:\n",
        quoted(&cluster.endpoint),
        quoted(&cluster.certificate_authority),
    );
    match login {
        Login::Token(token) => {
            let _ = writeln!(text, "    token: {}", quoted(token.secret.expose()));
        }
        Login::Program { command, arguments } => {
            let _ = write!(
                text,
                "    exec:\n      \
                   apiVersion: client.authentication.k8s.io/v1\n      \
                   interactiveMode: Never\n      \
                   command: {}\n      \
                   args:\n",
                quoted(command)
            );
            for argument in *arguments {
                let _ = writeln!(text, "      - {}", quoted(argument));
            }
        }
    }
    text
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use action_kit::Secret;
    use insta::assert_snapshot;

    use super::*;

    fn cluster() -> Cluster {
        Cluster {
            name: "shop-prod".into(),
            arn: "arn:aws:eks:eu-west-1:111111111111:cluster/shop-prod".into(),
            endpoint: "https://eks.example.com".into(),
            certificate_authority: "UEVN".into(),
            version: "1.35".into(),
        }
    }

    #[test]
    fn a_token_stands_in_the_file() {
        let token = Token {
            secret: Secret::new("k8s-aws-v1.x"),
            expires: SystemTime::UNIX_EPOCH,
        };
        assert_snapshot!(kubeconfig(&cluster(), &Login::Token(&token)), @r#"
    apiVersion: v1
    kind: Config
    current-context: "shop-prod"
    clusters:
    - name: "shop-prod"
      cluster:
        server: "https://eks.example.com"
        certificate-authority-data: "UEVN"
    contexts:
    - name: "shop-prod"
      context:
        cluster: "shop-prod"
        user: "shop-prod"
    users:
    - name: "shop-prod"
      user:
        token: "k8s-aws-v1.x"
    "#);
    }

    #[test]
    fn a_program_is_called_for_a_token() {
        let login = Login::Program {
            command: "provision-infra",
            arguments: &["--mode=token".into()],
        };
        assert_snapshot!(kubeconfig(&cluster(), &login), @r#"
    apiVersion: v1
    kind: Config
    current-context: "shop-prod"
    clusters:
    - name: "shop-prod"
      cluster:
        server: "https://eks.example.com"
        certificate-authority-data: "UEVN"
    contexts:
    - name: "shop-prod"
      context:
        cluster: "shop-prod"
        user: "shop-prod"
    users:
    - name: "shop-prod"
      user:
        exec:
          apiVersion: client.authentication.k8s.io/v1
          interactiveMode: Never
          command: "provision-infra"
          args:
          - "--mode=token"
    "#);
    }
}
