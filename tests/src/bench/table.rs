//! The report: ratios first, where a peer wins, then every value.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::sample::{Benchmark, Metric, Ratio, Sample, grid, median, ratios};

/// From this ratio on a peer has won; what is less is within what two runs differ by.
const WON: f64 = 1.05;
/// What was found out.
pub struct Report<'a, B: Benchmark> {
    /// What it was made with, name and value.
    pub facts: Vec<(&'static str, String)>,
    /// What was measured.
    pub samples: &'a [Sample<B>],
    /// Who did not get through, and why.
    pub failures: &'a [(&'static str, String)],
}

impl<B: Benchmark> Report<'_, B> {
    /// Writes the report for people.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n", B::TITLE, B::ABOUT);
        for (name, value) in &self.facts {
            let _ = writeln!(text, "- {name}: {value}");
        }
        for (name, why) in self.failures {
            let first = why.lines().next().unwrap_or_default();
            let _ = writeln!(text, "- **`{name}` failed**: {first}");
        }
        let ratios = ratios(self.samples);
        if !ratios.is_empty() {
            text += &compared::<B>(&ratios);
            text += &won::<B>(&ratios);
        }
        text += &B::remarks(self.samples);
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
fn compared<B: Benchmark>(ratios: &[Ratio<B::Situation>]) -> String {
    let mut text = String::from(
        "\n## The action's value divided by the best peer's\n\nBelow 1 the action is better; **bold** is where a peer is.\n\n",
    );
    let names = B::METRICS.iter().map(|metric| metric_word(metric.name));
    let heads: Vec<&str> = B::COLUMNS.iter().copied().chain(names).collect();
    let _ = writeln!(text, "| {} |", heads.join(" | "));
    let lines = [
        "---|".repeat(B::COLUMNS.len()),
        "---:|".repeat(B::METRICS.len()),
    ];
    let _ = writeln!(text, "|{}", lines.concat());
    for row in ratios.chunk_by(|one, other| one.situation == other.situation) {
        let mut cells: Vec<String> = B::words(row[0].situation)
            .into_iter()
            .map(ToOwned::to_owned)
            .collect();
        cells.extend(B::METRICS.iter().map(|metric| {
            row.iter()
                .find(|ratio| ratio.metric == metric.name)
                .map_or_else(|| "–".to_owned(), cell)
        }));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

fn cell<S>(ratio: &Ratio<S>) -> String {
    let value = format!("{:.2}", ratio.times);
    if ratio.times >= WON {
        format!("**{value}** {}", ratio.peer)
    } else {
        format!("{value} {}", ratio.peer)
    }
}

/// Writes where a peer is better.
fn won<B: Benchmark>(ratios: &[Ratio<B::Situation>]) -> String {
    let mut text = String::from("\n## Where a peer wins\n\n");
    let mut lost = ratios.iter().filter(|ratio| ratio.times >= WON).peekable();
    if lost.peek().is_none() {
        text += "Nowhere, by any of these measures.\n";
    }
    for ratio in lost {
        let _ = writeln!(
            text,
            "- {}: `{}` by {} (the action takes {:.2} times as much)",
            B::words(ratio.situation).join(", "),
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
fn values<B: Benchmark>(samples: &[Sample<B>]) -> String {
    let mut text = String::from("\n## Medians\n");
    for (situation, runs) in grid(samples) {
        let _ = writeln!(text, "\n### {}\n", B::words(situation).join(", "));
        let names = B::METRICS.iter().map(|metric| metric.name);
        let _ = writeln!(text, "| | {} |", names.collect::<Vec<_>>().join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(B::METRICS.len()));
        for contender in B::CONTENDERS {
            let Some(runs) = runs.get(contender) else {
                continue;
            };
            let cells = B::METRICS.iter().map(|metric| number(runs, metric));
            let _ = writeln!(
                text,
                "| {contender} | {} |",
                cells.collect::<Vec<_>>().join(" | ")
            );
        }
    }
    text
}

fn number<B: Benchmark>(runs: &[&Sample<B>], metric: &Metric<B::Measures>) -> String {
    median(runs, metric).map_or_else(|| "–".into(), |value| format!("{:.2}", value / metric.unit))
}

/// Says one run in a line.
pub fn line<B: Benchmark>(sample: &Sample<B>) -> String {
    let measures = B::METRICS.iter().map(|metric| {
        let (word, value) = (metric.name, number(&[sample], metric));
        format!("{word} {value}")
    });
    format!(
        "{}, {}: {}",
        sample.contender,
        B::words(sample.situation).join(", "),
        measures.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::ACTION;
    use super::super::image::Image;
    use super::super::image::tests::sample;
    use super::*;

    fn report(samples: &[Sample<Image<'_>>]) -> String {
        let run = Report {
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
