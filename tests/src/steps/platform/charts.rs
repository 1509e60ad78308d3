//! Charts, made ready for helm: upstream's from the Go module of the program, checked by `go.sum`,
//! and small local ones where the module holds none.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::components::component;
use crate::context::Context;
use crate::tools::go_command;

/// Where a chart comes from.
#[derive(Clone, Copy)]
pub enum Chart {
    Traefik,
    CertManager,
    InternalCa,
    MetricsServer,
    PostgresOperator,
}

/// Puts a chart into a folder, replacing what is there.
pub fn prepare(cx: &Context, chart: Chart, folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    let local = cx.root.join("tests/charts");
    match chart {
        Chart::Traefik => {
            copy(&local.join("traefik"), folder)?;
            let module = module(cx, "traefik", "github.com/traefik/traefik/v3")?;
            let definitions =
                "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml";
            write(
                &folder.join("crds/traefik.yaml"),
                &fs_err::read_to_string(module.join(definitions))?,
            )?;
        }
        Chart::InternalCa => copy(&local.join("internal-ca"), folder)?,
        Chart::CertManager => {
            let module = module(cx, "cert-manager", "github.com/cert-manager/cert-manager")?;
            copy(&module.join("deploy/charts/cert-manager"), folder)?;
            let template = fs_err::read_to_string(folder.join("Chart.template.yaml"))?;
            let tag = component("cert-manager-controller")?.tag;
            write(&folder.join("Chart.yaml"), &template.replace("v0.0.0", tag))?;
        }
        Chart::MetricsServer => {
            let module = module(cx, "metrics-server", "sigs.k8s.io/metrics-server")?;
            copy(&module.join("charts/metrics-server"), folder)?;
        }
        Chart::PostgresOperator => {
            let module = module(
                cx,
                "postgres-operator",
                "github.com/zalando/postgres-operator",
            )?;
            copy(&module.join("charts/postgres-operator"), folder)?;
            let definition = folder.join("crds/postgresqls.yaml");
            write(
                &definition,
                &allow_postgresql_18(&fs_err::read_to_string(&definition)?)?,
            )?;
        }
    }
    Ok(folder.into())
}

/// Adds version 18 to the versions that the definition of `postgresql` allows. The operator itself
/// has no list: to an unknown version it only never offers a major upgrade.
fn allow_postgresql_18(definition: &str) -> Result<String> {
    if definition.contains("- \"18\"") {
        return Ok(definition.into());
    }
    let Some((before, after)) = definition.split_once("- \"17\"\n") else {
        bail!("the definition of `postgresql` has no list of versions that ends at 17");
    };
    let indent = &before[before.rfind('\n').map_or(0, |end| end + 1)..];
    Ok(format!("{before}- \"17\"\n{indent}- \"18\"\n{after}"))
}

/// Gives the folder of a module, downloaded and checked as the module in `tests/tools` says.
fn module(cx: &Context, tool: &str, path: &str) -> Result<PathBuf> {
    let go = go_command(cx)
        .args(["mod", "download", "-json", path])
        .current_dir(cx.root.join("tests/tools").join(tool));
    let text = cx.output(&go)?;
    let answer: Value = serde_json::from_str(&text).context("read what go says")?;
    match answer["Dir"].as_str() {
        Some(folder) => Ok(folder.into()),
        None => bail!(
            "go has no folder for the module `{path}`: {}",
            answer["Error"]
        ),
    }
}

/// Copies what helm reads; files of the module cache are read-only, copies are not. Packaged
/// charts of older versions stay behind.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else if path.extension().is_none_or(|kind| kind != "tgz") {
            fs_err::write(&target, fs_err::read(&path)?)?;
        }
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    crate::state::write_whole(file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_18_is_added_once_and_in_place() {
        let before = "enum:\n    - \"16\"\n    - \"17\"\nparameters:\n";
        let after = allow_postgresql_18(before).unwrap();
        assert_eq!(
            after,
            "enum:\n    - \"16\"\n    - \"17\"\n    - \"18\"\nparameters:\n"
        );
        assert_eq!(allow_postgresql_18(&after).unwrap(), after);
        assert!(allow_postgresql_18("enum: []").is_err());
    }

    #[test]
    fn copies_leave_packaged_charts_behind() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs_err::create_dir_all(from.join("templates")).unwrap();
        for file in ["Chart.yaml", "templates/a.yaml", "old-1.0.0.tgz"] {
            fs_err::write(from.join(file), file).unwrap();
        }
        let to = folder.path().join("to");
        copy(&from, &to).unwrap();
        assert!(to.join("templates/a.yaml").exists() && !to.join("old-1.0.0.tgz").exists());
    }
}
