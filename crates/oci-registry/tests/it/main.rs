//! The places, against a real registry (Debian's `docker-registry`) and real folders.

#![allow(
    clippy::expect_used,
    reason = "a test ends with the reason when its own preparation fails"
)]

mod archives;
mod layouts;
mod registries;

use oci_image::{Draft, Entries, Image, Level, Platform};
use oci_registry::Layout;

/// Writes an image of one layer for each text into a layout.
fn image(layout: &Layout, texts: &[&str]) -> Image {
    texts
        .iter()
        .fold(
            Draft::from_scratch(Platform::linux_amd64()),
            |draft, text| {
                let layer = layout.write_layer(Level::Small, |layer| {
                    let mut entries = Entries::new();
                    entries.file("/text", 0o644, *text)?;
                    layer.append(entries).map(|_| ())
                });
                draft.layer(layer.expect("a layer"), text)
            },
        )
        .entrypoint(["/text"])
        .finish()
}
