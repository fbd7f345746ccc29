//! What a provider's headers are called where clients are told of them: LiteLLM's prefix, then the
//! name as it was.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use axum::http::HeaderName;

/// So many names are remembered: providers have a few dozen. Others are made anew each time.
const REMEMBERED: usize = 512;

/// Names that were made before, by the providers' own: to make one costs more than all else about a
/// header.
static MADE: LazyLock<ArcSwap<BTreeMap<Box<str>, HeaderName>>> = LazyLock::new(ArcSwap::default);

/// The names of an answer's headers, one after the other.
pub(crate) struct Names(Arc<BTreeMap<Box<str>, HeaderName>>);

/// As they are known now.
pub(crate) fn names() -> Names {
    Names(MADE.load_full())
}

impl Names {
    /// The name of a provider's header for clients. `None`: it would be too long for one.
    pub(crate) fn of(&self, theirs: &HeaderName) -> Option<HeaderName> {
        if let Some(name) = self.0.get(theirs.as_str()) {
            return Some(name.clone());
        }
        let name = HeaderName::try_from(format!("llm_provider-{theirs}")).ok()?;
        if self.0.len() < REMEMBERED {
            MADE.rcu(|made| {
                let mut made = BTreeMap::clone(made);
                if made.len() < REMEMBERED {
                    made.insert(theirs.as_str().into(), name.clone());
                }
                made
            });
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_prefix_however_many_there_are() {
        for round in 0..2 {
            for number in 0..REMEMBERED + 10 {
                let theirs = HeaderName::try_from(format!("x-{number}")).expect("a name");
                let told = names().of(&theirs).expect("a name");
                assert_eq!(told.as_str(), format!("llm_provider-x-{number}"), "in round {round}");
            }
        }
        assert!(MADE.load().len() <= REMEMBERED);
    }
}
