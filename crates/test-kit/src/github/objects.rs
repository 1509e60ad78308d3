//! What the API tells of users, apps, repositories and pull requests, whole as its description
//! demands it.

use serde_json::{Map, Value, json};

use super::{FakeGitHub, MERGED};

const CREATED: &str = "2026-01-01T00:00:00Z";
const WEB: &str = "https://github.example.com";

/// Parts of a repository that have an address.
const PARTS: [&str; 36] = [
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
];

pub(super) fn user(api: &str, login: &str) -> Value {
    let of = |part: &str| format!("{api}/users/{login}{part}");
    let kind = if login.ends_with("[bot]") {
        "Bot"
    } else {
        "User"
    };
    json!({
        "login": login,
        "id": login.len(),
        "node_id": format!("U_{}", login.len()),
        "avatar_url": "https://avatars.example.com/u/1",
        "gravatar_id": "",
        "url": of(""),
        "html_url": format!("{WEB}/{login}"),
        "followers_url": of("/followers"),
        "following_url": of("/following{/other_user}"),
        "gists_url": of("/gists{/gist_id}"),
        "starred_url": of("/starred{/owner}{/repo}"),
        "subscriptions_url": of("/subscriptions"),
        "organizations_url": of("/orgs"),
        "repos_url": of("/repos"),
        "events_url": of("/events{/privacy}"),
        "received_events_url": of("/received_events"),
        "type": kind,
        "site_admin": false,
    })
}

pub(super) fn app(api: &str, slug: &str) -> Value {
    json!({
        "id": slug.len(),
        "slug": slug,
        "node_id": format!("A_{}", slug.len()),
        "owner": user(api, "github"),
        "name": slug,
        "description": "",
        "external_url": format!("{WEB}/features/actions"),
        "html_url": format!("{WEB}/apps/{slug}"),
        "created_at": CREATED,
        "updated_at": CREATED,
        "permissions": { "issues": "write" },
        "events": [],
    })
}

/// Pull request 7, and the branch that it was merged into, if it was.
pub(super) fn pull_request(api: &str, commit: &str, merged_into: Option<&str>) -> Value {
    let of = |part: &str| format!("{api}/repos/acme/orders/{part}");
    let link = |part: &str| json!({ "href": of(part) });
    let (pull, issue) = ("pulls/7", "issues/7");
    let base = merged_into.unwrap_or("main");
    let merged_at = merged_into.map(|_| MERGED);
    json!({
        "url": of(pull),
        "id": 7,
        "node_id": "PR_7",
        "html_url": format!("{WEB}/acme/orders/pull/7"),
        "diff_url": format!("{WEB}/acme/orders/pull/7.diff"),
        "patch_url": format!("{WEB}/acme/orders/pull/7.patch"),
        "issue_url": of(issue),
        "commits_url": of("pulls/7/commits"),
        "review_comments_url": of("pulls/7/comments"),
        "review_comment_url": of("pulls/comments{/number}"),
        "comments_url": of("issues/7/comments"),
        "statuses_url": of("statuses/1"),
        "number": 7,
        "state": if merged_into.is_some() { "closed" } else { "open" },
        "locked": false,
        "title": "More zones",
        "user": user(api, "octocat"),
        "body": null,
        "labels": [],
        "milestone": null,
        "created_at": CREATED,
        "updated_at": CREATED,
        "closed_at": merged_at,
        "merged_at": merged_at,
        "merge_commit_sha": commit,
        "assignee": null,
        "head": {
            "label": "acme:zones",
            "ref": "zones",
            "repo": null,
            "sha": "1",
            "user": user(api, "octocat"),
        },
        "base": {
            "label": format!("acme:{base}"),
            "ref": base,
            "repo": repository(api),
            "sha": "0",
            "user": user(api, "acme"),
        },
        "_links": {
            "comments": link("issues/7/comments"),
            "commits": link("pulls/7/commits"),
            "statuses": link("statuses/1"),
            "html": { "href": format!("{WEB}/acme/orders/pull/7") },
            "issue": link(issue),
            "review_comments": link("pulls/7/comments"),
            "review_comment": link("pulls/comments{/number}"),
            "self": link(pull),
        },
        "author_association": "CONTRIBUTOR",
        "auto_merge": null,
    })
}

/// An answer to the question whether an environment's jobs may go on.
pub(super) fn approval(api: &str, (state, environment, login): (&str, &str, &str)) -> Value {
    json!({
        "state": state,
        "comment": "",
        "user": user(api, login),
        "environments": [{
            "id": 1,
            "node_id": "EN_1",
            "name": environment,
            "url": format!("{api}/repos/acme/orders/environments/{environment}"),
            "html_url": format!("{WEB}/acme/orders/deployments"),
            "created_at": CREATED,
            "updated_at": CREATED,
        }],
    })
}

/// Who changed a comment last, as GraphQL tells it: a bot's name without its end.
pub(super) fn editor(login: &str) -> Value {
    match login.strip_suffix("[bot]") {
        Some(name) => json!({ "__typename": "Bot", "login": name }),
        None => json!({ "__typename": "User", "login": login }),
    }
}

pub(super) fn viewer() -> Value {
    json!({ "login": FakeGitHub::LOGIN })
}

fn repository(api: &str) -> Value {
    let url = format!("{api}/repos/acme/orders");
    let web = format!("{WEB}/acme/orders");
    let mut whole = json!({
        "id": 1,
        "node_id": "R_1",
        "name": "orders",
        "full_name": "acme/orders",
        "license": null,
        "forks": 0,
        "owner": user(api, "acme"),
        "html_url": web,
        "description": null,
        "fork": false,
        "url": url,
        "git_url": "git://github.example.com/acme/orders.git",
        "ssh_url": "git@github.example.com:acme/orders.git",
        "clone_url": format!("{web}.git"),
        "svn_url": web,
        "mirror_url": null,
        "homepage": null,
        "language": null,
        "forks_count": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "size": 1,
        "default_branch": "main",
        "open_issues_count": 0,
        "has_pages": false,
        "disabled": false,
        "pushed_at": CREATED,
        "created_at": CREATED,
        "updated_at": CREATED,
        "open_issues": 0,
        "watchers": 0,
    });
    let parts: Map<String, Value> = PARTS
        .iter()
        .map(|part| (format!("{part}_url"), json!(format!("{url}/{part}"))))
        .collect();
    if let Some(whole) = whole.as_object_mut() {
        whole.extend(parts);
    }
    whole
}
