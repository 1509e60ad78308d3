//! Variables of the files, public and secret.

use std::str::FromStr;

use action_kit::{Console, Secret};
use hurl::runner::{Number, Value, VariableSet};
use thiserror::Error;

use crate::error::SmokeError;

/// Shorter values cannot be masked: they would blacken ordinary words.
const SHORTEST_SECRET: usize = 4;
/// Names of Hurl's own functions.
const RESERVED: [&str; 3] = ["getEnv", "newDate", "newUuid"];

/// A variable that everybody may see.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    name: String,
    value: Value,
}

/// A text is no variable.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VariableError {
    /// There is no `=`.
    #[error("write NAME=VALUE")]
    NoValue,
    /// The name cannot be used in a file.
    #[error(
        "a name has letters, digits, `_` and `-`, starts with a letter and is no function of Hurl's"
    )]
    Name,
    /// A quote is missing.
    #[error("the value starts with a double quote and does not end with one")]
    Quote,
}

impl FromStr for Variable {
    type Err = VariableError;

    fn from_str(text: &str) -> Result<Self, VariableError> {
        let (name, value) = split(text)?;
        Ok(Self {
            name: name.into(),
            value: typed(value)?,
        })
    }
}

fn split(text: &str) -> Result<(&str, &str), VariableError> {
    let (name, value) = text.split_once('=').ok_or(VariableError::NoValue)?;
    let name = name.trim();
    let first = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let others = name
        .chars()
        .all(|other| other.is_ascii_alphanumeric() || matches!(other, '_' | '-'));
    if first && others && !RESERVED.contains(&name) {
        Ok((name, value))
    } else {
        Err(VariableError::Name)
    }
}

/// Types a value as Hurl's own command line does.
fn typed(text: &str) -> Result<Value, VariableError> {
    Ok(match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ => {
            if let Ok(integer) = text.parse::<i64>() {
                Value::Number(Number::Integer(integer))
            } else if let Ok(float) = text.parse::<f64>() {
                Value::Number(Number::Float(float))
            } else if let Some(rest) = text.strip_prefix('"') {
                Value::String(rest.strip_suffix('"').ok_or(VariableError::Quote)?.into())
            } else {
                Value::String(text.into())
            }
        }
    })
}

/// Puts all variables together and masks the secret ones, as they are and as they look in an
/// address.
pub(crate) fn set(
    base_url: &str,
    variables: &[Variable],
    secrets: Option<&Secret>,
    console: &Console,
) -> Result<VariableSet, SmokeError> {
    let mut set = VariableSet::new();
    set.insert("base_url".into(), Value::String(base_url.into()));
    for Variable { name, value } in variables {
        set.insert(name.clone(), value.clone());
    }
    let lines = secrets.map(Secret::expose).unwrap_or_default().lines();
    for (index, line) in lines.enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (name, value) = split(line).map_err(|source| SmokeError::SecretLine {
            line: index + 1,
            source,
        })?;
        if value.len() < SHORTEST_SECRET {
            return Err(SmokeError::SecretTooShort { name: name.into() });
        }
        hide(value, console);
        set.insert_secret(name.into(), value.into());
    }
    Ok(set)
}

/// Masks a value, as it is and percent-encoded.
pub(crate) fn hide(value: &str, console: &Console) {
    console.hide(&Secret::new(value));
    let encoded = percent_encoded(value);
    if encoded != value {
        console.hide(&Secret::new(encoded));
    }
}

fn percent_encoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use hurl::runner::{Number, Value};

    use super::{Variable, VariableError, percent_encoded};

    #[test]
    fn values_are_typed_as_on_hurls_command_line() {
        let value = |text: &str| text.parse::<Variable>().map(|variable| variable.value);
        assert_eq!(value("a=true"), Ok(Value::Bool(true)));
        assert_eq!(value("a=3"), Ok(Value::Number(Number::Integer(3))));
        assert_eq!(value("a=\"3\""), Ok(Value::String("3".into())));
        assert_eq!(value("a=b=c"), Ok(Value::String("b=c".into())));
        assert_eq!(value("a="), Ok(Value::String(String::new())));
        assert_eq!(value("a"), Err(VariableError::NoValue));
        assert_eq!(value("1a=b"), Err(VariableError::Name));
        assert_eq!(value("newUuid=b"), Err(VariableError::Name));
        assert_eq!(value("a=\"b"), Err(VariableError::Quote));
    }

    #[test]
    fn a_secret_is_known_as_it_looks_in_an_address() {
        assert_eq!(percent_encoded("p@ss/w-1"), "p%40ss%2Fw-1");
    }
}
