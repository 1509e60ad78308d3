//! The package index, as this machine reaches it: through a proxy that counts, unless the machine
//! has a proxy of its own. Builds inside containers are told by secrets, so that nothing of it gets
//! into an image or a cache.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::meter::{Meter, Target};
use crate::context::Context;

/// What tells uv where packages come from.
const VARIABLES: [&str; 9] = [
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_HTTP_TIMEOUT",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_INSECURE_HOST",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
];
/// Where Debian keeps the certificates.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where a build finds them.
const INSIDE: &str = "/run/secrets/certificates";

/// The way to the package index.
pub struct Index {
    /// What a process on the machine is told.
    pub variables: Vec<(String, String)>,
    /// Counts what comes from there; absent where the machine has a proxy of its own.
    pub meter: Option<Meter>,
    folder: PathBuf,
}

impl Index {
    /// Finds out how this machine reaches it, and writes that down for builds in containers until
    /// this is dropped.
    pub fn open(cx: &Context, folder: PathBuf) -> Result<Self> {
        let environment = &cx.environment;
        let named = VARIABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), environment.get(name)?.to_owned())));
        let mut variables: Vec<(String, String)> = named.collect();
        let credentials = environment.starting_with("UV_INDEX_");
        variables.extend(
            credentials
                .filter(|(name, _)| *name != "UV_INDEX_URL")
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let meter = if variables.iter().any(|(name, _)| name == "HTTPS_PROXY") {
            None
        } else {
            let meter = Meter::start(Target::Asked)?;
            variables.push(("HTTPS_PROXY".into(), format!("http://{}", meter.address)));
            variables.push(("NO_PROXY".into(), "localhost,127.0.0.1".into()));
            Some(meter)
        };
        let authorities = environment
            .path("SSL_CERT_FILE")
            .unwrap_or_else(|| AUTHORITIES.into());
        write(&folder, &variables, &authorities)?;
        variables.push(("SSL_CERT_FILE".into(), authorities.display().to_string()));
        Ok(Self {
            variables,
            meter,
            folder,
        })
    }

    /// Gives the secrets of a build: their names in the Dockerfiles, and their files.
    pub fn secrets(&self) -> [(&'static str, PathBuf); 2] {
        ["certificates", "index"].map(|id| (id, self.folder.join(id)))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // It may hold passwords.
        let _ = fs_err::remove_dir_all(&self.folder);
    }
}

fn write(folder: &Path, variables: &[(String, String)], authorities: &Path) -> Result<()> {
    fs_err::create_dir_all(folder)?;
    fs_err::set_permissions(folder, PermissionsExt::from_mode(0o700))?;
    fs_err::copy(authorities, folder.join("certificates"))
        .context("the machine's CA certificates (package `ca-certificates`)")?;
    let inside = [("SSL_CERT_FILE".to_owned(), INSIDE.to_owned())];
    let text = exports(variables.iter().chain(&inside));
    fs_err::write(folder.join("index"), text)?;
    Ok(())
}

/// Writes variables as a shell reads them.
fn exports<'a>(variables: impl Iterator<Item = &'a (String, String)>) -> String {
    variables.fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''"));
        text
    })
}

#[cfg(test)]
mod tests {
    use action_kit::Command;

    use super::*;

    #[test]
    fn a_shell_reads_what_was_exported() {
        let value = r#"it's $HOME "and" \n"#;
        let text = exports([("VALUE".to_owned(), value.to_owned())].iter());
        let script = format!("{text}printf %s \"$VALUE\"");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(output.stdout, value);
    }
}
