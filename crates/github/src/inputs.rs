//! The inputs of the actions that show a plan on its pull request.

use action_kit::{Context, Report, Secret};
use clap::{ArgAction, Args};
use plan::Plan;
use serde_json::json;

use crate::{Comment, GitHub, GitHubError, PullRequest, Shown, Written};

/// Whether the plan is shown on the pull request: flatten it into an action's inputs.
#[derive(Args, Clone, Debug, Default)]
pub struct CommentInputs {
    /// Whether `plan` shows the plan in a comment on the pull request that started the run: one
    /// comment, which later runs update; where that is not allowed, the step summary has to do
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub comment: bool,

    /// Token that the comment is written with; the job needs `permissions: pull-requests: write`
    #[arg(long, value_name = "TOKEN")]
    pub github_token: Option<Secret>,
}

impl CommentInputs {
    /// Shows a plan on the pull request, when that is asked for and there is one, and says so in
    /// the report, whose Markdown is shown. A comment that cannot be written is a warning.
    ///
    /// `place` says where the plan's subject is, when its name may mean another thing elsewhere.
    pub async fn show(
        &self,
        context: &Context,
        plan: &Plan,
        place: Option<&str>,
        report: Report,
    ) -> Report {
        if !self.comment {
            return report;
        }
        let summary = context.console.redact(report.summary());
        match self.write(context, plan, place, &summary).await {
            Ok(Some(shown)) => {
                let what = match shown.written {
                    Written::Posted => "posted",
                    Written::Updated => "updated",
                    Written::Unchanged => "left as it was",
                };
                tracing::info!("the pull request's comment was {what}: {}", shown.url);
                report.field(
                    "pull-request-comment",
                    json!({ "url": shown.url, "written": shown.written }),
                )
            }
            Ok(None) => {
                tracing::info!("no pull request started this run: the plan is not commented");
                report
            }
            Err(error) => {
                tracing::warn!(
                    "the plan is in the step summary only: {error}\nhint: {}",
                    error.hint()
                );
                report.field(
                    "pull-request-comment",
                    json!({ "error": error.to_string(), "hint": error.hint() }),
                )
            }
        }
    }

    async fn write(
        &self,
        context: &Context,
        plan: &Plan,
        place: Option<&str>,
        summary: &str,
    ) -> Result<Option<Shown>, GitHubError> {
        let environment = &context.environment;
        let Some(pull_request) = PullRequest::of_run(environment)? else {
            return Ok(None);
        };
        let token = self.github_token.as_ref().ok_or(GitHubError::NoToken)?;
        let run_url = environment.run_url();
        let mut comment = Comment::new(plan, place, summary, run_url.as_deref());
        // A plan that is shortened is rendered anew, and what is hidden is never longer for it.
        comment.text = context.console.redact(&comment.text);
        let github = GitHub::new(pull_request, token)?;
        Ok(Some(github.write(&comment).await?))
    }
}
