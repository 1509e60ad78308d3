//! Which packages share a layer, and the key by which a layer is known before it is made.
//!
//! A layer of packages is a function of its key: the wheels by digest, Python's version and the
//! form of the archive. A key that an earlier image carries names a layer that need not be
//! downloaded, made or sent again.

use std::collections::BTreeMap;

use oci_image::{Digest, Document, Platform};
use serde::Serialize;

use crate::inputs::Bytecode;
use crate::locked::Package;
use crate::python::Version;

/// Changes whenever equal inputs give other bytes than before: the form of the archive, of
/// scripts and of compiled modules. A test pins it to the digest of a layer.
pub(crate) const FORM: u32 = 4;
/// A wheel of at least this many bytes gets a layer of its own, ...
const LARGE: u64 = 1_000_000;
/// ... as long as no more than so many do: the largest ones.
const LARGE_LAYERS: usize = 8;
/// How many layers the other wheels for all platforms share, and those for one platform. Which
/// layer a package goes to depends on its name alone, so that a package that comes, goes or
/// changes touches one layer.
const SHARED_LAYERS: [(bool, u8); 2] = [(true, 4), (false, 2)];

/// Packages that share a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Names the layer, for people: a package, or the kind of packages and a number.
    pub(crate) name: String,
    /// The packages, by name.
    pub(crate) packages: Vec<Package>,
    /// Whether all of them are the same for every platform.
    pub(crate) pure: bool,
}

/// Spreads packages over layers, bottom first: what is large lies below what is small, because a
/// layer that changes is unpacked again together with all above it.
pub(crate) fn groups(packages: &[Package]) -> Vec<Group> {
    let size = |package: &Package| {
        let wheel = package.wheel.as_ref();
        wheel.and_then(|wheel| wheel.size).unwrap_or_default()
    };
    let mut large: Vec<&Package> = packages
        .iter()
        .filter(|package| size(package) >= LARGE)
        .collect();
    large.sort_by_key(|package| (std::cmp::Reverse(size(package)), &package.name));
    large.truncate(LARGE_LAYERS);
    let alone = |package: &Package| large.iter().any(|large| large.name == package.name);
    let mut own = Vec::new();
    let mut shared: BTreeMap<(bool, u8), Vec<Package>> = BTreeMap::new();
    for package in packages {
        if alone(package) {
            own.push(Group {
                name: package.name.clone(),
                pure: package.pure,
                packages: vec![package.clone()],
            });
        } else {
            let place = (!package.pure, bucket(package));
            shared.entry(place).or_default().push(package.clone());
        }
    }
    let shared = shared
        .into_iter()
        .map(|((native, number), packages)| Group {
            name: format!(
                "{} packages {}",
                if native { "platform" } else { "pure" },
                number + 1
            ),
            pure: !native,
            packages,
        });
    own.into_iter().chain(shared).collect()
}

fn bucket(package: &Package) -> u8 {
    let count = SHARED_LAYERS
        .iter()
        .find(|(pure, _)| *pure == package.pure)
        .map_or(1, |(_, count)| *count);
    let digest = Digest::of(&package.name);
    let first = u8::from_str_radix(&digest.hex()[..2], 16).unwrap_or_default();
    first % count
}

/// What the bytes of a layer of packages depend on.
#[derive(Serialize)]
struct Key<'a> {
    form: u32,
    python: String,
    bytecode: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    packages: Vec<(&'a str, &'a str, Vec<&'a Digest>)>,
}

impl Group {
    /// Gives the digest of everything that the layer's bytes depend on. Two platforms share the
    /// key, hence the layer, where all wheels are for any platform.
    pub(crate) fn key(&self, platform: &Platform, python: &Version, bytecode: Bytecode) -> Digest {
        let packages = self.packages.iter().map(|package| {
            let wheel = package.wheel.as_ref();
            let digests = match wheel.and_then(|wheel| wheel.sha256.as_ref()) {
                Some(digest) => vec![digest],
                None => package.hashes.iter().collect(),
            };
            (&*package.name, &*package.version, digests)
        });
        let key = Key {
            form: FORM,
            python: python.to_string(),
            bytecode: bytecode != Bytecode::None,
            platform: (!self.pure).then(|| platform.to_string()),
            packages: packages.collect(),
        };
        Document::of(key).digest().clone()
    }

    /// Gives how much there is to fetch, as far as the lock file tells.
    pub(crate) fn size(&self) -> u64 {
        let wheels = self.packages.iter().filter_map(|one| one.wheel.as_ref());
        wheels.filter_map(|wheel| wheel.size).sum()
    }

    /// Lists the packages as an image's annotation holds them, for the next build to compare.
    pub(crate) fn listed(&self) -> String {
        let packages = self.packages.iter();
        let packages: Vec<String> = packages
            .map(|package| format!("{}=={}", package.name, package.version))
            .collect();
        packages.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locked::LockedFile;

    fn package(name: &str, version: &str, size: u64, pure: bool) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            wheel: Some(LockedFile {
                name: Some(format!("{name}-{version}-py3-none-any.whl")),
                sha256: Some(Digest::of(format!("{name} {version}"))),
                size: Some(size),
                url: None,
            }),
            hashes: Vec::new(),
            pure,
            direct: false,
            index: None,
        }
    }

    fn many() -> Vec<Package> {
        let small = (0..60).map(|number| {
            let name = format!("package-{number:02}");
            package(&name, "1.0", 40_000, number % 4 != 0)
        });
        let large = (0..10).map(|number| {
            let size = 1_000_000 * (1 + number);
            package(&format!("large-{number}"), "1.0", size, false)
        });
        large.chain(small).collect()
    }

    fn keys(packages: &[Package]) -> Vec<Digest> {
        let python = Version::parse("3.14.2").expect("a version");
        groups(packages)
            .iter()
            .map(|group| group.key(&Platform::linux_amd64(), &python, Bytecode::Packages))
            .collect()
    }

    fn changed(before: &[Package], after: &[Package]) -> (usize, usize) {
        let (before, after) = (keys(before), keys(after));
        let new = after.iter().filter(|key| !before.contains(key)).count();
        (new, after.len())
    }

    #[test]
    fn every_package_is_in_one_layer_and_layers_are_few() {
        let packages = many();
        let groups = groups(&packages);
        let mut names: Vec<&str> = groups
            .iter()
            .flat_map(|group| &group.packages)
            .map(|package| &*package.name)
            .collect();
        names.sort_unstable();
        let mut expected: Vec<&str> = packages.iter().map(|package| &*package.name).collect();
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(groups.len(), LARGE_LAYERS + 4 + 2);
        for group in &groups {
            let pure = group.packages.iter().all(|package| package.pure);
            assert_eq!(group.pure, pure, "{}", group.name);
        }
    }

    #[test]
    fn a_package_that_changes_comes_or_goes_touches_one_layer() {
        let before = many();
        let mut other_version = before.clone();
        other_version[33] = package("package-23", "1.1", 41_000, true);
        assert_eq!(changed(&before, &other_version), (1, 14));
        let mut large = before.clone();
        large[5] = package("large-5", "2.0", 6_500_000, false);
        assert_eq!(changed(&before, &large), (1, 14));
        let mut more = before.clone();
        more.push(package("zz-new", "1.0", 10_000, true));
        assert_eq!(changed(&before, &more), (1, 14));
        let mut fewer = before.clone();
        fewer.pop();
        assert_eq!(changed(&before, &fewer), (1, 14));
    }

    #[test]
    fn what_a_layer_depends_on_is_in_its_key() {
        let python = |text| Version::parse(text).expect("a version");
        let arm: Platform = "linux/arm64".parse().expect("a platform");
        let amd = Platform::linux_amd64();
        let packages = vec![
            package("pure", "1.0", 1, true),
            package("x", "1.0", 1, false),
        ];
        let groups = groups(&packages);
        let [pure, native] = &groups[..] else {
            panic!("{groups:?}")
        };
        let key = |group: &Group| group.key(&amd, &python("3.14.2"), Bytecode::Packages);
        assert_eq!(
            key(pure),
            pure.key(&arm, &python("3.14.2"), Bytecode::All),
            "platforms share what is pure"
        );
        assert_ne!(
            key(native),
            native.key(&arm, &python("3.14.2"), Bytecode::Packages)
        );
        assert_ne!(
            key(pure),
            pure.key(&amd, &python("3.14.3"), Bytecode::Packages)
        );
        assert_ne!(key(pure), pure.key(&amd, &python("3.14.2"), Bytecode::None));
        let mut other = packages.clone();
        other[0].wheel.as_mut().expect("a wheel").sha256 = Some(Digest::of("other bytes"));
        assert_ne!(key(pure), key(&super::groups(&other)[0]));
    }
}
