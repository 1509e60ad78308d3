//! The programs that the platform runs, as images under their upstream names.
//!
//! Where only package registries answer, each image is assembled from a program that was built from
//! its Go module, or from Debian packages; charts and values see no difference. All versions of
//! what is run are in [`COMPONENTS`].

mod debian;
pub mod layers;
mod postgres;
mod python_base;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use oci_image::{Digest, Draft, Entries, Image, Index, Layer, Platform};
use oci_registry::{Access, Blobs, Reference, Registry, Source, reference};
use serde::Serialize;

use crate::context::Context;
use crate::steps::registry;
use crate::tools;

/// The user that programs without a user of their own run as.
const NOBODY: &str = "65532:65532";
/// The certificates that every image trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A program of the platform.
pub struct Component {
    /// The name, which is also its row in reports.
    pub name: &'static str,
    /// The upstream image without its tag.
    pub repository: &'static str,
    /// The upstream tag.
    pub tag: &'static str,
    contents: Contents,
}

/// What an image is made of where upstream's cannot be had.
enum Contents {
    /// A static program from a Go module.
    Program {
        tool: &'static str,
        arguments: &'static [&'static str],
        user: &'static str,
    },
    /// PostgreSQL and Patroni from Debian packages.
    Postgres,
    /// Python from Debian packages.
    Python,
}

const fn program(
    name: &'static str,
    repository: &'static str,
    tag: &'static str,
    tool: &'static str,
    arguments: &'static [&'static str],
) -> Component {
    Component {
        name,
        repository,
        tag,
        contents: Contents::Program {
            tool,
            arguments,
            user: NOBODY,
        },
    }
}

const CERT_MANAGER: &str = "v1.20.2";

/// What the platform runs, and in which version.
pub const COMPONENTS: [Component; 8] = [
    program(
        "traefik",
        "docker.io/library/traefik",
        "v3.6.12",
        "traefik",
        &[],
    ),
    program(
        "cert-manager-controller",
        "quay.io/jetstack/cert-manager-controller",
        CERT_MANAGER,
        "cert-manager",
        &["controller"],
    ),
    program(
        "cert-manager-webhook",
        "quay.io/jetstack/cert-manager-webhook",
        CERT_MANAGER,
        "cert-manager",
        &["webhook"],
    ),
    program(
        "cert-manager-cainjector",
        "quay.io/jetstack/cert-manager-cainjector",
        CERT_MANAGER,
        "cert-manager",
        &["cainjector"],
    ),
    program(
        "metrics-server",
        "registry.k8s.io/metrics-server/metrics-server",
        "v0.9.0",
        "metrics-server",
        &[],
    ),
    program(
        "postgres-operator",
        "ghcr.io/zalando/postgres-operator",
        "v1.15.1",
        "postgres-operator",
        &[],
    ),
    Component {
        name: "spilo",
        repository: "ghcr.io/zalando/spilo-18",
        tag: "4.1-p1",
        contents: Contents::Postgres,
    },
    Component {
        name: "python",
        repository: "docker.io/library/python",
        tag: "3.14-slim",
        contents: Contents::Python,
    },
];

/// Finds a component by its name.
pub fn component(name: &str) -> Result<&'static Component> {
    COMPONENTS
        .iter()
        .find(|component| component.name == name)
        .with_context(|| format!("no component is called `{name}`"))
}

impl Component {
    /// Gives the whole upstream reference.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// Gives the path under which every registry holds it: the upstream name without its host.
    pub fn path(&self) -> &'static str {
        self.repository
            .split_once('/')
            .map_or(self.repository, |(_, path)| path)
    }
}

/// An image that is ready to be pushed: its documents, and where its layers are on disk.
pub struct Assembled {
    /// The image.
    pub image: Image,
    /// Its layers, bottom first.
    pub layers: Vec<(Layer, PathBuf)>,
    /// The packages that it holds, with their versions.
    pub packages: BTreeMap<String, String>,
}

/// A component's image in the run's registry.
#[derive(Serialize)]
pub struct Published {
    /// The upstream name that it answers to.
    pub upstream: String,
    /// Its digest here.
    pub digest: String,
    /// Its size as it is pulled.
    pub bytes: u64,
    /// Bytes that the registry did not have yet.
    pub sent: u64,
    /// The packages that it holds, with their versions.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<String, String>,
}

/// Assembles every component's image and pushes it to the run's registry, by name.
pub fn publish(cx: &Context) -> Result<BTreeMap<String, Published>> {
    let address = registry::address(cx);
    let mut published = BTreeMap::new();
    for component in &COMPONENTS {
        let one = publish_to(cx, component, &address)?;
        published.insert(component.name.to_owned(), one);
    }
    Ok(published)
}

/// Assembles a component's image and pushes it to a registry.
pub fn publish_to(cx: &Context, component: &Component, address: &str) -> Result<Published> {
    let places = Registry::connect(Access::default().plain_http([address]))?;
    let assembled = assemble(cx, component)?;
    let target = reference(&format!("{address}/{}:{}", component.path(), component.tag))?;
    let mut blobs = Blobs::new();
    for (layer, path) in assembled.iter().flat_map(|one| &one.layers) {
        blobs.insert(layer.digest.clone(), Source::File(path.clone()));
    }
    let images: Vec<Image> = assembled.iter().map(|one| one.image.clone()).collect();
    let (digest, sent) = cx.block_on(push(&places, &images, &blobs, &target))?;
    let bytes = assembled.iter().flat_map(|one| &one.layers);
    Ok(Published {
        upstream: component.reference(),
        digest: digest.to_string(),
        bytes: bytes.map(|(layer, _)| layer.size).sum(),
        sent,
        packages: assembled.into_iter().flat_map(|one| one.packages).collect(),
    })
}

/// Pushes the images of a component, and gives the digest that names all of them.
async fn push(
    places: &Registry,
    images: &[Image],
    blobs: &Blobs,
    target: &Reference,
) -> Result<(Digest, u64)> {
    let index = (images.len() > 1).then(|| Index::of(images));
    let pushed = places
        .push_all(images, index.as_ref(), blobs, target)
        .await?;
    let (bytes, media_type, digest) = match (&index, images.first()) {
        (Some(index), _) => (index.bytes(), &index.value().media_type, index.digest()),
        (None, Some(image)) => {
            let manifest = image.manifest();
            (
                manifest.bytes(),
                &manifest.value().media_type,
                image.digest(),
            )
        }
        (None, None) => bail!("a component has no image"),
    };
    places.tag_document(bytes, media_type, target).await?;
    Ok((digest.clone(), pushed.sent))
}

/// Assembles a component's image, one a platform; layers are kept in the cache.
pub fn assemble(cx: &Context, component: &Component) -> Result<Vec<Assembled>> {
    match component.contents {
        Contents::Program {
            tool,
            arguments,
            user,
        } => assemble_program(cx, tool, arguments, user).map(|one| vec![one]),
        Contents::Postgres => postgres::assemble(cx).map(|one| vec![one]),
        Contents::Python => python_base::assemble(cx),
    }
    .with_context(|| format!("assemble the image `{}`", component.reference()))
}

fn assemble_program(cx: &Context, tool: &str, arguments: &[&str], user: &str) -> Result<Assembled> {
    let program = cx.tool(tool)?;
    let authorities = fs_err::read(AUTHORITIES)
        .context("the machine's CA certificates (package `ca-certificates`)")?;
    let target = format!("/{tool}");
    // The folder of a built program is named after everything that it is made of.
    let key = tools::key(&BTreeMap::from([
        (
            "program".to_owned(),
            program.as_os_str().as_encoded_bytes().to_vec(),
        ),
        ("authorities".to_owned(), authorities.clone()),
    ]));
    let (layer, path) = layers::cached(cx, tool, &key, |writer| {
        let mut entries = Entries::new();
        let size = fs_err::metadata(&program)?.len();
        let open = move || Ok(Box::new(fs_err::File::open(program)?) as Box<dyn std::io::Read>);
        entries.file_from(&target, 0o755, size, open)?;
        entries.file(AUTHORITIES, 0o644, authorities)?;
        entries.folder("/tmp", 0o1777)?;
        writer.append(entries)?;
        Ok(())
    })?;
    let words =
        std::iter::once(format!("/{tool}")).chain(arguments.iter().map(ToString::to_string));
    let image = Draft::from_scratch(Platform::linux_amd64())
        .layer(layer.clone(), tool)
        .entrypoint(words)
        .env("PATH", "/")
        .user(user)
        .finish();
    Ok(Assembled {
        image,
        layers: vec![(layer, path)],
        packages: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn text(path: &str) -> String {
        fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    #[test]
    fn paths_are_the_upstream_names_without_their_host() {
        assert_eq!(component("traefik").unwrap().path(), "library/traefik");
        assert_eq!(
            component("metrics-server").unwrap().path(),
            "metrics-server/metrics-server"
        );
        assert_eq!(
            component("spilo").unwrap().reference(),
            "ghcr.io/zalando/spilo-18:4.1-p1"
        );
    }

    #[test]
    fn modules_are_of_the_versions_that_the_images_are_named_after() {
        for (component, module) in [
            ("traefik", "github.com/traefik/traefik/v3"),
            (
                "cert-manager-webhook",
                "github.com/cert-manager/cert-manager",
            ),
            ("metrics-server", "sigs.k8s.io/metrics-server"),
            ("postgres-operator", "github.com/zalando/postgres-operator"),
        ] {
            let found = super::component(component).unwrap();
            let Contents::Program { tool, .. } = found.contents else {
                panic!("{component} is a program")
            };
            let manifest = text(&format!("tools/{tool}/go.mod"));
            assert!(
                manifest.contains(&format!("{module} {}", found.tag)),
                "{component}"
            );
        }
    }

    #[test]
    fn the_local_chart_is_of_the_version_that_it_runs() {
        let chart = text("charts/traefik/Chart.yaml");
        assert!(
            chart.contains(&format!(
                "appVersion: {}",
                component("traefik").unwrap().tag
            )),
            "{chart}"
        );
    }
}
