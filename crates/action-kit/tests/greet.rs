//! The smallest action: the kit's own tests run it as a step of a workflow.

use action_kit::{
    Common, Context, Failed, Failure, Metadata, Outcome, Reason, Report, Secret, named,
};
use thiserror::Error;

const METADATA: Metadata = Metadata {
    name: "greet",
    title: "Greet",
    description: "Greets people.",
    outputs: &[("greeting", "What was said")],
    icon: "smile",
    color: "blue",
};

#[derive(clap::Args, Debug)]
struct Inputs {
    /// Whom to greet
    #[arg(long)]
    who: String,
    /// How often
    #[arg(long, default_value_t = 1, value_name = "N")]
    repeat_count: u8,
    /// Whether to shout
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    loud: bool,
    /// Who else is there, one a line
    #[arg(long)]
    others: Vec<String>,
    /// A password that nobody may see
    #[arg(long)]
    password: Option<Secret>,
    #[command(flatten)]
    common: Common,
}

impl AsRef<Common> for Inputs {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

#[derive(Debug, Error)]
enum GreetError {
    #[error("greet `{who}`")]
    Nobody {
        who: String,
        source: std::num::ParseIntError,
    },
}

impl Failure for GreetError {
    fn reason(&self) -> Reason {
        Reason::Refused
    }

    fn hints(&self) -> Vec<String> {
        vec!["name somebody".into()]
    }
}

fn main() -> std::process::ExitCode {
    action_kit::main(&METADATA, greet)
}

async fn greet(inputs: Inputs, context: Context) -> Result<Report, Failed> {
    if inputs.who == "nobody" {
        let source = "none".parse::<u8>().err();
        return source.map_or_else(
            || Ok(Report::new(Outcome::Unchanged)),
            |source| {
                Err(Failed::from(GreetError::Nobody {
                    who: inputs.who,
                    source,
                })
                .with(Report::new(Outcome::Done).output("greeting", "nobody is there")))
            },
        );
    }
    let _group = context.console.group("greetings");
    if let Some(password) = &inputs.password {
        tracing::info!("the password is {}", password.expose());
    }
    for other in &inputs.others {
        named(other, async {
            let _group = context.console.group("by name");
            tracing::warn!("hello\nagain");
            context.console.line("one\ntwo");
        })
        .await;
    }
    let people = std::iter::once(inputs.who)
        .chain(inputs.others)
        .collect::<Vec<_>>()
        .join(" and ");
    let mut greeting = vec![format!("hello {people}"); inputs.repeat_count.into()].join(", ");
    if inputs.loud {
        greeting = greeting.to_uppercase();
    }
    tracing::warn!(people, "greeting\nin two lines");
    Ok(Report::new(Outcome::Done)
        .output("greeting", &greeting)
        .markdown(format!("**{greeting}**"))
        .line(greeting))
}
