//! References to images, as people write them.

use std::sync::LazyLock;

use oci_distribution::{ParseError, Reference};
use regex::Regex;

use crate::RegistryError;

/// The grammar of whole references, as the distribution project has it: ASCII only.
///
/// `oci_distribution` writes the same with Unicode classes. They take 40 ms to compile in each
/// process, more than all else that comes before an action's first request.
#[expect(clippy::expect_used, reason = "the expression is a constant")]
static GRAMMAR: LazyLock<Regex> = LazyLock::new(|| {
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
    let host = format!(r"{label}(?:\.{label})*(?::[0-9]+)?");
    let part = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    let tag = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}";
    let digest = "sha(?:256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})";
    let whole = format!("^({host})/({part}(?:/{part})*)(?::({tag}))?(?:@({digest}))?$");
    Regex::new(&whole).expect("a constant")
});
const DOCKER_HUB: &str = "docker.io";
/// The longest name of a repository, in bytes.
const LONGEST: usize = 255;

/// Reads a reference as people write it: `python:3.14-slim` is Docker Hub's.
pub fn reference(text: &str) -> Result<Reference, RegistryError> {
    read(text).map_err(|source| RegistryError::Reference {
        text: text.into(),
        source,
    })
}

fn read(text: &str) -> Result<Reference, ParseError> {
    let (host, rest) = match text.split_once('/') {
        Some(("index.docker.io", rest)) => (DOCKER_HUB, rest),
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => (DOCKER_HUB, text),
    };
    let official = if host == DOCKER_HUB && !rest.contains('/') {
        "library/"
    } else {
        ""
    };
    let whole = format!("{host}/{official}{rest}");
    let parts = GRAMMAR
        .captures(&whole)
        .ok_or(ParseError::ReferenceInvalidFormat)?;
    let part = |number| parts.get(number).map(|part| part.as_str().to_owned());
    let (host, path) = (part(1).unwrap_or_default(), part(2).unwrap_or_default());
    if path.len() > LONGEST {
        return Err(ParseError::NameTooLong);
    }
    Ok(match (part(3), part(4)) {
        (Some(tag), Some(digest)) => Reference::with_tag_and_digest(host, path, tag, digest),
        (None, Some(digest)) => Reference::with_digest(host, path, digest),
        (tag, None) => Reference::with_tag(host, path, tag.unwrap_or_else(|| "latest".into())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the library makes of the same text; what it takes by mistake is tested apart.
    fn agrees(text: &str) {
        let theirs: Result<Reference, ParseError> = text.parse();
        assert_eq!(read(text).ok(), theirs.ok(), "{text}");
    }

    #[test]
    fn the_library_reads_the_same() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let names = [
            "python",
            "library/python",
            "acme/orders",
            "docker.io/python",
            "docker.io/acme/orders",
            "index.docker.io/python",
            "localhost/orders",
            "localhost:5000/acme/orders",
            "127.0.0.1:5000/acme/orders",
            "ghcr.io/acme/orders-api/web__ui/a.b/c---d",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders",
            "Example.com/orders",
            "example.com:0/orders",
            // And what names nothing.
            "",
            "/",
            "Orders",
            "acme//orders",
            "acme/orders/",
            "-acme/orders",
            "acme/_orders",
            "acme/a..b",
            "acme/a___b",
            "-example.com/orders",
            "example-.com/orders",
            "example.com:/orders",
            "example.com:port/orders",
            "https://example.com/orders",
            "example.com/Orders",
            " example.com/orders",
            "example.com/orders ",
            "example.com/orders\n",
            "example.com",
        ];
        let long = "a".repeat(128);
        let tags = ["", ":1", ":v1.2.3_x-y", ":", ":-1", ":.1", ":_", ":a:b"];
        let tags = tags.map(String::from).into_iter();
        let tags: Vec<String> = tags
            .chain([format!(":{long}"), format!(":{long}a")])
            .collect();
        let short = digest.replace("0a0a", "0a");
        let digests = ["", &format!("@{digest}"), &format!("@{short}"), "@md5:00"];
        for name in names {
            for tag in &tags {
                for digest in digests {
                    agrees(&format!("{name}{tag}{digest}"));
                }
            }
        }
        let longest = "a".repeat(LONGEST);
        agrees(&format!("example.com/{longest}"));
        agrees(&format!("example.com/{longest}a"));
    }

    #[test]
    fn registries_know_no_other_letters() {
        for text in ["example.com/orders:ä", "example.com/orders:1@sha256:00"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
