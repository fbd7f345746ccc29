//! Requests that are alike: whose labels are the same, so that they are looked up once.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use dunlin_journal::{Course, SpendRecord};
use dunlin_types::Tokens;

use crate::labels::Source;

/// What tells records apart beside what always does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Apart {
    /// Clients' users.
    pub(crate) end_users: bool,
    /// Tags and metadata, of which the operator has labels made.
    pub(crate) custom: bool,
}

impl Apart {
    pub(crate) fn of(source: &Source<'_>) -> Self {
        let settings = &source.serving.settings;
        Self { end_users: settings.end_users, custom: !settings.custom.is_empty() }
    }
}

/// All of a record that its labels, and the metrics it counts in, are made of.
#[derive(Debug)]
pub(crate) struct Shape {
    record: SpendRecord,
    apart: Apart,
}

impl Shape {
    pub(crate) fn of(record: &SpendRecord, apart: Apart) -> Self {
        let mut kept = record.clone();
        kept.said = None;
        kept.charged = Vec::new();
        if let Some(fault) = &mut kept.fault {
            fault.message = String::new();
        }
        Self { record: kept, apart }
    }

    pub(crate) fn fits(&self, record: &SpendRecord) -> bool {
        outline(&self.record, self.apart) == outline(record, self.apart)
    }
}

/// A number that records of one shape share, and hardly ever others.
pub(crate) fn hash(by: &RandomState, record: &SpendRecord, apart: Apart) -> u64 {
    let mut hasher = by.build_hasher();
    record.key.hash(&mut hasher);
    record.deployment.hash(&mut hasher);
    record.model.hash(&mut hasher);
    record.course.call_type.hash(&mut hasher);
    (record.outcome as u8).hash(&mut hasher);
    record.course.attempts.len().hash(&mut hasher);
    record.fault.as_ref().map(|fault| fault.status).hash(&mut hasher);
    end_user(record, apart).hash(&mut hasher);
    custom(record, apart).hash(&mut hasher);
    hasher.finish()
}

fn end_user(record: &SpendRecord, apart: Apart) -> Option<&str> {
    record.origin.end_user.as_deref().filter(|_| apart.end_users)
}

fn custom(record: &SpendRecord, apart: Apart) -> Option<(&[String], Option<&str>)> {
    let origin = &record.origin;
    apart.custom.then(|| (&origin.tags[..], origin.spend_metadata.as_deref()))
}

fn outline(record: &SpendRecord, apart: Apart) -> impl PartialEq + '_ {
    let Course { call_type, group, provider, fallbacks, attempts, first_token, .. } =
        &record.course;
    let some = |tokens: Tokens| tokens > Tokens(0);
    let kinds = &record.kinds;
    (
        (&record.key, &record.whose, end_user(record, apart), custom(record, apart)),
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
        let (plain, users) = (Apart::default(), Apart { end_users: true, ..Apart::default() });
        let shape = Shape::of(&record, plain);
        let by = RandomState::new();
        let mut alike = SpendRecord {
            call_id: "another".to_owned(),
            cost: dunlin_types::NanoUsd(7),
            ended: dunlin_types::UnixMillis(9),
            ..record.clone()
        };
        alike.origin.end_user = Some("alice".to_owned());
        assert!(shape.fits(&alike) && hash(&by, &alike, plain) == hash(&by, &record, plain));
        assert!(!Shape::of(&record, users).fits(&alike));
        let mut team = record.clone();
        team.whose.team = Some("t".to_owned());
        let mut cached = record.clone();
        cached.cached = Tokens(1);
        for other in [team, cached, SpendRecord { model: "n".to_owned(), ..record }] {
            assert!(!shape.fits(&other), "{other:?}");
        }
    }
}
