//! The names of an environment: its zone in Route 53, and what the public DNS says of that.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use action_kit::Failed;
use aws_account::{SdkConfig, ServiceError};
use aws_sdk_route53::Client;
use aws_sdk_route53::types::HostedZoneConfig;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};

use crate::cloudformation::CloudFormation;
use crate::config::{DomainName, Shown, Target, Zone, ZoneId};
use crate::delegation::{Delegation, HostedZone};
use crate::error::{InfraError, ZoneError};
use crate::observe::{Observed, Offer};
use crate::plan::expected;
use crate::stack::{Condition, ResourceChange, Values};

/// The type of what is issued only when the DNS is right.
const CERTIFICATE: &str = "AWS::CertificateManager::Certificate";
/// The parameter that says which zone it is validated in.
const ZONE: &str = "HostedZoneId";

/// A DNS server that is asked for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolver(SocketAddr);

impl FromStr for Resolver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        address
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| format!("`{text}` is no address, such as `1.1.1.1` or `10.0.0.2:5353`"))
    }
}

/// Route 53 in one account, and the public DNS.
#[derive(Clone, Debug)]
pub struct Names {
    route53: Client,
    resolver: Option<Resolver>,
    domains: Vec<DomainName>,
}

impl Names {
    /// Takes the names of an environment; without a resolver the machine's are asked.
    #[must_use]
    pub fn new(config: &SdkConfig, resolver: Option<Resolver>, domains: &[DomainName]) -> Self {
        Self {
            route53: Client::new(config),
            resolver,
            domains: domains.to_vec(),
        }
    }

    /// Finds the zone that the file names; refuses to make one that the account has.
    pub async fn settle(
        &self,
        cloudformation: &CloudFormation,
        target: &mut Target,
    ) -> Result<(), InfraError> {
        let stack = format!("{}-zone", target.name());
        let edge = target.settings.edge.as_mut().map(|edge| &mut edge.shown);
        let Some(Shown::Names { zone, .. }) = edge else {
            return Ok(());
        };
        match zone {
            Zone::Known(_) => {}
            Zone::Named(name) => *zone = Zone::Known(self.look_up(name).await?),
            Zone::Made(name) => {
                let made = cloudformation.stack(&stack).await?;
                if made.is_none_or(|stack| !stack.outputs.contains_key(ZONE)) {
                    self.is_free(name).await?;
                }
            }
        }
        Ok(())
    }

    /// Finds the account's only public zone of a name.
    async fn look_up(&self, name: &DomainName) -> Result<ZoneId, ZoneError> {
        let mut zones = self.zones(name).await?;
        match (zones.pop(), zones.is_empty()) {
            (Some(zone), true) => Ok(zone),
            (None, _) => Err(ZoneError::NoZone { name: name.clone() }),
            (Some(last), false) => Err(ZoneError::SeveralZones {
                name: name.clone(),
                zones: zones.into_iter().chain([last]).collect(),
            }),
        }
    }

    /// Refuses a name that the account has a public zone for: another one would have other name
    /// servers.
    async fn is_free(&self, name: &DomainName) -> Result<(), ZoneError> {
        let zones = self.zones(name).await?;
        if zones.is_empty() {
            return Ok(());
        }
        Err(ZoneError::ZoneIsThere {
            name: name.clone(),
            zones,
        })
    }

    async fn zones(&self, name: &DomainName) -> Result<Vec<ZoneId>, ZoneError> {
        let request = self.route53.list_hosted_zones_by_name();
        let answer = request.dns_name(name.as_str()).send().await;
        let answer = answer.map_err(|error| ZoneError::Call {
            doing: format!("look the zone `{name}` up"),
            source: ServiceError::from(error),
        })?;
        let zones = answer.hosted_zones().iter().filter(|zone| {
            let private = zone.config().is_some_and(HostedZoneConfig::private_zone);
            plain(zone.name()) == name.as_str() && !private
        });
        Ok(zones
            .filter_map(|zone| zone.id().trim_start_matches("/hostedzone/").parse().ok())
            .collect())
    }

    async fn zone(&self, id: &str) -> Result<HostedZone, ZoneError> {
        let answer = self.route53.get_hosted_zone().id(id).send().await;
        let answer = answer.map_err(|error| ZoneError::Call {
            doing: format!("describe the hosted zone {id}"),
            source: ServiceError::from(error),
        })?;
        let zone = answer.hosted_zone().zip(answer.delegation_set());
        let (zone, servers) = zone.ok_or_else(|| ZoneError::Private { id: id.into() })?;
        Ok(HostedZone {
            id: id.into(),
            name: plain(zone.name()),
            servers: servers
                .name_servers()
                .iter()
                .map(|name| plain(name))
                .collect(),
        })
    }

    /// Refuses changes that would wait for a certificate which can never be issued.
    pub async fn check(
        &self,
        changes: &[ResourceChange],
        parameters: &Values,
    ) -> Result<(), ZoneError> {
        if changes.iter().any(is_issued) {
            self.zone_of_certificate(parameters).await?;
        }
        Ok(())
    }

    /// Gives the zone that a certificate is validated in, when the world asks it; none when that is
    /// not known yet.
    async fn zone_of_certificate(
        &self,
        parameters: &Values,
    ) -> Result<Option<HostedZone>, ZoneError> {
        let Some(id) = parameters.get(ZONE) else {
            return Ok(None);
        };
        let zone = self.zone(id).await?;
        let resolver = self
            .open()
            .map_err(|source| unanswered(&zone.name, source))?;
        for domain in &self.domains {
            let names = zone.names_down_to(domain);
            if names.is_empty() {
                return Err(ZoneError::Outside {
                    domain: domain.clone(),
                    zone: zone.name,
                });
            }
            let found = nearest(&resolver, &names).await?;
            zone.check(domain, found).map_err(ZoneError::Misled)?;
        }
        Ok(Some(zone))
    }

    /// Refuses a plan that would wait for a certificate which can never be issued; gives its zone
    /// when there is one to wait for.
    pub async fn check_all(
        &self,
        observations: &[Observed],
    ) -> Result<Option<HostedZone>, ZoneError> {
        let mut waited_for = None;
        for observed in observations.iter().filter(|one| makes_certificate(one)) {
            let zone = self.zone_of_certificate(&observed.parameters).await?;
            waited_for = waited_for.or(zone);
        }
        Ok(waited_for)
    }

    /// Says of a plan whether the certificate that it makes would be issued.
    pub async fn remark(&self, observations: &[Observed]) -> Option<String> {
        if observations.iter().any(waits_for_zone) {
            return Some(
                "The zone is made first. `apply` tells its name servers, and stops before the \
                 certificate when they are not found by then where the domain is registered."
                    .into(),
            );
        }
        match self.check_all(observations).await {
            Ok(zone) => zone.map(|zone| format!("`{}` is delegated to its zone.", zone.name)),
            Err(error) => {
                let hint = error.hint();
                let chain = Failed::from(InfraError::from(error)).chain().join(": ");
                Some(format!(
                    "`apply` will be refused: {chain}. To go on, {hint}."
                ))
            }
        }
    }

    fn open(&self) -> Result<TokioResolver, NetError> {
        let Some(Resolver(address)) = self.resolver else {
            return TokioResolver::builder_tokio()?.build();
        };
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        let config = ResolverConfig::from_name_servers(vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build()
    }
}

/// Says whether a change makes a certificate.
fn is_issued(change: &ResourceChange) -> bool {
    let replaced = matches!(change.replacement.as_str(), "True" | "Conditional");
    change.kind == CERTIFICATE && (change.action == "Add" || replaced)
}

/// Says whether a layer's certificate is made, as far as that is known.
fn makes_certificate(observed: &Observed) -> bool {
    match &observed.offer {
        Offer::Changes(offered) => offered.changes.iter().any(is_issued),
        Offer::Unchanged => false,
        Offer::Later => {
            let there = matches!(observed.condition(), Condition::Ready | Condition::Stuck);
            !there && expected(observed).any(|resource| resource.kind == CERTIFICATE)
        }
    }
}

/// Says whether a layer's certificate waits for a zone that is still to be made.
fn waits_for_zone(observed: &Observed) -> bool {
    makes_certificate(observed) && observed.unknown.iter().any(|name| name == ZONE)
}

/// Finds the first of the names that has name servers.
async fn nearest(
    resolver: &TokioResolver,
    names: &[&str],
) -> Result<Option<Delegation>, ZoneError> {
    for name in names {
        let servers = name_servers(resolver, name)
            .await
            .map_err(|source| unanswered(name, source))?;
        if !servers.is_empty() {
            let at = (*name).to_owned();
            return Ok(Some(Delegation { at, servers }));
        }
    }
    Ok(None)
}

/// Asks for the name servers of a name; there are none where no zone begins.
async fn name_servers(resolver: &TokioResolver, name: &str) -> Result<BTreeSet<String>, NetError> {
    let asked = Name::from_ascii(format!("{name}."))?;
    let answer = match resolver.ns_lookup(asked.clone()).await {
        Err(error) if error.is_no_records_found() => return Ok(BTreeSet::new()),
        answer => answer?,
    };
    // Of an alias, the answer has the servers of what it stands for.
    let own = answer
        .answers()
        .iter()
        .filter(|record| record.name == asked);
    Ok(own
        .filter_map(|record| match &record.data {
            RData::NS(server) => Some(plain(&server.0.to_ascii())),
            _ => None,
        })
        .collect())
}

/// Spells a name of the DNS as people do.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn unanswered(name: &str, source: NetError) -> ZoneError {
    ZoneError::Unanswered {
        name: name.into(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_is_an_address_with_or_without_a_port() {
        let told = |text: &str| text.parse().map(|Resolver(address)| address.to_string());
        assert_eq!(told("1.1.1.1").as_deref(), Ok("1.1.1.1:53"));
        assert_eq!(told("10.0.0.2:5353").as_deref(), Ok("10.0.0.2:5353"));
        assert_eq!(told("2001:db8::1").as_deref(), Ok("[2001:db8::1]:53"));
        insta::assert_snapshot!(
            told("dns.example.com").unwrap_err(),
            @"`dns.example.com` is no address, such as `1.1.1.1` or `10.0.0.2:5353`"
        );
    }
}
