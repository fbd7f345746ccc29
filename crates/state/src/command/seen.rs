//! What a change was decided by: another change in between is not run over.

use dunlin_types::{EntityId, UnixMillis};
use serde::{Deserialize, Serialize};

use super::{Entity, Key};

/// A key or an entity as it was when a change was decided by it. Each change of one, and of who
/// belongs to it, has a time of its own, later than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Whose number it is.
    pub id: EntityId,
    /// When it had last been changed.
    pub updated_at: UnixMillis,
}

impl From<&Key> for Seen {
    fn from(key: &Key) -> Self {
        Self { id: key.id, updated_at: key.updated_at }
    }
}

impl From<&Entity> for Seen {
    fn from(entity: &Entity) -> Self {
        Self { id: entity.id, updated_at: entity.updated_at }
    }
}
