//! Whose a key may become. One rule holds for all who are no admins: never is a key changed so that a
//! bound which held it, and which whoever changes it may not change, holds it no more. Who wants a key
//! elsewhere makes a new one there.

use dunlin_state::{Key, Kind, Payer, Rank, State};

use crate::caller::Caller;
use crate::error::Error;
use crate::rights::forbidden;
use crate::row::View;

impl Caller {
    /// Refuses a key whose owners the caller may not give it, or may not take from it. `before` is the
    /// key as it was, if it was there; `route` is what the caller calls.
    pub(crate) fn may_place(
        &self,
        view: &View,
        key: &Key,
        before: Option<&Key>,
        route: &str,
    ) -> Result<(), Error> {
        let state = &view.state;
        if let Some(team) = &key.team
            && !self.leads(state, Kind::Team, team)
            && !self.is_permitted(state, team, route)
        {
            let reason = format!("only admins of team `{team}` may call {route} for it");
            return Err(forbidden(reason));
        }
        // A new key is bound by all that comes with its team before it names an organization.
        let plain = || Key { organization: None, ..key.clone() };
        self.may_shed(view, key, &before.cloned().unwrap_or_else(plain))?;
        self.may_place_in_organization(state, key, before)?;
        self.may_give_to_user(state, key)
    }

    /// Refuses a key that is bound no more by what bound it `before`, unless the caller may change
    /// that.
    fn may_shed(&self, view: &View, key: &Key, before: &Key) -> Result<(), Error> {
        let after = view.bounds(key);
        let is_shed = |bound: &Payer| {
            !after.iter().any(|kept| bound.is_kept_by(kept))
                && !self.may_change(&view.state, bound, before)
        };
        match view.bounds(before).iter().find(|bound| is_shed(bound)) {
            Some(shed) => Err(forbidden(format!(
                "the key would no longer be bound by {} `{}`, which you may not change: ask an admin, \
                 or make a new key with /key/generate",
                shed.title(),
                shed.name()
            ))),
            None => Ok(()),
        }
    }

    /// Whether the caller may widen what binds a key.
    fn may_change(&self, state: &State, bound: &Payer, key: &Key) -> bool {
        match bound.rank {
            Rank::Team => {
                let above = bound.entity().and_then(|team| team.organization.as_ref());
                above.is_some_and(|name| self.leads(state, Kind::Organization, name))
            }
            Rank::Member => key.team.as_ref().is_some_and(|t| self.leads(state, Kind::Team, t)),
            Rank::OrganizationMember => {
                let team = key.team.as_ref().and_then(|team| state.entity(Kind::Team, team));
                let of_team = team.and_then(|team| team.organization.as_ref());
                let name = key.organization.as_ref().or(of_team);
                name.is_some_and(|name| self.leads(state, Kind::Organization, name))
            }
            Rank::Organization
            | Rank::User
            | Rank::Tag
            | Rank::AccessGroup
            | Rank::EndUser
            | Rank::Key => false,
        }
    }

    fn may_place_in_organization(
        &self,
        state: &State,
        key: &Key,
        before: Option<&Key>,
    ) -> Result<(), Error> {
        let Some(name) = &key.organization else { return Ok(()) };
        let stays = before.is_some_and(|before| {
            before.organization.as_ref() == Some(name) && before.team == key.team
        });
        let team = key.team.as_ref().and_then(|team| state.entity(Kind::Team, team));
        let is_the_teams = team.is_some_and(|team| team.organization.as_ref() == Some(name));
        let calling = self.bearer().and_then(|bearer| bearer.caller.key.organization.as_ref());
        let leads = self.leads(state, Kind::Organization, name);
        if stays || is_the_teams || calling == Some(name) || leads {
            return Ok(());
        }
        Err(forbidden(format!("only admins of organization `{name}` may give it keys")))
    }

    fn may_give_to_user(&self, state: &State, key: &Key) -> Result<(), Error> {
        let leads = |kind, name: &Option<String>| {
            name.as_ref().is_some_and(|name| self.leads(state, kind, name))
        };
        let Some(user) = &key.user else {
            // A team lets its members make service accounts.
            return if key.team.is_some() || leads(Kind::Organization, &key.organization) {
                Ok(())
            } else {
                Err(forbidden("only an admin may make keys without an owner".to_owned()))
            };
        };
        let is_member = |team: &String| state.member(Kind::Team, team, user).is_some();
        let is_theirs = leads(Kind::Team, &key.team) && key.team.as_ref().is_some_and(is_member);
        if is_theirs || self.user() == Some(user) {
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
    use crate::row::tests::view_of;

    /// The world, where `permitted` is a team of the organization `p` that dev belongs to and that lets
    /// its members do everything with their keys; lead leads `led`, which is of no organization, and
    /// `too`, which is of `o` like `t`.
    fn owners() -> State {
        let mut permitted = entity(Kind::Team, "permitted", None);
        permitted.organization = Some("p".to_owned());
        let routes = r#"["/key/generate", "/key/update", "/key/service-account/generate"]"#;
        let field = "team_member_permissions".to_owned();
        permitted.terms.other.insert(field, routes.to_owned());
        let mut too = entity(Kind::Team, "too", None);
        too.organization = Some("o".to_owned());
        let of_p = Key { organization: Some("p".to_owned()), ..key("sk-of-p", Some("dev"), None) };
        world_and([
            made(entity(Kind::Organization, "p", None), Vec::new()),
            made(permitted, vec![member("dev", "user")]),
            made(entity(Kind::Team, "led", None), vec![member("lead", "admin")]),
            made(too, vec![member("lead", "admin"), member("boss", "user")]),
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
        let view = view_of(owners());
        let state = &view.state;
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
            ("sk-dev", "dev permitted p", "dev permitted -", true),
            ("sk-lead", "lead t o", "lead t -", true),
            ("sk-boss", "boss t -", "boss - o", true),
            ("sk-boss", "boss t -", "boss - -", false),
            ("sk-boss", "boss - o", "boss - -", false),
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
            ("sk-dev", "dev permitted -", "dev - -", false),
            ("sk-dev", "dev - -", "dev permitted -", false),
            ("sk-dev", "dev - -", "- permitted -", false),
            ("sk-dev", "dev permitted -", "dev t -", false),
            ("sk-dev", "dev permitted -", "dev permitted -", true),
            ("sk-dev", "dev - -", "dev t -", false),
            ("sk-lead", "lead t -", "lead - -", false),
            ("sk-lead", "lead - -", "- led -", false),
            ("sk-lead", "lead - -", "lead led -", false),
            ("sk-lead", "- t -", "lead t -", true),
            ("sk-lead", "- t -", "- - -", false),
            ("sk-lead", "- t -", "- led -", false),
            ("sk-boss", "- t -", "- too -", true),
            ("sk-lead", "lead t -", "lead too -", false),
            ("sk-lead", "dev t -", "dev - -", false),
            ("sk-root", "- t -", "- - -", true),
        ] {
            let found = bearer(state, who).may_give(&view, &of(after), Some(&of(before)), update);
            assert_eq!(found.is_ok(), allowed, "{who}: {before} to {after}: {found:?}");
        }
    }

    #[test]
    fn a_user_whose_budgets_bind_the_teams_keys_too_is_not_taken_from_them() {
        let mut view = view_of(owners());
        for (binds, allowed) in [(false, true), (true, false)] {
            view.binds_users_of_teams = binds;
            let lead = bearer(&view.state, "sk-lead");
            let found = lead.may_give(&view, &of("- t -"), Some(&of("lead t -")), "/key/update");
            assert_eq!(found.is_ok(), allowed, "{found:?}");
        }
    }

    #[test]
    fn a_new_key_is_its_makers_or_its_teams_and_in_the_teams_organization() {
        let view = view_of(owners());
        let state = &view.state;
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
            ("sk-boss", "boss permitted o", "/key/generate", false),
            ("sk-root", "- - p", "/key/generate", true),
        ] {
            let found = bearer(state, who).may_give(&view, &of(new), None, route);
            assert_eq!(found.is_ok(), allowed, "{who}: {new}: {found:?}");
        }
    }

    #[test]
    fn a_key_of_an_organization_makes_keys_of_it_only() {
        let view = view_of(owners());
        let state = &view.state;
        for (new, allowed) in [
            ("dev - -", false),
            ("dev - o", false),
            ("dev - p", true),
            ("dev permitted -", true),
            ("dev permitted p", true),
        ] {
            let caller = bearer(state, "sk-of-p");
            let found = caller.may_give(&view, &of(new), None, "/key/generate");
            assert_eq!(found.is_ok(), allowed, "{new}: {found:?}");
        }
    }
}
