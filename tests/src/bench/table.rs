//! The report: ratios first, where a peer wins, then every value.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::contender::CONTENDERS;
use super::sample::{METRICS, Metric, Ratio, Sample, grid, median, ratios};

/// From this ratio on a peer has won; what is less is within what two runs differ by.
const WON: f64 = 1.05;
/// What the tables mean.
const ABOUT: &str = "\
`action` is build-fastapi-image. `guide` is the Dockerfile of uv's guide, `layers` one that copies the \
environment and the source apart, `cache` keeps intermediate layers in the registry as well. A *new project* \
has empty caches and an empty registry; a *fresh runner* has empty caches and the image of the build before \
in the registry; a *warm laptop* has what the tool keeps.

CPU and memory are those of all processes: daemon, containers and client. Memory is what processes hold, \
without the kernel's copies of files. *sent* and *received* are the registry's traffic, *index* is what \
came from the package index. Everybody has a new disk (ext4), but for the laptop. Nobody fetches `uv` or itself, \
and BuildKit's daemon is up before the clock starts. The action does more than its peers: a bill of materials, \
provenance and, when all layers are made, the OpenAPI document.
";

/// What a run was.
pub struct Run<'a> {
    /// What it was made with, name and version.
    pub facts: Vec<(&'static str, String)>,
    /// What was measured.
    pub samples: &'a [Sample],
    /// Who did not get through, and why.
    pub failures: &'a [(&'static str, String)],
}

impl Run<'_> {
    /// Writes the report for people.
    pub fn markdown(&self) -> String {
        let mut text = format!("# Building an image of a FastAPI application\n\n{ABOUT}\n");
        for (name, value) in &self.facts {
            let _ = writeln!(text, "- {name}: {value}");
        }
        for (name, why) in self.failures {
            let first = why.lines().next().unwrap_or_default();
            let _ = writeln!(text, "- **`{name}` failed**: {first}");
        }
        let ratios = ratios(self.samples);
        if !ratios.is_empty() {
            text += &compared(&ratios);
            text += &won(&ratios);
        }
        text + &values(self.samples)
    }

    /// Writes the report for programs.
    pub fn json(&self) -> Value {
        let facts: serde_json::Map<String, Value> = self
            .facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        json!({
            "facts": facts,
            "ratios": ratios(self.samples),
            "samples": self.samples,
            "failures": self.failures.iter().map(|(name, why)| json!({ "contender": name, "why": why })).collect::<Vec<_>>(),
        })
    }
}

/// Writes the table of ratios.
fn compared(ratios: &[Ratio]) -> String {
    let mut text = String::from(
        "\n## The action's value divided by the best peer's\n\nBelow 1 the action is better; **bold** is where a peer is.\n\n| where | what changed |",
    );
    let names = METRICS.iter().map(|metric| metric_word(metric.name));
    let _ = writeln!(text, " {} |", names.collect::<Vec<_>>().join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---:|".repeat(METRICS.len()));
    let mut rest = ratios;
    while let Some(first) = rest.first() {
        let count = rest
            .iter()
            .take_while(|ratio| (ratio.place, ratio.change) == (first.place, first.change))
            .count();
        let (row, below) = rest.split_at(count);
        rest = below;
        let _ = write!(
            text,
            "| {} | {} |",
            first.place.words(),
            first.change.words()
        );
        for metric in &METRICS {
            let cell = row
                .iter()
                .find(|ratio| ratio.metric == metric.name)
                .map_or_else(|| "–".to_owned(), cell);
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

fn cell(ratio: &Ratio) -> String {
    let value = format!("{:.2}", ratio.times);
    if ratio.times >= WON {
        format!("**{value}** {}", ratio.peer)
    } else {
        format!("{value} {}", ratio.peer)
    }
}

/// Writes where a peer is better.
fn won(ratios: &[Ratio]) -> String {
    let mut text = String::from("\n## Where a peer wins\n\n");
    let lost: Vec<&Ratio> = ratios.iter().filter(|ratio| ratio.times >= WON).collect();
    if lost.is_empty() {
        text += "Nowhere, by any of these measures.\n";
    }
    for ratio in lost {
        let _ = writeln!(
            text,
            "- {}, {}: `{}` by {} (the action takes {:.2} times as much)",
            ratio.place.words(),
            ratio.change.words(),
            ratio.peer,
            metric_word(ratio.metric),
            ratio.times
        );
    }
    text
}

/// Gives a measure's name without its unit.
fn metric_word(name: &str) -> &str {
    name.rsplit_once(' ').map_or(name, |(word, _)| word)
}

/// Writes the medians of everything.
fn values(samples: &[Sample]) -> String {
    let mut text = String::from("\n## Medians\n");
    for ((place, change), builds) in grid(samples) {
        let _ = writeln!(text, "\n### {}, {}\n", place.words(), change.words());
        let names = METRICS.iter().map(|metric| metric.name);
        let _ = writeln!(text, "| | {} |", names.collect::<Vec<_>>().join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(METRICS.len()));
        for contender in CONTENDERS.iter().map(|contender| contender.name) {
            let Some(builds) = builds.get(contender) else {
                continue;
            };
            let cells = METRICS.iter().map(|metric| number(builds, metric));
            let _ = writeln!(
                text,
                "| {contender} | {} |",
                cells.collect::<Vec<_>>().join(" | ")
            );
        }
    }
    text
}

fn number(builds: &[&Sample], metric: &Metric) -> String {
    median(builds, metric).map_or_else(|| "–".into(), |value| format!("{:.2}", value / metric.unit))
}

/// Says one build in a line.
pub fn line(sample: &Sample) -> String {
    let measures = METRICS.iter().map(|metric| {
        let (word, value) = (metric.name, number(&[sample], metric));
        format!("{word} {value}")
    });
    format!(
        "{}, {}, {}: {}",
        sample.contender,
        sample.place.words(),
        sample.change.words(),
        measures.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::contender::ACTION;
    use super::super::sample::tests::sample;
    use super::*;

    fn report(samples: &[Sample]) -> String {
        let run = Run {
            facts: vec![("packages", "86".into())],
            samples,
            failures: &[("buildah-guide", "it ended with 1\nand more".into())],
        };
        run.markdown()
    }

    #[test]
    fn a_peer_that_wins_is_named() {
        let text = report(&[sample(ACTION, 3.0, 1e6), sample("buildkit-guide", 2.0, 4e6)]);
        for expected in [
            "| fresh runner | one source line | **1.50** buildkit-guide | 1.00 buildkit-guide |",
            "- fresh runner, one source line: `buildkit-guide` by wall (the action takes 1.50 times",
            "| action | 3.00 | 1.00 | 0.00 | 1.00 | 0.00 | – | 0.00 |",
            "- packages: 86\n- **`buildah-guide` failed**: it ended with 1\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert_eq!(text.matches("- fresh runner").count(), 1, "{text}");
    }

    #[test]
    fn without_the_action_nothing_is_compared() {
        let text = report(&[sample("buildkit-guide", 2.0, 4e6)]);
        assert!(!text.contains("Where a peer wins"), "{text}");
        assert!(text.contains("| buildkit-guide | 2.00 |"), "{text}");
    }
}
