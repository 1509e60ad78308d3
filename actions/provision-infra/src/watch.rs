//! Following a stack until it rests, with its events as progress.

use std::time::{Duration, Instant};

use crate::cloudformation::CloudFormation;
use crate::error::InfraError;
use crate::stack::{Event, first_failure, under_way};
use crate::usual;

/// How long to wait between two looks: soon at first, then every few seconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace(Duration);

impl Default for Pace {
    fn default() -> Self {
        Self(Duration::from_millis(200))
    }
}

impl Pace {
    /// Waits, longer each time.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 3 / 2).min(Duration::from_secs(5));
    }
}

/// When the run must be over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    start: Instant,
    seconds: u64,
}

impl Deadline {
    /// Starts the clock.
    #[must_use]
    pub fn after(seconds: u64) -> Self {
        Self {
            start: Instant::now(),
            seconds,
        }
    }

    /// Gives the seconds that there were when the time is up.
    #[must_use]
    pub fn over(&self) -> Option<u64> {
        (self.start.elapsed() >= Duration::from_secs(self.seconds)).then_some(self.seconds)
    }

    /// Fails when the time is up, and says what was waited for.
    pub fn check(&self, stack: &str, status: &str, seen: &[Event]) -> Result<(), InfraError> {
        match self.over() {
            None => Ok(()),
            Some(seconds) => Err(InfraError::TimedOut {
                stack: stack.into(),
                status: status.into(),
                waiting: under_way(seen),
                seconds,
            }),
        }
    }
}

/// How an operation on a stack ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The stack's status.
    pub status: String,
    /// Why, when CloudFormation says so.
    pub reason: String,
    /// What happened on the way, the oldest first.
    pub events: Vec<Event>,
}

/// Follows a stack from after the event `last` until it rests; a stack that is no longer there
/// rests as `DELETE_COMPLETE`.
pub async fn follow(
    cloudformation: &CloudFormation,
    deadline: &Deadline,
    name: &str,
    stack_id: &str,
    mut last: Option<String>,
) -> Result<Ending, InfraError> {
    let mut pace = Pace::default();
    let mut seen: Vec<Event> = Vec::new();
    loop {
        let now = cloudformation.stack(stack_id).await?;
        let new = cloudformation.events(stack_id, last.as_deref()).await?;
        for event in &new {
            tell(name, event, stack_id);
        }
        last = new.last().map(|event| event.id.clone()).or(last);
        seen.extend(new);
        let resting = seen
            .iter()
            .rfind(|event| event.is_of_stack(stack_id))
            .filter(|event| !event.status.ends_with("_IN_PROGRESS"));
        if let Some(event) = resting {
            return Ok(Ending {
                status: event.status.clone(),
                reason: event.reason.clone(),
                events: seen,
            });
        }
        let status = now.map_or_else(|| "DELETE_COMPLETE".to_owned(), |stack| stack.status);
        if status == "DELETE_COMPLETE" {
            return Ok(Ending {
                status,
                reason: String::new(),
                events: seen,
            });
        }
        deadline.check(name, &status, &seen)?;
        pace.wait().await;
    }
}

fn tell(name: &str, event: &Event, stack_id: &str) {
    let subject = if event.is_of_stack(stack_id) {
        "the stack".to_owned()
    } else {
        format!("{} ({})", event.logical_id, event.kind)
    };
    let usual = usual::minutes(&event.kind).filter(|_| event.status == "CREATE_IN_PROGRESS");
    let reason = match (usual, &*event.reason) {
        (Some(minutes), _) => format!(": usually takes about {minutes} minutes"),
        (None, "") => String::new(),
        (None, reason) => format!(": {reason}"),
    };
    tracing::info!("{name}: {:<20} {subject}{reason}", event.status);
}

impl Ending {
    /// Turns an ending that was not hoped for into its first cause.
    #[must_use]
    pub fn failure(self, name: &str, stack_id: &str) -> InfraError {
        match first_failure(&self.events, stack_id) {
            Some(event) => InfraError::Resource {
                stack: name.into(),
                event: Box::new(event.clone()),
                stack_status: self.status,
            },
            None => InfraError::Stack {
                stack: name.into(),
                status: self.status,
                reason: self.reason,
            },
        }
    }
}
