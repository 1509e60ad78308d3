//! What the checkout tells of its origin: read from `.git`, since the action's image has no git.
//!
//! Only what is the same in each checkout of a commit may get into an image. A branch is not, nor is
//! the time of a clone; an address is, once credentials and the way of access are taken off.

use std::path::{Path, PathBuf};

use action_kit::{Command, Environment};

/// How many references may point to each other.
const MOST_REFERENCES: usize = 5;

/// What is known of a checkout; without git and without a runner it is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkout {
    /// The commit, in full.
    pub(crate) commit: Option<String>,
    /// The branch or tag, as `refs/…`; it stays out of the image.
    pub(crate) reference: Option<String>,
    /// The address of the repository, for people.
    pub(crate) source: Option<String>,
    /// Whether files differ from the commit, where a git program can tell.
    pub(crate) changed: Option<bool>,
}

impl Checkout {
    /// Gives the commit that the image is made of: none where files were changed since.
    pub(crate) fn revision(&self) -> Option<&str> {
        self.commit
            .as_deref()
            .filter(|_| self.changed != Some(true))
    }
}

/// Reads a checkout that a folder belongs to. What the runner says counts more.
pub(crate) async fn read(folder: &Path, environment: &Environment) -> Checkout {
    let repository = Repository::find(folder);
    let head = repository.as_ref().and_then(Repository::head);
    let (reference, commit) = head.unwrap_or_default();
    let get = |name: &str| environment.get(name).map(String::from);
    let source = get("GITHUB_SERVER_URL")
        .zip(get("GITHUB_REPOSITORY"))
        .map(|(server, name)| format!("{server}/{name}"));
    let told = get("GITHUB_SHA");
    let changed = if told.is_none() && commit.is_some() {
        changed(folder).await
    } else {
        None
    };
    Checkout {
        commit: told.or(commit),
        reference: get("GITHUB_REF").or(reference),
        source: source.or_else(|| web_address(&repository?.origin()?)),
        changed,
    }
}

/// Asks git whether tracked files were changed; without one nobody knows.
async fn changed(folder: &Path) -> Option<bool> {
    let words = ["status", "--porcelain", "--untracked-files=no"];
    let asked = Command::new("git")
        .args(["-c", "core.fsmonitor=false"])
        .args(words)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .current_dir(folder)
        .output_async()
        .await;
    Some(!asked.ok()?.stdout.is_empty())
}

/// A `.git` folder.
#[derive(Debug)]
struct Repository {
    /// What belongs to this checkout alone.
    own: PathBuf,
    /// What all checkouts share; the same folder but in a linked work tree.
    common: PathBuf,
}

impl Repository {
    /// Finds the repository that a folder belongs to.
    fn find(folder: &Path) -> Option<Self> {
        let folder = fs_err::canonicalize(folder).ok()?;
        let (parent, git) = folder
            .ancestors()
            .map(|parent| (parent, parent.join(".git")))
            .find(|(_, git)| git.exists())?;
        // A linked work tree or submodule has a file that says where the folder is.
        let own = if git.is_file() {
            let text = fs_err::read_to_string(&git).ok()?;
            parent.join(text.strip_prefix("gitdir:")?.trim())
        } else {
            git
        };
        let common = match fs_err::read_to_string(own.join("commondir")) {
            Ok(text) => own.join(text.trim()),
            Err(_) => own.clone(),
        };
        Some(Self { own, common })
    }

    /// Gives the reference that is checked out, and its commit.
    fn head(&self) -> Option<(Option<String>, Option<String>)> {
        let text = fs_err::read_to_string(self.own.join("HEAD")).ok()?;
        let reference = text.strip_prefix("ref:").map(|name| name.trim().to_owned());
        let mut value = text.trim().to_owned();
        for _ in 0..MOST_REFERENCES {
            match value.strip_prefix("ref:") {
                Some(name) => value = self.value(name.trim())?,
                None => break,
            }
        }
        Some((reference, Some(value).filter(|value| is_commit(value))))
    }

    /// Reads a reference: from a file of its own, or from the list of packed ones.
    fn value(&self, name: &str) -> Option<String> {
        if !name.starts_with("refs/") || name.split('/').any(|part| part == "..") {
            return None;
        }
        let loose = [&self.own, &self.common]
            .into_iter()
            .find_map(|folder| fs_err::read_to_string(folder.join(name)).ok());
        if let Some(text) = loose {
            return Some(text.trim().into());
        }
        let packed = fs_err::read_to_string(self.common.join("packed-refs")).ok()?;
        packed
            .lines()
            .find_map(|line| line.strip_suffix(name)?.strip_suffix(' '))
            .map(String::from)
    }

    /// Gives the address of `origin` as it is configured.
    fn origin(&self) -> Option<String> {
        let text = fs_err::read_to_string(self.common.join("config")).ok()?;
        let mut lines = text
            .lines()
            .map(str::trim)
            .skip_while(|line| *line != r#"[remote "origin"]"#)
            .skip(1)
            .take_while(|line| !line.starts_with('['));
        let (_, address) = lines.find_map(|line| {
            line.split_once('=')
                .filter(|(name, _)| name.trim().eq_ignore_ascii_case("url"))
        })?;
        Some(address.trim().trim_matches('"').into())
    }
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Turns a repository's address into the one that a browser opens, the same whether it was cloned
/// by SSH or with a token; a folder has none.
fn web_address(address: &str) -> Option<String> {
    let (scheme, rest) = match address.split_once("://") {
        Some(("http", rest)) => ("http", rest.to_owned()),
        Some(("https" | "ssh" | "git" | "git+ssh", rest)) => ("https", rest.to_owned()),
        Some(_) => return None,
        // `git@example.com:acme/orders.git`
        None => {
            let (host, path) = address.split_once(':')?;
            if host.contains('/') || host.len() < 2 {
                return None;
            }
            ("https", format!("{host}/{}", path.trim_start_matches('/')))
        }
    };
    let (authority, path) = rest.split_once('/')?;
    let host = authority.rsplit('@').next().unwrap_or_default();
    // The port of SSH is none of the web's.
    let host = match address.split_once("://") {
        Some(("http" | "https", _)) => host,
        _ => host.split(':').next().unwrap_or_default(),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_matches('/').trim_end_matches(".git");
    (!host.is_empty() && !path.is_empty()).then(|| format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn tree(files: &[(&str, &str)]) -> TempDir {
        let folder = TempDir::new().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs_err::create_dir_all(path.parent().expect("its folder")).expect("a folder");
            fs_err::write(path, text).expect("a file");
        }
        folder
    }

    fn head(folder: &Path) -> Option<(Option<String>, Option<String>)> {
        Repository::find(folder)?.head()
    }

    fn found(reference: &str, commit: &str) -> (Option<String>, Option<String>) {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (some(reference), some(commit))
    }

    #[test]
    fn heads() {
        let main = "ref: refs/heads/main\n";
        let packed = format!(
            "# pack-refs with: peeled\n{TWO} refs/heads/not-main\n{ONE} refs/heads/main\n^{TWO}\n"
        );
        let one = format!("{ONE}\n");
        let loose = tree(&[
            (".git/HEAD", main),
            (".git/refs/heads/main", &one),
            ("services/orders/main.py", ""),
        ]);
        assert_eq!(head(loose.path()), Some(found("refs/heads/main", ONE)));
        let below = loose.path().join("services/orders");
        assert_eq!(head(&below), Some(found("refs/heads/main", ONE)));
        let packed = tree(&[(".git/HEAD", main), (".git/packed-refs", &packed)]);
        assert_eq!(head(packed.path()), Some(found("refs/heads/main", ONE)));
        let detached = tree(&[(".git/HEAD", &one)]);
        assert_eq!(head(detached.path()), Some(found("", ONE)));
        let unborn = tree(&[(".git/HEAD", main)]);
        assert_eq!(head(unborn.path()), None);
        let away = tree(&[(".git/HEAD", "ref: refs/../../secret\n"), ("secret", &one)]);
        assert_eq!(head(away.path()), None);
    }

    #[test]
    fn linked_work_trees() {
        let one = format!("{ONE}\n");
        let folder = tree(&[
            ("main/.git/HEAD", "ref: refs/heads/main\n"),
            ("main/.git/refs/heads/side", &one),
            ("main/.git/worktrees/side/HEAD", "ref: refs/heads/side\n"),
            ("main/.git/worktrees/side/commondir", "../..\n"),
            ("side/.git", "gitdir: ../main/.git/worktrees/side\n"),
        ]);
        assert_eq!(
            head(&folder.path().join("side")),
            Some(found("refs/heads/side", ONE))
        );
    }

    #[tokio::test]
    async fn the_runner_knows_better() {
        let config = "[core]\n\tbare = false\n[remote \"fork\"]\n\turl = https://example.com/a/b\n[remote \"origin\"]\n\tfetch = +refs/heads/*\n\turl = https://x:canary@example.com/acme/orders.git\n";
        let folder = tree(&[(".git/HEAD", &format!("{ONE}\n")), (".git/config", config)]);
        let alone = read(folder.path(), &Environment::default()).await;
        assert_eq!(alone.revision(), Some(ONE));
        assert_eq!(
            alone.source.as_deref(),
            Some("https://example.com/acme/orders")
        );
        let environment = Environment::from_iter([
            ("GITHUB_SHA", TWO),
            ("GITHUB_REF", "refs/tags/v1"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "acme/shop"),
        ]);
        let told = read(folder.path(), &environment).await;
        assert_eq!(told.revision(), Some(TWO));
        assert_eq!(told.reference.as_deref(), Some("refs/tags/v1"));
        assert_eq!(told.source.as_deref(), Some("https://github.com/acme/shop"));
        let nothing = TempDir::new().expect("a folder");
        let nowhere = read(nothing.path(), &Environment::default()).await;
        assert_eq!(nowhere, Checkout::default());
    }

    #[test]
    fn addresses() {
        let addresses = [
            "https://github.com/acme/orders.git",
            "https://x-access-token:canary@github.com/acme/orders",
            "git@github.com:acme/orders.git",
            "ssh://git@github.com:22/acme/orders.git/",
            "git://github.com/acme/orders",
            "http://git.example.com:3000/acme/orders.git?token=canary",
            "/srv/git/orders.git",
            "../orders",
            "file:///srv/git/orders.git",
            "C:\\orders",
        ];
        let told = addresses.map(|address| web_address(address).unwrap_or("-".into()));
        insta::assert_snapshot!(told.join("\n"), @"
        https://github.com/acme/orders
        https://github.com/acme/orders
        https://github.com/acme/orders
        https://github.com/acme/orders
        https://github.com/acme/orders
        http://git.example.com:3000/acme/orders
        -
        -
        -
        -
        ");
    }
}
