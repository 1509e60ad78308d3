//! Taking an environment down: the last layer first, and what the cluster leaves behind when the
//! cluster is gone.

use crate::apply::Work;
use crate::cloudformation::CloudFormation;
use crate::error::InfraError;
use crate::layers::{Layer, is_below_cluster};
use crate::leftovers::{Holding, Leftover, Outside};
use crate::observe::remains;
use crate::plan::{Doomed, around_leftovers, unnamed};
use crate::stack::{Condition, Stack};

/// The output that names the bucket of backups.
const BACKUPS: &str = "WalBucketName";

/// What there is to destroy.
#[derive(Clone, Debug)]
pub struct Found {
    /// The stacks, in the order in which they go.
    pub doomed: Vec<Doomed>,
    /// What the cluster leaves behind.
    pub leftovers: Vec<Leftover>,
}

/// Finds the stacks of layers that no setting asks for any more, the last layer first.
pub async fn dropped(
    cloudformation: &CloudFormation,
    layers: &[Layer],
) -> Result<Vec<Doomed>, InfraError> {
    let mut dropped = Vec::new();
    for layer in layers.iter().rev() {
        let Some(stack) = cloudformation.stack(&layer.stack).await? else {
            continue;
        };
        match stack.condition() {
            Condition::Absent | Condition::Unborn => continue,
            Condition::Busy => {
                return Err(InfraError::Busy {
                    stack: stack.name,
                    status: stack.status,
                });
            }
            Condition::Ready | Condition::Broken | Condition::Stuck => {}
        }
        dropped.push(Doomed {
            resources: remains(cloudformation, &stack).await?,
            below_cluster: is_below_cluster(&layer.name),
            backups: None,
            stack,
        });
    }
    Ok(dropped)
}

/// Finds what there is to destroy. Without a place to look outside of the stacks, that is the stacks.
pub async fn find(
    cloudformation: &CloudFormation,
    outside: Option<&Outside>,
    layers: &[Layer],
) -> Result<Found, InfraError> {
    let mut doomed = Vec::new();
    for layer in layers.iter().rev() {
        let Some(stack) = cloudformation.stack(&layer.stack).await? else {
            continue;
        };
        if stack.condition() == Condition::Absent {
            continue;
        }
        doomed.push(Doomed {
            resources: remains(cloudformation, &stack).await?,
            below_cluster: is_below_cluster(&layer.name),
            backups: backups(outside, &stack).await?,
            stack,
        });
    }
    let (above, _) = around_leftovers(&doomed);
    let leftovers = match outside {
        Some(outside) => outside.leftovers(!above.is_empty()).await?,
        None => Vec::new(),
    };
    Ok(Found { doomed, leftovers })
}

/// Gives the bucket of backups that a stack holds, when there are some in it.
async fn backups(outside: Option<&Outside>, stack: &Stack) -> Result<Option<String>, InfraError> {
    match outside.zip(stack.outputs.get(BACKUPS)) {
        Some((outside, bucket)) if !outside.is_empty(bucket).await? => Ok(Some(bucket.clone())),
        _ => Ok(None),
    }
}

/// Destroys what was found; what holds data must be named.
pub async fn destroy(
    work: &Work<'_>,
    outside: Option<&Outside>,
    found: &Found,
    named: &[String],
) -> Result<(), InfraError> {
    check(unnamed(&found.doomed, &found.leftovers, named))?;
    let (above, below) = around_leftovers(&found.doomed);
    delete(work, above).await?;
    if let Some(outside) = outside {
        // Machines that stop give interfaces back, and until then controllers made things.
        let leftovers = outside.leftovers(false).await?;
        check(unnamed(&[], &leftovers, named))?;
        outside.remove(&leftovers, &work.deadline).await?;
    }
    delete(work, below).await
}

fn check(holdings: Vec<Holding>) -> Result<(), InfraError> {
    if holdings.is_empty() {
        return Ok(());
    }
    Err(InfraError::NotNamed { holdings })
}

/// Deletes stacks, in the given order.
pub async fn delete(work: &Work<'_>, doomed: &[Doomed]) -> Result<(), InfraError> {
    for Doomed { stack, .. } in doomed {
        tracing::info!("{}: deleting", stack.name);
        work.delete(stack).await?;
    }
    Ok(())
}
