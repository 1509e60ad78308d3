//! Whether the world asks a zone of Route 53 for the names that are in it. Pure.
//!
//! A certificate is issued once ACM finds its record in the public DNS. Where the registrar names
//! other servers than the zone's, it never does, and the stack hangs for three days.

use std::collections::BTreeSet;
use std::fmt;

use crate::config::DomainName;

/// A public zone of Route 53.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedZone {
    /// The identifier.
    pub id: String,
    /// The name, without a dot at the end.
    pub name: String,
    /// Its name servers, without a dot at the end.
    pub servers: BTreeSet<String>,
}

/// The name servers that the DNS gives for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The name: that of a zone.
    pub at: String,
    /// Who is asked for it, and for all names below it.
    pub servers: BTreeSet<String>,
}

/// A name that another zone is asked for, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misled {
    /// The name.
    pub domain: String,
    /// The zone that should be asked.
    pub zone: HostedZone,
    /// What the DNS says, when it says anything.
    pub found: Option<Delegation>,
}

impl HostedZone {
    /// Lists a domain and the names above it, up to the zone; nothing for one that is elsewhere.
    #[must_use]
    pub fn names_down_to<'a>(&self, domain: &'a DomainName) -> Vec<&'a str> {
        let inside = self.name.parse().is_ok_and(|zone| domain.is_in(&zone));
        let labels = domain.as_str().match_indices('.').map(|(dot, _)| dot + 1);
        std::iter::once(0)
            .chain(labels)
            .map(|start| &domain.as_str()[start..])
            .filter(|name| inside && name.len() >= self.name.len())
            .collect()
    }

    /// Refuses what the DNS says of a domain unless it is asked of this zone. All of the servers
    /// must be the zone's: ACM asks any.
    pub fn check(&self, domain: &DomainName, found: Option<Delegation>) -> Result<(), Box<Misled>> {
        let own = |delegation: &Delegation| {
            delegation.at == self.name && delegation.servers.is_subset(&self.servers)
        };
        if found.as_ref().is_some_and(own) {
            return Ok(());
        }
        Err(Box::new(Misled {
            domain: domain.to_string(),
            zone: self.clone(),
            found,
        }))
    }
}

impl Misled {
    /// Says what to do.
    #[must_use]
    pub fn hint(&self) -> String {
        let Misled { zone, found, .. } = self;
        match found {
            Some(found) if found.at != zone.name => format!(
                "take the NS records of `{}` away, or name the zone of that name in \
                 `infrastructure.yaml`",
                found.at
            ),
            _ => format!(
                "enter these name servers for `{}` where the domain is registered, or as its NS \
                 records in the zone above: {}; then run again (an answer from before may be \
                 remembered for a while)",
                zone.name,
                listed(&zone.servers)
            ),
        }
    }
}

impl fmt::Display for Misled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Misled {
            domain,
            zone,
            found,
        } = self;
        write!(
            f,
            "the certificate for `{domain}` would never be issued: the DNS names "
        )?;
        match found {
            None => write!(f, "no name servers for `{}`", zone.name),
            Some(found) => write!(
                f,
                "{} for `{}`, not those of the hosted zone {}",
                listed(&found.servers),
                found.at,
                zone.id
            ),
        }
    }
}

fn listed(servers: &BTreeSet<String>) -> String {
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    servers.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn zone() -> HostedZone {
        HostedZone {
            id: "Z1".into(),
            name: "example.com".into(),
            servers: servers(&["ns-1.awsdns.net", "ns-2.awsdns.org"]),
        }
    }

    fn domain(text: &str) -> DomainName {
        text.parse().expect("a domain")
    }

    #[test]
    fn every_name_between_domain_and_zone_may_be_delegated() {
        let names = |text| zone().names_down_to(&domain(text)).join(" ");
        assert_eq!(
            names("a.b.example.com"),
            "a.b.example.com b.example.com example.com"
        );
        assert_eq!(names("example.com"), "example.com");
        assert_eq!(names("badexample.com"), "");
        assert_eq!(names("example.org"), "");
    }

    #[test]
    fn only_the_zones_own_servers_will_do() {
        let told = |at: &str, names: &[&str]| {
            let found = Delegation {
                at: at.into(),
                servers: servers(names),
            };
            let told = zone().check(&domain("api.example.com"), Some(found));
            told.map_err(|misled| format!("{misled}\n{}", misled.hint()))
        };
        assert_eq!(
            told("example.com", &["ns-1.awsdns.net", "ns-2.awsdns.org"]),
            Ok(())
        );
        assert_eq!(told("example.com", &["ns-2.awsdns.org"]), Ok(()));
        insta::assert_snapshot!(
            told("example.com", &["ns-1.awsdns.net", "ns.old.net"]).unwrap_err(),
            @"
        the certificate for `api.example.com` would never be issued: the DNS names ns-1.awsdns.net, ns.old.net for `example.com`, not those of the hosted zone Z1
        enter these name servers for `example.com` where the domain is registered, or as its NS records in the zone above: ns-1.awsdns.net, ns-2.awsdns.org; then run again (an answer from before may be remembered for a while)
        "
        );
        insta::assert_snapshot!(
            told("api.example.com", &["ns.other.net"]).unwrap_err(),
            @"
        the certificate for `api.example.com` would never be issued: the DNS names ns.other.net for `api.example.com`, not those of the hosted zone Z1
        take the NS records of `api.example.com` away, or name the zone of that name in `infrastructure.yaml`
        "
        );
        let nothing = zone().check(&domain("api.example.com"), None).unwrap_err();
        insta::assert_snapshot!(
            nothing,
            @"the certificate for `api.example.com` would never be issued: the DNS names no name servers for `example.com`"
        );
    }
}
