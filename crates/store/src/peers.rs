//! What nodes ask each other: a head of JSON in one line, then the body if there is one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_rpc::{Incoming, Refused, Service};
use dunlin_types::{NodeId, RequestId, UnixMillis};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::deletions::Deleted;
use crate::{Entry, Found, Has, Kind, Label, MAX_NOTES, Note, Shared, Shelves};

/// How long a client may wait for a peer to take its body.
const PUT_WITHIN: Duration = Duration::from_secs(1);
/// And for a peer to say what it has.
const GET_WITHIN: Duration = Duration::from_secs(2);
/// Reads and writes for peers at the same time. Further ones wait.
const MAX_AT_ONCE: usize = 16;
/// As many wait; whoever asks for one more is told that the node is busy. Who asks after work that is
/// done here waits for none of them: a slow disk must not look like a node that is gone.
const MAX_WAITING: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    Put(Kind, Entry),
    Get(Kind, RequestId),
    Delete(Kind, RequestId, UnixMillis),
    /// The notes with that label, so many at most.
    List(Label, usize),
    /// What the asker knows to be deleted; the flag says that this is all.
    Deleted(Kind, Vec<Deleted>, bool),
    Working(RequestId),
    Stop(RequestId),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Say {
    Done,
    Body,
    /// The same of a node that may not have heard that it was deleted.
    BodyInDoubt,
    Deleted,
    Missing,
    /// Each in a line of its own.
    Notes,
    Working,
}

/// Has a node, this one perhaps, hold a body.
pub(crate) async fn put(
    by: &Shared,
    node: NodeId,
    (kind, entry): (Kind, Entry),
    body: Bytes,
) -> Result<(), String> {
    if node == by.me {
        return on_disk(&by.shelves, move |shelves| shelves.of(kind).put(entry, &body)).await;
    }
    ask(by, node, &Ask::Put(kind, entry), &body, PUT_WITHIN).await.map(drop)
}

/// What a node has of that id.
pub(crate) async fn get(
    by: &Shared,
    node: NodeId,
    kind: Kind,
    id: RequestId,
) -> Result<Has, String> {
    if node == by.me {
        let now = by.clock.unix();
        let in_doubt = by.shelves.deletions.are_in_doubt(&by.gossip.view());
        let found = on_disk(&by.shelves, move |shelves| shelves.of(kind).get(id, now)).await?;
        return Ok(Has { found, in_doubt });
    }
    let (said, body) = ask(by, node, &Ask::Get(kind, id), &[], GET_WITHIN).await?;
    let in_doubt = matches!(said, Say::BodyInDoubt);
    let found = match said {
        Say::Body | Say::BodyInDoubt => Found::Body(body),
        Say::Deleted => Found::Deleted,
        Say::Done | Say::Missing | Say::Notes | Say::Working => Found::Missing,
    };
    Ok(Has { found, in_doubt })
}

/// Whether a node works on something.
pub(crate) async fn working(by: &Shared, node: NodeId, id: RequestId) -> Result<bool, String> {
    if node == by.me {
        return Ok(by.shelves.works.has(id));
    }
    let (said, _) = ask(by, node, &Ask::Working(id), &[], GET_WITHIN).await?;
    Ok(matches!(said, Say::Working))
}

/// Has a node stop working on something, and waits until it does. True: it does not stop in time.
pub(crate) async fn stop(by: &Shared, node: NodeId, id: RequestId) -> Result<bool, String> {
    if node == by.me {
        return Ok(tokio::time::timeout(GET_WITHIN, by.shelves.works.stop(id)).await.is_err());
    }
    ask(by, node, &Ask::Stop(id), &[], GET_WITHIN).await.map(|_| false)
}

/// Tells another node what is deleted; `all`: it has been told all.
pub(crate) async fn tell(
    by: &Shared,
    node: NodeId,
    kind: Kind,
    deleted: &[Deleted],
    all: bool,
) -> Result<(), String> {
    let told = Ask::Deleted(kind, deleted.to_vec(), all);
    ask(by, node, &told, &[], GET_WITHIN).await.map(drop)
}

/// The notes with that label that a node has, the newest first.
pub(crate) async fn list(
    by: &Shared,
    node: NodeId,
    label: Label,
    most: usize,
) -> Result<Vec<Note>, String> {
    if node == by.me {
        let now = by.clock.unix();
        return on_disk(&by.shelves, move |shelves| notes(shelves, label, now, most)).await;
    }
    let (_, lines) = ask(by, node, &Ask::List(label, most), &[], GET_WITHIN).await?;
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let notes = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
    notes.map_err(|error| format!("node {node}: {error}"))
}

fn notes(shelves: &Shelves, label: Label, now: UnixMillis, most: usize) -> io::Result<Vec<Note>> {
    let shelf = shelves.of(Kind::Note);
    let mut notes = Vec::new();
    for entry in shelf.labelled(label, now, most) {
        if let Found::Body(body) = shelf.get(entry.id, now)? {
            let text = String::from_utf8_lossy(&body).into_owned();
            notes.push(Note { entry, text });
        }
    }
    Ok(notes)
}

/// Has a node forget a body.
pub(crate) async fn delete(
    by: &Shared,
    node: NodeId,
    (kind, id): (Kind, RequestId),
    until: UnixMillis,
) -> Result<(), String> {
    if node == by.me {
        return on_disk(&by.shelves, move |shelves| shelves.of(kind).delete(id, until)).await;
    }
    ask(by, node, &Ask::Delete(kind, id, until), &[], PUT_WITHIN).await.map(drop)
}

async fn ask(
    by: &Shared,
    node: NodeId,
    ask: &Ask,
    body: &[u8],
    within: Duration,
) -> Result<(Say, Bytes), String> {
    let answer = by.rpc.call(node, Service::Store, framed(ask, body), within).await;
    let answer = answer.map_err(|error| format!("node {node}: {error}"))?;
    unframed(&answer).ok_or_else(|| format!("node {node} answers in a form that is not known here"))
}

/// Answers other nodes, for as long as it is polled.
pub(crate) async fn answer(
    by: Arc<Shared>,
    mut inbox: mpsc::Receiver<Incoming>,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
    let turns = Arc::new(Semaphore::new(MAX_AT_ONCE + MAX_WAITING));
    while let Some(incoming) = inbox.recv().await {
        let by = Arc::clone(&by);
        match unframed::<Ask>(&incoming.body) {
            Some((Ask::Working(id), _)) => {
                let said = if by.shelves.works.has(id) { Say::Working } else { Say::Missing };
                incoming.answer(Ok(framed(&said, &[])));
            }
            Some((Ask::Stop(id), _)) => {
                tasks.spawn(async move {
                    // Who asks waits no longer.
                    let stopping = by.shelves.works.stop(id);
                    if tokio::time::timeout(GET_WITHIN, stopping).await.is_ok() {
                        incoming.answer(Ok(framed(&Say::Done, &[])));
                    }
                });
            }
            asked => {
                let Ok(turn) = Arc::clone(&turns).try_acquire_owned() else {
                    let reason = "too many reads and writes wait for this node's disk";
                    incoming.answer(Err(Refused { reason: reason.to_owned() }));
                    continue;
                };
                let places = Arc::clone(&places);
                tasks.spawn(async move {
                    let place = places.acquire_owned().await;
                    let replying = tokio::task::spawn_blocking(move || {
                        let said = reply(&by, incoming.from, asked);
                        incoming.answer(said);
                        drop((place, turn));
                    });
                    // Its panic is the caller's silence.
                    drop(replying.await);
                });
            }
        }
    }
}

fn reply(by: &Shared, from: NodeId, asked: Option<(Ask, Bytes)>) -> Result<Bytes, Refused> {
    let (ask, body) =
        asked.ok_or_else(|| Refused { reason: "not a question for stored bodies".to_owned() })?;
    let (shelves, now) = (&*by.shelves, by.clock.unix());
    let done = match ask {
        Ask::Working(_) | Ask::Stop(_) => Ok(framed(&Say::Missing, &[])),
        Ask::Deleted(kind, deleted, all) => shelves.of(kind).forget(&deleted).map(|()| {
            if all {
                shelves.deletions.all_told_by(from);
            }
            framed(&Say::Done, &[])
        }),
        Ask::Put(kind, entry) => {
            shelves.of(kind).put(entry, &body).map(|()| framed(&Say::Done, &[]))
        }
        Ask::Delete(kind, id, until) => {
            shelves.of(kind).delete(id, until).map(|()| framed(&Say::Done, &[]))
        }
        Ask::List(label, most) => notes(shelves, label, now, most.min(MAX_NOTES)).map(|notes| {
            let lines = notes.iter().map(|note| serde_json::to_string(note).expect("plain data"));
            framed(&Say::Notes, lines.collect::<Vec<_>>().join("\n").as_bytes())
        }),
        Ask::Get(kind, id) => shelves.of(kind).get(id, now).map(|found| match found {
            Found::Body(body) if shelves.deletions.are_in_doubt(&by.gossip.view()) => {
                framed(&Say::BodyInDoubt, &body)
            }
            Found::Body(body) => framed(&Say::Body, &body),
            Found::Deleted => framed(&Say::Deleted, &[]),
            Found::Missing => framed(&Say::Missing, &[]),
        }),
    };
    done.map_err(|error| {
        warn!(%error, "cannot read or write the store on disk");
        Refused { reason: error.to_string() }
    })
}

fn framed<T: Serialize>(head: &T, body: &[u8]) -> Bytes {
    let mut framed = serde_json::to_vec(head).expect("plain data");
    framed.push(b'\n');
    framed.extend_from_slice(body);
    Bytes::from(framed)
}

fn unframed<T: for<'de> Deserialize<'de>>(framed: &Bytes) -> Option<(T, Bytes)> {
    let end = framed.iter().position(|byte| *byte == b'\n')?;
    Some((serde_json::from_slice(&framed[..end]).ok()?, framed.slice(end + 1..)))
}

/// Does something off the threads that serve.
async fn on_disk<T: Send + 'static>(
    shelves: &Arc<Shelves>,
    act: impl FnOnce(&Shelves) -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    let shelves = Arc::clone(shelves);
    let done = tokio::task::spawn_blocking(move || act(&shelves)).await;
    done.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(|error| {
        warn!(%error, "cannot read or write the store on disk");
        format!("this node: {error}")
    })
}
