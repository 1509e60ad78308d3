//! Who is told of alerts.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::names::Recipient;

/// How many recipients the template has a place for, of each kind of alerts.
const MOST: usize = 3;

/// Who is told of alerts.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Alerts {
    /// Who is told what somebody must look at now.
    #[serde(default)]
    pub critical: Recipients,
    /// Who is told what can wait for the morning.
    #[serde(default)]
    pub warning: Recipients,
}

/// A few recipients.
#[derive(Clone, Debug, Default)]
pub struct Recipients(Vec<Recipient>);

impl<'de> Deserialize<'de> for Recipients {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let recipients = Vec::<Recipient>::deserialize(deserializer)?;
        let count = recipients.len();
        if count > MOST {
            return Err(D::Error::custom(format!(
                "{count} recipients are named: there is a place for {MOST}; a mailing list is one"
            )));
        }
        Ok(Self(recipients))
    }
}

impl Alerts {
    /// Gives the parameters that the file sets.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = Vec::new();
        for (kind, recipients) in [("Critical", &self.critical), ("Warning", &self.warning)] {
            for (index, recipient) in recipients.0.iter().enumerate() {
                let url = recipient.as_str().starts_with("https://");
                let protocol = if url { "https" } else { "email" };
                let place = index + 1;
                parameters.push((format!("{kind}Target{place}"), recipient.to_string()));
                parameters.push((format!("{kind}Protocol{place}"), protocol.into()));
            }
        }
        parameters
    }
}
