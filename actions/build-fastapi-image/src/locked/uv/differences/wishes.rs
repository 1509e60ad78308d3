//! Wishes that can be compared: for each package, in which environments it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use pep440_rs::VersionSpecifier;
use pep508_rs::MarkerEnvironment;

use super::Context;
use crate::locked::wish::{Origin, Wish};

/// What is asked for, by what it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Wishes<'a> {
    samples: &'a [MarkerEnvironment],
    all: BTreeMap<(Context, String), Asked>,
}

/// The forms in which one package is asked for, each with the environments of the sample.
type Asked = BTreeMap<Form, Vec<bool>>;

/// How a package is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    versions: Vec<VersionSpecifier>,
    extras: BTreeSet<String>,
    origin: Origin,
}

impl<'a> Wishes<'a> {
    /// Starts without any.
    pub(super) fn new(samples: &'a [MarkerEnvironment]) -> Self {
        Self {
            samples,
            all: BTreeMap::new(),
        }
    }

    /// Adds a wish; one that holds in no environment is none.
    pub(super) fn add(&mut self, context: Context, wish: Wish) {
        let samples = self.samples.iter();
        let where_asked = samples.map(|sample| wish.marker.evaluate(sample, &[]));
        let where_asked: Vec<bool> = where_asked.collect();
        let mut versions: Vec<VersionSpecifier> = wish.versions.iter().cloned().collect();
        versions.sort();
        let form = Form {
            versions,
            extras: wish.extras,
            origin: wish.origin,
        };
        self.widen(context, wish.name, form, &where_asked);
    }

    fn widen(&mut self, context: Context, name: String, form: Form, more: &[bool]) {
        if !more.contains(&true) {
            return;
        }
        let asked = self.all.entry((context, name)).or_default();
        let known = asked.entry(form).or_insert_with(|| vec![false; more.len()]);
        for (known, more) in known.iter_mut().zip(more) {
            *known |= more;
        }
    }

    /// Replaces extras of the project itself by what they bring: some build back ends do so.
    pub(super) fn flat(mut self, own: &str) -> Self {
        let mut seen = BTreeSet::new();
        while let Some(key) = self.all.keys().find(|(_, name)| name == own).cloned() {
            let (context, _) = &key;
            for (form, where_asked) in self.all.remove(&key).unwrap_or_default() {
                for extra in form.extras {
                    let from = Context::Extra(extra);
                    if seen.insert((context.clone(), from.clone())) {
                        self.bring(&from, context, &where_asked);
                    }
                }
            }
        }
        self
    }

    fn bring(&mut self, from: &Context, to: &Context, where_asked: &[bool]) {
        let brought: Vec<(String, Asked)> = self
            .all
            .iter()
            .filter(|((context, _), _)| context == from)
            .map(|((_, name), asked)| (name.clone(), asked.clone()))
            .collect();
        for (name, asked) in brought {
            for (form, here) in asked {
                let both = here.iter().zip(where_asked).map(|(a, b)| *a && *b);
                let both: Vec<bool> = both.collect();
                self.widen(to.clone(), name.clone(), form, &both);
            }
        }
    }

    /// Names the extras.
    pub(super) fn extras(&self) -> impl Iterator<Item = String> {
        self.all.keys().filter_map(|(context, _)| match context {
            Context::Extra(extra) => Some(extra.clone()),
            _ => None,
        })
    }

    /// Names what the project needs in every environment.
    pub(super) fn always(&self) -> impl Iterator<Item = &String> {
        self.all
            .iter()
            .filter(|((context, _), asked)| {
                *context == Context::Runtime
                    && asked.values().any(|samples| !samples.contains(&false))
            })
            .map(|((_, name), _)| name)
    }

    /// Says how what was locked differs; `owner` is the project when it is not the one to build.
    pub(super) fn differences(&self, locked: &Self, owner: Option<&str>) -> Vec<String> {
        let keys: BTreeSet<_> = self.all.keys().chain(locked.all.keys()).collect();
        let mut differences = Vec::new();
        for key in keys {
            let (context, name) = key;
            let (old, new) = (locked.all.get(key), self.all.get(key));
            let told = match (old, new) {
                (None, Some(_)) => format!("`{name}` is new"),
                (Some(_), None) => format!("`{name}` is gone"),
                (Some(old), Some(new)) if old != new && !is_file(new) => {
                    let (was, is) = (versions(old), versions(new));
                    if was == is {
                        format!("`{name}` has another marker, source or extra")
                    } else {
                        format!("`{name}` was {was}, is {is}")
                    }
                }
                _ => continue,
            };
            differences.push(format!("{told}{}", place(context, owner)));
        }
        differences
    }
}

/// Says whether a package is a file by its address: the lock file has its path instead.
fn is_file(asked: &Asked) -> bool {
    asked
        .keys()
        .any(|form| matches!(&form.origin, Origin::Address(url) if url.starts_with("file:")))
}

fn versions(asked: &Asked) -> String {
    let shown = asked.keys().map(|form| {
        let texts: Vec<String> = form.versions.iter().map(ToString::to_string).collect();
        match &texts[..] {
            [] => "any version".into(),
            texts => format!("`{}`", texts.join(",")),
        }
    });
    let shown: BTreeSet<String> = shown.collect();
    Vec::from_iter(shown).join(" or ")
}

fn place(context: &Context, owner: Option<&str>) -> String {
    let of = |owner: &str| format!(" of `{owner}`");
    match (context, owner) {
        (Context::Runtime, None) => String::new(),
        (Context::Runtime, Some(owner)) => format!(" in `{owner}`"),
        (Context::Extra(extra), owner) => {
            format!(" in extra `{extra}`{}", owner.map(of).unwrap_or_default())
        }
        (Context::Group(group), owner) => {
            format!(" in group `{group}`{}", owner.map(of).unwrap_or_default())
        }
        (Context::List(list), _) => format!(" in `{list}`"),
    }
}
