//! What was made and can be asked for again: files, batches, responses.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use serde_json::Value;

/// How many things are kept; the oldest goes first.
const MAX_THINGS: usize = 256;

/// A thing by its id, with the bytes it holds.
#[derive(Clone)]
pub(crate) struct Thing {
    pub(crate) id: String,
    pub(crate) value: Value,
    pub(crate) content: Bytes,
}

#[derive(Default)]
pub(crate) struct Shelf(Mutex<VecDeque<Thing>>);

impl Shelf {
    /// Puts a thing there, in place of one with its id.
    pub(crate) fn put(&self, thing: Thing) {
        let mut things = self.0.lock().expect("no one panics with it");
        things.retain(|other| other.id != thing.id);
        if things.len() == MAX_THINGS {
            things.pop_front();
        }
        things.push_back(thing);
    }

    pub(crate) fn find(&self, id: &str) -> Option<Thing> {
        let things = self.0.lock().expect("no one panics with it");
        things.iter().find(|thing| thing.id == id).cloned()
    }

    /// Puts an object into a bucket: `uri` is such as `s3://bucket/key`.
    pub(crate) fn put_object(&self, uri: &str, content: Bytes) {
        let path = uri.split_once("://").map_or(uri, |(_, path)| path);
        let key = path.split_once('/').map_or("", |(_, key)| key);
        self.put(Thing { id: uri.to_owned(), value: key.into(), content });
    }

    /// The objects whose addresses begin so.
    pub(crate) fn below(&self, uri: &str) -> Vec<Thing> {
        let things = self.0.lock().expect("no one panics with it");
        let mut found: Vec<_> =
            things.iter().filter(|thing| thing.id.starts_with(uri)).cloned().collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found
    }

    /// The things whose ids begin so, the newest first.
    pub(crate) fn all(&self, prefix: &str) -> Vec<Value> {
        let things = self.0.lock().expect("no one panics with it");
        let some = things.iter().rev().filter(|thing| thing.id.starts_with(prefix));
        some.map(|thing| thing.value.clone()).collect()
    }

    /// Takes a thing away. Whether it was there.
    pub(crate) fn remove(&self, id: &str) -> bool {
        let mut things = self.0.lock().expect("no one panics with it");
        let before = things.len();
        things.retain(|thing| thing.id != id);
        things.len() < before
    }
}
