//! Whose a key may become: what binds it by its team, its organization and its user is not shed by
//! whoever merely has it.

use dunlin_state::{Key, Kind, State};

use crate::caller::Caller;
use crate::error::Error;
use crate::rights::forbidden;

impl Caller {
    /// Refuses a key whose owners the caller may not give it, or may not take from it. `before` is the
    /// key as it was, if it was there; `route` is what the caller calls.
    pub(crate) fn may_place(
        &self,
        state: &State,
        key: &Key,
        before: Option<&Key>,
        route: &str,
    ) -> Result<(), Error> {
        let left = before.and_then(|before| before.team.as_ref());
        let left = left.filter(|team| key.team.as_ref() != Some(*team));
        for team in left.into_iter().chain(&key.team) {
            if !self.leads(state, Kind::Team, team) && !self.is_permitted(state, team, route) {
                let reason = format!("only admins of team `{team}` may call {route} for it");
                return Err(forbidden(reason));
            }
        }
        self.may_place_in_organization(state, key, before)?;
        self.may_give_to_user(state, key, before)
    }

    fn may_place_in_organization(
        &self,
        state: &State,
        key: &Key,
        before: Option<&Key>,
    ) -> Result<(), Error> {
        let leads = |name: &String| self.leads(state, Kind::Organization, name);
        let left = before.and_then(|before| before.organization.as_ref());
        let left = left.filter(|name| key.organization.as_ref() != Some(*name));
        if let Some(name) = left.filter(|name| !leads(name)) {
            let reason = format!("only admins of organization `{name}` take keys out of it");
            return Err(forbidden(reason));
        }
        let Some(name) = &key.organization else { return Ok(()) };
        let stays = before.is_some_and(|before| {
            before.organization.as_ref() == Some(name) && before.team == key.team
        });
        let team = key.team.as_ref().and_then(|team| state.entity(Kind::Team, team));
        let is_the_teams = team.is_some_and(|team| team.organization.as_ref() == Some(name));
        let calling = self.bearer().and_then(|bearer| bearer.caller.key.organization.as_ref());
        if stays || is_the_teams || calling == Some(name) || leads(name) {
            return Ok(());
        }
        Err(forbidden(format!("only admins of organization `{name}` may give it keys")))
    }

    fn may_give_to_user(
        &self,
        state: &State,
        key: &Key,
        before: Option<&Key>,
    ) -> Result<(), Error> {
        let of_team = |user: Option<&String>| {
            key.team.as_ref().is_some_and(|team| {
                let member = |user: &String| state.member(Kind::Team, team, user).is_some();
                self.leads(state, Kind::Team, team) && user.is_none_or(member)
            })
        };
        if of_team(key.user.as_ref()) {
            return Ok(());
        }
        let Some(user) = key.user.as_deref() else {
            let organization = key.organization.as_ref();
            let leads = organization.is_some_and(|o| self.leads(state, Kind::Organization, o));
            // A new one of a team is a service account, which the team has let its members make.
            let is_service = key.team.is_some() && before.is_none_or(|one| one.user.is_none());
            return if leads || is_service {
                Ok(())
            } else if before.is_some_and(|before| before.user.is_some()) {
                let reason = "only an admin, or who leads its team, takes a key from its user";
                Err(forbidden(reason.to_owned()))
            } else {
                Err(forbidden("only an admin makes keys that are nobody's".to_owned()))
            };
        };
        if self.user() == Some(user) {
            return Ok(());
        }
        Err(forbidden("only an admin may make keys for other users".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use dunlin_state::Command;

    use super::*;
    use crate::rights::tests::{bearer, entity, key, made, member, world_and};

    /// The world, where `permitted` is a team of the organization `p` that dev belongs to and that lets
    /// its members do everything with their keys; lead leads `led`, which is of no organization.
    fn owners() -> State {
        let mut permitted = entity(Kind::Team, "permitted", None);
        permitted.organization = Some("p".to_owned());
        let routes = r#"["/key/generate", "/key/update", "/key/service-account/generate"]"#;
        let field = "team_member_permissions".to_owned();
        permitted.terms.other.insert(field, routes.to_owned());
        let of_p = Key { organization: Some("p".to_owned()), ..key("sk-of-p", Some("dev"), None) };
        world_and([
            made(entity(Kind::Organization, "p", None), Vec::new()),
            made(permitted, vec![member("dev", "user")]),
            made(entity(Kind::Team, "led", None), vec![member("lead", "admin")]),
            Command::CreateKey { key: Box::new(of_p) },
        ])
    }

    /// A key of a user, a team and an organization; `-` for none.
    fn of(owners: &str) -> Key {
        let named: Vec<_> = owners.split(' ').map(|name| (name != "-").then_some(name)).collect();
        let [user, team, organization] = named[..] else { panic!("three owners: {owners}") };
        Key { organization: organization.map(str::to_owned), ..key("sk-new", user, team) }
    }

    #[test]
    fn who_has_a_key_sheds_nothing_that_binds_it() {
        let state = owners();
        let update = "/key/update";
        for (who, before, after, allowed) in [
            // From the user.
            ("sk-dev", "dev - -", "- - -", false),
            ("sk-dev", "dev permitted -", "- permitted -", false),
            ("sk-lead", "dev t -", "- t -", true),
            ("sk-boss", "dev t -", "- t -", true),
            ("sk-root", "dev - -", "- - -", true),
            // From the organization.
            ("sk-dev", "dev - o", "dev - -", false),
            ("sk-dev", "dev - o", "dev - o", true),
            ("sk-dev", "dev permitted p", "dev permitted -", false),
            ("sk-lead", "lead t o", "lead t -", false),
            ("sk-boss", "boss - o", "boss - -", true),
            ("sk-root", "dev - o", "dev - -", true),
            // Into another one.
            ("sk-lead", "lead t -", "lead t p", false),
            ("sk-lead", "lead t -", "lead t o", true),
            ("sk-dev", "dev permitted -", "dev permitted o", false),
            ("sk-dev", "dev - o", "dev permitted o", false),
            ("sk-boss", "boss t -", "boss t p", false),
            // Out of the team, and into one.
            ("sk-dev", "dev t -", "dev - -", false),
            ("sk-dev", "dev t -", "dev permitted -", false),
            ("sk-dev", "dev permitted -", "dev - -", true),
            ("sk-dev", "dev permitted -", "dev t -", false),
            ("sk-dev", "dev permitted -", "dev permitted -", true),
            ("sk-dev", "dev - -", "dev t -", false),
            ("sk-lead", "lead t -", "lead - -", true),
            ("sk-lead", "- t -", "lead t -", true),
            ("sk-lead", "- t -", "- - -", false),
            ("sk-lead", "- t -", "- led -", true),
            ("sk-lead", "dev t -", "dev - -", false),
            ("sk-root", "- t -", "- - -", true),
        ] {
            let found = bearer(&state, who).may_give(&state, &of(after), Some(&of(before)), update);
            assert_eq!(found.is_ok(), allowed, "{who}: {before} to {after}: {found:?}");
        }
    }

    #[test]
    fn a_new_key_is_its_makers_or_its_teams_and_in_the_teams_organization() {
        let state = owners();
        for (who, new, route, allowed) in [
            ("sk-dev", "- - -", "/key/generate", false),
            ("sk-dev", "- permitted -", "/key/service-account/generate", true),
            ("sk-dev", "- permitted o", "/key/service-account/generate", false),
            ("sk-dev", "- t -", "/key/service-account/generate", false),
            ("sk-dev", "dev permitted p", "/key/generate", true),
            ("sk-dev", "dev permitted o", "/key/generate", false),
            ("sk-lead", "lead t o", "/key/generate", true),
            ("sk-lead", "lead t p", "/key/generate", false),
            ("sk-lead", "- led o", "/key/generate", false),
            ("sk-boss", "- t o", "/key/generate", true),
            ("sk-boss", "- t p", "/key/generate", false),
            ("sk-boss", "boss - o", "/key/generate", true),
            ("sk-boss", "boss - p", "/key/generate", false),
            ("sk-root", "- - p", "/key/generate", true),
        ] {
            let found = bearer(&state, who).may_give(&state, &of(new), None, route);
            assert_eq!(found.is_ok(), allowed, "{who}: {new}: {found:?}");
        }
    }

    #[test]
    fn a_key_of_an_organization_makes_keys_of_it_only() {
        let state = owners();
        for (new, allowed) in [
            ("dev - -", false),
            ("dev - o", false),
            ("dev - p", true),
            ("dev permitted -", true),
            ("dev permitted p", true),
        ] {
            let caller = bearer(&state, "sk-of-p");
            let found = caller.may_give(&state, &of(new), None, "/key/generate");
            assert_eq!(found.is_ok(), allowed, "{new}: {found:?}");
        }
    }
}
