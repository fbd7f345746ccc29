//! What a caller may see and change: an admin everything; others what is theirs, what they lead, and
//! never more than they have themselves.

pub(crate) mod actor;
pub(crate) mod caller;
pub(crate) mod key_rules;
pub(crate) mod owners;
pub(crate) mod ways;
pub(crate) mod within;

use dunlin_state::{Entity, Key, Kind, LEADING, State, Terms};

use crate::error::Error;
use crate::request::body::Body;
use crate::rights::caller::{Caller, Role};
use crate::rights::ways::{key_within, made_within};
use crate::rights::within::{bounded, covers, within};
use crate::rows::row::View;

impl Caller {
    fn role(&self) -> Role {
        self.bearer().map_or(Role::Admin, |bearer| bearer.role)
    }

    /// Whether it may do everything.
    pub(crate) fn is_admin(&self) -> bool {
        self.role() == Role::Admin
    }

    /// Whether it may see everything.
    pub(crate) fn sees_all(&self) -> bool {
        matches!(self.role(), Role::Admin | Role::Viewer)
    }

    /// Whether it is an admin of a team or an organization, or of the team's organization.
    pub(crate) fn leads(&self, state: &State, kind: Kind, name: &str) -> bool {
        let (Role::User, Some(user)) = (self.role(), self.user()) else { return self.is_admin() };
        let leads = |kind, name| {
            let member = state.member(kind, name, user);
            member.is_some_and(|member| LEADING.contains(&member.role.as_str()))
        };
        let above = state.entity(kind, name).and_then(|group| group.organization.as_deref());
        leads(kind, name) || above.is_some_and(|name| leads(Kind::Organization, name))
    }

    /// Whether it may see a team or an organization: those who see all, its admins and members, and
    /// its keys.
    pub(crate) fn sees_group(&self, state: &State, kind: Kind, name: &str) -> bool {
        let member = |user| state.member(kind, name, user).is_some();
        let keys = |key: &Key| match kind {
            Kind::Team => key.team.as_deref() == Some(name),
            Kind::Organization => key.organization.as_deref() == Some(name),
            Kind::User | Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => false,
        };
        self.sees_all()
            || self.user().is_some_and(member)
            || self.bearer().is_some_and(|bearer| keys(&bearer.caller.key))
            || self.leads(state, kind, name)
    }

    /// Whether it may see a user: those who see all, and the user.
    pub(crate) fn sees_user(&self, user: &str) -> bool {
        self.sees_all() || self.user() == Some(user)
    }

    /// Whether it may see a key: those who see all, the key itself, its user, its team's admins.
    pub(crate) fn sees_key(&self, state: &State, key: &Key) -> bool {
        let itself = self.bearer().is_some_and(|bearer| bearer.caller.token == key.token);
        let owns = self.user().is_some() && self.user() == key.user.as_deref();
        self.sees_all() || itself || owns || self.leads_owner(state, key)
    }

    /// Whether it may change a key: admins, its user, its team's admins.
    pub(crate) fn changes_key(&self, state: &State, key: &Key) -> bool {
        let owns = self.role() == Role::User && self.user() == key.user.as_deref();
        self.is_admin() || owns || self.leads_owner(state, key)
    }

    /// Whether it leads the team or the organization whose key it is.
    pub(crate) fn leads_owner(&self, state: &State, key: &Key) -> bool {
        let owners = [(Kind::Team, &key.team), (Kind::Organization, &key.organization)];
        let mut owners =
            owners.into_iter().filter_map(|(kind, name)| Some((kind, name.as_deref()?)));
        owners.any(|(kind, name)| self.leads(state, kind, name))
    }

    /// Refuses a key that would have more than the caller may give. `before` is the key as it was, if
    /// it was there; `route` is what the caller calls.
    pub(crate) fn may_give(
        &self,
        view: &View,
        key: &Key,
        before: Option<&Key>,
        route: &str,
    ) -> Result<(), Error> {
        if self.is_admin() {
            return Ok(());
        }
        let state = &view.state;
        let made = |name: &str| view.key_defaults.get(name);
        keeps_guesses(&key.terms, |name| {
            before.map_or_else(|| made(name), |b| b.terms.other.get(name))
        })?;
        let owners = |key: &Key| (key.team.clone(), key.user.clone(), key.organization.clone());
        let stays = |before: &Key| owners(before) == owners(key) && self.leads_owner(state, before);
        // What stays with the team that the caller leads is given to nobody.
        if !before.is_some_and(stays) {
            self.may_place(view, key, before, route)?;
        }
        let bearer = self.bearer().expect("only the master key has none, and it is an admin's");
        let home = &bearer.caller.key.team;
        let leads = key.team.as_ref().is_some_and(|team| self.leads(state, Kind::Team, team));
        if home.is_some() && *home != key.team && !leads {
            return Err(forbidden("a team's key can only create keys of its team".to_owned()));
        }
        self.may_leave_organization(state, key, before, &bearer.caller.key)?;
        // A session's own key bounds what it makes.
        made_within(state, (key, before), &bearer.caller.key)?;
        let of_team = key.team.as_ref().and_then(|name| state.entity(Kind::Team, name));
        let of_user = key.user.as_ref().and_then(|name| state.entity(Kind::User, name));
        if let Some(owner) = of_team.or(of_user) {
            let stays = before.filter(|b| b.team == key.team && b.user == key.user);
            bounded(state, &key.terms, stays.map(|before| &before.terms), owner)?;
        }
        let to: Vec<String> = key.aliases.values().cloned().collect();
        if !covers(&bearer.caller.key.terms.models, &to, false) {
            return Err(forbidden("aliases go beyond the models of the calling key".to_owned()));
        }
        match before {
            Some(before) if !self.leads_owner(state, before) => self.may_loosen(state, key, before),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses a key outside the organization of the calling one, whose budget and models bind that.
    fn may_leave_organization(
        &self,
        state: &State,
        key: &Key,
        before: Option<&Key>,
        calling: &Key,
    ) -> Result<(), Error> {
        let Some(above) = &calling.organization else { return Ok(()) };
        let team = key.team.as_ref().and_then(|team| state.entity(Kind::Team, team));
        let of_team = team.and_then(|team| team.organization.as_ref());
        let bound = key.organization.as_ref().or(of_team);
        let stays = before.is_some_and(|before| before.organization == key.organization);
        let leads = bound.is_some_and(|name| self.leads(state, Kind::Organization, name));
        if bound == Some(above) || stays || leads {
            return Ok(());
        }
        let reason = format!(
            "a key of organization `{above}` can only create keys of that organization: name it in \
             organization_id"
        );
        Err(forbidden(reason))
    }

    /// Refuses a key that is wider than it was, by more than what its maker put on it alone.
    fn may_loosen(&self, state: &State, key: &Key, before: &Key) -> Result<(), Error> {
        if before.terms.blocked == Some(true) && key.terms.blocked != Some(true) {
            return Err(forbidden("only an admin may unblock a key".to_owned()));
        }
        let by = self.maker();
        if before.created_by == by && before.limited_by.as_ref().is_none_or(|other| *other == by) {
            return Ok(());
        }
        if self.leads_owner(state, key) {
            let reason = "only an admin gives a key that others have limited to whom you lead: its \
                          limits would be yours to lift";
            return Err(forbidden(reason.to_owned()));
        }
        let to: Vec<String> = key.aliases.values().cloned().collect();
        if key.aliases != before.aliases && !covers(&before.terms.models, &to, false) {
            return Err(forbidden(format!("aliases go beyond the models of {NOW_KEY}")));
        }
        key_within(state, key, before, NOW_KEY)
    }

    /// Refuses a team that would have more than the caller may give: who leads its organization stays
    /// within that, who leads the team within what the team has.
    pub(crate) fn may_grow(
        &self,
        state: &State,
        before: Option<&Entity>,
        team: &Entity,
    ) -> Result<(), Error> {
        if self.is_admin() {
            return Ok(());
        }
        keeps_guesses(&team.terms, |name| before?.terms.other.get(name))?;
        let of = |team: &Entity| team.organization.clone();
        let leads = |name: &String| self.leads(state, Kind::Organization, name);
        let above = of(team).filter(leads).filter(|_| before.is_none_or(|b| of(b) == of(team)));
        match (above, before) {
            (Some(name), _) => match state.entity(Kind::Organization, &name) {
                Some(organization) => {
                    bounded(state, &team.terms, before.map(|before| &before.terms), organization)
                }
                None => Ok(()),
            },
            (None, Some(before)) => {
                if of(before) != of(team) {
                    let reason = "only an admin may move a team between organizations".to_owned();
                    return Err(forbidden(reason));
                }
                within(state, &team.terms, &before.terms, NOW_TEAM)
            }
            (None, None) => Err(forbidden("only an admin may create teams".to_owned())),
        }
    }

    /// Whether a team lets its members call a route for it.
    pub(crate) fn is_permitted(&self, state: &State, team: &str, route: &str) -> bool {
        let member = self.user().and_then(|user| state.member(Kind::Team, team, user));
        let team = state.entity(Kind::Team, team);
        let permissions = team.map(|team| permissions(team)).unwrap_or_default();
        self.role() == Role::User && member.is_some() && permissions.iter().any(|it| it == route)
    }
}

/// How long answers are taken to be whose requests do not say it: what each of them takes of limits
/// that its key shares with others.
const GUESSES: [&str; 2] =
    ["default_estimated_output_tokens", "default_estimated_output_tokens_per_model"];

/// Refuses other guesses than `before`: one of 1 token lets any number of requests in at once.
fn keeps_guesses<'s>(
    terms: &Terms,
    before: impl Fn(&str) -> Option<&'s String>,
) -> Result<(), Error> {
    match GUESSES.iter().find(|name| terms.other.get(**name) != before(name)) {
        Some(name) => Err(forbidden(format!("{name} is for admins to set"))),
        None => Ok(()),
    }
}

/// Who narrows what is his cannot widen it again: an admin may have made it as narrow as it is.
const NOW_TEAM: &str = "the team as it is now; ask an admin to widen it";
const NOW_KEY: &str = "the key as it is now; ask an admin to widen it";

/// What members of a team may be let do with its keys.
pub(crate) const PERMISSIONS: &[&str] = &[
    "/key/generate",
    "/key/update",
    "/key/delete",
    "/key/info",
    "/key/regenerate",
    "/key/{key}/regenerate",
    "/key/service-account/generate",
    "/key/list",
    "/key/block",
    "/key/unblock",
    "/key/health",
];

/// Refuses what cannot be permitted to the members of a team.
pub(crate) fn check_permitted(body: &mut Body, routes: &[String]) {
    if let Some(route) = routes.iter().find(|route| !PERMISSIONS.contains(&route.as_str())) {
        let reason = format!("`{route}` is none of {}", PERMISSIONS.join(", "));
        body.refuse("team_member_permissions", reason);
    }
}

/// What members of a team may do with its keys.
pub(crate) fn permissions(team: &Entity) -> Vec<String> {
    let set = team.terms.other.get("team_member_permissions");
    let set = set.and_then(|text| serde_json::from_str(text).ok());
    set.unwrap_or_else(|| vec!["/key/info".to_owned(), "/key/health".to_owned()])
}

pub(crate) fn forbidden(reason: String) -> Error {
    Error::Forbidden { reason }
}

#[cfg(test)]
pub(crate) mod tests;
