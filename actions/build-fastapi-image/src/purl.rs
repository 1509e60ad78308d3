//! Package URLs: the names by which scanners know packages and images, as the purl specification
//! (ECMA-427) writes them.

use oci_image::{Digest, Platform};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use crate::locked::Package;

/// Names a Python package of an index, and its wheel where the lock file tells it.
pub(crate) fn python(package: &Package) -> String {
    let file = package.wheel.as_ref().and_then(|wheel| wheel.name.as_ref());
    let file = file.map(|name| format!("?file_name={}", encoded(name)));
    format!(
        "pkg:pypi/{}@{}{}",
        encoded(&package.name),
        encoded(&package.version),
        file.unwrap_or_default()
    )
}

/// Names the image of a platform; `repository` with its registry, where there is one.
pub(crate) fn image(
    name: &str,
    digest: &Digest,
    platform: &Platform,
    repository: Option<&str>,
) -> String {
    let repository = repository.map(|text| format!("&repository_url={}", encoded(text)));
    format!(
        "pkg:oci/{}@{}?arch={}{}",
        encoded(name),
        encoded(digest.as_str()),
        encoded(&platform.architecture),
        repository.unwrap_or_default()
    )
}

/// What may stand in a part of a package URL as it is, and the slashes of a repository.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locked::LockedFile;

    #[test]
    fn packages_and_images() {
        let wheel = LockedFile {
            name: Some("torch-2.9.0+cpu-cp314-cp314-linux_x86_64.whl".into()),
            sha256: None,
            size: None,
            url: None,
        };
        let package = |wheel| Package {
            name: "torch".into(),
            version: "2.9.0+cpu".into(),
            wheel,
            hashes: Vec::new(),
            pure: false,
            direct: false,
            index: None,
        };
        let digest = Digest::of(b"");
        let base = Some("docker.io/library/python");
        let told = [
            python(&package(Some(wheel))),
            python(&package(None)),
            image("python", &digest, &Platform::linux_amd64(), base),
            image("orders", &digest, &Platform::linux_amd64(), None),
        ];
        insta::assert_snapshot!(told.join("\n"), @"
        pkg:pypi/torch@2.9.0%2Bcpu?file_name=torch-2.9.0%2Bcpu-cp314-cp314-linux_x86_64.whl
        pkg:pypi/torch@2.9.0%2Bcpu
        pkg:oci/python@sha256%3Ae3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?arch=amd64&repository_url=docker.io/library/python
        pkg:oci/orders@sha256%3Ae3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?arch=amd64
        ");
    }
}
