//! `key_generation_settings`: which non-admins may create keys, and which fields they must set. It
//! narrows what `rights` allows, and never widens it.

use dunlin_config::KeyRule;
use dunlin_state::{Key, Kind, State};

use crate::Settings;
use crate::error::Error;
use crate::request::body::Body;
use crate::rights::caller::Caller;

/// What a request for a key names, before the config's defaults are put in.
pub(crate) struct Named(Vec<String>);

impl Named {
    /// The fields of `body` that are set, as far as a rule asks for them.
    pub(crate) fn of(body: &Body, settings: &Settings) -> Self {
        let rules = &settings.key_rules;
        let asked = rules.team.required.iter().chain(&rules.personal.required);
        let set = asked.filter(|name| body.peek(name).is_some_and(|value| !value.is_null()));
        Self(set.cloned().collect())
    }

    /// Refuses what the rules do not let the caller make.
    pub(crate) fn check(
        &self,
        settings: &Settings,
        caller: &Caller,
        state: &State,
        key: &Key,
    ) -> Result<(), Error> {
        if caller.is_admin() {
            return Ok(());
        }
        let rules = &settings.key_rules;
        let rule = match &key.team {
            Some(team) => {
                let role = team_role(caller, state, team);
                let reason = |allowed: &[String]| {
                    format!("Team member role {role} not in allowed_team_member_roles={allowed:?}")
                };
                may(&rules.team, &role, reason)?;
                &rules.team
            }
            None => {
                let role = caller.bearer().map_or("unknown", |bearer| bearer.role.name());
                let reason = |allowed: &[String]| {
                    format!(
                        "Personal key creation has been restricted by admin. Allowed \
                         roles={allowed:?}. Your role={role}"
                    )
                };
                may(&rules.personal, role, reason)?;
                &rules.personal
            }
        };
        match rule.required.iter().find(|name| !self.0.contains(name)) {
            Some(name) => Err(refused(format!("Required param {name} not in data"))),
            None => Ok(()),
        }
    }
}

/// The caller's role in a team. Who leads its organization leads it.
fn team_role(caller: &Caller, state: &State, team: &str) -> String {
    let member = caller.user().and_then(|user| state.member(Kind::Team, team, user));
    match member {
        Some(member) => member.role.clone(),
        None if caller.leads(state, Kind::Team, team) => "admin".to_owned(),
        None => "none".to_owned(),
    }
}

fn may(rule: &KeyRule, role: &str, reason: impl Fn(&[String]) -> String) -> Result<(), Error> {
    match &rule.roles {
        Some(allowed) if !allowed.iter().any(|allowed| allowed == role) => {
            Err(refused(reason(allowed)))
        }
        Some(_) | None => Ok(()),
    }
}

fn refused(reason: String) -> Error {
    Error::BadField { name: "key_generation_settings", reason }
}

#[cfg(test)]
mod tests {
    use dunlin_config::KeyRules;

    use super::*;
    use crate::rights::tests::{bearer, world};

    #[test]
    fn roles_and_fields_are_asked_of_all_but_admins() {
        let texts = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let team = KeyRule { roles: Some(texts(&["admin"])), required: texts(&["tags"]) };
        let personal = KeyRule { roles: Some(texts(&["proxy_admin"])), required: Vec::new() };
        let rules = KeyRules { team, personal };
        let settings = Settings { key_rules: rules, ..Settings::default() };
        let state = world();
        let check = |caller: &str, team: Option<&str>, body: &str| {
            let named = Named::of(&Body::parse(body.as_bytes()).expect("an object"), &settings);
            let key = Key { team: team.map(str::to_owned), ..Key::default() };
            let refused = named.check(&settings, &bearer(&state, caller), &state, &key).err();
            refused.map(|error| error.told())
        };
        let tags = r#"{"tags": ["a"]}"#;
        let bad_role = "Team member role user not in allowed_team_member_roles=[\"admin\"]";
        let missing = "Required param tags not in data";
        let personal = "Personal key creation has been restricted by admin. Allowed \
                        roles=[\"proxy_admin\"]. Your role=internal_user";
        for (caller, team, body, told) in [
            ("sk-root", Some("t"), "{}", None),
            ("sk-root", None, "{}", None),
            ("sk-lead", Some("t"), tags, None),
            ("sk-boss", Some("t"), tags, None),
            ("sk-lead", Some("t"), "{}", Some(missing)),
            ("sk-lead", Some("t"), r#"{"tags": null}"#, Some(missing)),
            ("sk-dev", Some("t"), tags, Some(bad_role)),
            ("sk-dev", None, tags, Some(personal)),
        ] {
            assert_eq!(check(caller, team, body).as_deref(), told, "{caller} {team:?} {body}");
        }
        let none = Settings::default();
        let named = Named::of(&Body::parse(b"{}").expect("an object"), &none);
        let (dev, key) = (bearer(&state, "sk-dev"), Key::default());
        assert!(named.check(&none, &dev, &state, &key).is_ok());
    }
}
