//! What can go wrong with names.

use action_kit::Reason;
use aws_account::ServiceError;
use hickory_resolver::net::NetError;
use thiserror::Error;

use super::call_hint;
use crate::config::{DomainName, ZoneId};
use crate::delegation::Misled;

/// The zone of an environment's names cannot be used.
#[derive(Debug, Error)]
pub enum ZoneError {
    /// A call failed.
    #[error("{doing}")]
    Call {
        /// What was being done, and to what.
        doing: String,
        /// The answer.
        source: ServiceError,
    },
    /// The account has no such zone.
    #[error("the account has no public hosted zone `{name}`")]
    NoZone {
        /// The zone.
        name: DomainName,
    },
    /// The account has several of them.
    #[error(
        "the account has several public hosted zones `{name}`: {}",
        listed(zones)
    )]
    SeveralZones {
        /// The zone.
        name: DomainName,
        /// What there is.
        zones: Vec<ZoneId>,
    },
    /// The zone that is to be made is there.
    #[error(
        "the account has a public hosted zone `{name}` already: {}",
        listed(zones)
    )]
    ZoneIsThere {
        /// The zone.
        name: DomainName,
        /// What there is.
        zones: Vec<ZoneId>,
    },
    /// The zone is not public.
    #[error("the hosted zone {id} is private")]
    Private {
        /// The zone.
        id: String,
    },
    /// A name is not the zone's.
    #[error("`{domain}` is not in the zone `{zone}`")]
    Outside {
        /// The name.
        domain: DomainName,
        /// The zone.
        zone: String,
    },
    /// The world asks another zone.
    #[error("{0}")]
    Misled(Box<Misled>),
    /// The DNS does not say whom the world asks.
    #[error("ask the DNS for the name servers of `{name}`")]
    Unanswered {
        /// The name.
        name: String,
        /// Why.
        source: Box<NetError>,
    },
}

fn listed(zones: &[ZoneId]) -> String {
    let zones: Vec<&str> = zones.iter().map(ZoneId::as_str).collect();
    zones.join(", ")
}

impl ZoneError {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Call { .. } | Self::Unanswered { .. } => Reason::RemoteFailed,
            Self::ZoneIsThere { .. } | Self::Misled(_) => Reason::Refused,
            Self::NoZone { .. }
            | Self::SeveralZones { .. }
            | Self::Private { .. }
            | Self::Outside { .. } => Reason::InvalidInput,
        }
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Call { source, .. } => call_hint(source),
            Self::NoZone { name } => format!(
                "correct `zone`, use the account that has it, or have it made: `make-zone: {name}`"
            ),
            Self::SeveralZones { .. } => {
                "name the one that is delegated by its identifier: `zone: Z…`".into()
            }
            Self::ZoneIsThere { zones, .. } => format!(
                "another one would have other name servers: use it, `zone: {}`, in place of \
                 `make-zone`",
                zones.first().map_or("Z…", ZoneId::as_str)
            ),
            Self::Private { .. } => "certificates are validated in a public zone: name that".into(),
            Self::Outside { .. } => "correct `domains` or `zone`".into(),
            Self::Misled(misled) => misled.hint(),
            Self::Unanswered { .. } => {
                "either the DNS server cannot be reached (the input `resolver` names another), or \
                 the servers that the domain is registered with do not know it"
                    .into()
            }
        }
    }
}
