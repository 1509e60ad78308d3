//! What was measured, and what it comes to.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::ACTION;

/// What is compared where, and by which measures.
pub trait Benchmark: Sized {
    /// Where, and after what.
    type Situation: Copy + Ord + Serialize;
    /// What is compared of a run; less is better.
    type Measures: Serialize + 'static;

    /// The name: of the command, and of the report.
    const NAME: &'static str;
    /// The report's title.
    const TITLE: &'static str;
    /// What the tables mean.
    const ABOUT: &'static str;
    /// Who is compared, the action first.
    const CONTENDERS: &'static [&'static str];
    /// What a situation says, as the heads of its columns.
    const COLUMNS: &'static [&'static str];
    /// All measures, in the order of the tables.
    const METRICS: &'static [Metric<Self::Measures>];

    /// Says a situation for people, column by column.
    fn words(situation: Self::Situation) -> Vec<&'static str>;

    /// Takes a contender through all situations; each is told when it was measured.
    fn measure(
        &self,
        contender: &'static str,
        tell: &mut dyn FnMut(Self::Situation, Self::Measures),
    ) -> Result<()>;

    /// Says what a run was made with, name and value.
    fn facts(&self) -> Result<Vec<(&'static str, String)>>;

    /// Writes what the report says beside its tables.
    fn remarks(_samples: &[Sample<Self>]) -> String {
        String::new()
    }
}

/// One run.
#[derive(Serialize)]
#[serde(bound = "")]
pub struct Sample<B: Benchmark> {
    /// Who ran.
    pub contender: &'static str,
    /// Where, and after what.
    pub situation: B::Situation,
    /// In which round, from 1.
    pub round: u32,
    /// What was measured.
    #[serde(flatten)]
    pub measures: B::Measures,
}

/// One of the measures.
pub struct Metric<M> {
    /// Its name.
    pub name: &'static str,
    /// Divides a value for people.
    pub unit: f64,
    /// What is less than this is as good as nothing: two that stay below are even.
    pub floor: f64,
    /// Takes it from what was measured.
    pub value: fn(&M) -> Option<f64>,
}

/// Describes a measure.
pub const fn metric<M>(
    name: &'static str,
    unit: f64,
    floor: f64,
    value: fn(&M) -> Option<f64>,
) -> Metric<M> {
    Metric {
        name,
        unit,
        floor,
        value,
    }
}

/// The runs of each situation, by who ran.
pub type Grid<'a, B> =
    BTreeMap<<B as Benchmark>::Situation, BTreeMap<&'static str, Vec<&'a Sample<B>>>>;

/// Sorts samples by situation and contender.
pub fn grid<B: Benchmark>(samples: &[Sample<B>]) -> Grid<'_, B> {
    let mut grid = Grid::<B>::new();
    for sample in samples {
        let situation = grid.entry(sample.situation).or_default();
        situation.entry(sample.contender).or_default().push(sample);
    }
    grid
}

/// Gives the median of a measure over some runs.
pub fn median<B: Benchmark>(samples: &[&Sample<B>], metric: &Metric<B::Measures>) -> Option<f64> {
    let mut values: Vec<f64> = samples
        .iter()
        .filter_map(|sample| (metric.value)(&sample.measures))
        .collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some(f64::midpoint(values[low], values[high]))
}

/// How the action compares with the best of its peers.
#[derive(Debug, PartialEq, Serialize)]
pub struct Ratio<S> {
    /// Where, and after what.
    pub situation: S,
    /// By which measure.
    pub metric: &'static str,
    /// The action's value divided by the peer's.
    pub times: f64,
    /// The best peer.
    pub peer: &'static str,
}

/// Compares the action with the best peer of each situation, by each measure.
pub fn ratios<B: Benchmark>(samples: &[Sample<B>]) -> Vec<Ratio<B::Situation>> {
    let mut ratios = Vec::new();
    for (situation, runs) in grid(samples) {
        for metric in B::METRICS {
            let value = |name: &str| median(runs.get(name)?, metric);
            let best = runs
                .keys()
                .filter(|name| **name != ACTION)
                .filter_map(|name| Some((*name, value(name)?)))
                .min_by(|one, other| one.1.total_cmp(&other.1));
            let (Some(own), Some((peer, best))) = (value(ACTION), best) else {
                continue;
            };
            ratios.push(Ratio {
                situation,
                metric: metric.name,
                times: own.max(metric.floor) / best.max(metric.floor),
                peer,
            });
        }
    }
    ratios
}

#[cfg(test)]
mod tests {
    use super::super::image::Image;
    use super::super::image::tests::sample;
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        let samples = [3.0, 1.0, 9.0, 2.0].map(|wall| sample(ACTION, wall, 0.0));
        let all: Vec<&Sample<Image<'_>>> = samples.iter().collect();
        assert_eq!(median(&all[..3], &Image::METRICS[0]), Some(3.0));
        assert_eq!(median(&all, &Image::METRICS[0]), Some(2.5));
        assert_eq!(median::<Image<'_>>(&[], &Image::METRICS[0]), None);
        assert_eq!(median(&all, &Image::METRICS[5]), None);
    }

    #[test]
    fn the_action_is_compared_with_the_best_peer_of_each_measure() {
        let samples = [
            sample(ACTION, 2.0, 9e4),
            sample("buildkit-guide", 1.0, 5e6),
            sample("buildah-guide", 4.0, 1e3),
        ];
        let ratios = ratios(&samples);
        let of = |name: &str| ratios.iter().find(|ratio| ratio.metric == name);
        let wall = of("wall s").unwrap();
        assert_eq!((wall.times, wall.peer), (2.0, "buildkit-guide"));
        // Both sent next to nothing.
        let sent = of("sent MB").unwrap();
        assert_eq!((sent.times, sent.peer), (1.0, "buildah-guide"));
        assert_eq!(of("index MB"), None);
    }
}
