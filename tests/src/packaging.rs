//! The actions' images: one static program each, from nothing, with the tools that it calls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci_image::{Draft, Entries, Image, Layer, Platform};
use oci_registry::{Blobs, Source};
use sha2::{Digest as _, Sha256};

use crate::cfn_guard;
use crate::components::layers;
use crate::context::Context;
use crate::tools::{hex, key};

/// Where every image of ours holds the certificate authorities that it trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The program of an action's image.
const PROGRAM: &str = "/action";
/// Programs that actions call, which their images hold in `/usr/local/bin`.
const TOOLS: [(&str, &str); 3] = [
    ("build-fastapi-image", "uv"),
    ("helm-deploy", "helm"),
    ("provision-infra", cfn_guard::NAME),
];

/// An action's image and where its layers are.
pub struct Packaged {
    /// The image.
    pub image: Image,
    /// Its layers.
    pub blobs: Blobs,
}

/// Lists the actions: the folders of `actions/` that hold a package.
pub fn actions(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(root.join("actions"))? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            names.push(
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Compiles the actions as they ship.
pub fn compile(cx: &Context, names: &[String]) -> Result<()> {
    // The whole workspace's features: what was compiled for tests serves here.
    let cargo = cx
        .client("cargo")
        .args(["build", "--release", "--workspace"])
        .current_dir(&cx.root);
    let cargo = names
        .iter()
        .fold(cargo, |cargo, name| cargo.args(["--bin", name]));
    cx.run(&cargo).map(|_| ())
}

/// Assembles an action's image.
pub fn package(cx: &Context, name: &str) -> Result<Packaged> {
    let mut parts = vec![base(cx)?];
    for (_, tool) in TOOLS.iter().filter(|(action, _)| *action == name) {
        let program = cx.tool(tool)?;
        parts.push(program_layer(
            cx,
            tool,
            &program,
            &format!("/usr/local/bin/{tool}"),
        )?);
    }
    let program = std::env::current_exe()?.with_file_name(name);
    check_static(&program)?;
    parts.push(program_layer(cx, name, &program, PROGRAM)?);
    let mut draft = Draft::from_scratch(Platform::linux_amd64());
    let mut blobs = Blobs::new();
    for (what, layer, path) in parts {
        blobs.insert(layer.digest.clone(), Source::File(path));
        draft = draft.layer(layer, &what);
    }
    let image = draft
        .entrypoint([PROGRAM])
        .env("PATH", "/usr/local/bin")
        .env("SSL_CERT_FILE", AUTHORITIES)
        .label("org.opencontainers.image.title", name)
        .label("org.opencontainers.image.licenses", "Apache-2.0")
        .finish();
    Ok(Packaged { image, blobs })
}

type Part = (String, Layer, PathBuf);

/// Makes the layer that all actions share.
fn base(cx: &Context) -> Result<Part> {
    let authorities = fs_err::read(AUTHORITIES)
        .context("the machine's CA certificates (package `ca-certificates`)")?;
    let key = key(&BTreeMap::from([(
        "authorities".to_owned(),
        authorities.clone(),
    )]));
    let (layer, path) = layers::cached(cx, "action-base", &key, |writer| {
        let mut entries = Entries::new();
        entries.file(AUTHORITIES, 0o644, authorities)?;
        entries.folder("/tmp", 0o1777)?;
        writer.append(entries)?;
        Ok(())
    })?;
    Ok(("certificate authorities".into(), layer, path))
}

fn program_layer(cx: &Context, name: &str, program: &Path, target: &str) -> Result<Part> {
    let bytes = fs_err::read(program)?;
    let inputs = BTreeMap::from([
        (
            "program".to_owned(),
            hex(&Sha256::digest(&bytes)).into_bytes(),
        ),
        ("target".to_owned(), target.as_bytes().to_vec()),
    ]);
    let (layer, path) = layers::cached(cx, &format!("action-{name}"), &key(&inputs), |writer| {
        let mut entries = Entries::new();
        entries.file(target, 0o755, bytes)?;
        writer.append(entries)?;
        Ok(())
    })?;
    Ok((name.to_owned(), layer, path))
}

/// Refuses a program that asks for a loader: the image holds no C library.
fn check_static(program: &Path) -> Result<()> {
    let bytes = fs_err::read(program)?;
    if interpreter(&bytes).with_context(|| format!("read `{}`", program.display()))? {
        bail!(
            "`{}` is linked dynamically; it cannot run in an image without a C library",
            program.display()
        );
    }
    Ok(())
}

/// Says whether an ELF program names an interpreter (a program header of type 3).
fn interpreter(elf: &[u8]) -> Result<bool> {
    let field = |at: usize, size: usize| -> Result<u64> {
        let bytes = elf.get(at..at + size).context("the file is cut off")?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    if elf.get(..5) != Some(b"\x7fELF\x02") {
        bail!("it is no 64-bit ELF program");
    }
    let (start, size, count) = (field(32, 8)?, field(54, 2)?, field(56, 2)?);
    for index in 0..count {
        if field(usize::try_from(start + index * size)?, 4)? == 3 {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_found_by_their_packages() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let names = actions(root).unwrap();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        for (action, _) in TOOLS {
            assert!(
                names.iter().any(|name| name == action),
                "{action} has a tool, but is no action"
            );
        }
    }

    #[test]
    fn a_dynamic_program_is_told_from_a_static_one() {
        let mut elf = vec![0; 64 + 2 * 56];
        elf[..5].copy_from_slice(b"\x7fELF\x02");
        (elf[32], elf[54], elf[56]) = (64, 56, 2);
        assert!(!interpreter(&elf).unwrap());
        elf[64 + 56] = 3;
        assert!(interpreter(&elf).unwrap());
        assert!(interpreter(&elf[..100]).is_err());
        assert!(interpreter(b"#!/bin/sh").is_err());
        // This very test is static: the workspace links everything so.
        assert!(!interpreter(&fs_err::read("/proc/self/exe").unwrap()).unwrap());
    }
}
