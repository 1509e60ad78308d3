//! What an image says about itself: labels for people and registries, and the time it was made.
//!
//! The commit is among them, so two commits with the same files differ in the image's config and
//! digest, though in no layer: as with `docker/metadata-action`, an image leads to its source.

use std::collections::BTreeMap;

use action_kit::Environment;
use jiff::Timestamp;
use toml::Value;

use crate::error::BuildError;
use crate::git::Checkout;

/// What the labels of the OCI image specification start with.
const OCI: &str = "org.opencontainers.image";
/// The label with the path that answers while the application is well.
const HEALTH: &str = "dev.fastapi-eks-actions.health";
/// The names under which projects list their own page, in the order of preference.
const PAGES: [&str; 3] = ["homepage", "documentation", "repository"];

/// What is known about an application.
#[derive(Clone, Debug, Default)]
pub(crate) struct About<'a> {
    pub(crate) title: Option<&'a str>,
    pub(crate) version: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    /// `license` of `pyproject.toml`: an SPDX expression, or the older table.
    pub(crate) license: Option<&'a Value>,
    /// `urls` of `pyproject.toml`.
    pub(crate) urls: BTreeMap<String, String>,
    pub(crate) base_digest: &'a str,
    pub(crate) health_path: &'a str,
}

/// Gives the labels, in order; most are annotations of the manifest as well.
pub(crate) fn labels(about: &About<'_>, checkout: &Checkout) -> BTreeMap<String, String> {
    let known = [
        ("title", about.title),
        ("version", about.version),
        ("description", about.description),
        ("licenses", about.license.and_then(expression)),
        ("url", page(&about.urls)),
        ("revision", checkout.revision()),
        ("source", checkout.source.as_deref()),
        ("base.digest", Some(about.base_digest)),
    ];
    known
        .into_iter()
        .filter_map(|(name, value)| {
            let value = value.map(str::trim).filter(|value| !value.is_empty())?;
            Some((format!("{OCI}.{name}"), value.into()))
        })
        .chain([(HEALTH.to_owned(), about.health_path.to_owned())])
        .collect()
}

/// Gives a license as an SPDX expression. The older table may hold the whole text, which is none.
fn expression(license: &Value) -> Option<&str> {
    let text = license.as_str().or_else(|| license.get("text")?.as_str())?;
    (!text.trim().contains('\n')).then_some(text)
}

/// Gives the project's page; names are compared without case and punctuation.
fn page(urls: &BTreeMap<String, String>) -> Option<&str> {
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    PAGES.iter().find_map(|wanted| {
        let (_, url) = urls.iter().find(|(name, _)| plain(name) == *wanted)?;
        Some(url.as_str())
    })
}

/// Gives the time at which the image says that it was made: what `SOURCE_DATE_EPOCH` says, or
/// the same for all images, so that equal input gives equal bytes.
pub(crate) fn created(environment: &Environment) -> Result<String, BuildError> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let Some(text) = environment.get(NAME) else {
        return Ok(oci_image::EPOCH.into());
    };
    text.trim()
        .parse()
        .ok()
        .filter(|seconds: &i64| *seconds >= 0)
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map(|time| time.to_string())
        .ok_or_else(|| BuildError::SourceDate(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pyproject: &str, checkout: &Checkout) -> String {
        let project: Value = toml::from_str(pyproject).expect("a project");
        let text = |name: &str| project.get(name).and_then(Value::as_str);
        let urls = project.get("urls").and_then(Value::as_table);
        let urls = urls.into_iter().flatten();
        let about = About {
            title: text("name"),
            version: text("version"),
            description: text("description"),
            license: project.get("license"),
            urls: urls
                .filter_map(|(name, url)| Some((name.clone(), url.as_str()?.to_owned())))
                .collect(),
            base_digest: "sha256:abc",
            health_path: "/healthz",
        };
        let labels = labels(&about, checkout);
        let lines = labels.iter().map(|(name, value)| format!("{name}={value}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn labels_of_a_project() {
        let checkout = Checkout {
            commit: Some("0123".into()),
            reference: Some("refs/heads/main".into()),
            source: Some("https://example.com/acme/orders".into()),
            changed: Some(false),
        };
        let whole = told(
            "name = 'orders'\nversion = '1.2'\ndescription = ' Orders. '\nlicense = 'Apache-2.0'\n[urls]\nRepository = 'https://example.com/r'\n'Home Page' = 'https://example.com'\n",
            &checkout,
        );
        insta::assert_snapshot!(whole, @"
        dev.fastapi-eks-actions.health=/healthz
        org.opencontainers.image.base.digest=sha256:abc
        org.opencontainers.image.description=Orders.
        org.opencontainers.image.licenses=Apache-2.0
        org.opencontainers.image.revision=0123
        org.opencontainers.image.source=https://example.com/acme/orders
        org.opencontainers.image.title=orders
        org.opencontainers.image.url=https://example.com
        org.opencontainers.image.version=1.2
        ");
    }

    #[test]
    fn labels_of_little() {
        let changed = Checkout {
            commit: Some("0123".into()),
            changed: Some(true),
            ..Checkout::default()
        };
        let bare = told("name = ''\nlicense = { text = \"A\\nB\" }\n", &changed);
        insta::assert_snapshot!(bare, @"
        dev.fastapi-eks-actions.health=/healthz
        org.opencontainers.image.base.digest=sha256:abc
        ");
    }

    #[test]
    fn times() {
        let at = |text: &str| {
            let environment = Environment::from_iter([("SOURCE_DATE_EPOCH", text)]);
            match created(&environment) {
                Ok(time) => time,
                Err(error) => format!("error: {error}"),
            }
        };
        let told = ["", "0", "1735689600", "-1", "tomorrow", "99999999999999"].map(at);
        insta::assert_snapshot!(told.join("\n"), @"
        1970-01-01T00:00:00Z
        1970-01-01T00:00:00Z
        2025-01-01T00:00:00Z
        error: SOURCE_DATE_EPOCH is `-1`: it is no number of seconds since 1970
        error: SOURCE_DATE_EPOCH is `tomorrow`: it is no number of seconds since 1970
        error: SOURCE_DATE_EPOCH is `99999999999999`: it is no number of seconds since 1970
        ");
    }
}
