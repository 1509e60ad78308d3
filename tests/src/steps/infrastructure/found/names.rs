//! The names that the infrastructure step reads back.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::steps::infrastructure::DOMAIN;

/// How clients find the cluster.
#[derive(Debug, Deserialize)]
pub(super) struct Names {
    zone: String,
    /// What each name stands for.
    aliases: BTreeMap<String, String>,
    /// The status of the certificate.
    certificate: String,
    /// Whether the zone has all records that the certificate is issued for.
    validated: bool,
    /// The names that the certificate is for.
    covers: Vec<String>,
}

impl Names {
    /// Compares the names with what the file says.
    pub(super) fn check(&self, load_balancer: &str) -> Result<()> {
        ensure!(
            self.zone.starts_with("example.com")
                && self.aliases.len() == 1
                && self.aliases.get(&format!("{DOMAIN}.")) == Some(&load_balancer.to_owned()),
            "the name does not lead to the load balancer: {self:?}"
        );
        ensure!(
            self.certificate == "ISSUED" && self.validated && self.covers == [DOMAIN],
            "the certificate is not the one of the name: {self:?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_the_load_balancer_and_has_a_certificate() {
        let names = || Names {
            zone: "example.com.".into(),
            aliases: BTreeMap::from([(format!("{DOMAIN}."), "a.elb".into())]),
            certificate: "ISSUED".into(),
            validated: true,
            covers: vec![DOMAIN.into()],
        };
        names().check("a.elb").unwrap();
        let elsewhere = names().check("b.elb").unwrap_err().to_string();
        assert!(elsewhere.contains("load balancer"), "{elsewhere}");
        let complaint = |change: fn(&mut Names)| {
            let mut names = names();
            change(&mut names);
            names.check("a.elb").unwrap_err().to_string()
        };
        let changes: [fn(&mut Names); 3] = [
            |names| names.certificate = "PENDING_VALIDATION".into(),
            |names| names.validated = false,
            |names| names.covers = vec!["example.com".into()],
        ];
        for change in changes {
            assert!(complaint(change).contains("not the one of the name"));
        }
    }
}
