//! `requirements.txt` with hashes, as pip-tools and uv write it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oci_image::Digest;
use pep440_rs::Operator;
use pep508_rs::MarkerTree;

use super::wheel::Wheel;
use super::wish::{Origin, Wish, without_credentials};
use super::{
    Format, Locked, LockedFile, Pin, Source, file_name, has_choice, marker, normal, pylock,
};
use crate::error::BuildError;
use crate::project;

/// Options that say where packages come from, not which they are: that is uv's to know.
const IGNORED: [&str; 17] = [
    "-c",
    "-f",
    "-i",
    "--constraint",
    "--extra-index-url",
    "--find-links",
    "--index-url",
    "--no-binary",
    "--no-deps",
    "--no-index",
    "--only-binary",
    "--pre",
    "--prefer-binary",
    "--require-hashes",
    "--trusted-host",
    "--use-feature",
    "--no-build-isolation",
];

/// Reads what the list pins, and the lists that it includes.
pub(super) fn read(source: &Source<'_>) -> Result<Locked, BuildError> {
    has_choice("group", &source.selection.groups, [])?;
    has_choice("extra", &source.selection.extras, [])?;
    let mut locked = Locked {
        format: Format::Requirements,
        file: Format::Requirements.word().into(),
        pins: Vec::new(),
        members: vec![source.member()],
        pythons: Vec::new(),
        environments: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    include(source, source.file, &mut seen, &mut locked)?;
    pylock::is_fresh(source, &locked)?;
    Ok(locked)
}

fn include(
    source: &Source<'_>,
    file: &Path,
    seen: &mut BTreeSet<PathBuf>,
    locked: &mut Locked,
) -> Result<(), BuildError> {
    if !seen.insert(file.into()) {
        return Ok(());
    }
    let list = List {
        source,
        file: source.place.shown(file),
    };
    for (number, line) in lines(&project::text(file)?) {
        let Some(option) = line.strip_prefix('-') else {
            list.entry(number, &line, locked)?;
            continue;
        };
        let (name, value) = split_option(&line, option);
        match name {
            "-r" | "--requirement" => {
                let folder = file.parent().unwrap_or(Path::new("/"));
                let included = project::normal(&folder.join(value));
                if !included.is_file() || !included.starts_with(&source.place.root) {
                    return Err(list.refused(number, format!("there is no file `{value}`")));
                }
                include(source, &included, seen, locked)?;
            }
            "-e" | "--editable" => list.local(number, value, MarkerTree::TRUE, &[], locked)?,
            name if IGNORED.contains(&name) => {}
            name => {
                return Err(list.refused(number, format!("the option `{name}` is not understood")));
            }
        }
    }
    Ok(())
}

/// Splits `-r x`, `-rx`, `--requirement x` and `--requirement=x`.
fn split_option<'a>(line: &'a str, option: &'a str) -> (&'a str, &'a str) {
    let end = if option.starts_with('-') {
        line.find(['=', ' ']).unwrap_or(line.len())
    } else {
        line.char_indices()
            .nth(2)
            .map_or(line.len(), |(end, _)| end)
    };
    let (name, value) = line.split_at(end);
    (name, value.trim_start_matches(['=', ' ']).trim())
}

/// Gives the lines that say something, each with the number of its first one.
fn lines(text: &str) -> Vec<(u64, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(u64, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let (start, mut whole) = open.take().unwrap_or((number, String::new()));
        if line.trim_start().starts_with('#') {
            // A comment between the lines of one requirement ends nothing.
            if !whole.is_empty() {
                open = Some((start, whole));
            }
            continue;
        }
        if let Some(line) = line.strip_suffix('\\') {
            whole.push_str(line);
            whole.push(' ');
            open = Some((start, whole));
        } else {
            whole.push_str(line);
            lines.push((start, whole));
        }
    }
    lines.extend(open);
    let without_comment = |line: &str| -> String {
        let end = line.find(" #").or_else(|| line.find("\t#"));
        line[..end.unwrap_or(line.len())].trim().into()
    };
    lines
        .into_iter()
        .map(|(number, line)| (number, without_comment(&line)))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

/// A list that is read.
struct List<'a> {
    source: &'a Source<'a>,
    /// The file, as messages show it.
    file: PathBuf,
}

impl List<'_> {
    fn entry(&self, number: u64, line: &str, locked: &mut Locked) -> Result<(), BuildError> {
        let (text, options) = match line.find(" --") {
            Some(end) => line.split_at(end),
            None => (line, ""),
        };
        let text = text.trim();
        let hashes: Vec<Digest> = options
            .split([' ', '='])
            .filter_map(|word| word.parse().ok())
            .collect();
        if text.starts_with(['.', '/']) {
            let (path, marker) = text.split_once(';').unwrap_or((text, ""));
            let marker = match marker.trim() {
                "" => MarkerTree::TRUE,
                text => marker::parse(text).map_err(|why| self.refused(number, why))?,
            };
            return self.local(number, path.trim(), marker, &hashes, locked);
        }
        let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.')));
        let name = &text[..end.unwrap_or(text.len())];
        // Anything but the name may hold a password.
        let wish = Wish::parse(text).map_err(|_| {
            self.refused(
                number,
                format!("what starts with `{name}` is no requirement"),
            )
        })?;
        let pin = match &wish.origin {
            Origin::Index => self.pinned(number, &wish)?,
            Origin::Git => Pin {
                source: Some("a git repository".into()),
                ..empty(&wish)
            },
            _ => {
                let url = text.split_once('@').map_or("", |(_, url)| url.trim());
                let url = url.split([' ', ';']).next().unwrap_or(url);
                at(
                    url,
                    Some(without_credentials(url)),
                    wish.marker.clone(),
                    &wish.name,
                )
            }
        };
        let needs_hash = wish.origin != Origin::Git;
        locked
            .pins
            .push(self.hashed(number, pin, &hashes, needs_hash)?);
        Ok(())
    }

    fn pinned(&self, number: u64, wish: &Wish) -> Result<Pin, BuildError> {
        let exact = match &wish.versions[..] {
            [one] if matches!(one.operator(), Operator::Equal | Operator::ExactEqual) => one,
            _ => {
                let what = format!("`{}` has no version behind `==`", wish.name);
                return Err(self.refused(number, what));
            }
        };
        Ok(Pin {
            version: exact.version().to_string(),
            files: vec![LockedFile {
                name: None,
                sha256: None,
                size: None,
                url: None,
            }],
            ..empty(wish)
        })
    }

    /// Takes what is in the checkout: a wheel, or the source of a package.
    fn local(
        &self,
        number: u64,
        path: &str,
        marker: MarkerTree,
        hashes: &[Digest],
        locked: &mut Locked,
    ) -> Result<(), BuildError> {
        if path.contains("://") {
            let what = "an address is installed as source: only wheels are installed";
            return Err(self.refused(number, what.into()));
        }
        let inside = self.source.inside(path, path)?;
        if path.to_ascii_lowercase().ends_with(".whl") {
            let pin = at(&inside.display().to_string(), None, marker, "");
            locked.pins.push(self.hashed(number, pin, hashes, true)?);
            return Ok(());
        }
        let place = self.source.place;
        if inside == place.relative(&place.folder) {
            return Ok(());
        }
        let full = place.root.join(&inside);
        let read = crate::project::Pyproject::read(&full, place)?;
        let Some(read) = read.filter(|read| !read.project.name.is_empty()) else {
            let what = format!("`{path}` is neither a wheel nor a project");
            return Err(self.refused(number, what));
        };
        let project = read.project;
        let member = super::member(place, &project.name, project.version, inside, false);
        locked.members.push(member);
        Ok(())
    }

    /// Gives a pin the hashes of its entry.
    fn hashed(
        &self,
        number: u64,
        mut pin: Pin,
        hashes: &[Digest],
        needs_hash: bool,
    ) -> Result<Pin, BuildError> {
        if hashes.is_empty() && needs_hash {
            let what = format!("`{}` has no `--hash=sha256:…`", pin.name);
            return Err(self.refused(number, what));
        }
        let files = pin.files.iter().flat_map(|file| {
            hashes.iter().map(|hash| LockedFile {
                sha256: Some(hash.clone()),
                ..file.clone()
            })
        });
        pin.files = files.collect();
        Ok(pin)
    }

    fn refused(&self, line: u64, what: String) -> BuildError {
        BuildError::Unpinned {
            file: self.file.clone(),
            line,
            what,
        }
    }
}

fn empty(wish: &Wish) -> Pin {
    Pin {
        name: wish.name.clone(),
        version: String::new(),
        marker: wish.marker.clone(),
        files: Vec::new(),
        source: None,
        direct: false,
    }
}

/// Pins a file by where it is; its name tells the package and the version.
fn at(url: &str, source: Option<String>, marker: MarkerTree, name: &str) -> Pin {
    let file = file_name(url);
    let wheel = Wheel::parse(&file);
    let told = wheel.as_ref().map_or(name, |wheel| wheel.name);
    Pin {
        name: normal(told),
        version: wheel.as_ref().map_or("", |wheel| wheel.version).into(),
        marker,
        source,
        direct: true,
        files: vec![LockedFile {
            name: Some(file.clone()),
            sha256: None,
            size: None,
            url: Some(url.into()),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_list() {
        let text = "# by a tool\n\na==1 \\\n    --hash=sha256:1 \\\n    # via b\n    --hash=sha256:2\nb==2 # last\n-r more.txt";
        let lines: Vec<String> = lines(text)
            .iter()
            .map(|(number, line)| {
                let words: Vec<&str> = line.split_whitespace().collect();
                format!("{number} {}", words.join(" "))
            })
            .collect();
        assert_eq!(
            lines,
            [
                "3 a==1 --hash=sha256:1 --hash=sha256:2",
                "7 b==2",
                "8 -r more.txt"
            ]
        );
    }

    #[test]
    fn options() {
        let cases = [
            ("-r more.txt", ("-r", "more.txt")),
            ("-rmore.txt", ("-r", "more.txt")),
            ("--requirement=more.txt", ("--requirement", "more.txt")),
            (
                "--index-url https://a:b@host",
                ("--index-url", "https://a:b@host"),
            ),
            ("--pre", ("--pre", "")),
        ];
        for (line, expected) in cases {
            assert_eq!(split_option(line, &line[1..]), expected);
        }
    }
}
