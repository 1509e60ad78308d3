//! The infrastructure of an environment, as CloudFormation stacks: planned by change sets, applied
//! exactly as reviewed, and destroyed in order.
//!
//! [`observe`] asks CloudFormation what it would do, [`plan`] turns that into a plan without any
//! input or output, [`apply`] carries it out. Whatever a killed run leaves behind is a state that
//! the next run starts from.

pub mod access;
pub mod answer;
pub mod apply;
pub mod cloudformation;
pub mod conditions;
pub mod config;
pub mod delegation;
pub mod destroy;
pub mod doctor;
pub mod drift;
pub mod eks;
pub mod error;
pub mod guard;
pub mod inputs;
pub mod layers;
pub mod leftovers;
pub mod manifests;
pub mod names;
pub mod observe;
pub mod plan;
pub mod price;
mod render;
pub mod reviewed;
pub mod settings;
pub mod stack;
pub mod template;
pub mod upgrade;
pub mod usual;
pub mod watch;

use action_kit::{Context, Failed, Metadata, Outcome, Report};
use aws_account::Session;
use github::{Header, Reviews};

use crate::apply::{Review, Work};
use crate::cloudformation::CloudFormation;
use crate::config::{ConfigError, Edge, Target};
use crate::doctor::Patient;
use crate::eks::Eks;
use crate::error::InfraError;
use crate::inputs::{Inputs, Mode, Scope};
use crate::layers::Layer;
use crate::leftovers::{Outside, Owner};
use crate::manifests::Manifest;
use crate::names::Names;
use crate::observe::{Ledger, Observed, observe};
use crate::plan::Doomed;
use crate::reviewed::{Approval, Demand};
use crate::stack::{Condition, Stack, Values};
use crate::upgrade::Upgrade;
use crate::watch::Deadline;

/// What the runner and the marketplace show.
pub const METADATA: Metadata = Metadata {
    name: "provision-infra",
    title: "Provision AWS infrastructure",
    description: "Plans, applies and destroys the AWS infrastructure of an environment \
                  (network, backups, images, EKS cluster, and what stands before and watches them) \
                  as CloudFormation stacks, and writes the cluster's kubeconfig.",
    outputs: &[
        ("changes", "How many changes the plan has"),
        ("cluster", "Name of the EKS cluster, when there is one"),
        (
            "drifted",
            "How many resources are not what their templates say, found by `drift`",
        ),
        (
            "errors",
            "How many findings of `doctor` are errors: an apply would fail, or leave what does not work",
        ),
        (
            "kubeconfig",
            "Path of the kubeconfig that was written, relative to the workspace",
        ),
        (
            "stacks",
            "The stacks' outputs as JSON: `{\"<stack>\": {\"<output>\": \"<value>\"}}`",
        ),
        ("warnings", "How many findings of `doctor` are warnings"),
    ],
    icon: "layers",
    color: "blue",
};

/// Runs the action.
pub async fn run(inputs: Inputs, context: Context) -> Result<Report, Failed> {
    if matches!(inputs.mode, Mode::Kubeconfig | Mode::Token) && inputs.cluster.is_some() {
        return access::to_given_cluster(&inputs, &context).await;
    }
    let run = Run::open(&inputs, &context).await?;
    match inputs.mode {
        Mode::Plan => run.plan().await,
        Mode::Apply => run.apply().await,
        Mode::Destroy => run.destroy().await,
        Mode::Drift => run.drift().await,
        Mode::Doctor => run.doctor().await,
        Mode::Outputs => run.outputs().await,
        Mode::Kubeconfig | Mode::Token => {
            let cluster = run.cluster(&run.stacks().await?)?;
            access::to_cluster(&inputs, &context, &run.session, &cluster).await
        }
    }
}

/// Gives the outputs of the bootstrap layer of an environment, as far as it has one.
async fn bootstrapped(
    cloudformation: &CloudFormation,
    target: &Target,
) -> Result<Values, InfraError> {
    let mut outputs = Values::new();
    for name in layers::stack_names(target, Scope::Bootstrap) {
        let found = cloudformation.stack(&name).await?;
        outputs.extend(found.map(|stack| stack.outputs).unwrap_or_default());
    }
    Ok(outputs)
}

/// An environment as it is, and what would be done about it.
struct Seen {
    dropped: Vec<Doomed>,
    observations: Vec<Observed>,
    plan: ::plan::Plan,
}

/// A run on one environment.
struct Run<'a> {
    inputs: &'a Inputs,
    context: &'a Context,
    target: Target,
    layers: Vec<Layer>,
    /// The layers that no setting asks for, of a run that may have to take their stacks away.
    dropped: Vec<Layer>,
    session: Session,
    cloudformation: CloudFormation,
    names: Names,
    /// The outputs of the bootstrap layer, when it is there.
    given: Values,
    /// Where to ask who reviewed a plan, when somebody must have.
    reviews: Option<Reviews>,
}

impl<'a> Run<'a> {
    /// Checks everything that can be checked without changing anything.
    async fn open(inputs: &'a Inputs, context: &'a Context) -> Result<Self, Failed> {
        let file = &inputs.config;
        let text = fs_err::read_to_string(context.path(file)).map_err(|source| {
            ConfigError::Unreadable {
                file: file.clone(),
                source,
            }
        })?;
        let mut target = Target::parse(&text, file, inputs.environment.as_ref())?.guard(
            file,
            inputs.region.as_deref(),
            inputs.account.as_ref(),
        )?;
        if inputs.scope == Scope::Bootstrap && target.github.is_none() {
            return Err(ConfigError::NoRepository {
                file: file.clone(),
                environment: target.environment,
            }
            .into());
        }
        let token = inputs.pull_request.github_token.as_ref();
        let required = inputs.require_review && inputs.mode == Mode::Apply;
        let reviews = required
            .then(|| reviewed::reviews(&context.environment, token))
            .transpose()?;
        // What the file asks for no more is destroyed as well.
        let load = match inputs.mode {
            Mode::Destroy => layers::load_all,
            _ => layers::load,
        };
        let (workspace, folder) = (context.environment.workspace(), inputs.stacks.as_deref());
        let layers = load(&target, inputs.scope, &workspace, folder)?;
        let dropped = match inputs.mode {
            Mode::Plan | Mode::Apply => {
                let rules = inputs.guard_rules.iter().map(|path| workspace.join(path));
                guard::check(&layers, &rules.collect::<Vec<_>>())?;
                layers::load_dropped(&target, inputs.scope, &workspace, folder)?
            }
            _ => Vec::new(),
        };
        let session = Session::open(
            Some(target.region.as_str()),
            target.account.as_ref(),
            &context.environment,
        )
        .await?;
        tracing::info!(
            "{} in account {}, {}",
            target.name(),
            session.identity.account,
            session.region
        );
        let cloudformation = CloudFormation::new(&session.config);
        let given = match inputs.scope {
            Scope::Environment => bootstrapped(&cloudformation, &target).await?,
            Scope::Bootstrap => Values::new(),
        };
        let edge = target.settings.edge.as_ref();
        let domains = edge.map(Edge::domains).unwrap_or_default();
        let names = Names::new(&session.config, inputs.resolver, domains);
        if inputs.scope == Scope::Environment && matches!(inputs.mode, Mode::Plan | Mode::Apply) {
            names.settle(&cloudformation, &mut target).await?;
        }
        // A plan changes nothing, and who plans may not pass the role.
        let role = (inputs.mode != Mode::Plan).then(|| given.get("ServiceRoleArn").cloned());
        Ok(Self {
            inputs,
            context,
            cloudformation: cloudformation.acting_as(role.flatten()),
            target,
            layers,
            dropped,
            session,
            names,
            given,
            reviews,
        })
    }

    fn work(&self) -> Work<'_> {
        let mut settings = self.given.clone();
        settings.extend(settings::settings(&self.target));
        Work {
            cloudformation: &self.cloudformation,
            names: &self.names,
            deadline: Deadline::after(self.inputs.timeout_seconds),
            allow_replace: &self.inputs.allow_replace,
            settings,
            tags: Values::from(
                [
                    ("Project", self.target.project.to_string()),
                    ("Environment", self.target.environment.to_string()),
                    ("ManagedBy", "fastapi-eks-actions".into()),
                ]
                .map(|(name, value)| (name.to_owned(), value)),
            ),
        }
    }

    async fn plan(&self) -> Result<Report, Failed> {
        let (stacks, upgrade, layers) = self.ordered().await?;
        let mut ledger = Ledger::default();
        let planned = self.observe(&layers, &mut ledger).await;
        let discarded = ledger.discard(&self.cloudformation).await;
        let Seen {
            observations, plan, ..
        } = planned?;
        discarded?;
        let bill = price::bill(&observations, &plan.changes);
        if let Some(file) = &self.inputs.plan_file {
            self.save_plan(&plan, file)?;
        }
        let outcome = if plan.is_empty() {
            Outcome::Unchanged
        } else {
            Outcome::Planned
        };
        let mut report = render::report(outcome, &plan, &stacks).line(plan.to_text());
        if let Some(upgrade) = upgrade {
            report = report
                .field("upgrade", &upgrade)
                .markdown(format!("\n{upgrade}\n"))
                .line(upgrade.to_string());
        }
        let mut report = if plan.is_empty() {
            report
        } else {
            report
                .field("monthly-cost", &bill)
                .markdown(bill.to_string())
                .line(format!("{} {bill}", render::usually(&plan)))
        };
        if let Some(remark) = self.names.remark(&observations).await {
            report = report.markdown(format!("\n{remark}")).line(remark);
        }
        let comment = &self.inputs.pull_request;
        let place = self.place();
        Ok(comment.show(self.context, &plan, place, report).await)
    }

    /// Tells plans apart whose subject has the same name: both scopes plan for one environment.
    fn place(&self) -> Option<&'static str> {
        (self.inputs.scope == Scope::Bootstrap).then_some("scope bootstrap")
    }

    async fn observe(&self, layers: &[Layer], ledger: &mut Ledger) -> Result<Seen, InfraError> {
        let Work { settings, tags, .. } = self.work();
        let dropped = destroy::dropped(&self.cloudformation, &self.dropped).await?;
        let observations = observe(&self.cloudformation, layers, &settings, &tags, ledger).await?;
        let (name, now) = (self.target.name(), render::now());
        Ok(Seen {
            plan: plan::plan(&name, &dropped, &observations, &tags, &now),
            dropped,
            observations,
        })
    }

    fn save_plan(&self, plan: &::plan::Plan, file: &std::path::Path) -> Result<(), InfraError> {
        let path = self.context.path(file);
        let folder = path.parent().unwrap_or(std::path::Path::new("."));
        fs_err::create_dir_all(folder)
            .and_then(|()| fs_err::write(&path, plan.to_json() + "\n"))
            .map_err(|source| InfraError::File {
                doing: "write the plan to",
                file: file.into(),
                source,
            })
    }

    fn review(&self) -> Result<Review, InfraError> {
        let file = self
            .inputs
            .plan_file
            .as_ref()
            .map(|file| self.context.path(file));
        Review::of(self.inputs.plan_digest.as_ref(), file.as_deref())
    }

    async fn apply(&self) -> Result<Report, Failed> {
        let review = self.review()?;
        let work = self.work();
        work.settle(&self.layers).await?;
        work.settle(&self.dropped).await?;
        let mut ledger = Ledger::default();
        let applied = self.apply_reviewed(&work, &review, &mut ledger).await;
        let discarded = ledger.discard(&self.cloudformation).await;
        let (plan, approval, stacks) = applied?;
        discarded?;
        let outcome = if plan.is_empty() {
            Outcome::Unchanged
        } else {
            Outcome::Done
        };
        let mut report = render::report(outcome, &plan, &stacks);
        if let Some(approval) = approval {
            report = report.field("approval", approval);
        }
        if let Some(file) = &self.inputs.kubeconfig {
            let cluster = self.cluster(&stacks)?;
            let login = self.inputs.kubeconfig_login;
            access::write(&self.session, &cluster, login, file, self.context).await?;
            report = report.output("kubeconfig", file.display().to_string());
        }
        Ok(report.line(format!("{}: {outcome}, {}", plan.subject, plan.counts())))
    }

    async fn apply_reviewed(
        &self,
        work: &Work<'_>,
        review: &Review,
        ledger: &mut Ledger,
    ) -> Result<(::plan::Plan, Option<Approval>, Vec<Stack>), InfraError> {
        let (_, upgrade, layers) = self.ordered().await?;
        let Seen {
            dropped,
            observations,
            plan,
        } = self.observe(&layers, ledger).await?;
        self.show(&plan);
        if let Some(upgrade) = upgrade {
            tracing::info!("{upgrade}");
        }
        review.check(&plan)?;
        let targets = plan::protected(&plan.changes, &self.inputs.allow_replace);
        if !targets.is_empty() {
            return Err(InfraError::Protected { targets });
        }
        self.names.check_all(&observations).await?;
        let approval = self.approval(&plan).await?;
        destroy::delete(work, &dropped).await?;
        let stacks = work.apply(&observations, &plan, review, ledger).await?;
        Ok((plan, approval, stacks))
    }

    /// Gives who reviewed the plan, when somebody must have; a plan without changes needs nobody.
    async fn approval(&self, plan: &::plan::Plan) -> Result<Option<Approval>, InfraError> {
        let Some(reviews) = self.reviews.as_ref().filter(|_| !plan.is_empty()) else {
            return Ok(None);
        };
        let demand = Demand {
            header: Header::of(plan, self.place()),
            environment: self.target.github_environment(),
            announced: self.inputs.plan_digest.is_some(),
        };
        let approval = demand.meet(reviews).await?;
        tracing::info!("{approval}");
        Ok(Some(approval))
    }

    async fn destroy(&self) -> Result<Report, Failed> {
        let work = self.work();
        let name = self.target.name();
        let named = &self.inputs.confirm_destroy;
        if !named.is_empty() && !named.contains(&name) {
            return Err(InfraError::NotConfirmed {
                given: named.join(", "),
                expected: name,
            }
            .into());
        }
        let outside = match self.inputs.scope {
            Scope::Environment => Some(self.outside()),
            Scope::Bootstrap => {
                self.spare_roles_in_use().await?;
                None
            }
        };
        if !named.is_empty() {
            work.settle(&self.layers).await?;
        }
        let found = destroy::find(&self.cloudformation, outside.as_ref(), &self.layers).await?;
        let plan = plan::destruction(&name, &found.doomed, &found.leftovers, &render::now());
        if plan.is_empty() {
            return Ok(render::report(Outcome::Unchanged, &plan, &[])
                .line(format!("{name}: there is nothing to destroy")));
        }
        if named.is_empty() {
            if let Some(file) = &self.inputs.plan_file {
                self.save_plan(&plan, file)?;
            }
            let holdings = plan::unnamed(&found.doomed, &found.leftovers, named);
            let confirmation = render::confirmation(&name, &holdings);
            return Ok(render::report(Outcome::Planned, &plan, &[])
                .markdown(format!("\n```yaml\n{confirmation}\n```"))
                .line(plan.to_text())
                .line(render::usually(&plan))
                .line(format!("To destroy it, set\n{confirmation}")));
        }
        self.show(&plan);
        self.review()?.check(&plan)?;
        destroy::destroy(&work, outside.as_ref(), &found, named).await?;
        Ok(render::report(Outcome::Done, &plan, &[]).line(format!("{name}: destroyed")))
    }

    fn outside(&self) -> Outside {
        Outside::new(&self.session.config, Owner::of(&self.target))
    }

    /// Refuses to take the roles away that the environment's stacks are changed as.
    async fn spare_roles_in_use(&self) -> Result<(), InfraError> {
        let mut stacks = Vec::new();
        for name in layers::stack_names(&self.target, Scope::Environment) {
            let found = self.cloudformation.stack(&name).await?;
            stacks.extend(
                found
                    .filter(|stack| stack.condition() != Condition::Absent)
                    .map(|stack| stack.name),
            );
        }
        if stacks.is_empty() {
            return Ok(());
        }
        Err(InfraError::StillNeeded { stacks })
    }

    async fn drift(&self) -> Result<Report, Failed> {
        let name = self.target.name();
        let stacks = self.stacks().await?;
        let deadline = Deadline::after(self.inputs.timeout_seconds);
        let drifts = drift::detect(&self.cloudformation, &deadline, &stacks).await?;
        let count = drift::count(&drifts);
        let outcome = if count == 0 {
            Outcome::Unchanged
        } else {
            Outcome::Done
        };
        let report = Report::new(outcome)
            .output("drifted", count.to_string())
            .field("drift", &drifts)
            .markdown(drift::to_markdown(&name, &drifts));
        let text = drift::to_text(&name, &drifts);
        if count > 0 && self.inputs.fail_on_drift {
            self.context.console.line(text);
            return Err(Failed::from(InfraError::Drifted { name, count }).with(report));
        }
        Ok(report.line(text))
    }

    /// Gives the stacks that live, the step to another Kubernetes minor if there is one to be made,
    /// and the layers in the order of the changes.
    async fn ordered(&self) -> Result<(Vec<Stack>, Option<Upgrade>, Vec<Layer>), InfraError> {
        let stacks = self.stacks().await?;
        let upgrade = self.upgrade(&stacks).await?;
        let layers = upgrade::order(&self.layers, &stacks);
        Ok((stacks, upgrade, layers))
    }

    /// Gives the step to the declared Kubernetes minor, when the environment's cluster has another.
    async fn upgrade(&self, stacks: &[Stack]) -> Result<Option<Upgrade>, InfraError> {
        let Some(cluster) = render::cluster(stacks) else {
            return Ok(None);
        };
        let minor = &self.target.settings.kubernetes_version;
        let gone = || Ok(manifests::gone(&self.manifests()?, minor));
        upgrade::check(&Eks::new(&self.session.config), cluster, minor, gone).await
    }

    fn manifests(&self) -> Result<Vec<Manifest>, InfraError> {
        let workspace = self.context.environment.workspace();
        manifests::read(&workspace, &self.inputs.manifests)
    }

    async fn doctor(&self) -> Result<Report, Failed> {
        let name = self.target.name();
        let Work {
            settings, mut tags, ..
        } = self.work();
        // Nodes get them from their launch templates, which CloudFormation's own do not reach.
        tags.remove("ManagedBy");
        let manifests = self.manifests()?;
        let stacks = self.stacks().await?;
        let patient = Patient {
            target: &self.target,
            layers: &self.layers,
            settings: &settings,
            tags: &tags,
            stacks: &stacks,
            manifests: &manifests,
        };
        let findings =
            doctor::examine(&self.session.config, &self.cloudformation, &patient).await?;
        let (report, errors) = doctor::report(&name, &findings);
        let text = doctor::to_text(&name, &findings);
        if errors > 0 {
            self.context.console.line(text);
            let failure = InfraError::Unfit {
                name,
                count: errors,
            };
            return Err(Failed::from(failure).with(report));
        }
        Ok(report.line(text))
    }

    async fn outputs(&self) -> Result<Report, Failed> {
        let stacks = self.stacks().await?;
        let json = render::outputs_json(&stacks);
        let mut report = Report::new(Outcome::Done)
            .output("stacks", json.to_string())
            .line(serde_json::to_string_pretty(&json).unwrap_or_default());
        if let Ok(cluster) = self.cluster(&stacks) {
            report = report.output("cluster", cluster);
        }
        Ok(report)
    }

    /// Gives the stacks that live.
    async fn stacks(&self) -> Result<Vec<Stack>, InfraError> {
        let mut stacks = Vec::new();
        for layer in &self.layers {
            let found = self.cloudformation.stack(&layer.stack).await?;
            stacks.extend(found.filter(|stack| {
                !matches!(stack.condition(), Condition::Absent | Condition::Unborn)
            }));
        }
        Ok(stacks)
    }

    fn cluster(&self, stacks: &[Stack]) -> Result<String, InfraError> {
        render::cluster(stacks)
            .map(String::from)
            .ok_or_else(|| InfraError::NoCluster {
                name: self.target.name(),
            })
    }

    fn show(&self, plan: &::plan::Plan) {
        let _group = self.context.console.group("Plan");
        self.context.console.line(plan.to_text());
        if !plan.is_empty() {
            self.context.console.line(render::usually(plan));
        }
    }
}
