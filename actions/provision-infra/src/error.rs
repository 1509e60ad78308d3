//! What can go wrong with stacks.

mod upgrade;
mod zone;

use std::fmt::Display;
use std::path::PathBuf;

use action_kit::{Failure, Reason};
use aws_account::ServiceError;
use github::GitHubError;
use plan::{Digest, PlanError};
use thiserror::Error;

pub use upgrade::UpgradeError;
pub use zone::ZoneError;

use crate::leftovers::Holding;
use crate::stack::Event;

/// The infrastructure cannot be planned, changed or read.
#[derive(Debug, Error)]
pub enum InfraError {
    /// CloudFormation does not take a template or its parameters.
    #[error("the template of the layer `{layer}` is not valid: {message}")]
    InvalidTemplate {
        /// The layer.
        layer: String,
        /// What CloudFormation says.
        message: String,
    },
    /// A call failed.
    #[error("{doing}")]
    Call {
        /// What was being done, and to what.
        doing: String,
        /// The answer.
        source: ServiceError,
    },
    /// A change set could not be made.
    #[error("make a change set for the stack `{stack}`: {message}")]
    ChangeSet {
        /// The stack.
        stack: String,
        /// What CloudFormation says.
        message: String,
    },
    /// A resource could not be made, changed or deleted.
    #[error(
        "{} ({}) of the stack `{stack}` is {}: {}",
        event.logical_id, event.kind, event.status, event.reason
    )]
    Resource {
        /// The stack.
        stack: String,
        /// What happened to the resource.
        event: Box<Event>,
        /// How the stack ended.
        stack_status: String,
    },
    /// A stack failed and no resource says why.
    #[error("the stack `{stack}` is {status}: {reason}")]
    Stack {
        /// The stack.
        stack: String,
        /// Its status.
        status: String,
        /// What CloudFormation says.
        reason: String,
    },
    /// It takes longer than it may.
    #[error(
        "the stack `{stack}` is still {status} after {seconds} seconds{}",
        waits_for(waiting)
    )]
    TimedOut {
        /// The stack.
        stack: String,
        /// Its status.
        status: String,
        /// The last event of each resource that it waits for.
        waiting: Vec<Event>,
        /// How long the run was.
        seconds: u64,
    },
    /// Something else changes a stack right now.
    #[error("the stack `{stack}` is {status}: another run is changing it")]
    Busy {
        /// The stack.
        stack: String,
        /// Its status.
        status: String,
    },
    /// What would be done now is not what was reviewed.
    #[error("the plan is {found}, reviewed was {reviewed}{}", listed(differences))]
    PlanChanged {
        /// The digest that was approved.
        reviewed: Digest,
        /// The digest now.
        found: Digest,
        /// What moved, when the reviewed plan is at hand.
        differences: Vec<String>,
    },
    /// A layer that was planned as known after apply would do more than was reviewed.
    #[error(
        "the layer `{layer}` would now do more than was reviewed{}",
        listed(more)
    )]
    MoreThanReviewed {
        /// The layer.
        layer: String,
        /// What was not reviewed.
        more: Vec<String>,
    },
    /// The merged pull request showed another plan, and nobody approved this one.
    #[error(
        "the plan is {found}, shown in {url} was {shown}, and nobody approved the job for \
         `{environment}`"
    )]
    NotAsShown {
        /// The digest now.
        found: Digest,
        /// The digest that the reviewers saw.
        shown: Digest,
        /// Where they saw it.
        url: String,
        /// The environment.
        environment: String,
    },
    /// Nobody saw the plan.
    #[error(
        "no merged pull request of this commit showed the plan {found}, and nobody approved the \
         job for `{environment}`"
    )]
    NotReviewed {
        /// The digest now.
        found: Digest,
        /// The environment.
        environment: String,
    },
    /// There is no run whose reviews could be asked for.
    #[error("`require-review` is given, and this is no run of a workflow")]
    NoRun,
    /// The zone of its names cannot be used.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// Kubernetes cannot be upgraded.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    /// GitHub does not tell what was reviewed.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    /// The reviewed plan's file cannot be read.
    #[error("read the plan in `{}`", file.display())]
    PlanFile {
        /// The file.
        file: PathBuf,
        /// Why.
        source: PlanError,
    },
    /// A file cannot be read or written.
    #[error("{doing} `{}`", file.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Data or the cluster would go, or another would take its place.
    #[error("the change replaces or deletes what is protected: {}", targets.join(", "))]
    Protected {
        /// What would be lost.
        targets: Vec<String>,
    },
    /// Something was changed beside CloudFormation.
    #[error("{count} resources of `{name}` are not what their templates say")]
    Drifted {
        /// The environment.
        name: String,
        /// How many.
        count: usize,
    },
    /// An apply would fail, or leave what does not work.
    #[error("`{name}` does not pass {count} of the checks")]
    Unfit {
        /// The environment.
        name: String,
        /// How many.
        count: usize,
    },
    /// The destruction is confirmed for something else.
    #[error("`confirm-destroy` is `{given}`, this is `{expected}`")]
    NotConfirmed {
        /// What was given.
        given: String,
        /// What would be destroyed.
        expected: String,
    },
    /// Nobody said that what holds data is known.
    #[error("`confirm-destroy` does not name what holds data{}", listed(holdings))]
    NotNamed {
        /// What holds data.
        holdings: Vec<Holding>,
    },
    /// Something outside of the stacks is in use.
    #[error("the {what} cannot be deleted after {seconds} seconds: {why}")]
    Held {
        /// What cannot be deleted.
        what: String,
        /// What the service says.
        why: String,
        /// How long the run was.
        seconds: u64,
    },
    /// The roles of the bootstrap layer are in use.
    #[error("the roles of the bootstrap layer are those of {}", stacks.join(", "))]
    StillNeeded {
        /// The stacks.
        stacks: Vec<String>,
    },
    /// There is no cluster to reach.
    #[error("`{name}` has no cluster yet: none of its stacks has the output `ClusterName`")]
    NoCluster {
        /// The environment.
        name: String,
    },
}

impl InfraError {
    /// Says whether the credentials lack a permission.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Call { source, .. }
            if source.is("AccessDenied") || source.is("AccessDeniedException"))
    }
}

fn listed(items: &[impl Display]) -> String {
    let lines: Vec<String> = items.iter().map(|item| format!("\n  {item}")).collect();
    lines.concat()
}

impl Failure for InfraError {
    fn reason(&self) -> Reason {
        match self {
            Self::InvalidTemplate { .. }
            | Self::PlanFile { .. }
            | Self::File { .. }
            | Self::NoRun
            | Self::GitHub(GitHubError::NoToken) => Reason::InvalidInput,
            Self::Call { .. }
            | Self::ChangeSet { .. }
            | Self::Resource { .. }
            | Self::Stack { .. }
            | Self::NoCluster { .. }
            | Self::GitHub(_) => Reason::RemoteFailed,
            Self::Zone(source) => source.reason(),
            Self::Drifted { .. } | Self::Unfit { .. } => Reason::ChecksFailed,
            Self::TimedOut { .. } | Self::Held { .. } => Reason::TimedOut,
            Self::Busy { .. } => Reason::Locked,
            Self::PlanChanged { .. } | Self::MoreThanReviewed { .. } | Self::NotAsShown { .. } => {
                Reason::PlanChanged
            }
            Self::NotReviewed { .. } => Reason::EvidenceMissing,
            Self::Protected { .. }
            | Self::NotConfirmed { .. }
            | Self::NotNamed { .. }
            | Self::StillNeeded { .. }
            | Self::Upgrade(_) => Reason::Refused,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::InvalidTemplate { .. } => {
                "correct the template (`cfn-lint` checks it without AWS) or the setting that it \
                 refuses; nothing was changed"
                    .into()
            }
            Self::Call { source, .. } => call_hint(source),
            Self::ChangeSet { .. } => {
                "nothing was changed; correct what CloudFormation names and run again".into()
            }
            Self::Resource { stack_status, .. } => format!(
                "the stack is {stack_status}; remove the cause and run again: the next run goes on \
                 from there"
            ),
            Self::Stack { .. } => "the stack's events in the CloudFormation console say more; the \
                                   next run goes on from there"
                .into(),
            Self::TimedOut { waiting, .. } if waiting.iter().any(may_be_held) => {
                "a network that is not deleted is in use by something outside of the stack, mostly \
                 the interface of a load balancer that Kubernetes made: delete that and run again; \
                 AWS goes on by itself"
                    .into()
            }
            Self::TimedOut { .. } => "AWS goes on by itself: run again to follow it, or raise \
                                      `timeout-seconds`"
                .into(),
            Self::Busy { .. } => {
                "run again when it is done; `apply` and `destroy` wait for it".into()
            }
            Self::PlanChanged { .. } => {
                "something moved since the review: make a new plan, review it, and apply that"
                    .into()
            }
            Self::MoreThanReviewed { .. } => {
                "the layers before it are done; make a new plan, review it, and apply that".into()
            }
            Self::NotAsShown { environment, .. } => format!(
                "something moved since that review: show the plan in a new pull request, or give \
                 the environment `{environment}` required reviewers on GitHub, who see this run's \
                 plan before its job starts"
            ),
            Self::NotReviewed { environment, .. } => format!(
                "let a pull request show the plan before it is merged, or give the environment \
                 `{environment}` required reviewers on GitHub; what they approve is the plan of \
                 `plan-digest`"
            ),
            Self::NoRun => "what GitHub knows of reviews is asked in a workflow only: give \
                            `plan-digest` instead"
                .into(),
            Self::Zone(source) => source.hint(),
            Self::Upgrade(source) => source.hint(),
            Self::GitHub(source) => source.hint(),
            Self::PlanFile { source, .. } => source.hint().into(),
            Self::File { .. } => "name a file that this user may read or write".into(),
            Self::Protected { targets } => format!(
                "when it is meant, list them in `allow-replace`: {}",
                targets.join(" ")
            ),
            Self::Drifted { .. } => {
                "the summary names them; undo by hand what was done by hand, or \
                                     write it into the template and apply that"
                    .into()
            }
            Self::Unfit { .. } => "each finding says what to do; nothing was changed".into(),
            Self::NotConfirmed { expected, .. } => {
                format!("set `confirm-destroy: {expected}` when it is meant")
            }
            Self::NotNamed { holdings } => {
                let names: Vec<&str> = holdings.iter().map(|holding| &*holding.name).collect();
                format!(
                    "when all of it is meant, add to the lines of `confirm-destroy`:{}",
                    listed(&names)
                )
            }
            Self::Held { .. } => {
                "delete what uses it and run again, or raise `timeout-seconds` when that is going"
                    .into()
            }
            Self::StillNeeded { .. } => {
                "destroy the environment first, with `scope: environment`: without the roles its \
                 stacks can neither be changed nor deleted"
                    .into()
            }
            Self::NoCluster { .. } => {
                "run `mode: apply` first, or name another cluster with the input `cluster`".into()
            }
        };
        vec![hint]
    }
}

fn call_hint(answer: &ServiceError) -> String {
    match answer.code.as_deref() {
        Some("AccessDenied" | "AccessDeniedException") => {
            "the role lacks the permission that the message names".into()
        }
        Some("ExpiredToken" | "ExpiredTokenException") => {
            "the credentials have expired: get new ones and run again".into()
        }
        Some("Throttling" | "ThrottlingException") => {
            "CloudFormation is asked too often: run again in a minute".into()
        }
        Some("OperationNotPermitted" | "ResourceInUse") => {
            "turn its protection from deletion off, or delete what uses it, and run again".into()
        }
        None => "look whether the endpoint (AWS_ENDPOINT_URL, or AWS itself) can be reached".into(),
        Some(_) => "correct what the answer names and run again".into(),
    }
}

fn waits_for(events: &[Event]) -> String {
    let named = events.iter().map(|event| {
        let (name, kind, status) = (&event.logical_id, &event.kind, &event.status);
        match &*event.reason {
            "" => format!("{name} ({kind}) is {status}"),
            reason => format!("{name} ({kind}) is {status}: {reason}"),
        }
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() {
        return String::new();
    }
    format!("; {}", named.join(", "))
}

/// Says whether a resource stays until what uses it is gone.
fn may_be_held(event: &Event) -> bool {
    let network = ["Subnet", "SecurityGroup", "VPC", "InternetGateway"];
    let kind = event.kind.strip_prefix("AWS::EC2::").unwrap_or_default();
    event.status == "DELETE_IN_PROGRESS" && network.iter().any(|part| kind.starts_with(part))
}
