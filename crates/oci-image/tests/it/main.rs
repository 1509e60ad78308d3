//! The crate against its promises, and against `oci-spec` as an independent reader.

#![allow(
    clippy::expect_used,
    reason = "a test ends with the reason when its own preparation fails"
)]

mod artifacts;
mod images;
mod layers;
mod pinned;

use oci_image::{Entries, Layer, LayerWriter, Level};

/// Writes entries as a layer.
fn written(entries: Entries) -> (Layer, Vec<u8>) {
    let mut writer = LayerWriter::new(Vec::new(), Level::Small);
    writer.append(entries).expect("entries");
    writer.finish().expect("a layer")
}

/// Lists a layer's archive: type, mode, owner, time, path, link.
fn listed(bytes: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(bytes));
    let entries = archive.entries().expect("an archive");
    entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let header = entry.header();
            let link = entry
                .link_name()
                .expect("a link")
                .map(|target| format!(" -> {}", target.display()));
            format!(
                "{:?} {:o} {}:{} @{} {}{}",
                header.entry_type(),
                header.mode().expect("a mode"),
                header.uid().expect("a user"),
                header.gid().expect("a group"),
                header.mtime().expect("a time"),
                entry.path().expect("a path").display(),
                link.unwrap_or_default()
            )
        })
        .collect()
}
