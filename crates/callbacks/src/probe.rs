//! The record of a request that nobody made: to try a receiver out.

use std::sync::Arc;

use dunlin_journal::SpendRecord;
use dunlin_types::{RequestId, UnixMillis};

use crate::detail::{Detail, Words};
use crate::event::Event;

/// What a receiver is sent when somebody asks whether it takes anything: clearly no request of anyone.
pub(crate) fn probe(request: RequestId, now: UnixMillis) -> Event {
    let words = Words {
        request: r#"{"messages":[{"role":"user","content":"Is anybody there?"}]}"#.to_owned(),
        answer: r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"This is a test of dunlin."}}]}"#
            .to_owned(),
    };
    let mut record = SpendRecord {
        request,
        model: "dunlin-test".to_owned(),
        started: now,
        ended: now,
        call_id: request.to_string(),
        outcome: dunlin_journal::Outcome::Success,
        ..SpendRecord::default()
    };
    record.origin.end_user = Some("litellm:/health/services".to_owned());
    record.course.call_type = "acompletion".to_owned();
    with(record, Detail { words: Some(words), ..Detail::default() })
}

/// A request that has ended.
pub(crate) fn with(record: SpendRecord, detail: Detail) -> Event {
    let details = crate::detail::Details::default();
    let (id, now) = (record.request, dunlin_types::MonoMillis(0));
    details.put(id, detail, now);
    Event { record: Arc::new(record), held: details.take(id), ..Event::default() }
}
