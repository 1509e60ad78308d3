//! The releases of the platform, in the order in which they are installed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::charts::{self, Chart};
use crate::components;
use crate::context::Context;
use crate::state::write_whole;

/// How long a release may take until everything in it is ready.
const LIMIT_SECONDS: u32 = 300;

/// A chart with the values and versions that it is installed with.
pub struct Release {
    pub name: &'static str,
    pub namespace: &'static str,
    chart: Chart,
    /// Where the chart's values name an image, and which component goes there.
    images: &'static [(&'static str, &'static str, Part)],
}

/// What of an image's name a value takes.
#[derive(Clone, Copy)]
enum Part {
    Tag,
    Reference,
}

/// What is installed.
pub const RELEASES: [Release; 5] = [
    Release {
        name: "traefik",
        namespace: "traefik",
        chart: Chart::Traefik,
        images: &[("image.tag", "traefik", Part::Tag)],
    },
    Release {
        name: "cert-manager",
        namespace: "cert-manager",
        chart: Chart::CertManager,
        images: &[
            ("image.tag", "cert-manager-controller", Part::Tag),
            ("webhook.image.tag", "cert-manager-webhook", Part::Tag),
            ("cainjector.image.tag", "cert-manager-cainjector", Part::Tag),
        ],
    },
    Release {
        name: "internal-ca",
        namespace: "cert-manager",
        chart: Chart::InternalCa,
        images: &[],
    },
    Release {
        name: "metrics-server",
        namespace: "kube-system",
        chart: Chart::MetricsServer,
        images: &[("image.tag", "metrics-server", Part::Tag)],
    },
    Release {
        name: "postgres-operator",
        namespace: "postgres-operator",
        chart: Chart::PostgresOperator,
        images: &[
            ("image.tag", "postgres-operator", Part::Tag),
            ("configGeneral.docker_image", "spilo", Part::Reference),
        ],
    },
];

/// What was installed, for the report.
#[derive(Serialize)]
pub struct Deployed {
    pub release: String,
    pub namespace: String,
    pub chart: String,
    pub revision: u64,
    pub status: String,
}

/// Installs a release, or brings it up to date, and waits until it is ready.
pub fn deploy(cx: &Context, release: &Release) -> Result<Deployed> {
    cx.progress(format!("release {}", release.name));
    let workspace = cx.folder.join("platform");
    let chart = charts::prepare(
        cx,
        release.chart,
        &workspace.join("charts").join(release.name),
    )?;
    let mut values = vec![write_versions(release, &workspace)?];
    let own = cx
        .root
        .join("tests/platform")
        .join(format!("{}.yaml", release.name));
    if own.exists() {
        values.insert(0, own);
    }
    install(cx, release, &chart, &values)
        .with_context(|| format!("install the release `{}`", release.name))?;
    status(cx, release)
}

fn install(cx: &Context, release: &Release, chart: &Path, values: &[PathBuf]) -> Result<()> {
    let limit = format!("{LIMIT_SECONDS}s");
    let mut helm = helm(cx)?
        .args(["upgrade", "--install", release.name])
        .arg(chart)
        .args([
            "--namespace",
            release.namespace,
            "--create-namespace",
            "--wait",
            "--timeout",
            &limit,
        ]);
    for file in values {
        helm = helm.arg("--values").arg(file);
    }
    cx.run(&helm).map(|_| ())
}

fn status(cx: &Context, release: &Release) -> Result<Deployed> {
    let list = helm(cx)?.args([
        "list",
        "--namespace",
        release.namespace,
        "--output",
        "json",
        "--filter",
    ]);
    let text = cx.output(&list.arg(format!("^{}$", release.name)))?;
    let found: Value = serde_json::from_str(&text).context("read what helm says")?;
    let row = found
        .get(0)
        .with_context(|| format!("helm lists no release `{}`", release.name))?;
    let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    Ok(Deployed {
        release: release.name.into(),
        namespace: release.namespace.into(),
        chart: word("chart"),
        revision: word("revision").parse().unwrap_or_default(),
        status: word("status"),
    })
}

fn helm(cx: &Context) -> Result<action_kit::Command> {
    Ok(action_kit::Command::new(cx.tool("helm")?).env("KUBECONFIG", cx.kubeconfig()))
}

/// Writes the values that name images: versions stand in the table of components only.
fn write_versions(release: &Release, workspace: &Path) -> Result<PathBuf> {
    let file = workspace
        .join("versions")
        .join(format!("{}.yaml", release.name));
    write_whole(
        &file,
        &serde_json::to_vec_pretty(&versions(release)?).context("values that name images")?,
    )?;
    Ok(file)
}

fn versions(release: &Release) -> Result<Value> {
    let mut values = json!({});
    for (path, component, part) in release.images {
        let component = components::component(component)?;
        let text = match part {
            Part::Tag => component.tag.to_owned(),
            Part::Reference => component.reference(),
        };
        let mut place = &mut values;
        for key in path.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[key];
        }
        *place = Value::String(text);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_table_of_components() {
        let release = |name: &str| {
            RELEASES
                .iter()
                .find(|release| release.name == name)
                .unwrap()
        };
        assert_eq!(
            versions(release("traefik")).unwrap(),
            json!({"image": {"tag": "v3.6.12"}})
        );
        assert_eq!(versions(release("internal-ca")).unwrap(), json!({}));
        let operator = versions(release("postgres-operator")).unwrap();
        assert_eq!(operator["image"]["tag"], "v1.15.1");
        assert_eq!(
            operator["configGeneral"]["docker_image"],
            components::component("spilo").unwrap().reference()
        );
    }
}
