//! Builds the programs that the run calls, unless the cache holds them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::cfn_guard;
use crate::context::{Context, Source};
use crate::python_packages::{self, GITHUB_SCHEMAS};
use crate::state::sweep;
use crate::step::{Outcome, Step};
use crate::tools::{self, CLUSTER_TOOLS, GoTool, PLATFORM_TOOLS};
use crate::uv;

pub fn step() -> Step {
    Step {
        name: "tools",
        about: "build kind, helm, Kubernetes and the platform's programs from their Go modules",
        cold: Duration::from_secs(1200),
        warm: Duration::from_secs(3),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    // Upstream's images hold the platform's programs.
    let platform: &[GoTool] = if cx.source()? == Source::Packages {
        &PLATFORM_TOOLS
    } else {
        &[]
    };
    let wanted: Vec<&GoTool> = CLUSTER_TOOLS.iter().chain(platform).collect();
    fs_err::create_dir_all(&cx.cache)?;
    sweep(&cx.cache, 2)?;
    let mut built = Vec::new();
    if uv::fetch(cx).context("fetch `uv`")? {
        built.push("uv");
    }
    if python_packages::fetch(cx, &GITHUB_SCHEMAS)
        .context("fetch the description of GitHub's API")?
    {
        built.push(GITHUB_SCHEMAS.name);
    }
    if cfn_guard::build(cx).context("build `cfn-guard`")? {
        built.push(cfn_guard::NAME);
    }
    for tool in &wanted {
        let started = Instant::now();
        if tools::build(cx, tool).with_context(|| format!("build `{}`", tool.name))? {
            cx.progress(format!(
                "built {} in {:.0} s",
                tool.name,
                started.elapsed().as_secs_f32()
            ));
            built.push(tool.name);
        }
    }
    let real = format!(
        "{} programs from Go modules, {} of them built now",
        wanted.len(),
        built.len()
    );
    Ok(Outcome::new(real)
        .fact("built", built)
        .fact("kubernetes", tools::KUBERNETES))
}
