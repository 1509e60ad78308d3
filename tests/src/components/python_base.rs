//! Python as a base image, in the shape of the official slim images: Debian below, the interpreter
//! at `/usr/local/bin/python3`, its version in `PYTHON_VERSION`.

use anyhow::{Context as _, Result};
use oci_image::{Draft, Entries, Platform};

use super::{Assembled, debian, layers};
use crate::context::Context;

/// The minor version that the tag promises.
const MINOR: &str = "3.14";
/// The first suite with this minor; it moves, so the versions that were used are in the report.
const SUITE: &str = "forky";
/// The C++ library is one of those that a manylinux wheel may take for granted; the official slim
/// images have it as well.
const PACKAGES: &str = "python3.14,ca-certificates,libstdc++6,netbase,tzdata";

/// The platform that the machine does not have: its packages are unpacked and never run.
const OTHER: &str = "arm64";

/// Assembles the image of each platform. Both must be of one version of Python, so one of them
/// that is not, because the mirror was between two, is an error.
pub fn assemble(cx: &Context) -> Result<Vec<Assembled>> {
    let own = one(cx, &Platform::linux_amd64(), &own_arguments())?;
    let platform = Platform {
        architecture: OTHER.into(),
        ..Platform::linux_amd64()
    };
    let other = one(cx, &platform, &other_arguments())?;
    Ok(vec![own, other])
}

fn one(cx: &Context, platform: &Platform, arguments: &[String]) -> Result<Assembled> {
    let about = format!("Python {MINOR} for {platform}");
    let rootfs = debian::root_file_system(cx, &about, SUITE, arguments)?;
    let package = format!("python{MINOR}");
    let packages = debian::versions(&rootfs, &[&package, "libc6"])?;
    let version = packages
        .get(&package)
        .and_then(|version| version.split(['-', '+', '~']).next())
        .with_context(|| format!("the package `{package}` was not installed"))?
        .to_owned();
    let key = rootfs
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let layer = layers::cached(cx, "python", &key, |writer| {
        writer.append_archive(fs_err::File::open(&rootfs)?, |path| {
            !path.starts_with("dev/")
        })?;
        let mut entries = Entries::new();
        for name in ["python", "python3", &format!("python{MINOR}")] {
            let interpreter = format!("/usr/bin/python{MINOR}");
            entries.link(&format!("/usr/local/bin/{name}"), &interpreter)?;
        }
        writer.append(entries)?;
        Ok(())
    })?;
    let image = Draft::from_scratch(platform.clone())
        .layer(layer.0.clone(), &format!("Debian {SUITE}: {PACKAGES}"))
        .command(["python3"])
        .env(
            "PATH",
            "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LANG", "C.UTF-8")
        .env("PYTHON_VERSION", &version)
        .finish();
    Ok(Assembled {
        image,
        layers: vec![layer],
        packages,
    })
}

fn own_arguments() -> Vec<String> {
    let mut arguments = debian::arguments("essential", PACKAGES);
    arguments.push(debian::list_hook());
    arguments.push(cleaned());
    arguments
}

fn other_arguments() -> Vec<String> {
    let packages = format!("base-files,{PACKAGES}");
    let mut arguments = debian::arguments("extract", &packages);
    arguments.push(format!("--architectures={OTHER}"));
    arguments.push(debian::archives_hook());
    arguments.push(cleaned());
    arguments
}

fn cleaned() -> String {
    "--customize-hook=rm -rf \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/* \
     \"$1\"/var/cache/ldconfig/* \"$1\"/var/log/* \"$1/etc/machine-id\""
        .into()
}
