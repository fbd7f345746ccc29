//! What nodes ask each other: a head of JSON in one line, then the body if there is one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_rpc::{Incoming, Refused, Service};
use dunlin_types::{Clock, NodeId, RequestId, UnixMillis};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::{Entry, Found, Kind, Label, MAX_NOTES, Note, Shared, Shelves};

/// How long a client may wait for a peer to take its body.
const PUT_WITHIN: Duration = Duration::from_secs(1);
/// And for a peer to say what it has.
const GET_WITHIN: Duration = Duration::from_secs(2);
/// Reads and writes for peers at the same time. Further ones wait in the service's queue.
const MAX_AT_ONCE: usize = 16;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    Put(Kind, Entry),
    Get(Kind, RequestId),
    Delete(Kind, RequestId, UnixMillis),
    /// The notes with that label, so many at most.
    List(Label, usize),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Say {
    Done,
    Body,
    Deleted,
    Missing,
    /// Each in a line of its own.
    Notes,
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
) -> Result<Found, String> {
    if node == by.me {
        let now = by.clock.unix();
        return on_disk(&by.shelves, move |shelves| shelves.of(kind).get(id, now)).await;
    }
    let (said, body) = ask(by, node, &Ask::Get(kind, id), &[], GET_WITHIN).await?;
    Ok(match said {
        Say::Body => Found::Body(body),
        Say::Deleted => Found::Deleted,
        Say::Done | Say::Missing | Say::Notes => Found::Missing,
    })
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
    shelves: Arc<Shelves>,
    clock: Clock,
    mut inbox: mpsc::Receiver<Incoming>,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
    while let Some(incoming) = inbox.recv().await {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        let (shelves, now) = (Arc::clone(&shelves), clock.unix());
        tasks.spawn_blocking(move || {
            let said = reply(&shelves, &incoming.body, now);
            incoming.answer(said);
            drop(place);
        });
    }
}

fn reply(shelves: &Shelves, asked: &Bytes, now: UnixMillis) -> Result<Bytes, Refused> {
    let (ask, body) = unframed::<Ask>(asked)
        .ok_or_else(|| Refused { reason: "not a question for stored bodies".to_owned() })?;
    let done = match ask {
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
            Found::Body(body) => framed(&Say::Body, &body),
            Found::Deleted => framed(&Say::Deleted, &[]),
            Found::Missing => framed(&Say::Missing, &[]),
        }),
    };
    done.map_err(|error| {
        warn!(%error, "the store's disk does not do what it should");
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
        warn!(%error, "the store's disk does not do what it should");
        format!("this node: {error}")
    })
}
