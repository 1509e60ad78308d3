//! CloudFormation: the SDK's calls, in and out of this action's [values](crate::stack).

mod drift;

use aws_account::{SdkConfig, ServiceError};
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudformation::primitives::DateTimeFormat;
use aws_sdk_cloudformation::types::{
    Capability, ChangeAction, ChangeSetType, Parameter, PolicyAction, Replacement,
    RequiresRecreation, ResourceAttribute, ResourceChange as SdkChange, ResourceStatus,
    Stack as SdkStack, Tag,
};

use crate::error::InfraError;
use crate::layers::Layer;
use crate::stack::{
    ChangeSet, Detail, Event, Resource, ResourceChange, Stack, Values, details_between,
};
use crate::watch::Pace;

/// The beginning of the names of our change sets.
const PREFIX: &str = "fastapi-eks-actions-";

/// CloudFormation in one account and region.
#[derive(Clone, Debug)]
pub struct CloudFormation {
    client: Client,
    role: Option<String>,
}

/// Turns the failure of a call into an error that says what was being done.
pub(crate) fn failed<E, R>(doing: impl Into<String>) -> impl FnOnce(SdkError<E, R>) -> InfraError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let doing = doing.into();
    move |error| InfraError::Call {
        doing,
        source: ServiceError::from(error),
    }
}

/// Names a call, so that the service knows it when it comes a second time. It is the name of a
/// change set as well.
fn token() -> String {
    format!("{PREFIX}{}", jiff::Timestamp::now().as_nanosecond())
}

/// Says whether an answer means that the stack (or change set) is not there.
fn is_absent(error: &ServiceError) -> bool {
    error.is("ChangeSetNotFound")
        || (error.is("ValidationError") && error.message.contains("does not exist"))
}

impl CloudFormation {
    /// Opens a client.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
            role: None,
        }
    }

    /// Has stacks changed as a role: what the credentials may not do themselves, it does.
    #[must_use]
    pub fn acting_as(self, role: Option<String>) -> Self {
        Self { role, ..self }
    }

    /// Describes a stack by name or id.
    pub async fn stack(&self, name: &str) -> Result<Option<Stack>, InfraError> {
        let answer = self.client.describe_stacks().stack_name(name).send().await;
        match answer {
            Ok(answer) => Ok(answer.stacks().first().map(stack)),
            Err(error) => match ServiceError::from(error) {
                error if is_absent(&error) => Ok(None),
                source => Err(InfraError::Call {
                    doing: format!("describe the stack `{name}`"),
                    source,
                }),
            },
        }
    }

    /// Makes a change set; `None` when nothing would change.
    pub async fn change_set(
        &self,
        layer: &Layer,
        parameters: &Values,
        tags: &Values,
        exists: bool,
    ) -> Result<Option<ChangeSet>, InfraError> {
        let kind = if exists {
            ChangeSetType::Update
        } else {
            ChangeSetType::Create
        };
        let name = token();
        let created = self
            .client
            .create_change_set()
            .stack_name(&layer.stack)
            .change_set_name(&name)
            .client_token(&name)
            .change_set_type(kind)
            .template_body(&layer.template.body)
            .capabilities(Capability::CapabilityIam)
            .capabilities(Capability::CapabilityNamedIam)
            .set_parameters(Some(sdk_parameters(parameters)))
            .set_tags(Some(sdk_tags(tags)))
            .set_role_arn(self.role.clone())
            .send()
            .await;
        let doing = format!("create a change set for the stack `{}`", layer.stack);
        let id = created
            .map_err(failed(doing))
            .map(|answer| answer.id().unwrap_or(&name).to_owned())
            .map_err(|error| invalid(layer, error))?;
        match self.ready(&layer.stack, &id).await {
            Ok(change_set) => Ok(change_set),
            Err(error) => {
                self.delete_change_set(&layer.stack, &id).await?;
                Err(invalid(layer, error))
            }
        }
    }

    /// Waits for a change set and reads all of it.
    async fn ready(&self, stack: &str, id: &str) -> Result<Option<ChangeSet>, InfraError> {
        let mut delay = Pace::default();
        loop {
            let page = self.describe_change_set(stack, id, None).await?;
            let status = page.status().map_or("", |status| status.as_str());
            match status {
                "CREATE_COMPLETE" => return self.read(stack, id, page).await.map(Some),
                "FAILED" => {
                    let message = page.status_reason().unwrap_or_default().to_owned();
                    return if is_no_change(&message) {
                        self.delete_change_set(stack, id).await?;
                        Ok(None)
                    } else {
                        Err(InfraError::ChangeSet {
                            stack: stack.into(),
                            message,
                        })
                    };
                }
                _ => delay.wait().await,
            }
        }
    }

    async fn describe_change_set(
        &self,
        stack: &str,
        id: &str,
        token: Option<String>,
    ) -> Result<
        aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput,
        InfraError,
    > {
        self.client
            .describe_change_set()
            .stack_name(stack)
            .change_set_name(id)
            .include_property_values(true)
            .set_next_token(token)
            .send()
            .await
            .map_err(failed(format!(
                "read the change set of the stack `{stack}`"
            )))
    }

    async fn read(
        &self,
        stack: &str,
        id: &str,
        mut page: aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput,
    ) -> Result<ChangeSet, InfraError> {
        let stack_id = page.stack_id().unwrap_or(stack).to_owned();
        let mut changes = Vec::new();
        loop {
            changes.extend(
                page.changes()
                    .iter()
                    .filter_map(|change| change.resource_change())
                    .map(resource_change),
            );
            let Some(token) = page.next_token().map(String::from) else {
                break;
            };
            page = self.describe_change_set(stack, id, Some(token)).await?;
        }
        Ok(ChangeSet {
            id: id.into(),
            stack_id,
            changes,
        })
    }

    /// Executes a change set; one that is being executed already is fine: an earlier attempt may
    /// have got through without its answer.
    pub async fn execute(&self, stack: &str, change_set: &str) -> Result<(), InfraError> {
        let answer = self
            .client
            .execute_change_set()
            .stack_name(stack)
            .change_set_name(change_set)
            .client_request_token(token())
            .send()
            .await;
        let Err(error) = answer.map_err(ServiceError::from) else {
            return Ok(());
        };
        if error.is("InvalidChangeSetStatus") && self.is_under_way(stack, change_set).await? {
            return Ok(());
        }
        Err(InfraError::Call {
            doing: format!("execute the change set of the stack `{stack}`"),
            source: error,
        })
    }

    /// Says whether a change set is being executed, or was.
    async fn is_under_way(&self, stack: &str, change_set: &str) -> Result<bool, InfraError> {
        let found = self.describe_change_set(stack, change_set, None).await?;
        let status = found.execution_status();
        Ok(status.is_some_and(|status| {
            matches!(status.as_str(), "EXECUTE_IN_PROGRESS" | "EXECUTE_COMPLETE")
        }))
    }

    /// Deletes a change set; one that is not there is fine.
    pub async fn delete_change_set(&self, stack: &str, id: &str) -> Result<(), InfraError> {
        let answer = self
            .client
            .delete_change_set()
            .stack_name(stack)
            .change_set_name(id)
            .send()
            .await;
        match answer.map_err(ServiceError::from) {
            Err(source) if !is_absent(&source) => Err(InfraError::Call {
                doing: format!("delete the change set of the stack `{stack}`"),
                source,
            }),
            _ => Ok(()),
        }
    }

    /// Gives the ids of the change sets that earlier runs left behind, and whether others have some.
    pub async fn change_sets(&self, stack: &str) -> Result<(Vec<String>, bool), InfraError> {
        let mut pages = self
            .client
            .list_change_sets()
            .stack_name(stack)
            .into_paginator()
            .items()
            .send();
        let mut ours = Vec::new();
        let mut others = false;
        while let Some(summary) = pages.next().await {
            let summary = match summary.map_err(ServiceError::from) {
                Ok(summary) => summary,
                Err(error) if is_absent(&error) => break,
                Err(source) => {
                    return Err(InfraError::Call {
                        doing: format!("list the change sets of the stack `{stack}`"),
                        source,
                    });
                }
            };
            let execution = summary
                .execution_status()
                .map_or("", |status| status.as_str());
            if execution.starts_with("EXECUTE_") {
                continue;
            }
            match (summary.change_set_name(), summary.change_set_id()) {
                (Some(name), Some(id)) if name.starts_with(PREFIX) => ours.push(id.to_owned()),
                _ => others = true,
            }
        }
        Ok((ours, others))
    }

    /// Protects a stack from deletion, or allows it.
    pub async fn protect(&self, stack: &str, protected: bool) -> Result<(), InfraError> {
        self.client
            .update_termination_protection()
            .stack_name(stack)
            .enable_termination_protection(protected)
            .send()
            .await
            .map(|_| ())
            .map_err(failed(format!(
                "set the termination protection of the stack `{stack}`"
            )))
    }

    /// Starts to delete a stack.
    pub async fn delete_stack(&self, id: &str) -> Result<(), InfraError> {
        self.client
            .delete_stack()
            .stack_name(id)
            .client_request_token(token())
            .set_role_arn(self.role.clone())
            .send()
            .await
            .map(|_| ())
            .map_err(failed(format!("delete the stack `{id}`")))
    }

    /// Starts to continue a rollback that failed.
    pub async fn continue_rollback(&self, stack: &str) -> Result<(), InfraError> {
        self.client
            .continue_update_rollback()
            .stack_name(stack)
            .client_request_token(token())
            .set_role_arn(self.role.clone())
            .send()
            .await
            .map(|_| ())
            .map_err(failed(format!(
                "continue the rollback of the stack `{stack}`"
            )))
    }

    /// Gives the id of a stack's newest event.
    pub async fn newest_event(&self, id: &str) -> Result<Option<String>, InfraError> {
        let answer = self
            .client
            .describe_stack_events()
            .stack_name(id)
            .send()
            .await
            .map_err(failed(format!("read the events of the stack `{id}`")))?;
        Ok(answer
            .stack_events()
            .first()
            .and_then(|event| event.event_id())
            .map(String::from))
    }

    /// Gives the events that are newer than `last`, the oldest first.
    pub async fn events(&self, id: &str, last: Option<&str>) -> Result<Vec<Event>, InfraError> {
        let mut pages = self
            .client
            .describe_stack_events()
            .stack_name(id)
            .into_paginator()
            .items()
            .send();
        let mut events = Vec::new();
        while let Some(event) = pages.next().await {
            let event = match event.map_err(ServiceError::from) {
                Ok(event) => event,
                Err(error) if is_absent(&error) => break,
                Err(source) => {
                    return Err(InfraError::Call {
                        doing: format!("read the events of the stack `{id}`"),
                        source,
                    });
                }
            };
            if event.event_id() == last && last.is_some() {
                break;
            }
            let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
            events.push(Event {
                id: text(event.event_id()),
                logical_id: text(event.logical_resource_id()),
                physical_id: text(event.physical_resource_id()),
                kind: text(event.resource_type()),
                status: text(event.resource_status().map(ResourceStatus::as_str)),
                reason: text(event.resource_status_reason()),
            });
        }
        events.reverse();
        Ok(events)
    }

    /// Lists what a stack holds.
    pub async fn resources(&self, stack: &str) -> Result<Vec<Resource>, InfraError> {
        let mut pages = self
            .client
            .list_stack_resources()
            .stack_name(stack)
            .into_paginator()
            .items()
            .send();
        let mut resources = Vec::new();
        while let Some(resource) = pages.next().await {
            let resource =
                resource.map_err(failed(format!("list the resources of the stack `{stack}`")))?;
            let status = resource
                .resource_status()
                .map_or("", |status| status.as_str());
            if status != "DELETE_COMPLETE" {
                resources.push(Resource {
                    logical_id: resource.logical_resource_id().unwrap_or_default().into(),
                    physical_id: resource.physical_resource_id().unwrap_or_default().into(),
                    kind: resource.resource_type().unwrap_or_default().into(),
                    deletion_policy: String::new(),
                });
            }
        }
        Ok(resources)
    }

    /// Gives the template that a stack was made from.
    pub async fn template(&self, stack: &str) -> Result<String, InfraError> {
        let answer = self
            .client
            .get_template()
            .stack_name(stack)
            .send()
            .await
            .map_err(failed(format!("read the template of the stack `{stack}`")))?;
        Ok(answer.template_body().unwrap_or_default().into())
    }
}

/// A call that CloudFormation finds invalid while it reads a template is about the template.
fn invalid(layer: &Layer, error: InfraError) -> InfraError {
    match error {
        InfraError::Call { source, .. } if source.is("ValidationError") => {
            InfraError::InvalidTemplate {
                layer: layer.name.clone(),
                message: source.message,
            }
        }
        error => error,
    }
}

/// Says whether a change set failed only because there is nothing to do.
fn is_no_change(message: &str) -> bool {
    [
        "didn't contain changes",
        "No updates are to be performed",
        "no changes",
    ]
    .iter()
    .any(|words| message.to_lowercase().contains(&words.to_lowercase()))
}

fn sdk_parameters(values: &Values) -> Vec<Parameter> {
    values
        .iter()
        .map(|(name, value)| {
            Parameter::builder()
                .parameter_key(name)
                .parameter_value(value)
                .build()
        })
        .collect()
}

fn sdk_tags(values: &Values) -> Vec<Tag> {
    values
        .iter()
        .map(|(name, value)| Tag::builder().key(name).value(value).build())
        .collect()
}

fn stack(stack: &SdkStack) -> Stack {
    let changed = stack.last_updated_time().or(stack.creation_time());
    Stack {
        id: stack.stack_id().unwrap_or_default().into(),
        name: stack.stack_name().unwrap_or_default().into(),
        status: stack
            .stack_status()
            .map_or("", |status| status.as_str())
            .into(),
        reason: stack.stack_status_reason().unwrap_or_default().into(),
        outputs: stack
            .outputs()
            .iter()
            .filter_map(|output| {
                Some((
                    output.output_key()?.to_owned(),
                    output.output_value()?.to_owned(),
                ))
            })
            .collect(),
        changed: changed
            .and_then(|time| time.fmt(DateTimeFormat::DateTime).ok())
            .unwrap_or_default(),
        protected: stack.enable_termination_protection().unwrap_or_default(),
    }
}

fn resource_change(change: &SdkChange) -> ResourceChange {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let mut details: Vec<Detail> = change
        .details()
        .iter()
        .filter_map(|detail| detail.target())
        .map(|target| Detail {
            name: target
                .name()
                .or(target.attribute().map(ResourceAttribute::as_str))
                .unwrap_or_default()
                .into(),
            before: target.before_value().map(String::from),
            after: target.after_value().map(String::from),
            replaces: target
                .requires_recreation()
                .is_some_and(|when| *when != RequiresRecreation::Never),
        })
        .collect();
    // A property that changes for two reasons is told twice.
    details.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| b.after.cmp(&a.after)));
    details.dedup_by(|a, b| {
        let same = a.name == b.name;
        b.replaces |= same && a.replaces;
        same
    });
    if let (true, Some(before), Some(after)) = (
        details.is_empty(),
        change.before_context(),
        change.after_context(),
    ) {
        details = details_between(before, after);
    }
    ResourceChange {
        logical_id: text(change.logical_resource_id()),
        kind: text(change.resource_type()),
        action: text(change.action().map(ChangeAction::as_str)),
        replacement: text(change.replacement().map(Replacement::as_str)),
        policy: text(change.policy_action().map(PolicyAction::as_str)),
        details,
    }
}
