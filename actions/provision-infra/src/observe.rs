//! What is there, and what CloudFormation would do about it: one observation a layer.
//!
//! A change set is the only way to ask CloudFormation what it would do, so observing makes some;
//! the [`Ledger`] remembers them, and [`Ledger::discard`] leaves nothing behind.

use crate::cloudformation::CloudFormation;
use crate::error::InfraError;
use crate::layers::{Layer, Outputs, parameters};
use crate::stack::{ChangeSet, Condition, Resource, Stack, Values};
use crate::template::Template;

/// A layer as it is, and what would be done to it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The layer.
    pub layer: Layer,
    /// Its stack, when there is one.
    pub found: Option<Stack>,
    /// Its parameters, as far as they are known.
    pub parameters: Values,
    /// The parameters that earlier layers are yet to give.
    pub unknown: Vec<String>,
    /// What a stack that must be deleted still holds.
    pub remains: Vec<Resource>,
    /// What CloudFormation offers to do.
    pub offer: Offer,
}

/// What CloudFormation offers to do to a stack.
#[derive(Clone, Debug)]
pub enum Offer {
    /// These changes.
    Changes(ChangeSet),
    /// Nothing.
    Unchanged,
    /// It cannot be asked before something else is done.
    Later,
}

impl Observed {
    /// Says what state the stack is in.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.found
            .as_ref()
            .map_or(Condition::Absent, Stack::condition)
    }
}

/// The change sets that this run has made and not executed.
#[derive(Debug, Default)]
pub struct Ledger(Vec<(String, String)>);

impl Ledger {
    /// Remembers a change set.
    pub fn add(&mut self, stack: &str, change_set: &ChangeSet) {
        self.0.push((stack.into(), change_set.id.clone()));
    }

    /// Forgets a change set that was executed.
    pub fn remove(&mut self, change_set: &ChangeSet) {
        self.0.retain(|(_, id)| *id != change_set.id);
    }

    /// Deletes the change sets, and the empty stacks that they were made for.
    pub async fn discard(&mut self, cloudformation: &CloudFormation) -> Result<(), InfraError> {
        for (stack, id) in std::mem::take(&mut self.0) {
            cloudformation.delete_change_set(&stack, &id).await?;
            discard_unborn(cloudformation, &stack).await?;
        }
        Ok(())
    }
}

/// Deletes a stack that holds nothing and that no change set waits for.
pub async fn discard_unborn(cloudformation: &CloudFormation, name: &str) -> Result<(), InfraError> {
    if let Some(stack) = cloudformation.stack(name).await?
        && stack.condition() == Condition::Unborn
    {
        let (ours, others) = cloudformation.change_sets(name).await?;
        if ours.is_empty() && !others {
            match cloudformation.delete_stack(&stack.id).await {
                // Who plans may not delete stacks. The next plan, or the apply, goes on from it.
                Err(error) if error.is_denied() => {
                    tracing::info!(
                        "{name}: it stays, empty; the credentials may not delete stacks"
                    );
                }
                deleted => deleted?,
            }
        }
    }
    Ok(())
}

/// Observes all layers.
pub async fn observe(
    cloudformation: &CloudFormation,
    layers: &[Layer],
    settings: &Values,
    tags: &Values,
    ledger: &mut Ledger,
) -> Result<Vec<Observed>, InfraError> {
    let mut outputs = Outputs::new();
    let mut observations = Vec::new();
    for layer in layers {
        let found = cloudformation.stack(&layer.stack).await?;
        let condition = found.as_ref().map_or(Condition::Absent, Stack::condition);
        if let (Some(stack), Condition::Busy) = (&found, condition) {
            return Err(InfraError::Busy {
                stack: stack.name.clone(),
                status: stack.status.clone(),
            });
        }
        let (parameters, unknown) = parameters(layer, settings, &outputs);
        let ask = unknown.is_empty() && !matches!(condition, Condition::Broken | Condition::Stuck);
        let offer = if ask {
            let exists = condition == Condition::Ready;
            let offered = cloudformation
                .change_set(layer, &parameters, tags, exists)
                .await;
            if offered.is_err() && !exists {
                discard_unborn(cloudformation, &layer.stack).await?;
            }
            match offered? {
                Some(change_set) => {
                    ledger.add(&layer.stack, &change_set);
                    Offer::Changes(change_set)
                }
                None => Offer::Unchanged,
            }
        } else {
            Offer::Later
        };
        let remains = match (&found, condition) {
            (Some(stack), Condition::Broken) => remains(cloudformation, stack).await?,
            _ => Vec::new(),
        };
        outputs.extend(known_outputs(layer, found.as_ref()));
        observations.push(Observed {
            layer: layer.clone(),
            found,
            parameters,
            unknown,
            remains,
            offer,
        });
    }
    Ok(observations)
}

/// Lists what a stack holds, with the policies of the template that it was made from.
pub async fn remains(
    cloudformation: &CloudFormation,
    stack: &Stack,
) -> Result<Vec<Resource>, InfraError> {
    let mut resources = cloudformation.resources(&stack.name).await?;
    if resources.is_empty() {
        return Ok(resources);
    }
    let body = cloudformation.template(&stack.name).await?;
    let template = Template::parse(body).ok();
    for resource in &mut resources {
        resource.deletion_policy = template
            .as_ref()
            .and_then(|template| template.deletion_policy(&resource.logical_id))
            .unwrap_or("Delete")
            .into();
    }
    Ok(resources)
}

/// The outputs of a layer: with values when its stack lives, else to be known after apply.
fn known_outputs(layer: &Layer, found: Option<&Stack>) -> Outputs {
    let mut outputs: Outputs = layer
        .template
        .outputs
        .iter()
        .map(|name| (name.clone(), None))
        .collect();
    if let Some(stack) = found
        && matches!(stack.condition(), Condition::Ready | Condition::Stuck)
    {
        outputs.extend(
            stack
                .outputs
                .iter()
                .map(|(name, value)| (name.clone(), Some(value.clone()))),
        );
    }
    outputs
}
