//! One cluster secret takes the place of another: what is sealed gets another seal, and stays as it is.

use std::sync::Arc;

use crate::command::{
    Entity, Key, Reply, ResealedField, ResealedResource, ResealedRevision, Resource, SealedFor,
    Terms,
};
use crate::state::State;

pub(super) fn reseal(
    state: &mut State,
    secret: &str,
    (revisions, resources, fields): (&[ResealedRevision], &[ResealedResource], &[ResealedField]),
) -> Reply {
    reseal_fields(state, fields);
    let history = Arc::make_mut(&mut state.config);
    for resealed in revisions {
        let known = history.iter_mut().find(|known| known.revision == resealed.revision);
        if let Some(known) = known.filter(|known| !known.sealed.is_empty()) {
            known.sealed = Arc::clone(&resealed.sealed);
            known.hash.clone_from(&resealed.hash);
        }
    }
    for resealed in resources {
        let of_kind = state.resources.entry(resealed.kind).or_default();
        let Some(known) = of_kind.get(&resealed.id) else { continue };
        if known.version == resealed.version {
            let sealed = Arc::clone(&resealed.sealed);
            let known = Resource { sealed, ..Resource::clone(known) };
            of_kind.insert(resealed.id.clone(), Arc::new(known));
        }
    }
    state.sealed_under = Some(secret.to_owned());
    Reply::Done
}

fn reseal_fields(state: &mut State, fields: &[ResealedField]) {
    for resealed in fields {
        let change = |terms: &mut Terms| {
            if let Some(text) = terms.other.get_mut(&resealed.name)
                && *text == resealed.before
            {
                text.clone_from(&resealed.after);
            }
        };
        match &resealed.of {
            SealedFor::Key(token) => {
                let Some(mut key) = state.keys.get(token).map(|key| Key::clone(key)) else {
                    continue;
                };
                change(&mut key.terms);
                state.keys.insert(*token, Arc::new(key));
            }
            SealedFor::Entity(kind, name) => {
                let Some(of_kind) = state.entities.get_mut(kind) else { continue };
                let Some(mut entity) = of_kind.get(name).map(|known| Entity::clone(known)) else {
                    continue;
                };
                change(&mut entity.terms);
                of_kind.insert(name.clone(), Arc::new(entity));
            }
        }
    }
}
