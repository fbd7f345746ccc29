//! Requests that are alike: whose labels are the same, so that they are looked up once.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use dunlin_journal::{Course, SpendRecord};
use dunlin_types::Tokens;

/// All of a record that its labels, and the metrics it counts in, are made of.
#[derive(Debug)]
pub(crate) struct Shape {
    record: SpendRecord,
    /// Whether clients' users are told apart.
    end_users: bool,
}

impl Shape {
    pub(crate) fn of(record: &SpendRecord, end_users: bool) -> Self {
        let mut kept = record.clone();
        kept.said = None;
        kept.charged = Vec::new();
        if let Some(fault) = &mut kept.fault {
            fault.message = String::new();
        }
        Self { record: kept, end_users }
    }

    pub(crate) fn fits(&self, record: &SpendRecord) -> bool {
        outline(&self.record, self.end_users) == outline(record, self.end_users)
    }
}

/// A number that records of one shape share, and hardly ever others.
pub(crate) fn hash(by: &RandomState, record: &SpendRecord, end_users: bool) -> u64 {
    let mut hasher = by.build_hasher();
    record.key.hash(&mut hasher);
    record.deployment.hash(&mut hasher);
    record.model.hash(&mut hasher);
    record.course.call_type.hash(&mut hasher);
    (record.outcome as u8).hash(&mut hasher);
    record.course.attempts.len().hash(&mut hasher);
    record.fault.as_ref().map(|fault| fault.status).hash(&mut hasher);
    end_user(record, end_users).hash(&mut hasher);
    hasher.finish()
}

fn end_user(record: &SpendRecord, end_users: bool) -> Option<&str> {
    record.origin.end_user.as_deref().filter(|_| end_users)
}

fn outline(record: &SpendRecord, end_users: bool) -> impl PartialEq + '_ {
    let Course { call_type, group, provider, fallbacks, attempts, first_token, .. } =
        &record.course;
    let some = |tokens: Tokens| tokens > Tokens(0);
    let kinds = &record.kinds;
    (
        (&record.key, &record.whose, end_user(record, end_users)),
        (&record.model, &record.deployment, &record.upstream_model),
        (call_type, group, provider, fallbacks, first_token.is_some()),
        attempts.iter().map(|one| (&one.deployment, one.status)).collect::<Vec<_>>(),
        (record.outcome, record.fault.as_ref().map(|fault| (fault.status, &fault.kind))),
        (some(record.completion), some(record.cached), record.estimated),
        (some(kinds.cache_write), some(kinds.reasoning)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_labels_are_made_of_tells_records_apart_and_nothing_else_does() {
        let record = SpendRecord { model: "m".to_owned(), ..SpendRecord::default() };
        let shape = Shape::of(&record, false);
        let by = RandomState::new();
        let mut alike = SpendRecord {
            call_id: "another".to_owned(),
            cost: dunlin_types::NanoUsd(7),
            ended: dunlin_types::UnixMillis(9),
            ..record.clone()
        };
        alike.origin.end_user = Some("alice".to_owned());
        assert!(shape.fits(&alike) && hash(&by, &alike, false) == hash(&by, &record, false));
        assert!(!Shape::of(&record, true).fits(&alike));
        let mut team = record.clone();
        team.whose.team = Some("t".to_owned());
        let mut cached = record.clone();
        cached.cached = Tokens(1);
        for other in [team, cached, SpendRecord { model: "n".to_owned(), ..record }] {
            assert!(!shape.fits(&other), "{other:?}");
        }
    }
}
