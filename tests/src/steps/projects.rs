//! Projects of different make, and applications that others have published: each is built as it
//! stands, or refused for a reason that is true.

use std::path::{Path, PathBuf};
use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::alone::Alone;
use crate::context::Context;
use crate::release;
use crate::runner::Ran;
use crate::state::write_whole;
use crate::step::{Outcome, Step};
use crate::steps::registry;
use crate::tools::hex;

/// A project in `tests/projects`.
struct Shape {
    folder: &'static str,
    /// The member of the workspace that is the application.
    package: &'static str,
    /// Whether it is locked on the spot.
    lock: bool,
    /// A path that answers once it runs, and a word of the answer.
    answers: (&'static str, &'static str),
}

const SHAPES: [Shape; 3] = [
    Shape {
        folder: "workspace",
        package: "catalog",
        lock: true,
        answers: ("/articles/tea", "12.50 EUR"),
    },
    Shape {
        folder: "poetry",
        package: "",
        lock: false,
        answers: ("/openapi.json", "/api/books/{isbn}/borrower"),
    },
    Shape {
        folder: "requirements",
        package: "",
        lock: false,
        answers: ("/towns/Oslo?degrees=3.5", "<h1>Oslo</h1><p>3.5 °C</p>"),
    },
];

/// An application that is published as a source distribution.
struct Published {
    name: &'static str,
    version: &'static str,
    /// SHA-256 of the source distribution.
    sha256: &'static str,
    /// Whether it has no lock file, so that its user makes one.
    lock: bool,
    inputs: &'static [(&'static str, &'static str)],
    /// What the refusal says; nothing where it builds.
    refused: Option<&'static str>,
}

const PUBLISHED: [Published; 3] = [
    // Two of its packages have no wheel.
    Published {
        name: "basic-memory",
        version: "0.24.1",
        sha256: "42c295394c2e7b841659d1187f28befdea2c7272520df8b670a5d4da1414824f",
        lock: false,
        inputs: &[("app", "basic_memory.api.app:app")],
        refused: Some("of `pybars3` 0.9.7 (it has a source distribution only)"),
    },
    Published {
        name: "tipg",
        version: "1.6.1",
        sha256: "86fe3989969b6464abf3b5b5a54fd2e0744bb1b9cfda63f65ae2c481c995e04d",
        lock: true,
        inputs: &[("app", "tipg.main:app"), ("groups", "server")],
        refused: None,
    },
    // It was released without locking it again.
    Published {
        name: "mcpo",
        version: "0.0.20",
        sha256: "bc192c8775aa9f46ecf3e84180644079f8832b5ed9f12a0aa1cb9e2728e0590c",
        lock: false,
        inputs: &[],
        refused: Some("`uv.lock` does not match `pyproject.toml`: `mcpo` was 0.0.19, is 0.0.20"),
    },
];

/// What its user adds before locking it: the same day's packages for everybody.
const SAME_DAY: &str = "\n[tool.uv]\nexclude-newer = \"2026-11-01T00:00:00Z\"\n";

/// What came of a project, for the report.
#[derive(Serialize)]
struct Built {
    project: String,
    /// The image, or the reason why there is none.
    result: String,
    seconds: f64,
}

pub fn step() -> Step {
    Step {
        name: "projects",
        about: "build projects of other shapes, and applications that others have published",
        cold: Duration::from_secs(120),
        warm: Duration::from_secs(90),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    let mut all = Vec::new();
    for shape in &SHAPES {
        all.push(
            build_shape(cx, shape).with_context(|| format!("the project `{}`", shape.folder))?,
        );
    }
    for published in &PUBLISHED {
        all.push(
            build_published(cx, published)
                .with_context(|| format!("{} {}", published.name, published.version))?,
        );
    }
    let refused = PUBLISHED.iter().filter(|one| one.refused.is_some()).count();
    let real = format!(
        "{} projects and published applications built as they stand, {refused} refused by name",
        all.len() - refused
    );
    Ok(Outcome::new(real).fact("projects", all))
}

/// Builds a project of ours for two platforms and asks it something.
fn build_shape(cx: &Context, shape: &Shape) -> Result<Built> {
    cx.progress(format!("tests/projects/{}", shape.folder));
    let folder = cx.folder.join("projects").join(shape.folder);
    release::copy(&cx.root.join("tests/projects").join(shape.folder), &folder)?;
    if shape.lock {
        release::lock(cx, &folder)?;
    }
    let ran = build(cx, &folder, shape.folder, &[("package", shape.package)])?;
    if ran.code != 0 {
        bail!("it was not built:\n{}", ran.log);
    }
    let image = ran.output("image")?;
    let (path, expected) = shape.answers;
    let alone = Alone::start(cx, "projects", image, &[], path)?;
    let answer = alone.get(path)?;
    if !answer.contains(expected) {
        bail!("`{path}` answers `{answer}`, not `{expected}`");
    }
    Ok(Built {
        project: format!("tests/projects/{}", shape.folder),
        result: image.into(),
        seconds: ran.took.as_secs_f64(),
    })
}

/// Builds a published application for the machine's platform, or reads why it cannot be built.
fn build_published(cx: &Context, published: &Published) -> Result<Built> {
    let Published { name, version, .. } = published;
    cx.progress(format!("{name} {version}"));
    let folder = unpack(cx, published)?;
    if published.lock {
        let file = folder.join("pyproject.toml");
        let project = fs_err::read_to_string(&file)?;
        fs_err::write(&file, project + SAME_DAY)?;
        release::lock(cx, &folder)?;
    }
    let platform = ("platforms", "linux/amd64");
    let ran = build(cx, &folder, name, &[published.inputs, &[platform]].concat())?;
    let result = match published.refused {
        None if ran.code == 0 => ran.output("image")?.to_owned(),
        None => bail!("it was not built:\n{}", ran.log),
        Some(why) if ran.code == 2 && ran.log.contains(why) => format!("refused: {why}"),
        Some(why) => bail!(
            "it ended with {}, and should be refused because {why}:\n{}",
            ran.code,
            ran.log
        ),
    };
    Ok(Built {
        project: format!("{name} {version}"),
        result,
        seconds: ran.took.as_secs_f64(),
    })
}

fn build(cx: &Context, folder: &Path, name: &str, inputs: &[(&str, &str)]) -> Result<Ran> {
    let repository = format!("{}/projects/{name}", registry::name());
    let step = release::build_step(cx, &format!("build-{name}"))?.with("image", repository);
    let step = inputs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .fold(step, |step, (name, value)| step.with(name, *value));
    cx.runner(folder).attempt(&step)
}

/// Unpacks a source distribution into a folder of its own.
fn unpack(cx: &Context, published: &Published) -> Result<PathBuf> {
    let archive = download(cx, published)?;
    let folder = cx.folder.join("projects").join(published.name);
    if folder.exists() {
        fs_err::remove_dir_all(&folder)?;
    }
    fs_err::create_dir_all(&folder)?;
    let tar = [
        "--extract",
        "--gzip",
        "--strip-components=1",
        "--no-same-owner",
    ];
    cx.run(
        &Command::new("tar")
            .args(tar)
            .arg("--file")
            .arg(&archive)
            .current_dir(&folder),
    )?;
    Ok(folder)
}

/// Downloads a source distribution from wherever uv says that the package index has it.
fn download(cx: &Context, published: &Published) -> Result<PathBuf> {
    let Published {
        name,
        version,
        sha256,
        ..
    } = published;
    let file = cx
        .cache
        .join("sdists")
        .join(format!("{name}-{version}.tar.gz"));
    let is = |bytes: &[u8]| hex(&Sha256::digest(bytes)) == *sha256;
    if fs_err::read(&file).is_ok_and(|bytes| is(&bytes)) {
        return Ok(file);
    }
    let folder = cx.folder.join("projects");
    let wanted = folder.join("wanted.txt");
    fs_err::write(&wanted, format!("{name}=={version}\n"))?;
    let compile = [
        "pip",
        "compile",
        "--quiet",
        "--no-deps",
        "--format",
        "pylock.toml",
    ];
    let compile = cx.client(cx.tool("uv")?).args(compile);
    let lock = cx.output(&compile.args(["--python-version", "3.14"]).arg(&wanted))?;
    let address = lock
        .split_once("sdist = { url = \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(address, _)| address)
        .context("the index has no source distribution of it")?;
    let download = folder.join("download.tar.gz");
    let curl = cx
        .client("curl")
        .args(["--silent", "--show-error", "--fail", "--location"]);
    cx.run(&curl.arg("--output").arg(&download).arg(address))?;
    let bytes = fs_err::read(&download)?;
    if !is(&bytes) {
        bail!("the index gives another file than the one with SHA-256 {sha256}");
    }
    write_whole(&file, &bytes)?;
    fs_err::remove_file(&download)?;
    Ok(file)
}
