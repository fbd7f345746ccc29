//! What becomes of a field.

use serde::{Deserialize, Serialize};

/// What becomes of one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Change<T> {
    /// It stays.
    #[default]
    Keep,
    /// It is cleared.
    Clear,
    /// It is this from now on.
    Set(T),
}

impl<T> Change<T> {
    /// Whether the field stays.
    #[must_use]
    pub fn keeps(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// What a new thing has in this field.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// The same change of what `to` makes of the value.
    pub fn map<U>(self, to: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(to(value)),
        }
    }

    /// Carries the change out on an optional field.
    pub(super) fn on(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }

    /// Carries the change out on a field that is empty when cleared.
    pub(super) fn on_plain(self, field: &mut T)
    where
        T: Default,
    {
        match self {
            Self::Keep => {}
            Self::Clear => *field = T::default(),
            Self::Set(value) => *field = value,
        }
    }
}

/// Whether a field has nothing to write down.
pub(super) fn unset<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}
