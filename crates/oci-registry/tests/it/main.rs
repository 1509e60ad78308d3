//! The places, against a real registry (Debian's `docker-registry`) and real folders.

#![allow(
    clippy::expect_used,
    reason = "a test ends with the reason when its own preparation fails"
)]

mod archives;
mod ecr;
mod faults;
mod layouts;
mod platforms;
mod referrers;
mod registries;

use std::net::SocketAddr;

use oci_image::{Draft, Entries, Image, Level, Platform};
use oci_registry::{Access, Layout, Reference, Registry, reference};
use tempfile::TempDir;

/// Writes an image of one layer for each text into a layout.
fn image(layout: &Layout, texts: &[&str]) -> Image {
    image_for(layout, Platform::linux_amd64(), texts)
}

/// The same, for a platform.
fn image_for(layout: &Layout, platform: Platform, texts: &[&str]) -> Image {
    texts
        .iter()
        .fold(Draft::from_scratch(platform), |draft, text| {
            let layer = layout.write_layer(Level::Small, |layer| {
                let mut entries = Entries::new();
                entries.file("/text", 0o644, *text)?;
                layer.append(entries).map(|_| ())
            });
            draft.layer(layer.expect("a layer"), text)
        })
        .entrypoint(["/text"])
        .finish()
}

fn layout() -> (TempDir, Layout) {
    let folder = TempDir::new().expect("a folder");
    let layout = Layout::create(folder.path().join("image")).expect("a layout");
    (folder, layout)
}

fn access(address: SocketAddr) -> Access {
    Access::default().plain_http([address.to_string()])
}

fn registry(address: SocketAddr) -> Registry {
    Registry::connect(access(address)).expect("a client")
}

fn named(address: SocketAddr, name: &str) -> Reference {
    reference(&format!("{address}/{name}")).expect("a reference")
}
