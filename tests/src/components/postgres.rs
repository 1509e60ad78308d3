//! PostgreSQL 18 with Patroni for Zalando's operator: Debian packages below, our entrypoint on top.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use action_kit::Command;
use anyhow::{Context as _, Result};
use oci_image::{Draft, Entries, Platform};

use super::{Assembled, layers};
use crate::context::Context;
use crate::state::write_whole;
use crate::tools;

const MAJOR: &str = "18";
/// The first suite with this major; it moves, so the versions that were used are in the report.
const SUITE: &str = "forky";
const PACKAGES: &str =
    "postgresql-18,postgresql-18-pgvector,patroni,python3-psycopg2,openssl,ca-certificates";
/// User and group as in Spilo: the operator's settings name them.
const USER: (u64, u64) = (101, 103);
const SCRIPTS: [&str; 4] = [
    "contract.py",
    "entrypoint.py",
    "on_role_change.py",
    "post_init.sh",
];

/// Assembles the image.
pub fn assemble(cx: &Context) -> Result<Assembled> {
    let rootfs = root_file_system(cx)?;
    let key = rootfs
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let base = layers::cached(cx, "postgres", &key, |writer| {
        writer.append_archive(fs_err::File::open(&rootfs)?, |path| {
            !path.starts_with("dev/")
        })?;
        Ok(())
    })?;
    let scripts = scripts_layer(cx)?;
    let image = Draft::from_scratch(Platform::linux_amd64())
        .layer(base.0.clone(), &format!("Debian {SUITE}: {PACKAGES}"))
        .layer(scripts.0.clone(), "entrypoint")
        .entrypoint(["/scripts/entrypoint.py"])
        .env(
            "PATH",
            &format!(
                "/usr/lib/postgresql/{MAJOR}/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            ),
        )
        .env("LANG", "C.UTF-8")
        .env("PGHOST", "/run/postgresql")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Patroni's client names the API server in a way that a later urllib3 will refuse.
        .env("PYTHONWARNINGS", "ignore::FutureWarning")
        .user(&format!("{}:{}", USER.0, USER.1))
        .working_dir("/home/postgres")
        .finish();
    let packages = package_versions(&rootfs)?;
    Ok(Assembled {
        image,
        layers: vec![base, scripts],
        packages,
    })
}

fn scripts_layer(cx: &Context) -> Result<(oci_image::Layer, PathBuf)> {
    let folder = cx.root.join("tests/images/postgres");
    let mut inputs = BTreeMap::from([("layout".to_owned(), b"1".to_vec())]);
    for name in SCRIPTS {
        inputs.insert(name.into(), fs_err::read(folder.join(name))?);
    }
    layers::cached(cx, "postgres-scripts", &tools::key(&inputs), |writer| {
        let mut entries = Entries::new();
        for name in SCRIPTS {
            entries.file(
                &format!("/scripts/{name}"),
                0o755,
                inputs.remove(name).unwrap_or_default(),
            )?;
        }
        entries.file("/etc/pg-major", 0o644, format!("{MAJOR}\n"))?;
        entries.folder("/run/postgresql", 0o1777)?;
        entries.owner(USER.0, USER.1);
        entries.folder("/home/postgres", 0o755)?;
        entries.folder("/home/postgres/pgdata", 0o777)?;
        writer.append(entries)?;
        Ok(())
    })
}

/// Gives the packages' file system as an archive; the name of its file is a key of what it was made by.
fn root_file_system(cx: &Context) -> Result<PathBuf> {
    let folder = cx.cache.join("rootfs");
    let arguments = arguments();
    let inputs = BTreeMap::from([("arguments".to_owned(), arguments.join("\0").into_bytes())]);
    let file = folder.join(format!("{}.tar", tools::key(&inputs)));
    if file.exists() {
        return Ok(file);
    }
    fs_err::create_dir_all(&folder)?;
    cx.progress(format!(
        "Debian {SUITE} with PostgreSQL {MAJOR} and Patroni, from packages"
    ));
    let temporary = folder.join(format!(".{}.tar", std::process::id()));
    let list = folder.join(format!(".{}.packages", std::process::id()));
    let command = Command::new("mmdebstrap")
        .env("SOURCE_DATE_EPOCH", "0")
        .env("LIST", &list)
        .args(arguments)
        .arg(SUITE)
        .arg(&temporary);
    cx.run(&command)
        .context("install Debian packages into a folder")?;
    // The note goes first: the archive's presence says that both are whole.
    write_whole(&file.with_extension("packages"), &fs_err::read(&list)?)?;
    fs_err::remove_file(&list)?;
    fs_err::rename(&temporary, &file)?;
    Ok(file)
}

fn arguments() -> Vec<String> {
    let mut arguments: Vec<String> = ["--variant=essential", "--mode=root", "--format=tar"]
        .map(Into::into)
        .to_vec();
    arguments.push(format!("--include={PACKAGES}"));
    arguments.push("--aptopt=Apt::Install-Recommends \"false\"".into());
    // Signatures are checked; a mirror of a moving suite may lag behind its date.
    arguments.push("--aptopt=Acquire::Check-Valid-Until \"false\"".into());
    for folder in ["man", "doc", "info", "locale"] {
        arguments.push(format!("--dpkgopt=path-exclude=/usr/share/{folder}/*"));
    }
    let (user, group) = USER;
    arguments.push(format!(
        "--essential-hook=echo 'postgres:x:{group}:' >>\"$1/etc/group\""
    ));
    arguments.push(format!(
        "--essential-hook=echo 'postgres:x:{user}:{group}:PostgreSQL:/home/postgres:/bin/bash' >>\"$1/etc/passwd\""
    ));
    arguments.push(
        "--customize-hook=chroot \"$1\" dpkg-query -W -f='${Package} ${Version}\\n' >\"$LIST\""
            .into(),
    );
    // The package makes a database of its own, and remembers the machine.
    arguments.push(format!(
        "--customize-hook=rm -rf \"$1/var/lib/postgresql/{MAJOR}\" \"$1/etc/postgresql/{MAJOR}\" \"$1/etc/ssl/private\" \
         \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/* \"$1\"/var/log/* \"$1/etc/machine-id\""
    ));
    arguments
}

fn package_versions(rootfs: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs_err::read_to_string(rootfs.with_extension("packages"))?;
    let wanted = [
        "postgresql-18",
        "postgresql-18-pgvector",
        "patroni",
        "openssl",
        "libc6",
    ];
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| wanted.contains(name))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect())
}
