//! What stands before an environment.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::names::{Arn, DomainName, ZoneId};

/// How many names the templates have a place for.
const MOST: usize = 3;

/// What stands before an environment; one without it has no load balancer.
#[derive(Clone, Debug)]
pub struct Edge {
    /// What clients are shown.
    pub shown: Shown,
    /// Whether a firewall looks at requests first.
    pub waf: bool,
}

/// What clients are shown.
#[derive(Clone, Debug)]
pub enum Shown {
    /// A certificate of ACM, in the environment's region, that something else has made.
    Certificate(Arn),
    /// One that is made for names, which become the load balancer's.
    Names {
        /// The names, one to three.
        domains: Vec<DomainName>,
        /// The public zone that they are in.
        zone: Zone,
    },
}

/// A public zone.
#[derive(Clone, Debug)]
pub enum Zone {
    /// One of the account's.
    Known(ZoneId),
    /// One of the account's, to be looked up.
    Named(DomainName),
    /// One that is made with the environment.
    Made(DomainName),
}

impl<'de> Deserialize<'de> for Edge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        struct Written {
            certificate_arn: Option<Arn>,
            #[serde(default)]
            domains: Vec<DomainName>,
            zone: Option<String>,
            make_zone: Option<DomainName>,
            #[serde(default)]
            waf: bool,
        }
        let written = Written::deserialize(deserializer)?;
        let zone = match (written.zone, written.make_zone) {
            (Some(text), None) => Some(match text.parse() {
                Ok(id) => Zone::Known(id),
                Err(_) => Zone::Named(text.parse().map_err(D::Error::custom)?),
            }),
            (None, Some(name)) => Some(Zone::Made(name)),
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(D::Error::custom(
                    "the zone is either there (`zone`) or made (`make-zone`)",
                ));
            }
        };
        let shown = match (written.certificate_arn, written.domains, zone) {
            (Some(arn), domains, None) if domains.is_empty() => Shown::Certificate(arn),
            (None, domains, Some(zone)) if !domains.is_empty() => {
                check(&domains, &zone).map_err(D::Error::custom)?;
                Shown::Names { domains, zone }
            }
            _ => {
                return Err(D::Error::custom(
                    "clients are shown either the certificate of `certificate-arn`, or one for \
                     `domains` in a `zone`",
                ));
            }
        };
        let waf = written.waf;
        Ok(Self { shown, waf })
    }
}

fn check(domains: &[DomainName], zone: &Zone) -> Result<(), String> {
    let count = domains.len();
    if count > MOST {
        return Err(format!(
            "{count} domains are named: there is a place for {MOST}"
        ));
    }
    for (index, domain) in domains.iter().enumerate() {
        if domains[..index].contains(domain) {
            return Err(format!("`{domain}` is named twice"));
        }
        if let Zone::Named(zone) | Zone::Made(zone) = zone
            && !domain.is_in(zone)
        {
            return Err(format!("`{domain}` is not in the zone `{zone}`"));
        }
    }
    Ok(())
}

impl Edge {
    /// Gives the names of the load balancer.
    #[must_use]
    pub fn domains(&self) -> &[DomainName] {
        match &self.shown {
            Shown::Certificate(_) => &[],
            Shown::Names { domains, .. } => domains,
        }
    }

    /// Gives the parameters that the file sets. The name of a zone stands for its identifier until
    /// that is looked up.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = vec![("Waf".into(), self.waf.to_string())];
        let (domains, zone) = match &self.shown {
            Shown::Certificate(arn) => {
                parameters.push(("CertificateArn".into(), arn.to_string()));
                return parameters;
            }
            Shown::Names { domains, zone } => (domains, zone),
        };
        let named = domains.iter().zip(1..);
        parameters
            .extend(named.map(|(domain, place)| (format!("Domain{place}"), domain.to_string())));
        parameters.push(match zone {
            Zone::Known(id) => ("HostedZoneId".into(), id.to_string()),
            Zone::Named(name) => ("HostedZoneId".into(), name.to_string()),
            Zone::Made(name) => ("ZoneName".into(), name.to_string()),
        });
        parameters
    }
}
