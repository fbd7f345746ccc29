//! Models, credentials and access groups that are set over the API: made, changed, deleted.

use std::sync::Arc;

use crate::command::{Rejected, Reply, Resource, ResourceChange, ResourceKind};
use crate::state::State;

/// So many of a kind are kept: every node holds all of them.
const MAX_RESOURCES: usize = 5_000;
/// The largest one, sealed and as the audit log shows it, in bytes.
const MAX_RESOURCE_BYTES: usize = 64 << 10;
/// The longest id, name or maker, in bytes.
const MAX_WORD_BYTES: usize = 512;
/// All of a kind together, in bytes: they are in every snapshot.
const MAX_TOTAL_BYTES: usize = 64 << 20;

pub(super) fn create(state: &mut State, resource: &Resource) -> Result<Reply, Rejected> {
    let kind = resource.kind;
    if state.resource(kind, &resource.id).is_some() {
        return Err(Rejected::ResourceExists { kind, id: resource.id.clone() });
    }
    if state.resources(kind).count() >= MAX_RESOURCES {
        return Err(Rejected::TooMany { what: kind.name().to_owned(), most: MAX_RESOURCES as u64 });
    }
    put(state, Resource { created_at: state.at, ..resource.clone() })
}

pub(super) fn update(state: &mut State, change: &ResourceChange) -> Result<Reply, Rejected> {
    let ResourceChange { kind, id, seen, name, sealed, shown, by } = change;
    let unknown = || Rejected::UnknownResource { kind: *kind, id: id.clone() };
    let before = Resource::clone(state.resource(*kind, id).ok_or_else(unknown)?);
    if before.version != *seen {
        return Err(Rejected::ResourceChanged { kind: *kind, id: id.clone() });
    }
    let (name, sealed, shown) = (name.clone(), Arc::clone(sealed), shown.clone());
    put(state, Resource { name, sealed, shown, updated_by: by.clone(), ..before })
}

pub(super) fn delete(
    state: &mut State,
    kind: ResourceKind,
    ids: &[String],
) -> Result<Reply, Rejected> {
    let mut of_kind = state.resources.get(&kind).cloned().unwrap_or_default();
    let gone: Vec<String> =
        ids.iter().filter(|id| of_kind.remove(*id).is_some()).cloned().collect();
    let Some(first) = ids.first().filter(|_| gone.is_empty()) else {
        state.resources.insert(kind, of_kind);
        state.resources_version = state.applied;
        return Ok(Reply::Gone { names: gone, keys: Vec::new() });
    };
    Err(Rejected::UnknownResource { kind, id: first.clone() })
}

fn put(state: &mut State, resource: Resource) -> Result<Reply, Rejected> {
    let kind = resource.kind;
    let too_large = |bytes: usize, most: usize, what: &str| Rejected::TooLarge {
        what: what.to_owned(),
        bytes: bytes as u64,
        most: most as u64,
    };
    let words = [&resource.id, &resource.name, &resource.created_by, &resource.updated_by];
    if let Some(word) = words.into_iter().find(|word| word.len() > MAX_WORD_BYTES) {
        let what = format!("name or id of a {}", kind.name());
        return Err(too_large(word.len(), MAX_WORD_BYTES, &what));
    }
    let bytes = size(&resource);
    if bytes > MAX_RESOURCE_BYTES {
        return Err(too_large(bytes, MAX_RESOURCE_BYTES, kind.name()));
    }
    let others = state.resources(kind).filter(|other| other.id != resource.id);
    let total = bytes + others.map(|other| size(other)).sum::<usize>();
    if total > MAX_TOTAL_BYTES {
        let what = format!("list of all {}s", kind.name());
        return Err(too_large(total, MAX_TOTAL_BYTES, &what));
    }
    let stored = Resource { version: state.applied, updated_at: state.at, ..resource };
    let stored = Arc::new(stored);
    let of_kind = state.resources.entry(kind).or_default();
    of_kind.insert(stored.id.clone(), Arc::clone(&stored));
    state.resources_version = state.applied;
    Ok(Reply::Resource(stored))
}

fn size(resource: &Resource) -> usize {
    let shown = resource.shown.iter().map(|(name, value)| name.len() + value.len());
    resource.sealed.len() + shown.sum::<usize>()
}
