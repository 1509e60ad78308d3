//! What was measured, and what it comes to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::contender::ACTION;
use super::project::Change;

/// Where a build runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Nothing is kept, and the registry holds nothing but the base image.
    New,
    /// A runner that keeps nothing; the registry holds the image of the build before.
    Runner,
    /// A laptop that keeps what the tool keeps.
    Laptop,
}

impl Place {
    /// Says it for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::New => "new project",
            Self::Runner => "fresh runner",
            Self::Laptop => "warm laptop",
        }
    }
}

/// What is compared of a build; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measures {
    /// From the start of the build to the end of the push.
    pub wall_seconds: f64,
    /// Of all processes, daemons and containers.
    pub cpu_seconds: f64,
    /// The most that all processes held at one time.
    pub memory_bytes: f64,
    /// To the registry.
    pub sent_bytes: f64,
    /// From the registry.
    pub received_bytes: f64,
    /// From the package index; nothing where it was not counted.
    pub index_bytes: Option<f64>,
    /// What a first pull of the image takes.
    pub image_bytes: f64,
}

/// One build.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Who built.
    pub contender: &'static str,
    /// Where.
    pub place: Place,
    /// What had changed.
    pub change: Change,
    /// In which round, from 1.
    pub round: u32,
    /// What was measured.
    #[serde(flatten)]
    pub measures: Measures,
}

/// One of the measures.
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Divides a value for people.
    pub unit: f64,
    /// What is less than this is as good as nothing: two that stay below are even.
    pub floor: f64,
    /// Takes it from a build.
    pub value: fn(&Measures) -> Option<f64>,
}

const fn metric(
    name: &'static str,
    unit: f64,
    floor: f64,
    value: fn(&Measures) -> Option<f64>,
) -> Metric {
    Metric {
        name,
        unit,
        floor,
        value,
    }
}

/// All measures, in the order of the tables.
pub const METRICS: [Metric; 7] = [
    metric("wall s", 1.0, 0.0, |all| Some(all.wall_seconds)),
    metric("CPU s", 1.0, 0.0, |all| Some(all.cpu_seconds)),
    metric("memory MB", 1e6, 0.0, |all| Some(all.memory_bytes)),
    metric("sent MB", 1e6, 1e5, |all| Some(all.sent_bytes)),
    metric("received MB", 1e6, 1e5, |all| Some(all.received_bytes)),
    metric("index MB", 1e6, 1e5, |all| all.index_bytes),
    metric("image MB", 1e6, 0.0, |all| Some(all.image_bytes)),
];

/// A situation: where, and after what.
pub type Situation = (Place, Change);

/// The builds of each situation, by who built.
pub type Grid<'a> = BTreeMap<Situation, BTreeMap<&'static str, Vec<&'a Sample>>>;

/// Sorts samples by situation and contender.
pub fn grid(samples: &[Sample]) -> Grid<'_> {
    let mut grid = Grid::new();
    for sample in samples {
        let situation = grid.entry((sample.place, sample.change)).or_default();
        situation.entry(sample.contender).or_default().push(sample);
    }
    grid
}

/// Gives the median of a measure over some builds.
pub fn median(samples: &[&Sample], metric: &Metric) -> Option<f64> {
    let mut values: Vec<f64> = samples
        .iter()
        .filter_map(|sample| (metric.value)(&sample.measures))
        .collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some(f64::midpoint(values[low], values[high]))
}

/// How the action compares with the best of its peers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Where.
    pub place: Place,
    /// After what.
    pub change: Change,
    /// By which measure.
    pub metric: &'static str,
    /// The action's value divided by the peer's.
    pub times: f64,
    /// The best peer.
    pub peer: &'static str,
}

/// Compares the action with the best peer of each situation, by each measure.
pub fn ratios(samples: &[Sample]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for ((place, change), builds) in grid(samples) {
        for metric in &METRICS {
            let value = |name: &str| median(builds.get(name)?, metric);
            let best = builds
                .keys()
                .filter(|name| **name != ACTION)
                .filter_map(|name| Some((*name, value(name)?)))
                .min_by(|one, other| one.1.total_cmp(&other.1));
            let (Some(own), Some((peer, best))) = (value(ACTION), best) else {
                continue;
            };
            ratios.push(Ratio {
                place,
                change,
                metric: metric.name,
                times: own.max(metric.floor) / best.max(metric.floor),
                peer,
            });
        }
    }
    ratios
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A build of which only time and what was sent matter.
    pub fn sample(contender: &'static str, wall: f64, sent: f64) -> Sample {
        Sample {
            contender,
            place: Place::Runner,
            change: Change::Line,
            round: 1,
            measures: Measures {
                wall_seconds: wall,
                cpu_seconds: 1.0,
                memory_bytes: 1.0,
                sent_bytes: sent,
                received_bytes: 0.0,
                index_bytes: None,
                image_bytes: 1.0,
            },
        }
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        let samples = [3.0, 1.0, 9.0, 2.0].map(|wall| sample(ACTION, wall, 0.0));
        let all: Vec<&Sample> = samples.iter().collect();
        assert_eq!(median(&all[..3], &METRICS[0]), Some(3.0));
        assert_eq!(median(&all, &METRICS[0]), Some(2.5));
        assert_eq!(median(&[], &METRICS[0]), None);
        assert_eq!(median(&all, &METRICS[5]), None);
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
