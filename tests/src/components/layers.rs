//! Layers that are kept in the cache: written once, found again by what they are made of.

use std::path::PathBuf;
use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use oci_image::{Digest, Layer, LayerWriter, Level};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::state::write_whole;

/// What is remembered beside a layer's file.
#[derive(Serialize, Deserialize)]
struct Kept {
    media_type: String,
    digest: String,
    size: u64,
    diff_id: String,
}

/// Gives a layer from the cache, or writes it there.
pub fn cached(
    cx: &Context,
    name: &str,
    key: &str,
    write: impl FnOnce(&mut LayerWriter<fs_err::File>) -> Result<()>,
) -> Result<(Layer, PathBuf)> {
    let folder = cx.cache.join("layers");
    let file = folder.join(format!("{name}-{key}.tar.gz"));
    let note = folder.join(format!("{name}-{key}.json"));
    if let Some(layer) = find(&file, &note) {
        return Ok((layer, file));
    }
    fs_err::create_dir_all(&folder)?;
    cx.progress(format!("layer {name}"));
    let temporary = folder.join(format!(".{name}-{key}.{}", std::process::id()));
    let mut writer = LayerWriter::new(fs_err::File::create(&temporary)?, Level::Fast);
    write(&mut writer)?;
    let (layer, _) = writer.finish()?;
    fs_err::rename(&temporary, &file)?;
    let kept = Kept {
        media_type: layer.media_type.clone(),
        digest: layer.digest.to_string(),
        size: layer.size,
        diff_id: layer.diff_id.to_string(),
    };
    // Last: a layer without its note counts as absent.
    write_whole(
        &note,
        &serde_json::to_vec(&kept).context("the note of a layer")?,
    )?;
    Ok((layer, file))
}

fn find(file: &PathBuf, note: &PathBuf) -> Option<Layer> {
    let kept: Kept = serde_json::from_slice(&fs_err::read(note).ok()?).ok()?;
    let whole = fs_err::metadata(file).ok()?.len() == kept.size;
    whole.then_some(Layer {
        media_type: kept.media_type,
        digest: Digest::from_str(&kept.digest).ok()?,
        size: kept.size,
        diff_id: Digest::from_str(&kept.diff_id).ok()?,
    })
}
