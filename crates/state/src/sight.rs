//! What a caller may have listed beside what its own key may call.

use std::sync::Arc;

use crate::caller::Caller;
use crate::command::{Key, Kind};
use crate::state::State;

/// The roles in a team or an organization that lead it.
pub const LEADING: &[&str] = &["admin", "org_admin"];

impl State {
    /// Whether the bearer of a key may look at a team: the team's keys, its members, those who lead its
    /// organization, and users who see everything.
    #[must_use]
    pub fn may_look_at_team(&self, key: &Key, team: &str) -> bool {
        if key.team.as_deref() == Some(team) || self.has_role(key, SEES_ALL) {
            return true;
        }
        let Some(user) = &key.user else { return false };
        let above = self.entity(Kind::Team, team).and_then(|team| team.organization.as_ref());
        self.member(Kind::Team, team, user).is_some()
            || above.is_some_and(|name| self.leads(Kind::Organization, name, user))
    }

    /// Whether the user of a key is an admin: of everything, of any team, or of any organization.
    #[must_use]
    pub fn leads_any(&self, key: &Key) -> bool {
        let leads = |user: &String, kind| {
            self.memberships(kind, user).any(|(_, one)| LEADING.contains(&one.role.as_str()))
        };
        let kinds = [Kind::Team, Kind::Organization];
        self.has_role(key, &["proxy_admin"])
            || key.user.as_ref().is_some_and(|user| kinds.into_iter().any(|kind| leads(user, kind)))
    }

    /// As whom a key of a team would ask that has no terms of its own and is, if anybody's, the user's.
    #[must_use]
    pub fn as_team(&self, team: &str, user: Option<&str>) -> Option<Caller> {
        self.entity(Kind::Team, team)?;
        let (team, user) = (Some(team.to_owned()), user.map(str::to_owned));
        let key = Arc::new(Key { team, user, ..Key::default() });
        let payers = self.payers(&key);
        Some(Caller { token: key.token, key, payers, limited_tags: Vec::new() })
    }

    fn has_role(&self, key: &Key, roles: &[&str]) -> bool {
        let user = key.user.as_ref().and_then(|user| self.entity(Kind::User, user));
        user.and_then(|user| user.role.as_deref()).is_some_and(|role| roles.contains(&role))
    }

    fn leads(&self, kind: Kind, name: &str, user: &str) -> bool {
        let member = self.member(kind, name, user);
        member.is_some_and(|member| LEADING.contains(&member.role.as_str()))
    }
}

/// The roles of users who see everything.
const SEES_ALL: &[&str] = &["proxy_admin", "proxy_admin_viewer"];
