//! One cluster secret takes the place of another: what is sealed gets another seal, and stays as it is.

use std::sync::Arc;

use crate::command::{Reply, ResealedResource, ResealedRevision, Resource};
use crate::state::State;

pub(super) fn reseal(
    state: &mut State,
    secret: &str,
    revisions: &[ResealedRevision],
    resources: &[ResealedResource],
) -> Reply {
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
