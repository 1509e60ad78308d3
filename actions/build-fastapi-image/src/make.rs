//! Makes the layers that no earlier image has. Each is made from its own packages alone, in a
//! folder of its own, so that its bytes depend on nothing but its key.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use action_kit::Failed;
use futures::channel::mpsc;
use futures::future::join;
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use oci_image::{Digest, Entries, Layer, LayerError, Level, Platform};
use oci_registry::{Layout, Registry, RegistryError, Source, add_tree};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};

use crate::bytecode;
use crate::error::BuildError;
use crate::inputs::{Bytecode, Request};
use crate::interpreter::Interpreter;
use crate::kept::Kept;
use crate::layers::Group;
use crate::locked::Package;
use crate::observe::Observed;
use crate::openapi::{Asked, OpenApi};
use crate::plan::{APP, Holds, Plan, VENV};
use crate::report::Phases;
use crate::root::Root;
use crate::uv::{self, Uv};
use crate::{places, sources, venv};

/// How many calls of uv run side by side; each downloads several wheels at once.
const AT_ONCE: usize = 4;
/// How many folders are compiled side by side; each takes a process for each core.
const COMPILED_AT_ONCE: usize = 2;

/// Everything that a build asks and writes to.
pub(crate) struct Build<'a> {
    pub(crate) request: &'a Request,
    pub(crate) plan: &'a Plan,
    pub(crate) observed: &'a Observed,
    pub(crate) registry: &'a Registry,
    /// A folder that goes when the build is over.
    pub(crate) scratch: &'a Path,
    /// Where the layers are written to.
    pub(crate) layout: Layout,
}

/// A folder that becomes a layer.
#[derive(Clone)]
struct Tree {
    key: Digest,
    /// The folder that stands for `/`.
    root: PathBuf,
}

/// What was made.
#[derive(Default)]
pub(crate) struct Made {
    /// The layers, by their keys.
    pub(crate) layers: BTreeMap<Digest, Layer>,
    /// The application that is asked for its OpenAPI document.
    pub(crate) openapi: Asked,
}

impl Build<'_> {
    /// Makes the layers that no earlier image has.
    pub(crate) async fn make(&self, phases: &mut Phases) -> Result<Made, Failed> {
        let mut since = Instant::now();
        let missing = self.plan.missing();
        let of_packages = missing
            .values()
            .any(|(_, layer)| matches!(layer.holds, Holds::Packages(_)));
        let runs = self.request.openapi == OpenApi::True
            || match self.plan.bytecode {
                Bytecode::None => false,
                Bytecode::Packages => of_packages,
                Bytecode::All => !missing.is_empty(),
            };
        let own = (of_packages && !runs)
            .then(|| uv::own_python(self.request))
            .flatten();
        let interpreter = if runs || (of_packages && own.is_none()) {
            Some(self.interpreter().await?)
        } else {
            None
        };
        phases.end("base image", &mut since);
        let mut made = Made::default();
        if of_packages {
            let base = match &interpreter {
                Some(interpreter) => interpreter.as_program(&self.scratch.join("python"))?,
                None => None,
            };
            let python = base.or(own).or_else(|| uv::own_python(self.request));
            let python =
                python.ok_or_else(|| BuildError::NoInterpreter(self.plan.python.to_string()))?;
            let uv = Uv::new(self.request, python);
            let (complete, trees) = mpsc::unbounded();
            let work = async {
                let trees = self.trees(&uv, interpreter.as_ref(), complete).await?;
                phases.end("packages", &mut since);
                if interpreter.is_some() {
                    made.openapi = self.openapi(&trees).await?;
                }
                Ok::<_, BuildError>(())
            };
            let layers = trees
                .map(|tree| self.layer(tree))
                .buffer_unordered(missing.len());
            // All are waited for, also when one fails: they read from a folder that then goes.
            let (worked, layers) = join(work, layers.collect::<Vec<_>>()).await;
            worked?;
            made.layers = layers.into_iter().collect::<Result<_, _>>()?;
        }
        let application = missing
            .iter()
            .find(|(_, (_, layer))| matches!(layer.holds, Holds::Application));
        if let Some((key, _)) = application {
            let layer = self.application(interpreter.as_ref()).await?;
            made.layers.insert((*key).clone(), layer);
        }
        phases.end("layers", &mut since);
        Ok(made)
    }

    /// Asks the application for its OpenAPI document, when all that it needs was made now.
    async fn openapi(&self, trees: &[Tree]) -> Result<Asked, BuildError> {
        let wish = self.request.openapi;
        let mut images = self.plan.images.iter();
        let own = images.find(|image| image.platform.architecture == own_architecture());
        let Some(image) = own.filter(|_| wish != OpenApi::False) else {
            return Ok(Asked::default());
        };
        let mut parts = Vec::new();
        for layer in &image.layers {
            if matches!(layer.holds, Holds::Application) {
                continue;
            }
            let Some(tree) = trees.iter().find(|tree| tree.key == layer.key) else {
                tracing::info!("the OpenAPI document is left out: layers were reused");
                return Ok(Asked::default());
            };
            parts.push(tree.root.clone());
        }
        let root = Root::create(self.root())?;
        let (plan, checkout) = (self.plan.clone(), self.observed.root.clone());
        let (app, venv) = (root.at(APP), self.root());
        let laid_out = spawn_blocking(move || {
            venv::assemble(&parts, &venv, &plan)?;
            sources::copy(&plan.sources, &checkout, &app, |_| true)
        });
        let laid_out = laid_out.await.unwrap_or_else(|error| Err(error.into()));
        laid_out.map_err(BuildError::file("lay out the application"))?;
        Ok(Asked::ask(root, self.plan, wish))
    }

    /// Unpacks the base image for this machine, and gives its Python: modules that it compiles are
    /// the same for every platform.
    async fn interpreter(&self) -> Result<Interpreter, Failed> {
        let platform = Platform {
            architecture: own_architecture().into(),
            os: "linux".into(),
            variant: None,
        };
        let (plan, base) = (self.plan, &self.observed.base);
        let image = base.image(&platform, self.registry).await?;
        let root = Root::create(self.root())?;
        let kept = Kept::of(&self.request.environment);
        let scratch = self.scratch.join("base");
        root.unpack(base, &image, self.registry, &kept, &scratch)
            .await?;
        let version = plan.python.to_string();
        Ok(Interpreter::find(&root, &plan.base, &plan.interpreter, &version).await?)
    }

    /// Gives the folder that the base image is unpacked to. What is compiled lies inside, because
    /// its Python may see nothing else.
    fn root(&self) -> PathBuf {
        self.scratch.join("root")
    }

    /// Gives the folder of the folders that become layers.
    fn layers(&self) -> PathBuf {
        self.root().join("tmp/layers")
    }

    /// Removes what the layers were made from.
    pub(crate) fn clear_layers(&self) -> JoinSet<()> {
        clear(&self.layers())
    }

    /// Removes what programs ran in.
    pub(crate) fn clear_root(&self) -> JoinSet<()> {
        clear(&self.root())
    }

    /// Installs and compiles the packages of each missing layer, and hands each folder on as soon as
    /// it is complete.
    async fn trees(
        &self,
        uv: &Uv,
        interpreter: Option<&Interpreter>,
        written: mpsc::UnboundedSender<Tree>,
    ) -> Result<Vec<Tree>, BuildError> {
        let missing = self.plan.missing();
        let mut wanted: Vec<(&Digest, &Platform, &Group)> = missing
            .into_iter()
            .filter_map(|(key, (image, layer))| match &layer.holds {
                Holds::Packages(group) => Some((key, &image.platform, group)),
                Holds::Application => None,
            })
            .collect();
        // What takes longest comes first, so that nobody waits for it alone at the end.
        wanted.sort_by_key(|(_, _, group)| Reverse(group.size()));
        let interpreter = interpreter.filter(|_| self.plan.bytecode != Bytecode::None);
        let site = venv::site_packages(self.plan);
        let (fetching, compiling) = (Semaphore::new(AT_ONCE), Semaphore::new(COMPILED_AT_ONCE));
        let mut complete: FuturesUnordered<_> = wanted
            .into_iter()
            .map(async |(key, platform, group)| {
                let root = self.layers().join(key.short());
                let turn = fetching.acquire().await;
                self.install(uv, platform, group, &root).await?;
                drop(turn);
                let mut count = 0;
                if let Some(interpreter) = interpreter {
                    let _turn = compiling.acquire().await;
                    count = compile(interpreter, &root, &site).await?;
                }
                let key = key.clone();
                Ok::<_, BuildError>((Tree { key, root }, count))
            })
            .collect();
        let (mut trees, mut modules) = (Vec::new(), 0);
        while let Some((tree, count)) = complete.try_next().await? {
            let _ = written.unbounded_send(tree.clone());
            trees.push(tree);
            modules += count;
        }
        if interpreter.is_some() {
            tracing::info!("{modules} modules of packages compiled");
        }
        Ok(trees)
    }

    /// Installs the packages of one layer below a folder that stands for `/`.
    async fn install(
        &self,
        uv: &Uv,
        platform: &Platform,
        group: &Group,
        root: &Path,
    ) -> Result<(), BuildError> {
        let doing = || BuildError::file("lay out the packages");
        let site = at(root, &venv::site_packages(self.plan));
        fs_err::create_dir_all(&site).map_err(doing())?;
        let install = async |packages: &[&Package]| {
            let placed = places::list(packages).filter(|_| !uv.has_index);
            let (name, text) = match placed {
                Some(list) => ("pylock.toml", list),
                None => ("requirements.txt", self.requirements(packages)),
            };
            let list = root.join(name);
            fs_err::write(&list, text).map_err(doing())?;
            uv.install(self.plan, platform, &list, &site).await
        };
        install(&group.packages.iter().collect::<Vec<_>>())
            .await
            .inspect_err(|_| tracing::info!("in the layer of {}", group.listed()))?;
        for conflict in venv::conflicts(&site)? {
            tracing::warn!(
                "several packages bring `{}`: that of `{}` is taken",
                conflict.path,
                conflict.winner
            );
            let winner = group.packages.iter();
            let winner = winner.filter(|package| package.name == conflict.winner);
            install(&winner.collect::<Vec<_>>()).await?;
        }
        venv::arrange(root, self.plan).map_err(doing())
    }

    /// Lists packages for uv to find in an index.
    fn requirements(&self, packages: &[&Package]) -> String {
        let lines = self.observed.locked.requirements(packages);
        // What is in the checkout has its path from there; uv starts elsewhere.
        let lines = lines.lines().map(|line| match line.strip_prefix("./") {
            Some(path) => format!("{}\n", self.request.workspace.join(path).display()),
            None => format!("{line}\n"),
        });
        lines.collect()
    }

    /// Writes a folder as a layer and, unless the image may yet be refused for its size, sends it
    /// while others are still made.
    async fn layer(&self, tree: Tree) -> Result<(Digest, Layer), RegistryError> {
        let (layout, root) = (self.layout.clone(), tree.root);
        let written = spawn_blocking(move || write(&layout, &root)).await;
        let layer = written.unwrap_or_else(|error| {
            Err(RegistryError::File {
                doing: "compress a layer".into(),
                source: error.into(),
            })
        })?;
        let request = self.request;
        let sent = request.push && request.size_budget.is_none();
        if let Some(repository) = request.repository.as_ref().filter(|_| sent) {
            let source = Source::File(self.layout.blob(&layer.digest));
            self.registry.push_layer(&layer, source, repository).await?;
        }
        Ok((tree.key, layer))
    }

    /// Makes the application's layer, with the frame of its environment.
    async fn application(&self, interpreter: Option<&Interpreter>) -> Result<Layer, Failed> {
        let unfit = |error| RegistryError::from(LayerError::from(error));
        let (plan, root) = (self.plan, &self.observed.root);
        let mut entries = Entries::new();
        entries.folder(APP, 0o755).map_err(unfit)?;
        sources::add(&mut entries, &plan.sources, root, APP).map_err(unfit)?;
        venv::frame(&mut entries, plan).map_err(unfit)?;
        if plan.bytecode == Bytecode::All
            && let Some(interpreter) = interpreter
        {
            let copy = self.root().join("tmp/application");
            sources::copy(&plan.sources, root, &copy, is_module)
                .map_err(BuildError::file("copy the application"))?;
            let compiled = bytecode::compile(interpreter, &copy, APP).await?;
            if !compiled.failed.is_empty() {
                return Err(BuildError::DoNotCompile(compiled.failed).into());
            }
            add_tree(&mut entries, &copy, APP, |path| !is_module(path))
                .map_err(BuildError::file("lay out the compiled application"))?;
        }
        let written = self
            .layout
            .write_layer(Level::Small, |layer| layer.append(entries).map(|_| ()));
        Ok(written?)
    }
}

/// Byte-compiles the packages of a layer, and says how many modules there were.
async fn compile(interpreter: &Interpreter, root: &Path, site: &str) -> Result<usize, BuildError> {
    let compiled = bytecode::compile(interpreter, &at(root, site), site).await?;
    for failed in &compiled.failed {
        tracing::debug!("does not compile: {failed}");
    }
    Ok(compiled.count)
}

fn write(layout: &Layout, root: &Path) -> Result<Layer, RegistryError> {
    let mut entries = Entries::new();
    add_tree(&mut entries, &at(root, VENV), VENV, |_| true).map_err(|source| {
        RegistryError::File {
            doing: "lay out the packages".into(),
            source,
        }
    })?;
    layout.write_layer(Level::Small, |layer| layer.append(entries).map(|_| ()))
}

/// Removes what is in a folder, thousands of files, while others wait for a registry. What stays, or
/// never was, is the business of who made the folder around it.
fn clear(folder: &Path) -> JoinSet<()> {
    let folders = fs_err::read_dir(folder).into_iter().flatten().flatten();
    folders
        .map(|folder| async move {
            let _ = tokio::fs::remove_dir_all(folder.path()).await;
        })
        .collect()
}

fn at(root: &Path, inside: &str) -> PathBuf {
    root.join(inside.trim_start_matches('/'))
}

fn is_module(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|end| end == "py")
}

/// Gives the architecture of this machine, in Go's words.
fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
