//! A GitHub of one's own: one pull request, its comments, and what became of it, over HTTP.
//!
//! What it is asked and what it answers is kept, so that a test can have it compared with GitHub's
//! published description of its API ([`FakeGitHub::check`]).

mod objects;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::exchange::{Answer, Request};
use crate::tool;

/// The pull request that there is.
const COMMENTS: &str = "/repos/acme/orders/issues/7/comments";
const COMMENT: &str = "/repos/acme/orders/issues/comments/";
const COMMITS: &str = "/repos/acme/orders/commits/";
const APPROVALS: &str = "/repos/acme/orders/actions/runs/1/approvals";
/// More characters are refused.
const LONGEST: usize = 65_536;

/// When comments are written before the merge, when that is, and when they are written after it.
const BEFORE: &str = "2026-01-01T00:00:00Z";
const MERGED: &str = "2026-01-02T00:00:00Z";
const AFTER: &str = "2026-01-03T00:00:00Z";

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// It is answered with a status (with headers, if any: `429 Too Many Requests\r\nRetry-After: 1`).
    Status(&'static str),
    /// It is done, but the connection ends without an answer.
    Unanswered,
}

/// A GitHub with pull request 7 of `acme/orders`; it ends with the process.
#[derive(Clone)]
pub struct FakeGitHub {
    /// Address of its API.
    pub api: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    api: String,
    /// The first has number 1.
    comments: Vec<Comment>,
    merged_into: Option<&'static str>,
    /// State, environment and user.
    approvals: Vec<(&'static str, &'static str, &'static str)>,
    troubles: Vec<(&'static str, usize, Trouble)>,
    exchanges: Vec<Value>,
}

struct Comment {
    author: Option<String>,
    text: String,
    updated_at: &'static str,
    editor: Option<String>,
}

impl FakeGitHub {
    /// The token that it takes, as the workflow's own.
    pub const TOKEN: &str = "ghs_of_the_workflow";
    /// Whose comments that token writes.
    pub const LOGIN: &str = "github-actions[bot]";
    /// The commit that the pull request is merged as.
    pub const COMMIT: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

    /// Starts it.
    ///
    /// # Panics
    /// When the machine has no free port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address: SocketAddr = listener.local_addr().expect("an address");
        let api = format!("http://{address}");
        let github = Self {
            api: api.clone(),
            state: Arc::new(Mutex::new(State {
                api,
                ..State::default()
            })),
        };
        let server = github.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that goes away is no failure of ours.
                let _ = server.serve(client);
            }
        });
        github
    }

    /// Adds a comment of somebody; of nobody, when the account was deleted.
    pub fn comment(&self, login: Option<&str>, text: &str) {
        self.state().post(login, text);
    }

    /// Lets somebody change a comment, the first of which has number 1.
    ///
    /// # Panics
    /// When there is no such comment.
    pub fn edit(&self, number: usize, login: &str, text: &str) {
        self.state().edit(number, login, text);
    }

    /// Merges the pull request into a branch, as [`COMMIT`](Self::COMMIT).
    pub fn merge(&self, branch: &'static str) {
        self.state().merged_into = Some(branch);
    }

    /// Lets somebody answer (`approved`, `rejected`) whether an environment's jobs may go on in run 1.
    pub fn review(&self, state: &'static str, environment: &'static str, login: &'static str) {
        self.state().approvals.push((state, environment, login));
    }

    /// Gives the texts of the comments of a user.
    #[must_use]
    pub fn comments_of(&self, login: &str) -> Vec<String> {
        let state = self.state();
        let own = state.comments.iter();
        own.filter(|comment| comment.author.as_deref() == Some(login))
            .map(|comment| comment.text.clone())
            .collect()
    }

    /// Lets the next requests with a method go wrong.
    pub fn trouble(&self, method: &'static str, times: usize, trouble: Trouble) {
        self.state().troubles.push((method, times, trouble));
    }

    /// Gives what was asked, as `METHOD PATH STATUS`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let state = self.state();
        let lines = state.exchanges.iter().map(|one| {
            let [method, path] = ["method", "path"].map(|name| one[name].as_str());
            let (method, path) = (method.unwrap_or_default(), path.unwrap_or_default());
            format!("{method} {path} {}", one["status"])
        });
        lines.collect()
    }

    /// Gives requests and answers, for [`check`](Self::check).
    #[must_use]
    pub fn exchanges(&self) -> Vec<Value> {
        self.state().exchanges.clone()
    }

    /// Compares requests and answers with GitHub's published description: says what was compared,
    /// or what differs.
    ///
    /// # Panics
    /// When the description is not in the cache, or there is no `python3`.
    #[expect(
        clippy::disallowed_methods,
        reason = "the kit's command belongs to what is tested"
    )]
    pub fn check(exchanges: &[Value]) -> Result<String, String> {
        let program = tool("github-schemas", "check.py");
        let mut child = Command::new("python3")
            .arg("-B")
            .arg(&program)
            .env("PYTHONPATH", program.parent().unwrap_or(Path::new(".")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut input = child.stdin.take().expect("a pipe");
        // A checker that ends early tells why by itself.
        let _ = input.write_all(json!(exchanges).to_string().as_bytes());
        drop(input);
        let output = child.wait_with_output().expect("the checker ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let Some(mut request) = Request::peek(&client)? else {
            return Ok(());
        };
        let length = request.length;
        request.read(&mut client, length)?;
        let mut state = self.state();
        let trouble = state.trouble(&request.method);
        let answer = match trouble {
            Some(Trouble::Status(status)) => {
                let reason = status.lines().next().unwrap_or_default();
                refusal(status, reason.trim_start_matches(|one| one != ' ').trim())
            }
            _ => state.answer(&request),
        };
        let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        let status = answer.status.split(' ').next().unwrap_or_default();
        let exchange = json!({
            "method": request.method,
            "path": request.path,
            "request": parse(&request.body),
            "status": status.parse::<u16>().unwrap_or_default(),
            "answer": parse(&answer.body),
        });
        state.exchanges.push(exchange);
        drop(state);
        if matches!(trouble, Some(Trouble::Unanswered)) {
            return Ok(());
        }
        client.write_all(&answer.head(answer.body.len()))?;
        client.write_all(&answer.body)
    }
}

impl State {
    fn trouble(&mut self, method: &str) -> Option<Trouble> {
        let mut troubles = self.troubles.iter_mut();
        let (_, times, trouble) =
            troubles.find(|(wanted, times, _)| *wanted == method && *times > 0)?;
        *times -= 1;
        Some(*trouble)
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let bearer = format!("authorization: bearer {}", FakeGitHub::TOKEN);
        let mut headers = request.headers.iter();
        if !headers.any(|header| header.eq_ignore_ascii_case(&bearer)) {
            return refusal("401 Unauthorized", "Bad credentials");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = body["body"].as_str().unwrap_or_default().to_owned();
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        match (request.method.as_str(), path) {
            ("GET", COMMENTS) => self.list(query),
            ("POST", COMMENTS) if is_good(&text) => {
                self.post(Some(FakeGitHub::LOGIN), &text);
                answer("201 Created", &self.shown(self.comments.len()))
            }
            ("POST", COMMENTS) => invalid(),
            ("POST", "/graphql") => self.graphql(&body),
            ("GET", APPROVALS) => {
                let approvals = self.approvals.iter();
                let approvals = approvals.map(|one| objects::approval(&self.api, *one));
                answer("200 OK", &approvals.collect())
            }
            ("GET", path) => match path.strip_prefix(COMMITS) {
                Some(path) if path.ends_with("/pulls") => self.pulls(path),
                _ => refusal("404 Not Found", "Not Found"),
            },
            ("PATCH", path) => {
                let number = path.strip_prefix(COMMENT).and_then(|id| id.parse().ok());
                let Some(number) =
                    number.filter(|number| (1..=self.comments.len()).contains(number))
                else {
                    return refusal("404 Not Found", "Not Found");
                };
                if !is_good(&text) {
                    return invalid();
                }
                self.edit(number, FakeGitHub::LOGIN, &text);
                answer("200 OK", &self.shown(number))
            }
            _ => refusal("404 Not Found", "Not Found"),
        }
    }

    fn list(&self, query: &str) -> Answer {
        let number = |name: &str, default: usize| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(name));
            pair.and_then(|value| value.parse().ok()).unwrap_or(default)
        };
        let (size, page) = (number("per_page=", 30).min(100), number("page=", 1));
        let end = self.comments.len().min(page * size);
        let numbers = (page - 1) * size + 1..=end;
        let comments: Vec<Value> = numbers.map(|number| self.shown(number)).collect();
        let mut answer = answer("200 OK", &json!(comments));
        if end < self.comments.len() {
            let next = format!("{}{COMMENTS}?per_page={size}&page={}", self.api, page + 1);
            let link = format!("Link: <{next}>; rel=\"next\"");
            answer.headers.push(link);
        }
        answer
    }

    /// The pull requests of a commit: it is that of our own one, or has none.
    fn pulls(&self, path: &str) -> Answer {
        let commit = path.trim_end_matches("/pulls");
        let known = commit == FakeGitHub::COMMIT;
        let own = objects::pull_request(&self.api, commit, self.merged_into);
        let pulls: Vec<Value> = known.then_some(own).into_iter().collect();
        answer("200 OK", &json!(pulls))
    }

    /// Answers the two questions that are asked: whose token it is, and who changed a comment.
    fn graphql(&self, body: &Value) -> Answer {
        let mut data = json!({ "viewer": objects::viewer() });
        if let Some(id) = body["variables"]["id"].as_str() {
            let number = id.strip_prefix("IC_").and_then(|id| id.parse().ok());
            let comment = number.and_then(|number: usize| self.comments.get(number - 1));
            let editor = |comment: &Comment| comment.editor.as_deref().map(objects::editor);
            data["node"] = comment.map_or(Value::Null, |one| json!({ "editor": editor(one) }));
        }
        answer("200 OK", &json!({ "data": data }))
    }

    fn now(&self) -> &'static str {
        self.merged_into.map_or(BEFORE, |_| AFTER)
    }

    fn post(&mut self, author: Option<&str>, text: &str) {
        let comment = Comment {
            author: author.map(String::from),
            text: text.into(),
            updated_at: self.now(),
            editor: None,
        };
        self.comments.push(comment);
    }

    fn edit(&mut self, number: usize, login: &str, text: &str) {
        let now = self.now();
        let comment = &mut self.comments[number - 1];
        comment.text = text.into();
        comment.updated_at = now;
        comment.editor = Some(login.into());
    }

    fn shown(&self, number: usize) -> Value {
        let comment = &self.comments[number - 1];
        let author = comment.author.as_deref();
        let app = author.and_then(|login| login.strip_suffix("[bot]"));
        json!({
            "id": number,
            "node_id": format!("IC_{number}"),
            "url": format!("{}{COMMENT}{number}", self.api),
            "html_url": format!("https://github.example.com/acme/orders/pull/7#issuecomment-{number}"),
            "issue_url": format!("{}/repos/acme/orders/issues/7", self.api),
            "body": comment.text,
            "user": author.map(|login| objects::user(&self.api, login)),
            "created_at": BEFORE,
            "updated_at": comment.updated_at,
            "author_association": "CONTRIBUTOR",
            "performed_via_github_app": app.map(|slug| objects::app(&self.api, slug)),
        })
    }
}

fn is_good(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= LONGEST
}

fn answer(status: &str, body: &Value) -> Answer {
    Answer {
        status: status.into(),
        headers: vec!["Content-Type: application/json; charset=utf-8".into()],
        body: body.to_string().into_bytes(),
    }
}

/// A refusal; headers may follow its status.
fn refusal(status: &str, message: &str) -> Answer {
    let number = status.split(' ').next().unwrap_or_default();
    let documentation = "https://docs.example.com/rest";
    answer(
        status,
        &json!({ "message": message, "documentation_url": documentation, "status": number }),
    )
}

fn invalid() -> Answer {
    answer(
        "422 Unprocessable Entity",
        &json!({
            "message": "Validation Failed",
            "documentation_url": "https://docs.example.com/rest",
            "errors": [{ "resource": "IssueComment", "code": "unprocessable", "field": "data" }],
        }),
    )
}
