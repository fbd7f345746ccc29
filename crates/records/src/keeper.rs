//! Answers other nodes: takes pieces of their journals, and searches what is here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_journal::{Error, Found, NotTaken, search};
use dunlin_rpc::{Incoming, Refused};
use dunlin_types::{MonoMillis, NodeId, Seldom};
use tokio::sync::mpsc;
use tracing::warn;

use crate::wire::{Ask, Call, Of, Piece, Told};
use crate::{Records, Shared};

/// How long one search goes on. What it has not come to is looked for when the next page is asked for.
pub(crate) const SEARCH_FOR: Duration = Duration::from_secs(3);
/// How long one search waits for its turn.
const TURN_PATIENCE: Duration = Duration::from_secs(2);
/// How often the log says that copies cannot be written.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Why the log cannot be searched now.
#[derive(Debug, thiserror::Error)]
pub enum Busy {
    /// Too many searches wait already.
    #[error("too many searches of the request log are already waiting")]
    Waiting,
    /// This node's files cannot be read.
    #[error("the request log cannot be read")]
    Unreadable(#[source] Error),
}

/// Answers until the queue ends. Each call is a task of its own: a search must not hold up a copy.
pub(crate) async fn run(records: Records, mut inbox: mpsc::Receiver<Incoming>) {
    while let Some(incoming) = inbox.recv().await {
        let records = records.clone();
        let tasks = records.0.tasks.clone();
        tasks.spawn(async move {
            let answer = answer(&records.0, incoming.body.clone()).await;
            incoming.answer(answer.map_err(|reason| Refused { reason }));
        });
    }
}

async fn answer(shared: &Arc<Shared>, body: Bytes) -> Result<Bytes, String> {
    match Call::decode(body).map_err(|error| error.to_string())? {
        Call::Held(of) => Ok(json(&shared.copies.held(of))),
        Call::Add(piece) if piece.of == shared.me => Err("this is its own log".to_owned()),
        Call::Add(piece) => {
            let adding = Arc::clone(shared);
            let added = tokio::task::spawn_blocking(move || add(&adding, &piece)).await;
            let added = added.map_err(|error| error.to_string())?;
            added.map(|held| json(&held))
        }
        Call::Search(ask) => {
            let told = look(shared, *ask).await.map_err(|busy| busy.to_string())?;
            Ok(json(&told))
        }
    }
}

fn add(shared: &Shared, piece: &Piece) -> Result<u64, String> {
    let added = shared.copies.add(piece.of, piece.segment, piece.offset, &piece.frames);
    added.map_err(|not_taken| {
        if matches!(not_taken, NotTaken::File(_)) {
            let mut unwritten = shared.unwritten.lock().expect("no panic while it is held");
            if let Some(times) = unwritten.add(shared.clock.mono()) {
                warn!(
                    node.id = %piece.of, error = %not_taken, times,
                    "cannot copy another node's request log"
                );
            }
        }
        not_taken.to_string()
    })
}

/// Pieces that could not be written here, for want of space perhaps: each is sent again and again.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    told: Seldom,
    times: u64,
}

impl Unwritten {
    /// One more: if the log is to say so, how many since it last did.
    fn add(&mut self, now: MonoMillis) -> Option<u64> {
        self.times += 1;
        self.told.is_due(now, TELL_EVERY).then(|| std::mem::take(&mut self.times))
    }
}

/// What this node has of what is asked for.
pub(crate) async fn look(shared: &Arc<Shared>, ask: Ask) -> Result<Told, Busy> {
    let turn = tokio::time::timeout(TURN_PATIENCE, shared.turns.acquire()).await;
    let Ok(Ok(_turn)) = turn else { return Err(Busy::Waiting) };
    let looking = Arc::clone(shared);
    let looked = tokio::task::spawn_blocking(move || looking.look(&ask)).await;
    // Whoever panics in there has said so.
    let (found, runs) = looked.map_err(|_panic| Busy::Waiting)?.map_err(Busy::Unreadable)?;
    Ok(Told { found, runs })
}

type Looked = (Found, std::collections::BTreeMap<NodeId, Vec<dunlin_journal::Run>>);

impl Shared {
    fn look(&self, ask: &Ask) -> Result<Looked, Error> {
        let (mut shelves, runs) = match &ask.of {
            Of::OwnAndAllBut(others) => {
                let except: BTreeSet<NodeId> = others.iter().copied().chain([self.me]).collect();
                let mut shelves = self.copies.shelves(&except);
                shelves.push(self.journal.shelf(self.me));
                (shelves, self.copies.runs())
            }
            Of::Copies(nodes) => {
                let mut shelves = self.copies.shelves(&BTreeSet::new());
                shelves.retain(|shelf| nodes.contains(&shelf.node()));
                (shelves, self.copies.runs())
            }
        };
        shelves.retain(|shelf| !shelf.is_empty());
        let began = self.clock.mono();
        let expired = || self.clock.mono().since(began) > SEARCH_FOR;
        Ok((search(&shelves, &ask.query, &expired)?, runs))
    }
}

fn json(answer: &impl serde::Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(answer).expect("plain data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_cannot_be_written_is_said_at_once_and_then_counted() {
        let mut unwritten = Unwritten::default();
        let mut at = |millis| unwritten.add(MonoMillis(millis));
        assert_eq!((at(0), at(200), at(400)), (Some(1), None, None));
        assert_eq!((at(30_000), at(30_200)), (Some(3), None));
    }
}
