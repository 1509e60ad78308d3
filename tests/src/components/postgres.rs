//! PostgreSQL 18 with Patroni for Zalando's operator: Debian packages below, our entrypoint on top.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use oci_image::{Draft, Entries, Platform};

use super::{Assembled, debian, layers};
use crate::context::Context;
use crate::tools;

const MAJOR: &str = "18";
/// The first suite with this major; it moves, so the versions that were used are in the report.
const SUITE: &str = "forky";
const PACKAGES: &str =
    "postgresql-18,postgresql-18-pgvector,patroni,python3-psycopg2,openssl,ca-certificates";
/// The packages whose versions the report tells.
const REPORTED: [&str; 5] = [
    "postgresql-18",
    "postgresql-18-pgvector",
    "patroni",
    "openssl",
    "libc6",
];
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
    let about = format!("PostgreSQL {MAJOR} and Patroni");
    let rootfs = debian::root_file_system(cx, &about, SUITE, &arguments())?;
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
    let packages = debian::versions(&rootfs, &REPORTED)?;
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

fn arguments() -> Vec<String> {
    let mut arguments = debian::arguments("essential", PACKAGES);
    let (user, group) = USER;
    arguments.push(format!(
        "--essential-hook=echo 'postgres:x:{group}:' >>\"$1/etc/group\""
    ));
    arguments.push(format!(
        "--essential-hook=echo 'postgres:x:{user}:{group}:PostgreSQL:/home/postgres:/bin/bash' >>\"$1/etc/passwd\""
    ));
    arguments.push(debian::list_hook());
    // The package makes a database of its own, and remembers the machine.
    arguments.push(format!(
        "--customize-hook=rm -rf \"$1/var/lib/postgresql/{MAJOR}\" \"$1/etc/postgresql/{MAJOR}\" \"$1/etc/ssl/private\" \
         \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/* \"$1\"/var/log/* \"$1/etc/machine-id\""
    ));
    arguments
}
