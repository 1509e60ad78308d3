//! Artifacts: documents that an independent reader takes.

use oci_image::{Artifact, Descriptor, Digest, Draft, Platform, media_type};
use oci_spec::image::ImageManifest;

fn artifact() -> (Artifact, Descriptor) {
    let image = Draft::from_scratch(Platform::linux_amd64()).finish();
    let subject = image.descriptor();
    let artifact = Artifact::of(
        "application/spdx+json",
        "text/spdx",
        b"content".to_vec(),
        subject.clone(),
        [("com.example.note".into(), "text".into())].into(),
    );
    (artifact, subject)
}

#[test]
fn an_independent_reader_takes_the_manifest() {
    let (artifact, subject) = artifact();
    let manifest =
        ImageManifest::from_reader(artifact.manifest().bytes()).expect("oci-spec takes it");
    let text = |value: &dyn std::fmt::Display| value.to_string();
    assert_eq!(
        manifest.artifact_type().as_ref().map(|found| text(found)),
        Some("application/spdx+json".into())
    );
    // The digest of `{}` that the image specification names.
    assert_eq!(text(manifest.config().media_type()), media_type::EMPTY);
    assert_eq!(
        text(manifest.config().digest()),
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
    let [content] = &manifest.layers()[..] else {
        panic!("one content");
    };
    assert_eq!(text(content.media_type()), "text/spdx");
    assert_eq!(text(content.digest()), text(&Digest::of("content")));
    let named = manifest.subject().as_ref().expect("a subject");
    assert_eq!(text(named.digest()), text(&subject.digest));
    assert!(named.platform().is_none() && named.annotations().is_none());
}

#[test]
fn the_descriptor_is_what_stands_among_the_referrers() {
    let (artifact, subject) = artifact();
    let descriptor = artifact.descriptor();
    assert_eq!(&descriptor.digest, artifact.digest());
    assert_eq!(descriptor.size, artifact.manifest().size());
    assert_eq!(descriptor.media_type, media_type::MANIFEST);
    assert_eq!(
        descriptor.artifact_type.as_deref(),
        Some("application/spdx+json")
    );
    assert_eq!(descriptor.annotations["com.example.note"], "text");
    assert_eq!(artifact.subject(), &subject.bare());
    assert_eq!(artifact.content(), b"content");
}

#[test]
fn equal_artifacts_have_equal_bytes() {
    assert_eq!(artifact(), artifact());
}
