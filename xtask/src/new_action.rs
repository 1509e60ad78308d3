//! `cargo xtask new-action NAME`: the room of a new action, which needs no registration anywhere.

use anyhow::{Result, bail};

use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The action's name, in kebab-case: its folder and its program
    name: String,
    /// What it does, in one sentence
    #[arg(long, default_value = "Says which release is looked at.")]
    description: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let name = &arguments.name;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(fits) || name.starts_with('-') || name.ends_with('-') {
        bail!(
            "`{name}` is not a name in kebab-case\nhint: small letters, digits and hyphens, such as `rotate-secrets`"
        );
    }
    let room = workspace::root().join("actions").join(name);
    if room.exists() {
        bail!("`actions/{name}` is there already");
    }
    for (file, text) in FILES {
        let path = room.join(file);
        fs_err::create_dir_all(path.parent().unwrap_or(&room))?;
        let text = text
            .replace("{name}", name)
            .replace("{crate}", &name.replace('-', "_"))
            .replace("{title}", &title(name))
            .replace("{description}", &arguments.description);
        fs_err::write(&path, text)?;
        println!("wrote actions/{name}/{file}");
    }
    println!(
        "next: say in src/inputs.rs what it takes, in src/lib.rs what it does, then `cargo xtask codegen`"
    );
    Ok(())
}

fn title(name: &str) -> String {
    let words = name.replace('-', " ");
    let mut letters = words.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("new_action/Cargo.toml.in")),
    ("README.md", include_str!("new_action/README.md.in")),
    ("src/main.rs", include_str!("new_action/main.rs.in")),
    ("src/lib.rs", include_str!("new_action/lib.rs.in")),
    ("src/inputs.rs", include_str!("new_action/inputs.rs.in")),
    ("tests/it/main.rs", include_str!("new_action/it.rs.in")),
];

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn a_title_starts_with_a_capital() {
        assert_eq!(title("rotate-secrets"), "Rotate secrets");
    }
}
