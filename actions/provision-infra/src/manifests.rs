//! Which APIs manifests ask for that a Kubernetes minor no longer serves.
//!
//! Files are rendered manifests, or templates of charts: what is no YAML before it is rendered is
//! read by its lines, as far as they say a version and a kind.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_yaml::Value;

use crate::config::KubernetesVersion;
use crate::error::InfraError;

/// What is gone, the newest first.
static REMOVED: LazyLock<Vec<Removed>> =
    LazyLock::new(|| serde_yaml::from_str(include_str!("removed.yaml")).unwrap_or_default());

#[derive(Deserialize)]
struct Removed {
    /// The minor (of 1) that serves it no more.
    since: u32,
    api: String,
    kinds: Vec<String>,
    instead: String,
}

/// A file of manifests.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Where it is, as people name it.
    pub file: PathBuf,
    /// What it holds.
    pub text: String,
}

/// A document that asks for an API which is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The version of the API.
    pub api: String,
    /// The kind.
    pub kind: String,
    /// The minor (of 1) that serves it no more.
    pub since: u32,
    /// What to write instead.
    pub instead: String,
}

impl Gone {
    /// Says where it is.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }

    /// Says what is asked for.
    #[must_use]
    pub fn api(&self) -> String {
        format!("{} {}", self.api, self.kind)
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(&self) -> String {
        format!(
            "write `{}`, or take a newer version of the chart",
            self.instead
        )
    }
}

/// Reads files, and the manifests of folders with all below them.
pub fn read(workspace: &Path, paths: &[PathBuf]) -> Result<Vec<Manifest>, InfraError> {
    let mut manifests = Vec::new();
    for path in paths {
        collect(workspace, path, &mut manifests).map_err(|source| InfraError::File {
            doing: "read the manifests in",
            file: path.clone(),
            source,
        })?;
    }
    Ok(manifests)
}

fn collect(workspace: &Path, path: &Path, manifests: &mut Vec<Manifest>) -> std::io::Result<()> {
    let full = workspace.join(path);
    if !full.is_dir() {
        let text = fs_err::read_to_string(full)?;
        manifests.push(Manifest {
            file: path.into(),
            text,
        });
        return Ok(());
    }
    let names = fs_err::read_dir(full)?.map(|entry| Ok(entry?.file_name()));
    let mut names = names.collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let path = path.join(name);
        let ending = path.extension().and_then(|ending| ending.to_str());
        let holds = matches!(ending, Some("yaml" | "yml" | "json"));
        if holds || workspace.join(&path).is_dir() {
            collect(workspace, &path, manifests)?;
        }
    }
    Ok(())
}

/// Finds what a minor does not serve.
#[must_use]
pub fn gone(manifests: &[Manifest], minor: &KubernetesVersion) -> Vec<Gone> {
    let mut found = Vec::new();
    for Manifest { file, text } in manifests {
        for document in documents(text) {
            let asked = document.asked().into_iter().filter_map(|(apis, kind)| {
                // A chart that knows several versions takes one that is served.
                let removed: Option<Vec<_>> = apis
                    .iter()
                    .map(|api| removed(api, &kind, minor.minor()))
                    .collect();
                let removed = *removed?.first()?;
                Some(Gone {
                    file: file.clone(),
                    line: document.line_of(&removed.api),
                    api: removed.api.clone(),
                    kind,
                    since: removed.since,
                    instead: removed.instead.clone(),
                })
            });
            found.extend(asked);
        }
    }
    found
}

fn removed(api: &str, kind: &str, minor: u32) -> Option<&'static Removed> {
    REMOVED.iter().find(|one| {
        one.since <= minor && one.api == api && one.kinds.iter().any(|known| known == kind)
    })
}

/// One document of a file.
struct Document<'a> {
    /// Its first line, from 1.
    start: usize,
    lines: Vec<&'a str>,
}

fn documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = vec![Document {
        start: 1,
        lines: Vec::new(),
    }];
    for (number, line) in text.lines().enumerate() {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            documents.push(Document {
                start: number + 2,
                lines: Vec::new(),
            });
        } else if let Some(document) = documents.last_mut() {
            document.lines.push(line);
        }
    }
    documents
}

impl Document<'_> {
    /// Gives the kinds that the document asks for, each with the versions that it may be of.
    fn asked(&self) -> Vec<(Vec<String>, String)> {
        if let Ok(value) = serde_yaml::from_str::<Value>(&self.lines.join("\n")) {
            let mut asked = Vec::new();
            visit(&value, &mut asked);
            return asked;
        }
        let apis: Vec<String> = self.values("apiVersion:").map(String::from).collect();
        let kind = self.values("kind:").next().map(String::from);
        kind.map(|kind| (apis, kind)).into_iter().collect()
    }

    /// Gives the values of a key that stands at the beginning of a line, but those of templates.
    fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let values = self
            .lines
            .iter()
            .filter_map(move |line| line.strip_prefix(key));
        values
            .map(|value| value.trim().trim_matches(['"', '\'']))
            .filter(|value| !value.contains("{{"))
    }

    fn line_of(&self, api: &str) -> usize {
        let says = |line: &str| line.contains("apiVersion") && line.contains(api);
        self.start
            + self
                .lines
                .iter()
                .position(|line| says(line))
                .unwrap_or_default()
    }
}

fn visit(value: &Value, asked: &mut Vec<(Vec<String>, String)>) {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    if let (Some(api), Some(kind)) = (text("apiVersion"), text("kind")) {
        if kind.ends_with("List") {
            let items = value.get("items").and_then(Value::as_sequence);
            for item in items.into_iter().flatten() {
                visit(item, asked);
            }
        }
        asked.push((vec![api], kind));
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn of(minor: &str, text: &str) -> String {
        let manifest = Manifest {
            file: "all.yaml".into(),
            text: text.into(),
        };
        let found = gone(&[manifest], &minor.parse().expect("a minor"));
        let lines = found
            .iter()
            .map(|one| format!("{} {}", one.place(), one.api()));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("removed.yaml").lines();
        assert_eq!(
            REMOVED.len(),
            lines.filter(|line| line.starts_with("- ")).count()
        );
    }

    #[test]
    fn what_is_served_depends_on_the_minor() {
        let text = "apiVersion: flowcontrol.apiserver.k8s.io/v1beta3\nkind: FlowSchema\n";
        assert_eq!(of("1.31", text), "");
        assert_eq!(
            of("1.32", text),
            "all.yaml:1 flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema"
        );
    }

    #[test]
    fn documents_and_lists_are_read_and_what_they_hold_is_not() {
        let text = "\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
spec: {scaleTargetRef: {apiVersion: apps/v1beta1, kind: Deployment}}
---
# A comment.
apiVersion: \"policy/v1beta1\"
kind: PodDisruptionBudget
---
apiVersion: v1
kind: List
items:
- {apiVersion: apps/v1, kind: Deployment}
- apiVersion: batch/v1beta1
  kind: CronJob
--- # The last one.
apiVersion: v1
kind: ConfigMap
data: {file: \"apiVersion: batch/v1beta1\\nkind: CronJob\\n\"}
";
        assert_snapshot!(of("1.35", text), @"
        all.yaml:6 policy/v1beta1 PodDisruptionBudget
        all.yaml:13 batch/v1beta1 CronJob
        ");
    }

    #[test]
    fn a_template_is_read_by_its_lines() {
        let chosen = "\
{{- if .Capabilities.APIVersions.Has \"policy/v1\" }}
apiVersion: policy/v1
{{- else }}
apiVersion: policy/v1beta1
{{- end }}
kind: PodDisruptionBudget
";
        assert_eq!(of("1.35", chosen), "");
        let fixed = "{{- if .Values.on }}\napiVersion: policy/v1beta1\nkind: PodDisruptionBudget\n{{- end }}\n";
        assert_eq!(
            of("1.35", fixed),
            "all.yaml:2 policy/v1beta1 PodDisruptionBudget"
        );
        let computed = "apiVersion: {{ include \"api\" . }}\nkind: CronJob\nx: {{ 1 }}\n";
        assert_eq!(of("1.35", computed), "");
    }
}
