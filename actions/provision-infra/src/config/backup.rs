//! How an environment's backups are kept.

use serde::Deserialize;

use super::names::{Arn, Days};

/// How backups are kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Backup {
    /// How long recovery points are kept, and what the database's backup program has deleted.
    pub retention_days: Option<Days>,
    /// How long nobody can delete a backup.
    pub lock_days: Option<Days>,
    /// Vault in another region or account that recovery points are copied to.
    pub copy_vault_arn: Option<Arn>,
    /// Bucket in another region or account that WAL and base backups are copied to.
    pub replica: Option<Replica>,
}

/// A bucket that backups are copied to.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Replica {
    /// The bucket.
    pub bucket_arn: Arn,
    /// The key that encrypts what is in it.
    pub key_arn: Arn,
}

impl Backup {
    /// Gives the parameters that the file sets.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let replica = |part: fn(&Replica) -> &Arn| Some(part(self.replica.as_ref()?).to_string());
        let days = |days: Option<Days>| days.map(|days| days.to_string());
        let vault = self.copy_vault_arn.as_ref().map(Arn::to_string);
        let values = [
            ("BackupRetentionDays", days(self.retention_days)),
            ("BackupLockDays", days(self.lock_days)),
            ("BackupCopyVaultArn", vault),
            ("ReplicaBucketArn", replica(|replica| &replica.bucket_arn)),
            ("ReplicaKeyArn", replica(|replica| &replica.key_arn)),
        ];
        values
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}
