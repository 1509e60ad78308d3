//! An action's program as a step of a workflow: a scrubbed environment, and what came out of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

/// A step that is about to run.
#[derive(Debug)]
pub struct Step {
    program: PathBuf,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    in_actions: bool,
    workspace: Workspace,
}

#[derive(Debug)]
enum Workspace {
    Own(TempDir),
    Given(PathBuf),
}

/// What a step did.
#[derive(Debug)]
pub struct Finished {
    /// The exit status.
    pub code: i32,
    /// Standard output and standard error of the process, in this order.
    pub log: String,
    /// Standard output alone.
    pub stdout: String,
    /// The outputs, by name.
    pub outputs: BTreeMap<String, String>,
    /// The step summary.
    pub summary: String,
    /// The JSON report, when one was written.
    pub report: Option<Value>,
    // Keeps the workspace until the test has looked at it.
    _workspace: Workspace,
}

impl Step {
    /// Prepares a program (`env!("CARGO_BIN_EXE_…")`) as a step with an empty workspace.
    ///
    /// # Panics
    /// When there is no temporary folder to be had.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            variables: BTreeMap::new(),
            in_actions: true,
            workspace: Workspace::Own(TempDir::new().expect("a temporary workspace")),
        }
    }

    /// Sets an input as the runner does.
    #[must_use]
    pub fn input(self, name: &str, value: impl Into<String>) -> Self {
        self.env(
            &format!("INPUT_{}", name.to_uppercase().replace(' ', "_")),
            value,
        )
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Lets another program start it: one that gets the step's program as its last argument.
    #[must_use]
    pub fn started_by(mut self, program: &str, arguments: &[&str]) -> Self {
        let own = std::mem::replace(&mut self.program, program.into());
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        let own = own.to_string_lossy().into_owned();
        self.arguments = arguments.chain([own]).chain(self.arguments).collect();
        self
    }

    /// Runs on a laptop rather than under a runner.
    #[must_use]
    pub fn on_a_laptop(mut self) -> Self {
        self.in_actions = false;
        self
    }

    /// Uses a folder as the workspace.
    #[must_use]
    pub fn workspace(mut self, folder: impl Into<PathBuf>) -> Self {
        self.workspace = Workspace::Given(folder.into());
        self
    }

    /// Writes a file into the workspace.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn file(self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Self {
        let path = self.folder().join(path);
        fs_err::create_dir_all(path.parent().expect("a file has a folder"))
            .expect("the file's folder");
        fs_err::write(path, text).expect("the file");
        self
    }

    /// Gives the workspace's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        match &self.workspace {
            Workspace::Own(folder) => folder.path(),
            Workspace::Given(folder) => folder,
        }
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When the program is missing, or writes outputs in another form than the runner's.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the program under test is started with nothing in between"
    )]
    pub fn run(self) -> Finished {
        let runner = TempDir::new().expect("a folder for the runner's files");
        let outputs = runner.path().join("output");
        let summary = runner.path().join("summary");
        fs_err::write(&outputs, "").expect("the output file");
        fs_err::write(&summary, "").expect("the summary file");
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(self.folder())
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", runner.path());
        if self.in_actions {
            command
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_OUTPUT", &outputs)
                .env("GITHUB_STEP_SUMMARY", &summary)
                .env("GITHUB_WORKSPACE", self.folder())
                .env("GITHUB_REPOSITORY", "acme/orders")
                .env("GITHUB_RUN_ID", "1")
                .env("GITHUB_SERVER_URL", "https://github.example.com");
        }
        let output = command
            .envs(&self.variables)
            .output()
            .expect("the program starts");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let outputs = parse_outputs(&fs_err::read_to_string(&outputs).expect("the output file"));
        let report = outputs
            .get("report")
            .and_then(|file| fs_err::read_to_string(self.folder().join(file)).ok())
            .and_then(|text| serde_json::from_str(&text).ok());
        Finished {
            code: output.status.code().unwrap_or(-1),
            log: format!("{stdout}{}", String::from_utf8_lossy(&output.stderr)),
            stdout,
            outputs,
            summary: fs_err::read_to_string(&summary).expect("the summary file"),
            report,
            _workspace: self.workspace,
        }
    }
}

impl Finished {
    /// Renders what a user sees, for snapshots: exit status, log, outputs (but the report's path)
    /// and summary. `replace` turns what differs from run to run into fixed words.
    #[must_use]
    pub fn render(&self, replace: &[(&str, &str)]) -> String {
        let outputs: Vec<String> = self
            .outputs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let text = format!(
            "exit status: {}\n----- log\n{}\n----- outputs\n{}\n----- summary\n{}",
            self.code,
            self.log.trim_end(),
            outputs.join("\n"),
            self.summary.trim_end()
        );
        replace
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to))
    }
}

/// Parses the runner's file of outputs (heredoc form only, which is what the kit writes).
fn parse_outputs(text: &str) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (name, delimiter) = line
            .split_once("<<")
            .expect("an output starts with NAME<<DELIMITER");
        let value: Vec<&str> = lines
            .by_ref()
            .take_while(|line| *line != delimiter)
            .collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
    outputs
}
