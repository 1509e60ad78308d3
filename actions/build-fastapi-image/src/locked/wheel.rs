//! The names of wheels, and which of them a platform takes first.
//!
//! The order is that of `packaging.tags` and of uv, for `CPython` on a platform with glibc.

use std::collections::BTreeMap;

use super::Target;

/// The oldest glibc that wheels are made for: minor versions of 2.
const OLDEST: [(&str, u16); 2] = [("x86_64", 5), ("aarch64", 17)];
/// What some versions of glibc were called before they were written out.
const OLD_NAMES: [(u16, &str); 3] = [
    (17, "manylinux2014"),
    (12, "manylinux2010"),
    (5, "manylinux1"),
];

/// The name of a wheel, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wheel<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    /// A number, and what stands behind it; it decides between wheels of equal tags.
    build: Option<(u64, &'a str)>,
    pythons: Vec<&'a str>,
    abis: Vec<&'a str>,
    platforms: Vec<&'a str>,
}

impl<'a> Wheel<'a> {
    /// Reads the name of a file; `None` for what is no wheel.
    pub(super) fn parse(file: &'a str) -> Option<Self> {
        let parts: Vec<&str> = file.strip_suffix(".whl")?.split('-').collect();
        let (name, version, build, tags) = match parts[..] {
            [name, version, python, abi, platform] => {
                (name, version, None, [python, abi, platform])
            }
            [name, version, build, python, abi, platform] => {
                (name, version, Some(build), [python, abi, platform])
            }
            _ => return None,
        };
        let build = match build {
            Some(build) => Some(number(build)?),
            None => None,
        };
        let [pythons, abis, platforms] = tags.map(|tag| tag.split('.').collect());
        Some(Self {
            name,
            version,
            build,
            pythons,
            abis,
            platforms,
        })
    }

    /// Says whether it runs anywhere: its tag is `py3-none-any`.
    pub(super) fn is_pure(&self) -> bool {
        self.pythons.iter().any(|python| python.starts_with("py3"))
            && self.abis == ["none"]
            && self.platforms == ["any"]
    }

    /// Says what it is for, in one word.
    pub(super) fn tag(&self) -> String {
        [&self.pythons, &self.abis, &self.platforms]
            .map(|tags| tags.join("."))
            .join("-")
    }

    /// Says whether it is for a kind of machine with glibc, whatever its Python.
    pub(super) fn is_for_machine(&self, machine: &str) -> bool {
        self.platforms
            .iter()
            .any(|platform| platform.starts_with("manylinux") && platform.ends_with(machine))
    }
}

fn number(build: &str) -> Option<(u64, &str)> {
    let end = build
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(build.len());
    let (digits, rest) = build.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// What a platform takes, the best first.
#[derive(Debug)]
pub(super) struct Tags(BTreeMap<String, usize>);

/// How well a wheel fits; the smallest is the best.
pub(super) type Rank = (usize, std::cmp::Reverse<Option<(u64, String)>>);

impl Tags {
    /// Lists what a platform takes.
    pub(super) fn of(target: &Target) -> Self {
        let platforms = platforms(target);
        let minor = target.python.minor_number();
        let mut tags = Vec::new();
        let mut native = |python: String, abi: &str| {
            tags.extend(platforms.iter().map(|p| format!("{python}-{abi}-{p}")));
        };
        native(format!("cp3{minor}"), &format!("cp3{minor}"));
        native(format!("cp3{minor}"), "abi3");
        native(format!("cp3{minor}"), "none");
        for older in (2..minor).rev() {
            native(format!("cp3{older}"), "abi3");
        }
        let pure = || {
            let newest = [format!("py3{minor}"), "py3".into()];
            newest
                .into_iter()
                .chain((0..minor).rev().map(|older| format!("py3{older}")))
        };
        for python in pure() {
            native(python, "none");
        }
        let exact = std::iter::once(format!("cp3{minor}"));
        tags.extend(
            exact
                .chain(pure())
                .map(|python| format!("{python}-none-any")),
        );
        Self(tags.into_iter().zip(0..).collect())
    }

    /// Says how well a wheel fits; `None` when it does not.
    pub(super) fn rank(&self, wheel: &Wheel<'_>) -> Option<Rank> {
        let mut best: Option<usize> = None;
        for python in &wheel.pythons {
            for abi in &wheel.abis {
                for platform in &wheel.platforms {
                    let rank = self.0.get(&format!("{python}-{abi}-{platform}")).copied();
                    best = [best, rank].into_iter().flatten().min();
                }
            }
        }
        let build = wheel.build.map(|(number, rest)| (number, rest.to_owned()));
        Some((best?, std::cmp::Reverse(build)))
    }
}

/// Lists the platform tags, the newest glibc first.
fn platforms(target: &Target) -> Vec<String> {
    let machine = target.machine();
    let oldest = OLDEST.iter().find(|(known, _)| *known == machine);
    let (major, newest) = target.glibc;
    let mut platforms = Vec::new();
    for minor in (oldest.map_or(17, |(_, minor)| *minor)..=newest).rev() {
        platforms.push(format!("manylinux_{major}_{minor}_{machine}"));
        let old = OLD_NAMES.iter().find(|(known, _)| *known == minor);
        platforms.extend(old.map(|(_, name)| format!("{name}_{machine}")));
    }
    platforms.push(format!("linux_{machine}"));
    platforms
}

#[cfg(test)]
mod tests {
    use oci_image::Platform;

    use super::*;
    use crate::python::Version;

    fn best<'a>(python: &str, platform: &str, tags: &[&'a str]) -> Option<&'a str> {
        let platform: Platform = platform.parse().expect("a platform");
        let python = Version::parse(python).expect("a version");
        let fitting = Tags::of(&Target::new(platform, python));
        let ranked = tags.iter().filter_map(|tag| {
            let file = format!("x-1.0-{tag}.whl");
            Some((fitting.rank(&Wheel::parse(&file)?)?, *tag))
        });
        ranked.min().map(|(_, tag)| tag)
    }

    #[test]
    fn names() {
        let wheel = Wheel::parse("torch-2.5.1+cpu-1local-cp312-cp312-linux_x86_64.whl");
        let wheel = wheel.expect("a wheel");
        assert_eq!((wheel.name, wheel.version), ("torch", "2.5.1+cpu"));
        assert_eq!(wheel.build, Some((1, "local")));
        assert!(!wheel.is_pure());
        assert!(!wheel.is_for_machine("x86_64"));
        let pure = Wheel::parse("six-1.17.0-py2.py3-none-any.whl");
        assert!(pure.expect("a wheel").is_pure());
        for none in [
            "six-1.17.0.tar.gz",
            "six-1.17.0.whl",
            "a-1-x-cp3-abi3-any.whl",
        ] {
            assert_eq!(Wheel::parse(none), None, "{none}");
        }
    }

    #[test]
    fn the_best_of_several() {
        let all = [
            "py3-none-any",
            "cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64",
            "cp312-abi3-manylinux2014_x86_64",
            "cp313-cp313-manylinux_2_12_x86_64",
            "cp313-cp313-manylinux_2_28_x86_64",
            "cp313-cp313-manylinux_2_34_x86_64",
            "cp313-cp313-musllinux_1_2_x86_64",
            "cp313-cp313t-manylinux_2_28_x86_64",
            "cp314-cp314-manylinux_2_28_aarch64",
        ];
        let on = |python, platform| best(python, platform, &all);
        assert_eq!(
            on("3.13.1", "linux/amd64"),
            Some("cp313-cp313-manylinux_2_28_x86_64")
        );
        assert_eq!(
            on("3.14", "linux/amd64"),
            Some("cp312-abi3-manylinux2014_x86_64")
        );
        assert_eq!(
            on("3.11.9", "linux/amd64"),
            Some("cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64")
        );
        assert_eq!(on("3.10", "linux/amd64"), Some("py3-none-any"));
        assert_eq!(
            on("3.14.0", "linux/arm64"),
            Some("cp314-cp314-manylinux_2_28_aarch64")
        );
        assert_eq!(on("3.12", "linux/arm64"), Some("py3-none-any"));
    }

    #[test]
    fn builds_decide_between_equals() {
        let tags = ["py3-none-any", "2-py3-none-any", "10-py3-none-any"];
        assert_eq!(best("3.14", "linux/amd64", &tags), Some("10-py3-none-any"));
    }

    #[test]
    fn what_never_fits() {
        let others = [
            "cp313-cp313-musllinux_1_2_x86_64",
            "cp313-cp313-win_amd64",
            "cp313-cp313-macosx_11_0_arm64",
            "cp313-cp313-manylinux_2_39_x86_64",
            "cp312-cp312-manylinux_2_28_x86_64",
            "cp312-none-any",
            "pp311-pypy311_pp73-manylinux_2_28_x86_64",
            "py2-none-any",
        ];
        assert_eq!(best("3.13", "linux/amd64", &others), None);
    }
}
