//! The releases of the platform, installed by one run of `helm-deploy`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::charts::{self, Chart};
use crate::components;
use crate::context::Context;
use crate::runner::ActionStep;
use crate::state::write_whole;

/// How long a release may take until everything in it is ready.
const LIMIT_SECONDS: u32 = 300;

/// A chart with the values and versions that it is installed with.
pub struct Release {
    pub name: &'static str,
    pub namespace: &'static str,
    chart: Chart,
    /// The releases that must be ready before.
    needs: &'static [&'static str],
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
        needs: &[],
        images: &[("image.tag", "traefik", Part::Tag)],
    },
    Release {
        name: "cert-manager",
        namespace: "cert-manager",
        chart: Chart::CertManager,
        needs: &[],
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
        needs: &["cert-manager"],
        images: &[],
    },
    Release {
        name: "metrics-server",
        namespace: "kube-system",
        chart: Chart::MetricsServer,
        needs: &[],
        images: &[("image.tag", "metrics-server", Part::Tag)],
    },
    Release {
        name: "postgres-operator",
        namespace: "postgres-operator",
        chart: Chart::PostgresOperator,
        needs: &[],
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

/// Installs the releases, or brings them up to date, and waits until they are ready: by the action
/// `helm-deploy`, as a job of a platform repository would.
pub fn deploy(cx: &Context) -> Result<Vec<Deployed>> {
    let workspace = Workspace::of(cx)?;
    let mut entries = Vec::new();
    for release in &RELEASES {
        entries.push(entry(cx, &workspace, release)?);
    }
    // JSON is YAML as well.
    let file = serde_json::to_vec_pretty(&json!({ "releases": entries }))?;
    write_whole(&workspace.folder.join("platform.yaml"), &file)?;
    cx.progress(format!("{} releases", RELEASES.len()));
    let step = ActionStep::new("helm-deploy", "platform", &cx.action_image("helm-deploy")?)
        .with("mode", "apply")
        .with("platform", "platform.yaml")
        .with("kubeconfig", "kubeconfig")
        .with("timeout-seconds", LIMIT_SECONDS.to_string());
    cx.runner(&workspace.folder)
        .run(&step)
        .context("install the platform")?;
    RELEASES.iter().map(|release| status(cx, release)).collect()
}

/// Puts what a release is made of into the workspace, and gives its entry of the file.
fn entry(cx: &Context, workspace: &Workspace, release: &Release) -> Result<Value> {
    let chart = workspace.path("charts", release.name);
    charts::prepare(cx, release.chart, &chart)?;
    let mut values = Vec::new();
    let own = cx
        .root
        .join("tests/platform")
        .join(format!("{}.yaml", release.name));
    if own.exists() {
        values.push(workspace.write("values", release.name, &fs_err::read(&own)?)?);
    }
    let versions =
        serde_json::to_vec_pretty(&versions(release)?).context("values that name images")?;
    values.push(workspace.write("versions", release.name, &versions)?);
    Ok(json!({
        "name": release.name,
        "namespace": release.namespace,
        "chart": workspace.relative(&chart),
        "values": values,
        "needs": release.needs,
    }))
}

/// What a platform repository would hold, as the action sees it.
struct Workspace {
    folder: PathBuf,
}

impl Workspace {
    fn of(cx: &Context) -> Result<Self> {
        let folder = cx.folder.join("platform");
        fs_err::create_dir_all(&folder)?;
        // A copy keeps the mode: it holds the administrator's key.
        fs_err::copy(cx.kubeconfig(), folder.join("kubeconfig"))?;
        Ok(Self { folder })
    }

    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.folder.join(kind).join(name)
    }

    /// Writes a file of values, and gives its name in the workspace.
    fn write(&self, kind: &str, release: &str, bytes: &[u8]) -> Result<String> {
        let file = self.path(kind, &format!("{release}.yaml"));
        write_whole(&file, bytes)?;
        Ok(self.relative(&file))
    }

    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder)
            .unwrap_or(path)
            .display()
            .to_string()
    }
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

/// Gives the values that name images: versions stand in the table of components only.
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
