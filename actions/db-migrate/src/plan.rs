//! From what was observed to a plan: pure.

use plan::{Change, Digest, Operation, Plan};
use serde_json::json;

use crate::observe::Observed;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) database: &'a str,
    pub(crate) image: &'a Digest,
    pub(crate) target: &'a str,
}

/// Plans to run what is pending. The digest covers the image, where the database stands, and the
/// statements of each migration, cut or not.
pub(crate) fn plan(question: &Question<'_>, observed: &Observed, created: &str) -> Plan {
    let statements: Vec<_> = observed
        .pending
        .iter()
        .map(|pending| (&pending.revision, &pending.sha256))
        .collect();
    let digest = Digest::of_json(&json!({
        "image": question.image,
        "target": question.target,
        "before": observed.before,
        "pending": statements,
    }));
    let changes = observed
        .pending
        .iter()
        .map(|pending| {
            Change::new(Operation::Run, "revision", &pending.revision).reason(&pending.message)
        })
        .collect();
    let subject = format!("{}: {}", question.namespace, question.database);
    Plan::new("db-migrate", subject, digest, changes, created)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use plan::Digest;

    use super::{Question, plan};
    use crate::job::Pending;
    use crate::observe::Observed;

    fn observed() -> Observed {
        let pending = |revision: &str, message: &str, sql: &str| Pending {
            revision: revision.into(),
            message: message.into(),
            sql: Some(sql.into()),
            sha256: Some(Digest::of(sql).to_string()),
        };
        Observed {
            before: vec!["0004".into()],
            pending: vec![
                pending("0005", "No key twice.", "CREATE UNIQUE INDEX …"),
                pending("0006", "A note.", "ALTER TABLE …"),
            ],
        }
    }

    #[test]
    fn what_is_pending_is_run_in_its_order() {
        let image = Digest::of("image");
        let question = Question {
            namespace: "orders",
            database: "orders-db/orders",
            image: &image,
            target: "head",
        };
        let planned = plan(&question, &observed(), "now");
        assert_snapshot!(planned.to_text(), @r#"
    Plan for orders: orders-db/orders: 2 to run
      > run 0005 (revision): No key twice.
      > run 0006 (revision): A note.
    Plan digest: sha256:72ab01748ede66e4a3974b6ae8672dc4cfd14808d42dc95c1173b1eb5d94efdb
    "#);
        let mut other = observed();
        other.pending[1].sha256 = Some(Digest::of("DROP TABLE orders").to_string());
        let other = plan(&question, &other, "later");
        assert_ne!(planned.digest(), other.digest(), "other statements");
        let elsewhere = Digest::of("another image");
        let other = plan(
            &Question {
                image: &elsewhere,
                ..question
            },
            &observed(),
            "now",
        );
        assert_ne!(planned.digest(), other.digest(), "another image");
    }
}
