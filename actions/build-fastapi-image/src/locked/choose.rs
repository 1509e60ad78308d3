//! Which packages a platform gets, and which wheel of each.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use oci_image::Digest;

use super::wheel::{Tags, Wheel};
use super::{Locked, LockedFile, Package, Pin, Target, marker, wish};
use crate::error::BuildError;
use crate::python::fits;

/// How many wheels a refusal lists.
const SHOWN: usize = 4;

impl Locked {
    /// Puts everything in order, and what is said twice together.
    pub(super) fn finish(&mut self) {
        self.members
            .sort_by_key(|member| (!member.project, member.name.clone()));
        self.members.dedup_by(|a, b| a.folder == b.folder);
        let key = |pin: &Pin| (pin.name.clone(), pin.version.clone(), pin.source.clone());
        self.pins.sort_by_key(key);
        self.pins.dedup_by(|later, first| {
            let same = key(later) == key(first);
            if same {
                first.marker.or(later.marker.clone());
                for file in &later.files {
                    if !first.files.contains(file) {
                        first.files.push(file.clone());
                    }
                }
            }
            same
        });
    }

    /// Chooses the packages of a platform, by name, and a wheel of each.
    pub(crate) fn packages(&self, target: &Target) -> Result<Vec<Package>, BuildError> {
        self.is_for(target)?;
        let environment = marker::environment(target)?;
        let needed = |pin: &&Pin| pin.marker.evaluate(&environment, &[]);
        let pins: Vec<&Pin> = self.pins.iter().filter(needed).collect();
        self.are_single(&pins, target)?;
        let tags = Tags::of(target);
        let (mut packages, mut missing, mut unhashed) = (Vec::new(), Vec::new(), Vec::new());
        for pin in pins {
            let Some(package) = pin.package(&tags) else {
                missing.push(pin.without_wheel(target));
                continue;
            };
            let wheel = package.wheel.as_ref();
            if package.hashes.is_empty() || wheel.is_some_and(|wheel| wheel.sha256.is_none()) {
                unhashed.push(format!("`{}`", package.name));
            }
            packages.push(package);
        }
        if !missing.is_empty() {
            return Err(BuildError::NoWheels {
                target: target.to_string(),
                packages: missing,
            });
        }
        if !unhashed.is_empty() {
            return Err(BuildError::NoHashes {
                lock: self.file.clone(),
                packages: unhashed.join(", "),
            });
        }
        Ok(packages)
    }

    /// Writes packages as a list for `uv pip install --require-hashes --no-deps`; what is in the
    /// checkout has its path from there.
    pub(crate) fn requirements(&self, packages: &[&Package]) -> String {
        let mut list = format!("# {}\n", self.format.word());
        for package in packages {
            let Package { name, version, .. } = package;
            let url = package.wheel.as_ref().and_then(|wheel| wheel.url.as_ref());
            let _ = match url.filter(|_| package.direct) {
                Some(url) if url.contains("://") => write!(list, "{name} @ {url}"),
                Some(path) => write!(list, "./{path}"),
                None => write!(list, "{name}=={version}"),
            };
            // One hash leaves no choice: what was chosen here is what is installed.
            let chosen = package
                .wheel
                .as_ref()
                .and_then(|wheel| wheel.sha256.as_ref());
            let hashes = match chosen.filter(|_| !package.direct) {
                Some(one) => std::slice::from_ref(one),
                None => &package.hashes,
            };
            for hash in hashes {
                let _ = write!(list, " --hash={hash}");
            }
            list.push('\n');
        }
        list
    }

    /// Refuses a platform or a Python that the lock file was not made for.
    fn is_for(&self, target: &Target) -> Result<(), BuildError> {
        let any = self
            .pythons
            .iter()
            .any(|python| fits(&target.python, python));
        if !self.pythons.is_empty() && !any {
            let wanted: Vec<String> = self.pythons.iter().map(|p| format!("`{p}`")).collect();
            return Err(BuildError::LockPython {
                lock: self.file.clone(),
                wanted: wanted.join(" or "),
                python: target.python.to_string(),
            });
        }
        let environment = marker::environment(target)?;
        let covers = |marker: &pep508_rs::MarkerTree| marker.evaluate(&environment, &[]);
        if self.environments.is_empty() || self.environments.iter().any(covers) {
            return Ok(());
        }
        let there = self
            .environments
            .iter()
            .filter_map(pep508_rs::MarkerTree::try_to_string);
        let there: Vec<String> = there.map(|text| format!("`{text}`")).collect();
        Err(BuildError::LockEnvironment {
            lock: self.file.clone(),
            target: target.to_string(),
            there: there.join(", "),
        })
    }

    /// Refuses two packages of one name.
    fn are_single(&self, pins: &[&Pin], target: &Target) -> Result<(), BuildError> {
        let twice = pins.windows(2).find(|pair| pair[0].name == pair[1].name);
        let Some([first, _]) = twice else {
            return Ok(());
        };
        let all = pins.iter().filter(|pin| pin.name == first.name);
        let versions: Vec<String> = all
            .map(|pin| match &pin.source {
                Some(source) => format!("{} from {source}", pin.version),
                None => pin.version.clone(),
            })
            .collect();
        Err(BuildError::TwoVersions {
            lock: self.file.clone(),
            name: first.name.clone(),
            versions: versions.join(", "),
            target: target.to_string(),
        })
    }
}

impl Pin {
    /// Takes the wheel that fits best; `None` when none fits.
    fn package(&self, tags: &Tags) -> Option<Package> {
        let mut hashes: Vec<Digest> = self.files.iter().filter_map(|f| f.sha256.clone()).collect();
        hashes.sort();
        hashes.dedup();
        let mut package = Package {
            name: self.name.clone(),
            version: self.version.clone(),
            wheel: None,
            hashes,
            pure: false,
            direct: self.direct,
            index: self.source.clone().filter(|_| !self.direct),
        };
        let unnamed = |file: &LockedFile| file.name.is_none();
        if !self.files.is_empty() && self.files.iter().all(unnamed) {
            return Some(package);
        }
        let ranked = self.files.iter().filter_map(|file| {
            let wheel = Wheel::parse(file.name.as_deref()?)?;
            Some((tags.rank(&wheel)?, &file.name, file, wheel.is_pure()))
        });
        let (_, _, file, pure) = ranked.min_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)))?;
        package.wheel = Some(file.clone());
        package.pure = pure;
        Some(package)
    }

    /// Says what there is of a package that has no wheel for a platform.
    fn without_wheel(&self, target: &Target) -> String {
        let name = format!("`{}` {}", self.name, self.version);
        let name = name.trim_end();
        let wheels = self.files.iter().filter_map(|file| file.name.as_deref());
        let wheels: Vec<Wheel<'_>> = wheels.filter_map(Wheel::parse).collect();
        if self.files.is_empty() {
            let source = self.source.as_deref().unwrap_or("an unknown place");
            return format!(
                "{name} (it comes from {})",
                wish::without_credentials(source)
            );
        }
        if wheels.is_empty() {
            return format!("{name} (it has a source distribution only)");
        }
        // Those for the platform say best what helps: another Python.
        let near = |wheel: &&Wheel<'_>| wheel.is_for_machine(target.machine());
        let (near, far): (Vec<_>, Vec<_>) = wheels.iter().partition(near);
        let mut seen = BTreeSet::new();
        let tags: Vec<String> = near
            .iter()
            .chain(&far)
            .map(|wheel| wheel.tag())
            .filter(|tag| seen.insert(tag.clone()))
            .collect();
        let shown: Vec<String> = tags
            .iter()
            .take(SHOWN)
            .map(|tag| format!("`{tag}`"))
            .collect();
        let more = match tags.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{name} (it has {}{more})", shown.join(", "))
    }
}
