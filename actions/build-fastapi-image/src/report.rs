//! What a build says of itself: the layers, what changed since the last image and why, sizes,
//! bytes sent, and where the time went.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use action_kit::{Outcome, Report};
use oci_image::{Artifact, Digest, Image};
use oci_registry::Traffic;
use serde::Serialize;

use crate::locked::Package;
use crate::observe::Observed;
use crate::plan::{Holds, Plan, PlannedImage};
use crate::previous::{INPUTS, packages};

/// How many changed packages or files are named.
const NAMED: usize = 8;

/// An image that was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// The digest that names all of it.
    pub(crate) digest: Digest,
    pub(crate) images: Vec<Image>,
    /// The image by digest in its repository, when it was pushed.
    pub(crate) reference: Option<String>,
    pub(crate) tags: Vec<String>,
    /// The artifact with the OpenAPI document.
    pub(crate) openapi: Option<Digest>,
    /// What refers to the image.
    pub(crate) attached: Vec<Attached>,
    /// Why its provenance is not signed, where it is not.
    pub(crate) unsigned: Option<String>,
    /// What changed, one a platform.
    pub(crate) changes: Vec<Change>,
    pub(crate) traffic: Traffic,
    pub(crate) phases: Phases,
}

/// An artifact that refers to an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Attached {
    artifact_type: String,
    digest: Digest,
    /// The image or index that it is about.
    subject: Digest,
}

impl Attached {
    pub(crate) fn of(artifact: &Artifact) -> Self {
        let kind = artifact.manifest().value().artifact_type.clone();
        Self {
            artifact_type: kind.unwrap_or_default(),
            digest: artifact.digest().clone(),
            subject: artifact.subject().digest.clone(),
        }
    }
}

/// Where the time of a build goes.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Phases(BTreeMap<&'static str, u64>);

impl Phases {
    /// Notes how long a phase took, and starts the next one.
    pub(crate) fn end(&mut self, phase: &'static str, since: &mut Instant) {
        let now = Instant::now();
        let took = now.duration_since(*since);
        *self.0.entry(phase).or_default() += milliseconds(took);
        *since = now;
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is other than in the last image of a platform.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Change {
    platform: String,
    /// Whether there was an image to compare with.
    compared: bool,
    /// The layers that the last image lacks.
    layers: usize,
    /// All layers.
    of: usize,
    /// The packages and the application, as far as they changed: `httpx 0.28.1 → 0.28.2`.
    causes: Vec<String>,
}

/// Compares what is planned with the last image of its platform.
pub(crate) fn change(planned: &PlannedImage, observed: &Observed) -> Change {
    let of = planned.base.descriptors().len() + planned.layers.len();
    let platform = planned.platform.to_string();
    let Some(last) = observed.previous.image(&planned.platform) else {
        return Change {
            platform,
            of,
            layers: of,
            ..Change::default()
        };
    };
    let keys: BTreeSet<&str> = last
        .descriptors()
        .iter()
        .filter_map(|layer| Some(layer.annotations.get(INPUTS)?.as_str()))
        .collect();
    let had: BTreeSet<&Digest> = last
        .descriptors()
        .iter()
        .map(|layer| &layer.digest)
        .collect();
    let base = planned.base.descriptors().iter();
    let base = base.filter(|layer| !had.contains(&layer.digest)).count();
    let changed = planned
        .layers
        .iter()
        .filter(|layer| !keys.contains(layer.key.as_str()));
    let mut causes = Vec::new();
    if base > 0 {
        causes.push("base image".into());
    }
    let mut layers = base;
    for layer in changed {
        layers += 1;
        if matches!(layer.holds, Holds::Application) {
            causes.push("application".into());
        }
    }
    causes.extend(of_packages(planned, last));
    Change {
        platform,
        compared: true,
        layers,
        of,
        causes,
    }
}

/// Says which packages came, went, or have another version.
fn of_packages(planned: &PlannedImage, last: &Image) -> Vec<String> {
    let old = packages(last);
    let new: BTreeMap<&str, &str> = planned
        .packages
        .iter()
        .map(|package| (&*package.name, &*package.version))
        .collect();
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let differing = names
        .into_iter()
        .filter_map(|name| match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old != new => Some(format!("{name} {old} → {new}")),
            (None, Some(new)) => Some(format!("{name} {new} is new")),
            (Some(old), None) => Some(format!("{name} {old} is gone")),
            _ => None,
        });
    differing.collect()
}

impl Change {
    /// Says it in one line.
    fn line(&self) -> String {
        let count = format!("{} of {} layers", self.layers, self.of);
        if !self.compared {
            return format!("{count}: there is no earlier image to compare with");
        }
        if self.layers == 0 {
            return "nothing".into();
        }
        let mut causes: Vec<&str> = self.causes.iter().take(NAMED).map(String::as_str).collect();
        let more = format!("{} more", self.causes.len().saturating_sub(NAMED));
        if self.causes.len() > NAMED {
            causes.push(&more);
        }
        format!("{count}: {}", causes.join(", "))
    }
}

/// A layer, for the report.
#[derive(Debug, Serialize)]
pub(crate) struct LayerFact {
    platform: String,
    digest: Digest,
    pub(crate) size: u64,
    pub(crate) holds: String,
    /// Whether an earlier image had it.
    reused: bool,
}

/// Lists the layers of all platforms.
pub(crate) fn facts(plan: &Plan, images: &[Image]) -> Vec<LayerFact> {
    let mut facts = Vec::new();
    for (planned, image) in plan.images.iter().zip(images) {
        let base = planned.base.descriptors().len();
        for (index, layer) in image.layers().enumerate() {
            let own = index
                .checked_sub(base)
                .and_then(|own| planned.layers.get(own));
            facts.push(LayerFact {
                platform: planned.platform.to_string(),
                digest: layer.digest,
                size: layer.size,
                holds: own.map_or("base image", |own| own.holds.name()).into(),
                reused: own.is_some_and(|own| own.known.is_some()),
            });
        }
    }
    facts
}

/// Writes a number of bytes for people.
pub(crate) fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 {
        return format!("{}.{} kB", bytes / 1000, bytes / 100 % 10);
    }
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

impl Plan {
    /// Reports the plan.
    pub(crate) fn report(&self, outcome: Outcome, changes: &[Change]) -> Report {
        let platforms: Vec<String> = self
            .images
            .iter()
            .map(|image| image.platform.to_string())
            .collect();
        let locked: BTreeMap<&str, &[Package]> = platforms
            .iter()
            .zip(&self.images)
            .map(|(platform, image)| (&**platform, &*image.packages))
            .collect();
        let labels = self.images.first().map(|image| &image.labels);
        let packages = self.images.first().map_or(0, |image| image.packages.len());
        let mut report = Report::new(outcome)
            .field("lock", self.lock)
            .field("base-image", &self.base)
            .field("python", self.python.to_string())
            .field("platforms", &platforms)
            .field("app", self.app.to_string())
            .field("entrypoint", &self.entrypoint)
            .field("labels", labels)
            .field("packages", packages)
            .field("locked", locked)
            .field("changes", changes)
            .line(format!("base image   {}", self.base))
            .line(format!(
                "Python       {} for {}",
                self.python,
                platforms.join(", ")
            ))
            .line(format!("application  {} on port {}", self.app, self.port))
            .line(format!("files        {}", self.sources.len()))
            .line(format!("packages     {packages} of {}", self.lock));
        for change in changes {
            let line = change.line();
            report = report.line(format!("changed      {line} ({})", change.platform));
        }
        if outcome == Outcome::Planned {
            report = report.markdown(self.markdown(changes));
        }
        report
    }

    fn markdown(&self, changes: &[Change]) -> String {
        let mut markdown = format!(
            "### Image to be built\n\n| | |\n|---|---|\n| base image | `{}` |\n| Python | {} |\n| application | `{}` |\n| files | {} |\n",
            self.base,
            self.python,
            self.app,
            self.sources.len()
        );
        for change in changes {
            let line = change.line();
            let _ = writeln!(markdown, "| {} | {line} |", change.platform);
        }
        markdown
    }
}

impl Built {
    /// Reports the image.
    pub(crate) fn report(&self, plan: &Plan) -> Report {
        let digest = self.digest.to_string();
        let layers = facts(plan, &self.images);
        let size = self
            .images
            .iter()
            .map(Image::size)
            .max()
            .unwrap_or_default();
        let mut report = plan
            .report(Outcome::Done, &self.changes)
            .output("image", self.reference.clone().unwrap_or_default())
            .output("digest", &digest)
            .output("layers", serde_json::to_string(&layers).unwrap_or_default())
            .output("size", size.to_string())
            .field("layers", &layers)
            .field("tags", &self.tags)
            .field("openapi", &self.openapi)
            .field("attached", &self.attached)
            .field("unsigned", &self.unsigned)
            .field("sent", self.traffic.sent)
            .field("received", self.traffic.received)
            .field("requests", self.traffic.requests)
            .field("milliseconds", &self.phases);
        let mut markdown = format!(
            "### Image built\n\n`{}`\n\n",
            self.reference.as_ref().unwrap_or(&digest)
        );
        for change in &self.changes {
            let _ = writeln!(markdown, "{}: changed {}\n", change.platform, change.line());
        }
        markdown.push_str("| platform | layer | size | holds |\n|---|---|---:|---|\n");
        for layer in &layers {
            let (size, short) = (megabytes(layer.size), layer.digest.short());
            let _ = writeln!(
                markdown,
                "| {} | `{short}` | {size} | {} |",
                layer.platform, layer.holds
            );
            report = report.line(format!(
                "layer        {short}  {size:>9}  {}{}",
                layer.holds,
                if layer.reused { " (reused)" } else { "" }
            ));
        }
        for attached in &self.attached {
            let (kind, short) = (&attached.artifact_type, attached.digest.short());
            let subject = attached.subject.short();
            let _ = writeln!(markdown, "\nAttached to `{subject}`: {kind} `{short}`");
            report = report.line(format!("attached     {short}  to {subject}  {kind}"));
        }
        report
            .markdown(markdown)
            .line(format!("size         {}", megabytes(size)))
            .line(format!("digest       {digest}"))
            .line(match &self.reference {
                Some(reference) => format!(
                    "pushed       {reference} ({} sent, {} received)",
                    megabytes(self.traffic.sent),
                    megabytes(self.traffic.received)
                ),
                None => "pushed       no".into(),
            })
    }
}
