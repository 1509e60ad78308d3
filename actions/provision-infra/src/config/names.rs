//! The values in `infrastructure.yaml`, each checked once.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

/// A text that is not what its place asks for.
#[derive(Debug, Error)]
#[error("`{value}` is no {what}")]
pub struct NameError {
    value: String,
    what: &'static str,
}

fn check(value: &str, what: &'static str, holds: bool) -> Result<(), NameError> {
    if holds {
        return Ok(());
    }
    Err(NameError {
        value: value.into(),
        what,
    })
}

/// Says whether a text is lower-case words, joined by hyphens, that begin with a letter.
fn is_words(text: &str, longest: usize) -> bool {
    text.len() <= longest
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Says whether a text is letters, digits and some other characters.
pub(super) fn is_plain(text: &str, others: &str) -> bool {
    let fits = |character: char| character.is_ascii_alphanumeric() || others.contains(character);
    !text.is_empty() && text.chars().all(fits)
}

/// Says whether a text is one part of a domain's name.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $holds:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// What the text is.
            #[cfg(test)]
            pub(super) const WHAT: &'static str = $what;

            /// Gives the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let holds: fn(&str) -> bool = $holds;
                check(text, $what, holds(text))?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(D::Error::custom)
            }
        }
    };
}

text!(
    /// The prefix of every name.
    ProjectName,
    "project name: lower-case letters, digits and single hyphens, at most 20, a letter first",
    |text| is_words(text, 20)
);
text!(
    /// An environment's name.
    EnvironmentName,
    "environment name: lower-case letters, digits and single hyphens, at most 12, a letter first",
    |text| is_words(text, 12)
);
text!(
    /// An AWS region.
    RegionName,
    "AWS region, such as `eu-west-1`",
    |text| is_words(text, 24)
        && text.split('-').count() >= 3
        && text.ends_with(|last: char| last.is_ascii_digit())
);
text!(
    /// A Kubernetes minor.
    KubernetesVersion,
    "Kubernetes minor, such as \"1.35\" (in quotes)",
    |text| text
        .strip_prefix("1.")
        .is_some_and(|minor| minor.len() == 2 && number(minor).is_some())
);
text!(
    /// An IPv4 network.
    Cidr,
    "IPv4 network, such as `10.40.0.0/16`, whose address has no bits set after the prefix",
    |text| parse_cidr(text).is_some()
);
text!(
    /// The network of a VPC: sixteen equal parts of it are the subnets.
    VpcCidr,
    "network for a VPC, such as `10.40.0.0/16`: between /16 and /20, no bits set after the prefix",
    |text| parse_cidr(text).is_some_and(|(_, prefix)| (16..=20).contains(&prefix))
);

text!(
    /// A network that people come from. A wider one would be no list but the internet.
    EntryNetwork,
    "network that people enter from, such as `203.0.113.0/24`: /16 or smaller, no bits set after \
     the prefix",
    |text| parse_cidr(text).is_some_and(|(_, prefix)| prefix >= 16)
);

text!(
    /// A repository on GitHub.
    Repository,
    "GitHub repository, such as `acme/shop`",
    |text| text.split_once('/').is_some_and(|(owner, name)| {
        is_plain(owner, "-") && is_plain(name, "-._")
    })
);
text!(
    /// An environment of a repository.
    GithubEnvironment,
    "GitHub environment that AWS can tell: letters, digits, `.`, `_` and `-`",
    |text| is_plain(text, "-._")
);
text!(
    /// A branch.
    Branch,
    "branch that AWS can tell: letters, digits, `.`, `_`, `/` and `-`",
    |text| is_plain(text, "-._/")
);
text!(
    /// Who is told of alerts.
    Recipient,
    "recipient of alerts: an e-mail address or an https URL",
    |text| !text.chars().any(char::is_whitespace)
        && match text.strip_prefix("https://") {
            Some(rest) => !rest.is_empty(),
            None => text
                .split_once('@')
                .is_some_and(|(name, host)| !name.is_empty() && host.contains('.')),
        }
);
text!(
    /// A version of an add-on of EKS.
    AddOnVersion,
    "version of an add-on, such as `v1.20.4-eksbuild.1`",
    |text| text
        .strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit())
            && is_plain(rest, ".-"))
);
text!(
    /// A name of the DNS.
    DomainName,
    "domain name, such as `api.example.com`: lower-case, without `*` and a dot at the end",
    |text| text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
        && text
            .rsplit('.')
            .next()
            .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_lowercase()))
);
text!(
    /// A zone of Route 53.
    ZoneId,
    "zone of Route 53, such as `Z0123456789ABCDEFGHIJ`",
    |text| (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
);
text!(
    /// Something in AWS, by its full name.
    Arn,
    "ARN, such as `arn:aws:s3:::shop-replica`",
    |text| text.starts_with("arn:aws")
        && text.split(':').count() >= 6
        && !text.chars().any(char::is_whitespace)
);

impl DomainName {
    /// Says whether the name is a zone's own, or one below it.
    #[must_use]
    pub fn is_in(&self, zone: &Self) -> bool {
        let rest = self.0.strip_suffix(&zone.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl KubernetesVersion {
    /// Gives the number of the minor.
    #[must_use]
    pub fn minor(&self) -> u32 {
        let minor = self.0.split_once('.').and_then(|(_, minor)| number(minor));
        minor.unwrap_or_default()
    }
}

impl Default for KubernetesVersion {
    fn default() -> Self {
        Self("1.35".into())
    }
}

impl Default for Branch {
    fn default() -> Self {
        Self("main".into())
    }
}

impl Default for VpcCidr {
    fn default() -> Self {
        Self("10.40.0.0/16".into())
    }
}

/// Reads a number that is written as AWS does: without a sign, and without zeros before it.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn parse_cidr(text: &str) -> Option<(u32, u32)> {
    let (address, prefix) = text.split_once('/')?;
    let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
    let prefix = number(prefix).filter(|prefix| *prefix <= 32)?;
    let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
    (address & host == 0).then_some((address, prefix))
}

impl VpcCidr {
    /// Cuts the network into sixteen equal ones.
    #[must_use]
    pub fn sixteenths(&self) -> Vec<String> {
        let Some((address, prefix)) = parse_cidr(&self.0) else {
            return Vec::new();
        };
        let prefix = prefix + 4;
        let size = 1u32 << (32 - prefix);
        (0..16)
            .map(|index| format!("{}/{prefix}", Ipv4Addr::from(address + index * size)))
            .collect()
    }
}

/// A number of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(u16);

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let days = u16::deserialize(deserializer)?;
        let holds = (1..=3650).contains(&days);
        check(
            &days.to_string(),
            "number of days between 1 and 3650",
            holds,
        )
        .map_err(D::Error::custom)?;
        Ok(Self(days))
    }
}

/// How many of something there are, or how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(u16);

impl Size {
    /// Gives the number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let size = u16::deserialize(deserializer)?;
        let holds = (1..=1000).contains(&size);
        check(&size.to_string(), "number between 1 and 1000", holds).map_err(D::Error::custom)?;
        Ok(Self(size))
    }
}

/// Three different availability zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones(pub [String; 3]);

impl<'de> Deserialize<'de> for Zones {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let zones = Vec::<String>::deserialize(deserializer)?;
        let count = zones.len();
        let zones: [String; 3] = zones.try_into().map_err(|_| {
            D::Error::custom(format!(
                "{count} zones are named: the architecture has exactly three"
            ))
        })?;
        if zones[0] == zones[1] || zones[1] == zones[2] || zones[0] == zones[2] {
            return Err(D::Error::custom("the same zone is named twice"));
        }
        Ok(Self(zones))
    }
}
