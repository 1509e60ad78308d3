//! What each contender is given, and the calls that do the same with each.

use std::path::PathBuf;

use anyhow::Result;

use super::emulator::client;
use super::install::{PROVIDER_SOURCE, size};
use super::{AWS, Call, Infra, PROVIDER, Situation, TERRAFORM};
use crate::steps::localstack::REGION;

/// The project and the environment of the network.
const PROJECT: &str = "bench";
const ENVIRONMENT: &str = "test";
/// The layer, and its template.
const LAYER: &str = "network";
const TEMPLATE: &str = "actions/provision-infra/stacks/network.yaml";

/// A contender at work.
pub trait Peer {
    /// Gives the call of a situation.
    fn call(&self, situation: Situation) -> Result<Call>;

    /// Does what is due after the first apply, uncounted.
    fn applied(&self) -> Result<()> {
        Ok(())
    }

    /// Gives the bytes of the files that must be there.
    fn install(&self) -> Result<u64>;
}

/// Prepares a contender to make the network in an emulator.
pub fn open<'a>(
    infra: &'a Infra<'a>,
    contender: &str,
    endpoint: &'a str,
) -> Result<Box<dyn Peer + 'a>> {
    let folder = infra.folder.join(contender);
    if folder.exists() {
        fs_err::remove_dir_all(&folder)?;
    }
    fs_err::create_dir_all(&folder)?;
    let site = Site {
        infra,
        endpoint,
        folder,
    };
    Ok(match contender {
        TERRAFORM => Box::new(Terraform::open(site)?),
        AWS => Box::new(Aws(site)),
        _ => Box::new(Action::open(site)?),
    })
}

struct Site<'a> {
    infra: &'a Infra<'a>,
    endpoint: &'a str,
    folder: PathBuf,
}

/// provision-infra, with one layer.
struct Action<'a>(Site<'a>);

impl<'a> Action<'a> {
    fn open(site: Site<'a>) -> Result<Self> {
        let stacks = site.folder.join("stacks");
        fs_err::create_dir_all(&stacks)?;
        fs_err::copy(
            site.infra.cx.root.join(TEMPLATE),
            stacks.join(format!("{LAYER}.yaml")),
        )?;
        let text = format!(
            "project: {PROJECT}\nregion: {REGION}\naccount: \"000000000000\"\nenvironments:\n  {ENVIRONMENT}: {{}}\n"
        );
        fs_err::write(site.folder.join("infrastructure.yaml"), text)?;
        Ok(Self(site))
    }
}

impl Peer for Action<'_> {
    fn call(&self, situation: Situation) -> Result<Call> {
        let Site {
            infra,
            endpoint,
            folder,
        } = &self.0;
        let (mode, says) = match situation {
            Situation::Apply => ("apply", ""),
            Situation::Plan => ("plan", "no changes"),
            Situation::Drift => ("drift", "0 changed, 0 deleted"),
        };
        let command = infra
            .counted(endpoint, &infra.programs.action)
            .args(["--mode", mode, "--environment", ENVIRONMENT])
            .args(["--config", "infrastructure.yaml", "--stacks", "stacks"])
            .current_dir(folder);
        Ok(Call { command, says })
    }

    fn install(&self) -> Result<u64> {
        size(&self.0.infra.programs.action)
    }
}

/// Terraform, with its provider in a mirror and its state in a file.
struct Terraform<'a>(Site<'a>);

impl<'a> Terraform<'a> {
    fn open(site: Site<'a>) -> Result<Self> {
        let (infra, folder) = (site.infra, &site.folder);
        fs_err::copy(
            infra.cx.root.join("tests/bench/network/main.tf"),
            folder.join("main.tf"),
        )?;
        let mirror = infra.folder.join("mirror");
        let plugin = mirror.join(format!("{PROVIDER_SOURCE}/{PROVIDER}/linux_amd64"));
        if !plugin.exists() {
            fs_err::create_dir_all(&plugin)?;
            let name = format!("terraform-provider-aws_v{PROVIDER}");
            fs_err::copy(&infra.programs.provider, plugin.join(name))?;
        }
        let text = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{ path = \"{}\" }}\n}}\n",
            mirror.display()
        );
        fs_err::write(folder.join("terraform.rc"), text)?;
        let terraform = Self(site);
        let init = client(&infra.programs.terraform, terraform.0.endpoint);
        let init = terraform.settle(init).args(["init", "-input=false"]);
        infra.cx.run(&init)?;
        Ok(terraform)
    }

    fn settle(&self, command: action_kit::Command) -> action_kit::Command {
        let Site {
            endpoint, folder, ..
        } = &self.0;
        command
            .env("TF_CLI_CONFIG_FILE", folder.join("terraform.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_VAR_endpoint", endpoint)
            .env("TF_VAR_region", REGION)
            .env("TF_VAR_name", format!("{PROJECT}-{ENVIRONMENT}"))
            .current_dir(folder)
    }
}

impl Peer for Terraform<'_> {
    fn call(&self, situation: Situation) -> Result<Call> {
        let (arguments, says): (&[&str], _) = match situation {
            Situation::Apply => (&["apply", "-auto-approve"], ""),
            Situation::Plan => (&["plan"], "No changes."),
            Situation::Drift => (&["plan", "-refresh-only"], "No changes."),
        };
        let infra = self.0.infra;
        let command = infra.counted(self.0.endpoint, &infra.programs.terraform);
        let command = self
            .settle(command)
            .args(arguments)
            .args(["-input=false", "-no-color"]);
        Ok(Call { command, says })
    }

    /// Has the state take what AWS added to what was made, which a drift check would find.
    fn applied(&self) -> Result<()> {
        let Site {
            infra, endpoint, ..
        } = &self.0;
        let terraform = self.settle(client(&infra.programs.terraform, endpoint));
        let refresh = ["apply", "-refresh-only", "-auto-approve", "-input=false"];
        infra.cx.run(&terraform.args(refresh)).map(|_| ())
    }

    fn install(&self) -> Result<u64> {
        let programs = &self.0.infra.programs;
        Ok(size(&programs.terraform)? + size(&programs.provider)?)
    }
}

/// The AWS CLI.
struct Aws<'a>(Site<'a>);

impl Peer for Aws<'_> {
    fn call(&self, situation: Situation) -> Result<Call> {
        let Site {
            infra, endpoint, ..
        } = &self.0;
        let (programs, stack) = (&infra.programs, format!("{PROJECT}-{ENVIRONMENT}-{LAYER}"));
        let aws = |command: action_kit::Command| {
            command
                .env("PYTHONPATH", &programs.aws)
                .env("AWS_PAGER", "")
        };
        if situation == Situation::Drift {
            let command = aws(infra.counted(endpoint, "sh"))
                .arg(infra.cx.root.join("tests/bench/network/drift.sh"))
                .arg(&stack)
                .arg(&programs.python)
                .args(["-m", "awscli"]);
            return Ok(Call {
                command,
                says: "\"StackResourceDrifts\": []",
            });
        }
        let command = aws(infra.counted(endpoint, &programs.python))
            .args(["-m", "awscli", "cloudformation", "deploy"])
            .args(["--stack-name", &stack, "--template-file"])
            .arg(infra.cx.root.join(TEMPLATE))
            .arg("--parameter-overrides")
            .arg(format!("Project={PROJECT}"))
            .arg(format!("Environment={ENVIRONMENT}"))
            .args(["--capabilities", "CAPABILITY_IAM"]);
        Ok(match situation {
            Situation::Plan => Call {
                command: command.args(["--no-execute-changeset", "--no-fail-on-empty-changeset"]),
                says: "No changes to deploy",
            },
            _ => Call { command, says: "" },
        })
    }

    fn install(&self) -> Result<u64> {
        let programs = &self.0.infra.programs;
        let library = &programs.python_library;
        Ok(size(&programs.python)? + size(library)? + size(&programs.aws)?)
    }
}
