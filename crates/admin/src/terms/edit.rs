//! Changes that depend on the current value, such as adding to a list or granting no more than the
//! caller has. They are decided again if the value changed in between, on any node.

use std::sync::Arc;

use dunlin_consensus::ProposeError;
use dunlin_state::{Command, Entity, Key, Kind, Rejected, Reply, Seen, State};

use crate::Admin;
use crate::error::Error;
use crate::routes::Request;
use crate::rows::row::View;

/// Of several conflicting edits, one succeeds each round; after this many rounds the caller gets a
/// 409.
const MAX_TRIES: usize = 64;

/// What is to be done, and what that was decided by.
pub(crate) struct Decided {
    pub(crate) seen: Vec<Seen>,
    pub(crate) command: Command,
}

impl Decided {
    /// Whether it was refused for what somebody else has done in between: changed what was seen, or
    /// made an account that this one would have made.
    fn is_overtaken(error: &Error) -> bool {
        let Error::Propose(ProposeError::Rejected(why)) = error else { return false };
        matches!(
            why,
            Rejected::ChangedInBetween { .. }
                | Rejected::EntityExists { kind: Kind::User | Kind::EndUser, .. }
        )
    }
}

impl Admin {
    /// Carries out what `decide` makes of `state`, or of what is there once that was overtaken.
    pub(crate) async fn edit(
        &self,
        asked: &Request,
        mut state: Arc<State>,
        decide: impl Fn(&View) -> Result<Decided, Error>,
    ) -> Result<(Reply, View), Error> {
        let mut tries = 1;
        loop {
            let Decided { seen, command } = decide(&self.view(state))?;
            let command = if seen.is_empty() {
                command
            } else {
                Command::IfUnchanged { seen, command: Box::new(command) }
            };
            match self.carry_out(asked, command).await {
                Err(error) if Decided::is_overtaken(&error) && tries < MAX_TRIES => tries += 1,
                done => return done,
            }
            state = self.read().await.state;
        }
    }
}

/// A key's owners and its shared budget, by whose members, roles and terms it is judged what may
/// become of it.
pub(crate) fn owners(state: &State, key: &Key) -> Vec<Seen> {
    let owners = [
        (Kind::Team, &key.team),
        (Kind::User, &key.user),
        (Kind::Organization, &key.organization),
        (Kind::Budget, &key.terms.budget_id),
    ];
    let known = owners.into_iter().filter_map(|(kind, name)| state.entity(kind, name.as_ref()?));
    known.flat_map(|owner| with_organization(state, owner)).collect()
}

/// A key and its owners, before and after a change.
pub(crate) fn judged_by(state: &State, before: &Key, after: &Key) -> Vec<Seen> {
    let mut seen = vec![Seen::from(before)];
    seen.extend(owners(state, before).into_iter().chain(owners(state, after)));
    seen
}

/// A group, and the organization whose it is: by both it is judged who leads it and what it may have.
pub(crate) fn with_organization(state: &State, group: &Entity) -> Vec<Seen> {
    let above = group.organization.as_ref();
    let above = above.and_then(|name| state.entity(Kind::Organization, name));
    [Seen::from(group)].into_iter().chain(above.map(|above| Seen::from(&**above))).collect()
}
