//! The inputs of the action.

use std::path::PathBuf;

use action_kit::Common;
use aws_account::Account;
use clap::ValueEnum;
use github::CommentInputs;
use plan::Digest;

use crate::config::EnvironmentName;
use crate::names::Resolver;

/// What to do with the infrastructure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Show what would change, and change nothing
    Plan,
    /// Make the change
    Apply,
    /// Find what was changed or deleted beside CloudFormation, and change nothing
    Drift,
    /// Look whether an apply would succeed (zones, quotas, addresses, versions), and change nothing
    Doctor,
    /// Delete everything; without `confirm-destroy` only show what that is
    Destroy,
    /// Print what the stacks give: names and identifiers
    Outputs,
    /// Write a kubeconfig for the cluster
    Kubeconfig,
    /// Print a token for the cluster, in the form that `kubectl` asks an exec plug-in for
    Token,
}

/// Which layers a run works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Those of the environment
    Environment,
    /// The one that an administrator applies first, for the pipeline to have its roles
    Bootstrap,
}

/// How a kubeconfig's user logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Login {
    /// With a token in the file, good for a quarter of an hour
    Token,
    /// By calling this program whenever a token is needed
    Exec,
}

/// What the action takes.
#[derive(clap::Args, Clone, Debug)]
pub struct Inputs {
    /// What to do
    #[arg(long, value_enum, default_value = "plan")]
    pub mode: Mode,

    /// Layers to work on: `environment` for all but one, `bootstrap` for the roles of the pipeline,
    /// which an administrator applies once
    #[arg(long, value_enum, default_value = "environment")]
    pub scope: Scope,

    /// File that describes the environments
    #[arg(
        long,
        value_name = "FILE",
        default_value = "deploy/infrastructure.yaml"
    )]
    pub config: PathBuf,

    /// The environment: a key of `environments` in the file
    #[arg(long, value_name = "NAME")]
    pub environment: Option<EnvironmentName>,

    /// AWS region; refused when it is not the one that the file declares
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// AWS account that the credentials must belong to; refused when the file declares another
    #[arg(long, value_name = "DIGITS")]
    pub account: Option<Account>,

    /// Folder with templates (`<layer>.yaml`) to use instead of the built-in ones; a layer without
    /// one is left alone
    #[arg(long, value_name = "FOLDER")]
    pub stacks: Option<PathBuf>,

    /// Files and folders with rules for `cfn-guard`: `plan` and `apply` refuse templates that break one
    #[arg(long, value_name = "PATH", action = clap::ArgAction::Append)]
    pub guard_rules: Vec<PathBuf>,

    /// File that the plan is written to by `plan`, and compared with by `apply` and `destroy`
    #[arg(long, value_name = "FILE")]
    pub plan_file: Option<PathBuf>,

    /// Digest of the reviewed plan: `apply` and `destroy` refuse to do anything else
    #[arg(long, value_name = "DIGEST")]
    pub plan_digest: Option<Digest>,

    /// Whether `apply` refuses a plan that nobody reviewed: one that the comment on the merged pull
    /// request did not show, unless a reviewer of the job's GitHub environment saw it
    /// (`plan-digest`); needs `github-token`, `permissions: pull-requests: read` and `actions: read`
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub require_review: bool,

    /// Resources (logical ids) that hold data or the cluster and may be replaced or deleted by
    /// `apply`
    #[arg(long, value_name = "LOGICAL-ID", action = clap::ArgAction::Append)]
    pub allow_replace: Vec<String>,

    /// Whether `drift` fails (`checks-failed`) when it finds some
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub fail_on_drift: bool,

    /// Files or folders of rendered manifests or charts: `doctor`, and a plan that upgrades
    /// Kubernetes, look for APIs in them that the declared version no longer serves
    #[arg(long, value_name = "PATH", action = clap::ArgAction::Append)]
    pub manifests: Vec<PathBuf>,

    /// `<project>-<environment>`, and the volumes, snapshots and full buckets that the plan of
    /// `destroy` lists with data in them: says that `destroy` means it
    #[arg(long, value_name = "NAME", action = clap::ArgAction::Append)]
    pub confirm_destroy: Vec<String>,

    /// EKS cluster for `kubeconfig` and `token`, when it is not the environment's own
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,

    /// File that the kubeconfig is written to: always by `kubeconfig` (by default
    /// `.fastapi-eks-actions/kubeconfig`), by `apply` when it is given
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// How the kubeconfig's user logs in
    #[arg(long, value_enum, default_value = "token")]
    pub kubeconfig_login: Login,

    /// DNS server that is asked whether a zone is delegated, as `<address>` or `<address>:<port>`; by
    /// default those of the machine
    #[arg(long, value_name = "ADDRESS")]
    pub resolver: Option<Resolver>,

    /// How long the whole run may take; an EKS cluster needs about ten minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub timeout_seconds: u64,

    /// How the plan is shown on a pull request.
    #[command(flatten)]
    pub pull_request: CommentInputs,

    /// What every action takes.
    #[command(flatten)]
    pub common: Common,
}

impl AsRef<Common> for Inputs {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}
