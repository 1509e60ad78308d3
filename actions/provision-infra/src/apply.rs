//! Carrying a plan out: it writes, and chooses nothing.

use std::path::Path;

use plan::{Digest, Plan};

use crate::cloudformation::CloudFormation;
use crate::error::InfraError;
use crate::layers::{Layer, Outputs, parameters};
use crate::names::Names;
use crate::observe::{Ledger, Observed, Offer};
use crate::plan::{beyond, protected, resource_changes};
use crate::stack::{ChangeSet, Condition, Stack, Values};
use crate::watch::{Deadline, follow};

/// What a reviewer approved.
#[derive(Clone, Debug, Default)]
pub struct Review {
    /// The digest.
    pub digest: Option<Digest>,
    /// The plan, to say what moved; it is compared, never carried out.
    pub plan: Option<Plan>,
}

impl Review {
    /// Takes the inputs; the file is read here.
    pub fn of(digest: Option<&Digest>, file: Option<&Path>) -> Result<Self, InfraError> {
        let plan = file
            .map(|file| {
                let text = fs_err::read_to_string(file).map_err(|source| InfraError::File {
                    doing: "read the reviewed plan",
                    file: file.into(),
                    source,
                })?;
                Plan::parse(&text).map_err(|source| InfraError::PlanFile {
                    file: file.into(),
                    source,
                })
            })
            .transpose()?;
        Ok(Self {
            digest: digest.cloned(),
            plan,
        })
    }

    /// Says whether there was a review at all.
    #[must_use]
    pub fn happened(&self) -> bool {
        self.digest.is_some() || self.plan.is_some()
    }

    /// Refuses a plan other than the reviewed one.
    pub fn check(&self, plan: &Plan) -> Result<(), InfraError> {
        let found = plan.digest();
        let reviewed = [self.digest.clone(), self.plan.as_ref().map(Plan::digest)];
        match reviewed
            .into_iter()
            .flatten()
            .find(|digest| *digest != found)
        {
            None => Ok(()),
            Some(reviewed) => Err(InfraError::PlanChanged {
                reviewed,
                found,
                differences: self
                    .plan
                    .as_ref()
                    .map(|reviewed| plan.differences(reviewed))
                    .unwrap_or_default(),
            }),
        }
    }
}

/// What a run works with.
#[derive(Debug)]
pub struct Work<'a> {
    /// The service.
    pub cloudformation: &'a CloudFormation,
    /// The names that are validated.
    pub names: &'a Names,
    /// When it must be over.
    pub deadline: Deadline,
    /// Protected resources that may be replaced or deleted all the same.
    pub allow_replace: &'a [String],
    /// What `infrastructure.yaml` gives to templates.
    pub settings: Values,
    /// The tags of every stack.
    pub tags: Values,
}

impl Work<'_> {
    /// Waits for stacks that something is changing, and clears away what killed runs left.
    pub async fn settle(&self, layers: &[Layer]) -> Result<(), InfraError> {
        for layer in layers {
            let Some(stack) = self.cloudformation.stack(&layer.stack).await? else {
                continue;
            };
            if stack.condition() == Condition::Busy {
                tracing::info!("{}: waiting, it is {}", stack.name, stack.status);
                let ending = follow(
                    self.cloudformation,
                    &self.deadline,
                    &stack.name,
                    &stack.id,
                    None,
                )
                .await?;
                tracing::info!("{}: {}", stack.name, ending.status);
            }
            let (ours, _) = self.cloudformation.change_sets(&stack.name).await?;
            for id in ours {
                self.cloudformation
                    .delete_change_set(&stack.name, &id)
                    .await?;
            }
        }
        Ok(())
    }

    /// Carries out what was planned, layer by layer, and gives the stacks as they are then.
    pub async fn apply(
        &self,
        observations: &[Observed],
        plan: &Plan,
        review: &Review,
        ledger: &mut Ledger,
    ) -> Result<Vec<Stack>, InfraError> {
        let mut outputs = Outputs::new();
        let mut stacks = Vec::new();
        for observed in observations {
            self.recover(observed).await?;
            let (parameters, _) = parameters(&observed.layer, &self.settings, &outputs);
            let reviewed = review.happened().then_some(plan);
            let change_set = self
                .change_set(observed, &parameters, reviewed, ledger)
                .await?;
            let changes = change_set.is_some();
            if let Some(change_set) = change_set {
                // The zone may be one that was made a moment ago.
                self.names.check(&change_set.changes, &parameters).await?;
                ledger.remove(&change_set);
                self.execute(&observed.layer, &change_set).await?;
            }
            let stack = self.protect(&observed.layer).await?;
            if let Some(servers) = stack.outputs.get("NameServers").filter(|_| changes) {
                tracing::info!(
                    "{}: to be entered where the domain is registered: {servers}",
                    stack.name
                );
            }
            outputs.extend(
                stack
                    .outputs
                    .iter()
                    .map(|(name, value)| (name.clone(), Some(value.clone()))),
            );
            stacks.push(stack);
        }
        Ok(stacks)
    }

    /// Brings a stack that a failed run left into a state that can be changed.
    async fn recover(&self, observed: &Observed) -> Result<(), InfraError> {
        let Some(stack) = &observed.found else {
            return Ok(());
        };
        match stack.condition() {
            Condition::Broken => self.delete(stack).await,
            Condition::Stuck => {
                let last = self.cloudformation.newest_event(&stack.id).await?;
                self.cloudformation.continue_rollback(&stack.name).await?;
                let ending = follow(
                    self.cloudformation,
                    &self.deadline,
                    &stack.name,
                    &stack.id,
                    last,
                )
                .await?;
                if Condition::of(&ending.status) == Condition::Ready {
                    Ok(())
                } else {
                    Err(ending.failure(&stack.name, &stack.id))
                }
            }
            _ => Ok(()),
        }
    }

    /// Gives the change set that was planned; a new one when the layers before it gave it other
    /// values than the plan could know.
    async fn change_set(
        &self,
        observed: &Observed,
        parameters: &Values,
        reviewed: Option<&Plan>,
        ledger: &mut Ledger,
    ) -> Result<Option<ChangeSet>, InfraError> {
        let same = *parameters == observed.parameters;
        match &observed.offer {
            Offer::Changes(change_set) if same => return Ok(Some(change_set.clone())),
            Offer::Unchanged if same => return Ok(None),
            _ => {}
        }
        let layer = &observed.layer;
        let exists = matches!(observed.condition(), Condition::Ready | Condition::Stuck);
        let made = self
            .cloudformation
            .change_set(layer, parameters, &self.tags, exists)
            .await?;
        let Some(change_set) = made else {
            return Ok(None);
        };
        ledger.add(&layer.stack, &change_set);
        let changes = resource_changes(&layer.stack, &change_set.changes);
        let more = reviewed.map_or_else(Vec::new, |plan| beyond(&changes, plan));
        if !more.is_empty() {
            return Err(InfraError::MoreThanReviewed {
                layer: layer.name.clone(),
                more,
            });
        }
        // The plan did not know this change set, so nobody has looked at it yet.
        let targets = protected(&changes, self.allow_replace);
        if !targets.is_empty() {
            return Err(InfraError::Protected { targets });
        }
        Ok(Some(change_set))
    }

    async fn execute(&self, layer: &Layer, change_set: &ChangeSet) -> Result<(), InfraError> {
        let id = &change_set.stack_id;
        let last = self.cloudformation.newest_event(id).await?;
        tracing::info!("{}: {} changes", layer.stack, change_set.changes.len());
        self.cloudformation
            .execute(&layer.stack, &change_set.id)
            .await?;
        let ending = follow(self.cloudformation, &self.deadline, &layer.stack, id, last).await?;
        match ending.status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Ok(()),
            _ => Err(ending.failure(&layer.stack, id)),
        }
    }

    /// Turns a stack's termination protection on where it is off.
    async fn protect(&self, layer: &Layer) -> Result<Stack, InfraError> {
        let Some(mut stack) = self.cloudformation.stack(&layer.stack).await? else {
            return Err(InfraError::Stack {
                stack: layer.stack.clone(),
                status: "DELETE_COMPLETE".into(),
                reason: "it was deleted while it was being applied".into(),
            });
        };
        if !stack.protected {
            self.cloudformation.protect(&stack.name, true).await?;
            stack.protected = true;
        }
        Ok(stack)
    }

    /// Deletes a stack with everything in it.
    pub async fn delete(&self, stack: &Stack) -> Result<(), InfraError> {
        if stack.protected {
            self.cloudformation.protect(&stack.name, false).await?;
        }
        let last = self.cloudformation.newest_event(&stack.id).await?;
        self.cloudformation.delete_stack(&stack.id).await?;
        let ending = follow(
            self.cloudformation,
            &self.deadline,
            &stack.name,
            &stack.id,
            last,
        )
        .await?;
        if ending.status == "DELETE_COMPLETE" {
            Ok(())
        } else {
            Err(ending.failure(&stack.name, &stack.id))
        }
    }
}
