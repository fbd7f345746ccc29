//! Members of teams and organizations: who is meant, on which terms, and the accounts of those nobody
//! knew.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_state::{Change, Command, Entity, EntityChanges, Kind, Member, State, TermsChanges};
use serde_json::Value;

use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::naming;
use crate::request::values::{self, Wrong, senseless};
use crate::rights::forbidden;
use crate::routes::Request;
use crate::rows::entities::{find, user_named};
use crate::rows::row::View;
use crate::terms::entity_fields::{self, Named, id_name};
use crate::terms::fields::{self, Of};
use crate::terms::{self, none_if_empty};

/// The role of a user that nobody knew before it joined: it may look.
const NEW_ROLE: &str = "internal_user_viewer";

/// The fields of a membership's terms.
pub(crate) const TERMS: &[&str] = &[
    "allowed_models",
    "budget_duration",
    "max_budget_in_organization",
    "max_budget_in_team",
    "models",
    "rpm_limit",
    "temp_budget_expiry",
    "temp_budget_increase",
    "tpm_limit",
];

/// What a member's budget is called in a group of that `kind`.
pub(crate) fn budget_name(kind: Kind) -> &'static str {
    if kind == Kind::Team { "max_budget_in_team" } else { "max_budget_in_organization" }
}

/// The terms of a membership in a group of that kind, and in which fields it asks for a guard that
/// there is not.
pub(crate) fn read_terms(body: &mut Body, kind: Kind) -> (TermsChanges, Vec<&'static str>) {
    let listed = body.take_names("allowed_models");
    let models = body.take_names("models");
    if kind == Kind::Organization && (is_list(&listed) || is_list(&models)) {
        let reason = "only a team's members are held to models: list those of the organization";
        body.refuse("allowed_models", reason.to_owned());
    }
    if !listed.keeps() && !models.keeps() && listed != models {
        let reason = "`allowed_models` and `models` are two words for the same list: send one";
        body.refuse("allowed_models", reason.to_owned());
    }
    if body.peek("max_budget").is_some_and(|budget| !budget.is_null()) {
        body.refuse("max_budget", format!("a member's budget is `{}`", budget_name(kind)));
    }
    let (_, guards) = fields::read(body, Of::Member);
    let in_team = body.take("max_budget_in_team", values::budget);
    let in_organization = body.take("max_budget_in_organization", values::budget);
    let terms = TermsChanges {
        models: if listed.keeps() { models } else { listed },
        max_budget: if in_team.keeps() { in_organization } else { in_team },
        budget_duration: none_if_empty(body.take("budget_duration", terms::every)),
        rpm: body.take("rpm_limit", values::count),
        tpm: body.take("tpm_limit", values::count),
        temporary: terms::temporary(body),
        ..TermsChanges::default()
    };
    (terms, guards)
}

fn is_list(change: &Change<Vec<String>>) -> bool {
    matches!(change, Change::Set(names) if !names.is_empty())
}

/// The fields of a request that sets a membership's terms, beside its `own`.
pub(crate) fn finish(
    body: Body,
    own: impl Iterator<Item = &'static str> + Clone,
    guards: Vec<&'static str>,
) -> Result<(), Error> {
    let idle = fields::other(Of::Member).map(|field| field.name);
    body.finish(own.chain(TERMS.iter().copied()).chain(idle))?;
    if guards.is_empty() { Ok(()) } else { Err(Error::NotEnforced { fields: guards }) }
}

/// What a member may be in a team or an organization. Those that lead are in `rights`.
fn roles(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Organization => {
            &["org_admin", "internal_user", "internal_user_viewer", "admin", "user"]
        }
        Kind::Team | Kind::User | Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => {
            &["admin", "user"]
        }
    }
}

/// Refuses an unknown role: its holder would silently lead nothing.
pub(crate) fn check_role(kind: Kind, role: &str) -> Result<(), Wrong> {
    let known = roles(kind);
    if known.contains(&role) {
        return Ok(());
    }
    Err(senseless(format!("the role `{role}` is none of {}", known.join(", "))))
}

/// The teams that a user is to join, each once, and in what role.
pub(crate) fn joined_teams(body: &mut Body) -> Vec<(String, String)> {
    let mut teams: Vec<(String, String)> = Vec::new();
    for (team, role) in body.take("teams", teams_of).value().unwrap_or_default() {
        if !teams.iter().any(|(known, _)| *known == team) {
            teams.push((team, role));
        }
    }
    teams
}

/// Has a user join a group.
pub(crate) fn joins((kind, name): (Kind, String), user: &str, role: String) -> Command {
    let member = Member { user: user.to_owned(), role, ..Member::default() };
    Command::AddMembers { kind, name, members: vec![member] }
}

/// `["team"]` or `[{"team_id": "team", "user_role": "admin"}]`.
fn teams_of(value: &Value) -> Result<Vec<(String, String)>, Wrong> {
    let team = |item: &Value| match item {
        Value::String(name) => Ok((name.clone(), "user".to_owned())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            let fields = values::object(item)?;
            let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
            let name = text("team_id").ok_or_else(|| {
                senseless("a team has a `team_id`, and optionally a `user_role`".to_owned())
            })?;
            let role = text("user_role").unwrap_or_else(|| "user".to_owned());
            check_role(Kind::Team, &role)?;
            Ok((name, role))
        }
    };
    values::list(value)?.iter().map(team).collect()
}

/// Refuses callers that do not lead a group.
pub(crate) fn check_leads(asked: &Request, view: &View, group: &Entity) -> Result<(), Error> {
    if asked.caller.leads(&view.state, group.kind, &group.name) {
        return Ok(());
    }
    let what = group.kind.name();
    Err(forbidden(format!("only admins of {what} `{}` may change its members", group.name)))
}

/// One member of a group, as requests name it.
#[derive(Debug)]
pub(crate) struct OfGroup {
    kind: Kind,
    pub(crate) group: String,
    user: Option<String>,
    email: Option<String>,
}

/// The fields that name one member, beside the group's.
pub(crate) const NAMED_BY: &[&str] = &["user_id", "user_email"];

impl OfGroup {
    pub(crate) fn read(body: &mut Body, kind: Kind) -> Self {
        let group = body.require(id_name(kind), values::text);
        let user = none_if_empty(body.take("user_id", values::text)).value();
        let email = none_if_empty(body.take("user_email", values::text)).value();
        if user.is_none() && email.is_none() {
            body.refuse("user_id", "name a member by `user_id` or `user_email`".to_owned());
        }
        Self { kind, group, user, email }
    }

    /// The state in which it is a member of a group that the caller leads, and its user.
    pub(crate) async fn for_leader(
        &self,
        admin: &Admin,
        asked: &Request,
    ) -> Result<(View, String), Error> {
        let view = admin.view(admin.read().await.state);
        check_leads(asked, &view, &*find(&view.state, self.kind, &self.group)?)?;
        let user = self.find(&view.state)?.user.clone();
        Ok((view, user))
    }

    /// Its membership.
    pub(crate) fn find<'s>(&self, state: &'s State) -> Result<&'s Arc<Member>, Error> {
        let Self { kind, group, user, email } = self;
        let by_email = user_named(state, None, email.as_deref()).map(|user| user.name.clone());
        let user = user.clone().or(by_email);
        let member = user.as_ref().and_then(|user| state.member(*kind, group, user));
        member.ok_or_else(|| {
            let who = user.or_else(|| email.clone()).unwrap_or_default();
            let reason = format!("User={who} is not a member of {} `{group}`", kind.name());
            Error::NotFound { reason }
        })
    }
}

/// Who joins.
pub(crate) struct Joining {
    /// Users and their roles.
    pub(crate) users: Vec<(String, String)>,
    /// Makes those that are not there yet.
    pub(crate) new_users: Vec<Command>,
}

impl Joining {
    pub(crate) fn read(named: Vec<Named>, state: &State, asked: &Request) -> Self {
        let (mut users, mut new_users) = (Vec::new(), Vec::new());
        let mut fresh: BTreeMap<String, String> = BTreeMap::new();
        for Named { user, email, role } in named {
            let known = user_named(state, user.as_deref(), email.as_deref());
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
    use crate::rights::caller::Caller;
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

    #[test]
    fn a_member_is_found_or_told_missing() {
        let of = |text: &str| {
            let mut body = Body::parse(text.as_bytes()).expect("an object");
            (OfGroup::read(&mut body, Kind::Team), body.finish(NAMED_BY.iter().copied()))
        };
        let state = world();
        let (dev, _) = of(r#"{"team_id": "t", "user_id": "dev"}"#);
        assert_eq!(dev.find(&state).expect("a member").role, "user");
        let (boss, _) = of(r#"{"team_id": "t", "user_id": "boss"}"#);
        assert!(matches!(boss.find(&state), Err(Error::NotFound { .. })));
        let (_, nobody) = of(r#"{"team_id": "t"}"#);
        assert!(matches!(nobody, Err(Error::BadField { name: "user_id", .. })));
    }

    #[test]
    fn a_members_guards_are_in_force_or_refused_by_name() {
        let of = |kind, text: &str| {
            let mut body = Body::parse(text.as_bytes()).expect("an object");
            let (terms, guards) = read_terms(&mut body, kind);
            finish(body, std::iter::empty(), guards).map(|()| terms)
        };
        for field in ["allowed_models", "models"] {
            let text = format!(r#"{{"{field}": ["a"]}}"#);
            let terms = of(Kind::Team, &text).expect("a list");
            assert_eq!(terms.models, Change::Set(vec!["a".to_owned()]), "{field}");
            assert!(matches!(of(Kind::Organization, &text), Err(Error::BadField { .. })));
        }
        let both = of(Kind::Team, r#"{"allowed_models": ["a"], "models": ["b"]}"#);
        assert!(matches!(both, Err(Error::BadField { name: "allowed_models", .. })));
        let empty = of(Kind::Team, r#"{"allowed_models": [""]}"#);
        assert!(matches!(empty, Err(Error::BadField { name: "allowed_models", .. })));
        let budget = of(Kind::Team, r#"{"max_budget": 0.5}"#);
        let Err(Error::BadField { name: "max_budget", reason }) = budget else { panic!("refused") };
        assert!(reason.contains("max_budget_in_team"), "{reason}");
        for (field, value) in [
            ("blocked", "true"),
            ("max_parallel_requests", "1"),
            ("model_max_budget", r#"{"a": 1}"#),
            ("guardrails", r#"["pii"]"#),
        ] {
            let refused = of(Kind::Team, &format!(r#"{{"{field}": {value}}}"#)).err();
            let Some(Error::NotEnforced { fields }) = refused else {
                panic!("{field}: {refused:?}")
            };
            assert_eq!(fields, [field]);
        }
        assert!(of(Kind::Team, r#"{"blocked": false, "guardrails": []}"#).is_ok());
    }

    #[test]
    fn the_teams_to_join_are_listed_with_a_role_or_without() {
        let of = |text: &str| {
            let mut body = Body::parse(text.as_bytes()).expect("an object");
            let teams = joined_teams(&mut body);
            body.finish(std::iter::empty()).map(|()| teams)
        };
        let named = of(r#"{"teams": ["a", {"team_id": "b", "user_role": "admin"}, "a"]}"#);
        let named = named.expect("two teams");
        assert_eq!(named, [("a", "user"), ("b", "admin")].map(|(a, b)| (a.into(), b.into())));
        assert_eq!(of(r#"{"teams": null}"#).expect("none"), []);
        for wrong in [r#"{"teams": "a"}"#, r#"{"teams": [{"team_id": "a", "user_role": "boss"}]}"#]
        {
            assert!(matches!(of(wrong), Err(Error::Invalid(_))), "{wrong}");
        }
    }

    #[test]
    fn a_role_is_one_of_the_groups() {
        for (kind, role, known) in [
            (Kind::Team, "admin", true),
            (Kind::Team, "org_admin", false),
            (Kind::Team, "Admin", false),
            (Kind::Organization, "org_admin", true),
            (Kind::Organization, "owner", false),
        ] {
            assert_eq!(check_role(kind, role).is_ok(), known, "{role}");
        }
    }
}
