//! Whose a key may become. One rule holds for all who are no admins: never is a key changed so that a
//! bound which held it, and which whoever changes it may not change, holds it no more. Who wants a key
//! elsewhere makes a new one there.

use dunlin_state::{Key, Kind, Payer, Rank, State};

use crate::error::Error;
use crate::rights::caller::Caller;
use crate::rights::forbidden;
use crate::rows::row::View;

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
mod tests;
