//! What a provider's headers are called where clients are told of them: LiteLLM's prefix, then the
//! name as it was.

use std::collections::HashMap;
use std::sync::LazyLock;

use arc_swap::ArcSwap;
use axum::http::HeaderName;

/// So many names are remembered: providers have a few dozen. Others are made anew each time.
const REMEMBERED: usize = 512;

/// Names that were made before: to make one costs more than all else about a header.
static MADE: LazyLock<ArcSwap<HashMap<HeaderName, HeaderName>>> = LazyLock::new(ArcSwap::default);

/// The name of a provider's header for clients. `None`: it would be too long for one.
pub(crate) fn name(theirs: &HeaderName) -> Option<HeaderName> {
    let made = MADE.load();
    if let Some(name) = made.get(theirs) {
        return Some(name.clone());
    }
    let name = HeaderName::try_from(format!("llm_provider-{theirs}")).ok()?;
    if made.len() < REMEMBERED {
        MADE.rcu(|made| {
            let mut made = HashMap::clone(made);
            made.insert(theirs.clone(), name.clone());
            made
        });
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_prefix_however_many_there_are() {
        for round in 0..2 {
            for number in 0..REMEMBERED + 10 {
                let theirs = HeaderName::try_from(format!("x-{number}")).expect("a name");
                let told = name(&theirs).expect("a name");
                assert_eq!(told.as_str(), format!("llm_provider-x-{number}"), "in round {round}");
            }
        }
        assert!(MADE.load().len() <= REMEMBERED);
    }
}
