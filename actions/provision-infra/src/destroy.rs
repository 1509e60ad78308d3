//! Taking an environment down: the last layer first.

use crate::apply::Work;
use crate::cloudformation::CloudFormation;
use crate::error::InfraError;
use crate::layers::Layer;
use crate::observe::remains;
use crate::plan::Doomed;
use crate::stack::{Condition, Stack};

/// Finds what there is to destroy, in the order in which it goes.
pub async fn doomed(
    cloudformation: &CloudFormation,
    layers: &[Layer],
) -> Result<Vec<Doomed>, InfraError> {
    let mut doomed = Vec::new();
    for layer in layers.iter().rev() {
        let Some(stack) = cloudformation.stack(&layer.stack).await? else {
            continue;
        };
        if stack.condition() == Condition::Absent {
            continue;
        }
        let resources = remains(cloudformation, &stack).await?;
        doomed.push(Doomed { stack, resources });
    }
    Ok(doomed)
}

/// Destroys the stacks, in the given order.
pub async fn destroy(work: &Work<'_>, stacks: &[Stack]) -> Result<(), InfraError> {
    for stack in stacks {
        tracing::info!("{}: deleting", stack.name);
        work.delete(stack).await?;
    }
    Ok(())
}
