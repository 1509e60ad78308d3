//! Taking an environment down: the last layer first.

use crate::apply::Work;
use crate::cloudformation::CloudFormation;
use crate::error::InfraError;
use crate::layers::Layer;
use crate::plan::Doomed;
use crate::stack::{Condition, Stack};
use crate::template::Template;

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
        let mut resources = cloudformation.resources(&stack.name).await?;
        if !resources.is_empty() {
            // The stack's own template decides, not the one that this version would apply.
            let body = cloudformation.template(&stack.name).await?;
            let template = Template::parse(body).ok();
            for resource in &mut resources {
                resource.deletion_policy = template
                    .as_ref()
                    .and_then(|template| template.deletion_policy(&resource.logical_id))
                    .unwrap_or("Delete")
                    .into();
            }
        }
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
