//! Where uv takes wheels from: the addresses that the lock file tells, unless somebody set another
//! index. With addresses uv reads no page of an index, which are larger than many wheels.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::inputs::Request;
use crate::locked::Package;

/// The variables that lead uv elsewhere, or give it credentials.
const VARIABLES: [&str; 7] = [
    "UV_CONFIG_FILE",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_KEYRING_PROVIDER",
];
/// What the variables with an index's own credentials start with.
pub(crate) const INDEX_CREDENTIALS: &str = "UV_INDEX_";
/// The settings that do the same.
const SETTINGS: [&str; 6] = [
    "extra-index-url",
    "find-links",
    "index",
    "index-url",
    "keyring-provider",
    "no-index",
];

/// Says whether the environment or uv's settings want packages from somewhere else.
pub(crate) fn are_set(request: &Request) -> bool {
    let environment = &request.environment;
    let mut variables = VARIABLES.iter().filter_map(|name| environment.get(name));
    let mut credentials = environment.starting_with(INDEX_CREDENTIALS);
    if variables.next().is_some() || credentials.any(|(_, value)| !value.is_empty()) {
        return true;
    }
    let home = environment.path("HOME").map(|home| home.join(".config"));
    let own = [home, Some("/etc/xdg".into()), Some("/etc".into())];
    let own = own.into_iter().flatten().map(|folder| folder.join("uv"));
    let folders = request.folder.ancestors().map(PathBuf::from).chain(own);
    folders.into_iter().any(|folder| are_set_in(&folder))
}

/// Says so of the files in a folder. One that cannot be read is uv's to judge.
fn are_set_in(folder: &Path) -> bool {
    let read = |name: &str| {
        let file = folder.join(name);
        let text = file.is_file().then(|| fs_err::read_to_string(file));
        text.map(|text| text.ok()?.parse::<Table>().ok())
    };
    let elsewhere = |settings: &Table| {
        let pip = settings.get("pip").and_then(Value::as_table);
        let mut tables = [Some(settings), pip].into_iter().flatten();
        tables.any(|table| SETTINGS.iter().any(|name| table.contains_key(*name)))
    };
    let own = match read("uv.toml") {
        Some(Some(settings)) => elsewhere(&settings),
        Some(None) => true,
        None => false,
    };
    let project = match read("pyproject.toml") {
        Some(Some(project)) => {
            let tools = project.get("tool").and_then(Value::as_table);
            let settings = tools.and_then(|tools| tools.get("uv"));
            settings.and_then(Value::as_table).is_some_and(elsewhere)
        }
        Some(None) => true,
        None => false,
    };
    own || project
}

/// Writes packages as a `pylock.toml` (PEP 751), each with the one wheel that was chosen; none
/// when the lock file does not tell where all of them are.
pub(crate) fn list(packages: &[&Package]) -> Option<String> {
    let mut list = "lock-version = \"1.0\"\ncreated-by = \"build-fastapi-image\"\n".to_owned();
    for package in packages {
        if package.direct {
            return None;
        }
        let wheel = package.wheel.as_ref()?;
        let url = wheel.url.as_deref().filter(|url| url.contains("://"))?;
        let name = wheel.name.as_deref()?;
        let digest = wheel.sha256.as_ref()?.hex();
        let [package_name, version, name, url] =
            [&package.name, &package.version, name, url].map(quoted);
        let _ = write!(
            list,
            "\n[[packages]]\nname = {package_name}\nversion = {version}\n"
        );
        // uv keeps wheels by their index: what it has fetched for a developer serves here.
        if let Some(index) = package.index.as_deref().filter(|url| url.contains("://")) {
            let _ = writeln!(list, "index = {}", quoted(index));
        }
        let _ = writeln!(
            list,
            "wheels = [{{ name = {name}, url = {url}, hashes = {{ sha256 = \"{digest}\" }} }}]"
        );
    }
    Some(list)
}

/// Quotes a text: what JSON writes TOML reads.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use oci_image::Digest;
    use tempfile::TempDir;

    use super::*;
    use crate::locked::LockedFile;

    #[test]
    fn settings_that_lead_elsewhere() {
        let cases = [
            ("uv.toml", "index-url = 'https://x.example.org'\n", true),
            ("uv.toml", "[pip]\nno-index = true\n", true),
            (
                "uv.toml",
                "[[index]]\nurl = 'https://x.example.org'\n",
                true,
            ),
            ("uv.toml", "not = = toml", true),
            ("uv.toml", "native-tls = true\n", false),
            (
                "pyproject.toml",
                "[[tool.uv.index]]\nurl = 'https://x.example.org'\n",
                true,
            ),
            (
                "pyproject.toml",
                "[project]\nname = 'x'\n[tool.uv]\nexclude-newer = '2026-01-01'\n[tool.other]\nindex = 1\n",
                false,
            ),
            ("other.toml", "index-url = 'https://x.example.org'\n", false),
        ];
        for (name, text, expected) in cases {
            let folder = TempDir::new().expect("a folder");
            fs_err::write(folder.path().join(name), text).expect("a file");
            assert_eq!(are_set_in(folder.path()), expected, "{name}: {text}");
        }
    }

    #[test]
    fn lists_tell_where_each_wheel_is() {
        let mut package = Package {
            name: "shop".into(),
            version: "1.0".into(),
            wheel: Some(LockedFile {
                name: Some("shop-1.0-py3-none-any.whl".into()),
                sha256: Some(Digest::of("shop")),
                size: Some(4),
                url: Some("https://files.example.org/shop-1.0-py3-none-any.whl".into()),
            }),
            hashes: vec![Digest::of("shop"), Digest::of("another file")],
            pure: true,
            direct: false,
            index: Some("https://example.org/simple".into()),
        };
        insta::assert_snapshot!(list(&[&package]).expect("a list"), @r#"
        lock-version = "1.0"
        created-by = "build-fastapi-image"

        [[packages]]
        name = "shop"
        version = "1.0"
        index = "https://example.org/simple"
        wheels = [{ name = "shop-1.0-py3-none-any.whl", url = "https://files.example.org/shop-1.0-py3-none-any.whl", hashes = { sha256 = "8d9001d32c6a703d95921a77115050f33dd823d3f1730bd35215dcbecad6dc20" } }]
        "#);
        package.direct = true;
        assert_eq!(list(&[&package]), None, "it is from no index");
        package.direct = false;
        package.wheel.as_mut().expect("a wheel").url = Some("wheels/shop.whl".into());
        assert_eq!(list(&[&package]), None, "it is a file");
        package.wheel.as_mut().expect("a wheel").url = None;
        assert_eq!(list(&[&package]), None, "nobody knows where it is");
    }
}
