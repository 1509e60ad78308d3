//! Whose credentials they are, and whether they should be.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::AccountError;

/// An AWS account: twelve digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account(String);

/// A text is no account.
#[derive(Debug, Error)]
#[error("`{0}` is no AWS account: twelve digits, in quotes where the file is YAML")]
pub struct AccountParseError(String);

impl FromStr for Account {
    type Err = AccountParseError;

    fn from_str(text: &str) -> Result<Self, AccountParseError> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(AccountParseError(text.into()))
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Who STS says we are.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The account.
    pub account: String,
    /// The user or the role's session.
    pub arn: String,
}

impl Identity {
    /// Refuses when the credentials belong to another account than the declared one.
    pub fn guard(&self, expected: &Account) -> Result<(), AccountError> {
        if self.account == expected.0 {
            return Ok(());
        }
        Err(AccountError::OtherAccount {
            expected: expected.clone(),
            found: self.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_twelve_digits() {
        assert_eq!(
            "000000000000".parse::<Account>().unwrap().to_string(),
            "000000000000"
        );
        for wrong in ["", "1234", "0123456789ab", "0123456789012"] {
            assert!(wrong.parse::<Account>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn another_account_is_refused_by_name() {
        let identity = Identity {
            account: "111111111111".into(),
            arn: "arn:aws:sts::111111111111:assumed-role/deploy/run".into(),
        };
        assert!(identity.guard(&"111111111111".parse().unwrap()).is_ok());
        let error = identity
            .guard(&"222222222222".parse().unwrap())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the credentials belong to account 111111111111, expected is 222222222222"
        );
    }
}
