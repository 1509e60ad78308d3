//! The program that a container starts: a server for the application, as process 1.

use clap::ValueEnum;

use crate::app::App;
use crate::error::BuildError;

/// A folder in memory that every container has, though its root file system be read-only.
const MEMORY: &str = "/dev/shm";

/// The server that runs the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Server {
    /// The first of the others that is among the packages
    #[default]
    Auto,
    /// `uvicorn`: one process
    Uvicorn,
    /// `granian`: a server in Rust, with a worker process
    Granian,
    /// `gunicorn` with a worker that speaks ASGI: `uvicorn-worker`, uvicorn's own, or its own
    Gunicorn,
}

/// How the application is served.
#[derive(Clone, Debug)]
pub(crate) struct Serve<'a> {
    pub(crate) server: Server,
    /// What the user adds to the server's arguments.
    pub(crate) arguments: &'a [String],
    /// The interpreter of the packages.
    pub(crate) python: &'a str,
    pub(crate) app: &'a App,
    pub(crate) port: u16,
    pub(crate) graceful_shutdown_seconds: u32,
}

/// Gives the versions of packages, by their normal names.
pub(crate) type Packages<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl Server {
    const ALL: [Self; 3] = [Self::Uvicorn, Self::Granian, Self::Gunicorn];

    /// Gives the name of its package and module.
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Uvicorn => "uvicorn",
            Self::Granian => "granian",
            Self::Gunicorn => "gunicorn",
        }
    }

    /// Chooses a server, with its version.
    fn choose(self, packages: &Packages<'_>) -> Result<(Self, String), BuildError> {
        let found = |server: Self| Some((server, packages(server.name())?));
        let chosen = match self {
            Self::Auto => Self::ALL.into_iter().find_map(found),
            named => found(named),
        };
        chosen.ok_or_else(|| match self {
            Self::Auto => BuildError::NoServer,
            named => BuildError::ServerMissing(named.name()),
        })
    }
}

/// Gives the words that start the server: no shell is needed, nor a file system to write to.
pub(crate) fn entrypoint(
    serve: &Serve<'_>,
    packages: &Packages<'_>,
) -> Result<Vec<String>, BuildError> {
    let (server, version) = serve.server.choose(packages)?;
    let own = match server {
        Server::Granian => granian(serve, &version),
        Server::Gunicorn => gunicorn(serve, &version, packages)?,
        Server::Auto | Server::Uvicorn => uvicorn(serve, &version),
    };
    let start = [serve.python, "-m", server.name()].map(String::from);
    let words = start.into_iter().chain(own);
    Ok(words.chain(serve.arguments.iter().cloned()).collect())
}

fn uvicorn(serve: &Serve<'_>, version: &str) -> Vec<String> {
    let mut words = target(serve);
    words.extend(address(serve));
    if at_least(version, [0, 22]) {
        words.push("--timeout-graceful-shutdown".into());
        words.push(serve.graceful_shutdown_seconds.to_string());
    }
    words
}

fn granian(serve: &Serve<'_>, version: &str) -> Vec<String> {
    let mut words = target(serve);
    words.extend(["--interface", "asgi"].map(String::from));
    words.extend(address(serve));
    // Without it granian waits for ever; these are its bounds.
    if at_least(version, [1, 7]) {
        words.push("--workers-kill-timeout".into());
        words.push(serve.graceful_shutdown_seconds.clamp(1, 1800).to_string());
    }
    words
}

fn gunicorn(
    serve: &Serve<'_>,
    version: &str,
    packages: &Packages<'_>,
) -> Result<Vec<String>, BuildError> {
    let worker = if packages("uvicorn-worker").is_some() {
        "uvicorn_worker.UvicornWorker"
    } else if packages("uvicorn").is_some_and(|version| !at_least(&version, [1, 0])) {
        "uvicorn.workers.UvicornWorker"
    } else if at_least(version, [24, 1]) {
        "asgi"
    } else {
        return Err(BuildError::ServerMissing("uvicorn-worker"));
    };
    let app = serve.app;
    let call = if app.factory { "()" } else { "" };
    let bind = format!("0.0.0.0:{}", serve.port);
    let seconds = serve.graceful_shutdown_seconds.to_string();
    let words = [
        &format!("{}:{}{call}", app.module, app.attribute),
        "--worker-class",
        worker,
        "--bind",
        &bind,
        "--graceful-timeout",
        &seconds,
        "--worker-tmp-dir",
        MEMORY,
    ];
    let mut words: Vec<String> = words.map(String::from).into();
    if at_least(version, [25, 1]) {
        words.push("--no-control-socket".into());
    }
    Ok(words)
}

fn target(serve: &Serve<'_>) -> Vec<String> {
    let app = serve.app;
    let mut words = vec![format!("{}:{}", app.module, app.attribute)];
    if app.factory {
        words.push("--factory".into());
    }
    words
}

fn address(serve: &Serve<'_>) -> [String; 4] {
    ["--host", "0.0.0.0", "--port", &serve.port.to_string()].map(String::from)
}

/// Compares the first two numbers of a version.
fn at_least(version: &str, wanted: [u32; 2]) -> bool {
    let mut numbers = version.split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit());
        part[..digits.unwrap_or(part.len())].parse().unwrap_or(0)
    });
    [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)] >= wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts `main:app`, or a factory, with packages as `name==version`.
    fn told(server: Server, factory: bool, arguments: &[&str], packages: &[&str]) -> String {
        let app = App {
            module: "main".into(),
            attribute: if factory { "create_app" } else { "app" }.into(),
            factory,
        };
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let serve = Serve {
            server,
            arguments: &arguments,
            python: "/opt/venv/bin/python",
            app: &app,
            port: 8000,
            graceful_shutdown_seconds: 25,
        };
        let version = |name: &str| {
            let mut pairs = packages.iter().filter_map(|one| one.split_once("=="));
            let (_, version) = pairs.find(|(found, _)| *found == name)?;
            Some(version.to_owned())
        };
        match entrypoint(&serve, &version) {
            Ok(words) => words.join(" "),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn the_first_server_among_the_packages() {
        let all = ["granian==2.8.7", "gunicorn==27.0.1", "uvicorn==0.54.0"];
        let told = [
            told(Server::Auto, false, &[], &all),
            told(Server::Auto, false, &[], &all[..2]),
            told(Server::Auto, false, &[], &all[1..2]),
            told(Server::Auto, false, &[], &[]),
            told(Server::Granian, false, &[], &all[1..]),
        ];
        insta::assert_snapshot!(told.join("\n"), @"
        /opt/venv/bin/python -m uvicorn main:app --host 0.0.0.0 --port 8000 --timeout-graceful-shutdown 25
        /opt/venv/bin/python -m granian main:app --interface asgi --host 0.0.0.0 --port 8000 --workers-kill-timeout 25
        /opt/venv/bin/python -m gunicorn main:app --worker-class asgi --bind 0.0.0.0:8000 --graceful-timeout 25 --worker-tmp-dir /dev/shm --no-control-socket
        error: none of `uvicorn`, `granian` and `gunicorn` is among the packages
        error: `granian` is not among the packages
        ");
    }

    #[test]
    fn factories_and_arguments() {
        let packages = [
            "granian==2.8.7",
            "gunicorn==23.0.0",
            "uvicorn==0.54.0",
            "uvicorn-worker==0.4.0",
        ];
        let more = ["--log-level", "warning"];
        let told = Server::ALL.map(|server| told(server, true, &more, &packages));
        insta::assert_snapshot!(told.join("\n"), @"
        /opt/venv/bin/python -m uvicorn main:create_app --factory --host 0.0.0.0 --port 8000 --timeout-graceful-shutdown 25 --log-level warning
        /opt/venv/bin/python -m granian main:create_app --factory --interface asgi --host 0.0.0.0 --port 8000 --workers-kill-timeout 25 --log-level warning
        /opt/venv/bin/python -m gunicorn main:create_app() --worker-class uvicorn_worker.UvicornWorker --bind 0.0.0.0:8000 --graceful-timeout 25 --worker-tmp-dir /dev/shm --log-level warning
        ");
    }

    #[test]
    fn versions_without_an_argument() {
        let told = [
            told(Server::Uvicorn, false, &[], &["uvicorn==0.21.1"]),
            told(Server::Uvicorn, false, &[], &["uvicorn==0.24.0.post1"]),
            told(Server::Granian, false, &[], &["granian==1.6.4"]),
            told(
                Server::Gunicorn,
                false,
                &[],
                &["gunicorn==25.1.0", "uvicorn==0.30.0"],
            ),
            told(Server::Gunicorn, false, &[], &["gunicorn==23.0.0"]),
        ];
        insta::assert_snapshot!(told.join("\n"), @"
        /opt/venv/bin/python -m uvicorn main:app --host 0.0.0.0 --port 8000
        /opt/venv/bin/python -m uvicorn main:app --host 0.0.0.0 --port 8000 --timeout-graceful-shutdown 25
        /opt/venv/bin/python -m granian main:app --interface asgi --host 0.0.0.0 --port 8000
        /opt/venv/bin/python -m gunicorn main:app --worker-class uvicorn.workers.UvicornWorker --bind 0.0.0.0:8000 --graceful-timeout 25 --worker-tmp-dir /dev/shm --no-control-socket
        error: `uvicorn-worker` is not among the packages
        ");
    }
}
