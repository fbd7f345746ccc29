//! What a finished batch used, which the lines of its output say. It is read once, in the
//! background, by the first node that sees the batch finished.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_admission::Found;
use dunlin_journal::Outcome;
use dunlin_ledger::{Context, Pricing, Service};
use dunlin_llm::batch::{KeptBatch, Line, LineLabels, Lines, used_in_line};
use dunlin_llm::{Tier, tokens_in};
use dunlin_providers::sigv4::path_segment;
use dunlin_router::Deployment;
use dunlin_types::{NanoUsd, RequestId, Usage};
use dunlin_upstream::Relayed;
use tracing::warn;

use super::{Asking, fetch, watch};
use crate::Proxy;
use crate::bill::Bill;
use crate::bill::found::{self, Finished};

/// Outputs that a node reads at the same time. Others are read when their batch is next asked for.
const MAX_READ_AT_ONCE: usize = 8;

/// A longer line of an output is not held.
const MAX_LINE_BYTES: usize = 8 << 20;

/// How long an output may be silent: others wait for it to be read.
const NEXT_WITHIN: Duration = Duration::from_secs(60);

/// The outputs that are being read.
#[derive(Default)]
pub(crate) struct Reading(Mutex<BTreeSet<RequestId>>);

/// One of them. Dropped, it is read no more.
pub(super) struct Turn {
    proxy: Proxy,
    request: RequestId,
}

impl Turn {
    /// `None` where it is being read already, or too many are.
    pub(super) fn begin(proxy: &Proxy, request: RequestId) -> Option<Self> {
        let mut reading = proxy.0.reading.0.lock().expect("never poisoned");
        let begins = reading.len() < MAX_READ_AT_ONCE && reading.insert(request);
        begins.then(|| Self { proxy: proxy.clone(), request })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.proxy.0.reading.0.lock().expect("never poisoned").remove(&self.request);
    }
}

/// Finds out what `batch` costs its owner, who asks for it, unless that is known: then the bill comes
/// back. Where it is noted who made it on whose behalf, those pay. Budgets know before the owner is
/// told, unless it takes too long.
pub(super) async fn charge(
    asking: Asking<'_>,
    by: &Arc<Deployment>,
    batch: KeptBatch,
    mut bill: Bill,
) -> Option<Bill> {
    let Asking { proxy, call, .. } = asking;
    let Some(file) = batch.output_file_id.filter(|_| batch.finished) else { return Some(bill) };
    // One that is noted goes by our clock, and others by their provider's.
    let [noted, found] = [None, batch.created_at].map(|made| {
        // Many thousand answers of yesterday would leave nothing of this minute.
        Found { limited: false, ..found::found(by, &batch.id, made, call.started) }
    });
    if proxy.0.admission.is_charged(noted) {
        return Some(bill);
    }
    let Some(turn) = Turn::begin(proxy, found.request) else { return Some(bill) };
    bill.served_by(by);
    bill.for_background(true);
    let (proxy, by) = (proxy.clone(), Arc::clone(by));
    let serving = proxy.0.serving.load_full();
    let tasks = proxy.0.tasks.clone();
    let charging = tasks.spawn(async move {
        let is_noted = watch::look_now(&proxy, &by, &batch.id).await;
        if is_noted || proxy.0.admission.is_charged(found) {
            bill.delivered_free();
        } else {
            let path = format!("/files/{}/content", path_segment(&file));
            let output = fetch::get(&proxy, &serving, &by, path).await;
            let sums = read(&by.price, output, LineLabels::default()).await;
            settle(bill, found, sums.map(|sums| sums.total()));
        }
        drop(turn);
    });
    watch::charged(charging).await;
    None
}

fn settle(mut bill: Bill, found: Found, sum: Option<Sum>) {
    match sum {
        Some(sum) => {
            let finished = Finished { found, usage: sum.usage, tier: Some(Tier::Batch) };
            bill.found_costing(finished, sum.cost, sum.estimated);
        }
        None => {
            warn!(request.id = %found.request, "cannot read a batch's output: it is not charged yet");
        }
    }
    bill.ended(Outcome::Success);
}

/// What the answers of a batch come to, apart for each on whose behalf some are: what is the batch's
/// own comes first, then its sets of labels in their order.
pub(super) struct Sums {
    labels: LineLabels,
    pub(super) all: Vec<Sum>,
}

impl Sums {
    pub(super) fn new(labels: LineLabels) -> Self {
        let all = vec![Sum::default(); 1 + labels.sets.len()];
        Self { labels, all }
    }

    /// Undivided.
    pub(super) fn whole(sum: Sum) -> Self {
        Self { labels: LineLabels::default(), all: vec![sum] }
    }

    /// To which an answer belongs.
    pub(super) fn of(&mut self, line: &Line<'_>) -> &mut Sum {
        let set = match line {
            Line::Whole(line) => self.labels.of_answer(line),
            Line::Long(_) => None,
        };
        &mut self.all[set.map_or(0, |set| set + 1)]
    }

    pub(super) fn total(&self) -> Sum {
        self.all.iter().fold(Sum::default(), |mut total, sum| {
            total.include(sum.cost, sum.usage.clone(), sum.estimated);
            total
        })
    }
}

/// What some answers come to.
#[derive(Clone, Default)]
pub(super) struct Sum {
    pub(super) usage: Usage,
    pub(super) cost: NanoUsd,
    pub(super) estimated: bool,
}

impl Sum {
    fn line(&mut self, price: &Pricing, line: Line<'_>) {
        match line {
            Line::Whole(line) => {
                if let Some((used, estimated)) = used_in_line(line) {
                    self.add(price, used, estimated);
                }
            }
            Line::Long(bytes) => self.add(price, taken_for(bytes), true),
        }
    }

    pub(super) fn add(&mut self, price: &Pricing, used: Usage, estimated: bool) {
        let context = Context { service: Service::Batch, ..Context::default() };
        self.include(price.cost(&used, &context).total, used, estimated);
    }

    fn include(&mut self, cost: NanoUsd, used: Usage, estimated: bool) {
        self.cost += cost;
        self.usage.prompt = self.usage.prompt + used.prompt;
        self.usage.cached = self.usage.cached + used.cached;
        self.usage.completion = self.usage.completion + used.completion;
        self.estimated |= estimated;
    }
}

/// What an answer of so many bytes is taken to use that is too long to be read.
pub(super) fn taken_for(bytes: u64) -> Usage {
    Usage { completion: tokens_in(bytes), ..Usage::default() }
}

/// Sums an output. `None`: it cannot be read.
pub(super) async fn read(
    price: &Pricing,
    output: Option<Relayed>,
    labels: LineLabels,
) -> Option<Sums> {
    let mut sums = Sums::new(labels);
    each_line(output, |line| sums.of(&line).line(price, line)).await?;
    Some(sums)
}

/// Reads an output to its end. `None`: it cannot be read.
pub(super) async fn each_line(
    output: Option<Relayed>,
    mut each: impl FnMut(Line<'_>),
) -> Option<()> {
    let mut output = output.filter(|output| output.status.is_success())?;
    let mut lines = Lines::new(MAX_LINE_BYTES);
    let mut next = async || {
        let piece = poll_fn(|cx| output.body.poll_next(cx));
        tokio::time::timeout(NEXT_WITHIN, piece).await.ok()
    };
    while let Some(piece) = next().await? {
        lines.push(piece.ok()?, &mut each);
    }
    lines.end(each);
    Some(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dunlin_types::Tokens;

    use super::*;

    #[test]
    fn an_output_is_summed_however_it_is_cut() {
        let line = r#"{"response":{"body":{"usage":{"prompt_tokens":3,"completion_tokens":2}}}}"#;
        let failed = r#"{"response":null,"error":{"code":"x"}}"#;
        let output = format!("{line}\n\n{failed}\n{line}");
        for size in [1, 7, output.len()] {
            let (mut lines, mut sum) = (Lines::new(MAX_LINE_BYTES), Sum::default());
            for piece in output.as_bytes().chunks(size) {
                let piece = Bytes::copy_from_slice(piece);
                lines.push(piece, |line| sum.line(&Pricing::Free, line));
            }
            lines.end(|line| sum.line(&Pricing::Free, line));
            assert_eq!((sum.usage.prompt, sum.usage.completion), (Tokens(6), Tokens(4)), "{size}");
            assert!(!sum.estimated);
        }
    }
}
