//! Members of teams and organizations: who is meant, and the accounts of those nobody knew.

use std::collections::BTreeMap;

use dunlin_state::{Change, Command, EntityChanges, Kind, State};

use crate::entity_fields::{self, Named};
use crate::naming;
use crate::routes::Asked;

/// The role of a user that nobody knew before it joined: it may look.
const NEW_ROLE: &str = "internal_user_viewer";

/// Who joins.
pub(super) struct Joining {
    /// Users and their roles.
    pub(super) users: Vec<(String, String)>,
    /// Makes those that are not there yet.
    pub(super) new_users: Vec<Command>,
}

impl Joining {
    pub(super) fn read(named: Vec<Named>, state: &State, asked: &Asked) -> Self {
        let (mut users, mut new_users) = (Vec::new(), Vec::new());
        let mut fresh: BTreeMap<String, String> = BTreeMap::new();
        for Named { user, email, role } in named {
            let known = super::entities::user_named(state, user.as_deref(), email.as_deref());
            let name = match (known, user, &email) {
                (Some(known), _, _) => known.name.clone(),
                (None, None, Some(email)) if fresh.contains_key(email) => fresh[email].clone(),
                (None, user, _) => {
                    let name = user.unwrap_or_else(naming::draw_id);
                    new_users.push(account(&name, email.clone(), asked.caller.maker()));
                    fresh.extend(email.map(|email| (email, name.clone())));
                    name
                }
            };
            users.push((name, role));
        }
        Self { users, new_users }
    }
}

fn account(name: &str, email: Option<String>, by: String) -> Command {
    let changes = EntityChanges {
        email: email.map_or(Change::Keep, Change::Set),
        role: Change::Set(NEW_ROLE.to_owned()),
        ..EntityChanges::default()
    };
    let entity = entity_fields::new(Kind::User, name.to_owned(), changes, by);
    Command::CreateEntity { entity: Box::new(entity), members: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use crate::rights::tests::{asked_by, world};

    #[test]
    fn strangers_get_an_account_that_may_look() {
        let named = |user: Option<&str>, email: Option<&str>| Named {
            user: user.map(str::to_owned),
            email: email.map(str::to_owned),
            role: "user".to_owned(),
        };
        let who = vec![
            named(Some("dev"), None),
            named(Some("stranger"), None),
            named(None, Some("new@b.c")),
        ];
        let joining = Joining::read(who, &world(), &asked_by(Caller::Master));
        assert_eq!(joining.users[0].0, "dev");
        assert_eq!(joining.users[1].0, "stranger");
        assert_eq!(joining.new_users.len(), 2);
        for command in joining.new_users {
            let Command::CreateEntity { entity, .. } = command else { panic!("an account") };
            assert_eq!(entity.role.as_deref(), Some(NEW_ROLE));
        }
    }
}
