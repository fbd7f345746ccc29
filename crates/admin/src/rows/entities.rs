//! Teams, users and the others as endpoints name, find and show them.

use std::sync::Arc;

use dunlin_admin_api::Row;
use dunlin_state::{Entity, Kind, State};

use crate::error::Error;
use crate::routes::Request;
use crate::rows::row::{View, put};
use crate::terms::entity_fields::id_name;

/// The row of an entity.
pub(crate) fn row(view: &View, entity: &Entity) -> Row {
    match entity.kind {
        Kind::Team => view.team(entity),
        Kind::User => view.user(entity),
        Kind::EndUser => {
            let mut row = view.entity(entity, id_name(entity.kind));
            put(&mut row, "alias", &entity.alias);
            put(&mut row, "blocked", &entity.terms.blocked.unwrap_or_default());
            row
        }
        Kind::Organization => view.organization(entity),
        Kind::Budget => view.budget(entity),
        Kind::Tag | Kind::AccessGroup => view.entity(entity, id_name(entity.kind)),
    }
}

/// An entity by its name, or a 404 in LiteLLM's words.
pub(crate) fn find(state: &State, kind: Kind, name: &str) -> Result<Arc<Entity>, Error> {
    state.entity(kind, name).cloned().ok_or_else(|| unknown(kind, name))
}

/// No entity of the kind has the name.
pub(crate) fn unknown(kind: Kind, name: &str) -> Error {
    let reason = format!("{} not found, passed {}: {name}", kind.title(), id_name(kind));
    Error::NotFound { reason }
}

/// Whether the caller may see an entity.
pub(crate) fn may_see(asked: &Request, state: &State, kind: Kind, name: &str) -> bool {
    match kind {
        Kind::Team | Kind::Organization => asked.caller.sees_group(state, kind, name),
        Kind::User => asked.caller.sees_user(name),
        Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => asked.caller.sees_all(),
    }
}

/// The user that a request names, by id or by address.
pub(crate) fn user_named(
    state: &State,
    user: Option<&str>,
    email: Option<&str>,
) -> Option<Arc<Entity>> {
    match (user, email) {
        (Some(user), _) => state.entity(Kind::User, user).cloned(),
        (None, Some(email)) => state.user_by_email(email).cloned(),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use dunlin_state::Command;

    use super::*;
    use crate::rows::row::tests::state_after;

    #[test]
    fn a_user_is_known_by_id_and_by_address() {
        let email = Some("Ann@Example.com".to_owned());
        let ann = Entity { kind: Kind::User, name: "ann".to_owned(), email, ..Entity::default() };
        let make = Command::CreateEntity { entity: Box::new(ann), members: Vec::new() };
        let state = state_after([make]);
        assert!(user_named(&state, Some("ann"), None).is_some());
        assert!(user_named(&state, None, Some("ann@example.com")).is_some());
        assert!(user_named(&state, Some("bob"), Some("ann@example.com")).is_none());
        let told = unknown(Kind::Team, "t").told();
        assert_eq!(told, "Team not found, passed team_id: t");
    }
}
