//! An action that does nothing but show a plan: the tests run it as a step of a workflow.

use action_kit::{Common, Context, Failed, Metadata, Outcome, Report, Secret};
use github::CommentInputs;
use plan::{Change, Digest, Operation, Plan};

const METADATA: Metadata = Metadata {
    name: "comment",
    title: "Comment",
    description: "Shows a plan.",
    outputs: &[],
    icon: "message-square",
    color: "blue",
};

#[derive(clap::Args, Debug)]
struct Inputs {
    /// What is created
    #[arg(long)]
    target: String,
    /// What nobody may see
    #[arg(long)]
    password: Option<Secret>,
    #[command(flatten)]
    pull_request: CommentInputs,
    #[command(flatten)]
    common: Common,
}

impl AsRef<Common> for Inputs {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

async fn show(inputs: Inputs, context: Context) -> Result<Report, Failed> {
    let secret = inputs.password.as_ref().map_or("", Secret::expose);
    let change = Change::new(Operation::Create, "Deployment", &inputs.target).reason(secret);
    let observed = Digest::of("observed");
    let plan = Plan::new("comment", "orders", observed, vec![change], "now");
    let report = Report::new(Outcome::Planned).markdown(plan.to_markdown());
    let comment = &inputs.pull_request;
    Ok(comment.show(&context, &plan, Some("eks"), report).await)
}

fn main() -> std::process::ExitCode {
    action_kit::main(&METADATA, show)
}
