//! What a request says about a team, a user, an end user, an organization, a budget or a tag.

use dunlin_admin_api::is_address;
use dunlin_ledger::expiry;
use dunlin_llm::MAX_ID_BYTES;
use dunlin_state::{Change, Entity, EntityChanges, Kind, Member, TermsChanges};
use dunlin_types::{NanoUsd, UnixMillis};
use serde_json::Value;

use crate::error::Error;
use crate::request::body::Body;
use crate::request::naming;
use crate::request::values::{self, MAX_NAME_BYTES, Wrong, senseless};
use crate::rights::caller::Role;
use crate::rights::check_permitted;
use crate::terms::fields::{self, Of};
use crate::terms::members::TERMS;
use crate::terms::{self, none_if_empty};

/// How requests name an entity of a kind.
pub(crate) fn id_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Team => "team_id",
        Kind::User | Kind::EndUser => "user_id",
        Kind::Organization => "organization_id",
        Kind::Budget => "budget_id",
        Kind::Tag => "name",
        Kind::AccessGroup => "access_group_id",
    }
}

/// How long keys of a team live of which nobody says it.
pub(crate) const KEY_DURATION: &str = "team_member_key_duration";

/// The fields in force of a kind, beside its name and those of all who spend.
fn own_fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Team => &[
            "default_team_member_models",
            "members_with_roles",
            "model_aliases",
            "organization_id",
            "spend",
            "team_alias",
            "team_member_budget",
            "team_member_budget_duration",
            "team_member_key_duration",
            "team_member_permissions",
            "team_member_rpm_limit",
            "team_member_tpm_limit",
        ],
        Kind::User => &["spend", "teams", "user_alias", "user_email", "user_role"],
        Kind::EndUser => &["alias", "spend"],
        Kind::Organization => &["organization_alias", "spend"],
        Kind::Budget | Kind::Tag | Kind::AccessGroup => &[],
    }
}

/// What a request says.
#[derive(Clone, Debug)]
pub(crate) struct EntityFields {
    pub(crate) changes: EntityChanges,
    /// What it has spent from now on.
    pub(crate) spend: Option<NanoUsd>,
}

/// Reads all but the name from `body`. `more` are the names of fields that were taken before.
pub(crate) fn read(mut body: Body, kind: Kind, more: &[&str]) -> Result<EntityFields, Error> {
    let mut changes = EntityChanges::default();
    match kind {
        Kind::Team => team(&mut body, &mut changes),
        Kind::User => {
            changes.alias = body.take_name("user_alias");
            changes.email = body.take_name("user_email");
            if let Change::Set(email) = &changes.email
                && !is_address(email)
            {
                body.refuse(
                    "user_email",
                    format!("`{email}` is no address, such as ann@example.com"),
                );
            }
            changes.role = none_if_empty(body.take("user_role", role));
        }
        Kind::EndUser => changes.alias = body.take_name("alias"),
        Kind::Organization => {
            changes.alias = body.take_name("organization_alias");
            if changes.alias == Change::Clear {
                let reason = "an organization must have a name".to_owned();
                body.refuse("organization_alias", reason);
            }
        }
        Kind::Budget | Kind::Tag | Kind::AccessGroup => {}
    }
    let names_budget = kind != Kind::Budget;
    let mut read = terms::read(&mut body);
    read.other.extend(std::mem::take(&mut changes.terms.other));
    let mut guards = unbound(kind, &read);
    if kind != Kind::Team && read.other.contains_key(dunlin_callbacks::FIELD) {
        let reason = format!("only keys and teams have callbacks, not a {}", kind.name());
        body.refuse("metadata.logging", reason);
    }
    let (other, unknown) = fields::read(&mut body, Of::Entity(kind));
    read.other.extend(other);
    guards.extend(unknown);
    if !names_budget {
        read.budget_id = Change::Keep;
    }
    changes.terms = read;
    let spend = body.take("spend", values::usd).value();
    let own = own_fields(kind).iter().chain(terms::FIELDS).chain(more).copied();
    let own = own.chain([id_name(kind)]);
    body.finish(own.chain(fields::other(Of::Entity(kind)).map(|field| field.name)))?;
    if guards.is_empty() {
        Ok(EntityFields { changes, spend })
    } else {
        Err(Error::NotEnforced { fields: guards })
    }
}

fn team(body: &mut Body, changes: &mut EntityChanges) {
    changes.alias = body.take_name("team_alias");
    changes.organization = none_if_empty(body.take("organization_id", values::text));
    changes.aliases = body.take("model_aliases", values::text_map);
    changes.member = TermsChanges {
        models: body.take_names("default_team_member_models"),
        max_budget: body.take("team_member_budget", values::budget),
        budget_duration: none_if_empty(body.take("team_member_budget_duration", terms::every)),
        rpm: body.take("team_member_rpm_limit", values::count),
        tpm: body.take("team_member_tpm_limit", values::count),
        ..TermsChanges::default()
    };
    let permitted = body.take("team_member_permissions", values::texts);
    if let Change::Set(routes) = &permitted {
        check_permitted(body, routes);
    }
    let lives = none_if_empty(body.take(KEY_DURATION, lifetime));
    if !lives.keeps() {
        let lives = lives.map(|text| Value::from(text).to_string());
        changes.member.other.insert(KEY_DURATION.to_owned(), lives);
    }
    match permitted {
        Change::Keep => {}
        change @ (Change::Clear | Change::Set(_)) => {
            let change = change.map(|routes| Value::from(routes).to_string());
            changes.terms.other.insert("team_member_permissions".to_owned(), change);
        }
    }
}

fn lifetime(value: &Value) -> Result<String, Wrong> {
    let text = values::text(value)?;
    match expiry(&text, UnixMillis(0)) {
        Err(bad) if !text.is_empty() => Err(senseless(format!("`{text}` is {bad}"))),
        Ok(_) | Err(_) => Ok(text),
    }
}

/// What terms cannot do for a kind: whoever set it would believe in it.
fn unbound(kind: Kind, terms: &TermsChanges) -> Vec<&'static str> {
    let lists = matches!(&terms.models, Change::Set(models) if !models.is_empty());
    let limits_tags = matches!(&terms.tag_rpm, Change::Set(limits) if !limits.is_empty());
    let lists_in_vain = match kind {
        Kind::Budget | Kind::Tag | Kind::AccessGroup => lists,
        Kind::Team | Kind::User | Kind::EndUser | Kind::Organization => false,
    };
    // Only keys are limited by the words on their requests.
    [(lists_in_vain, "models"), (limits_tags, "tag_rpm_limit")]
        .into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name))
        .collect()
}

fn role(value: &Value) -> Result<String, Wrong> {
    let role = values::text(value)?;
    if role.is_empty() || Role::NAMES.contains(&role.as_str()) {
        return Ok(role);
    }
    Err(senseless(format!("`{role}` is none of {}", Role::NAMES.join(", "))))
}

/// The name that a new entity gets: its own, or one drawn for it.
pub(crate) fn name_of(body: &mut Body, kind: Kind) -> String {
    let name = match kind {
        Kind::Tag | Kind::EndUser => body.require(id_name(kind), values::text),
        Kind::Team | Kind::User | Kind::Organization | Kind::Budget | Kind::AccessGroup => {
            let chosen = none_if_empty(body.take(id_name(kind), values::text));
            chosen.value().unwrap_or_else(naming::draw_id)
        }
    };
    // What requests may name can be made here, too.
    let most = if kind == Kind::EndUser { MAX_ID_BYTES } else { MAX_NAME_BYTES };
    if name.trim().is_empty() || name.len() > most {
        body.refuse(id_name(kind), format!("a name has 1 to {most} bytes"));
    }
    body.check_name(id_name(kind), &name);
    name
}

/// A new entity.
pub(crate) fn new(kind: Kind, name: String, changes: EntityChanges, by: String) -> Entity {
    Entity { kind, name, created_by: by, ..Entity::default() }.changed(changes)
}

/// Someone who is to be a member, as requests name one: by id or by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) user: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) role: String,
}

/// `{"role": "user", "user_id": "ann"}` or with `user_email`.
pub(crate) fn member(value: &Value) -> Result<Named, Wrong> {
    let fields = values::object(value)?;
    let is_set = |name: &&&str| fields.get(**name).is_some_and(|value| !value.is_null());
    if let Some(name) = TERMS.iter().find(is_set) {
        let reason = format!(
            "`{name}` stands beside the member, in /team/member_add or \
                              /team/member_update, not in it: here it would not be in force"
        );
        return Err(senseless(reason));
    }
    let text = |name: &str| {
        let value = fields.get(name).filter(|value| !value.is_null());
        let text = value.map(values::text).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    };
    let named = Named {
        user: text("user_id")?,
        email: text("user_email")?,
        role: text("role")?.unwrap_or_else(|| "user".to_owned()),
    };
    if let Some(reason) =
        [&named.user, &named.email].into_iter().flatten().find_map(|n| values::unseen(n))
    {
        return Err(senseless(reason));
    }
    if let Some(email) = named.email.as_ref().filter(|email| !is_address(email)) {
        return Err(senseless(format!("`{email}` is no address, such as ann@example.com")));
    }
    if named.user.is_none() && named.email.is_none() {
        return Err(senseless("a member has a user_id or a user_email".to_owned()));
    }
    Ok(named)
}

/// One member, or a list of them.
pub(crate) fn members(value: &Value) -> Result<Vec<Named>, Wrong> {
    match value {
        Value::Array(items) => items.iter().map(member).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Ok(vec![member(value)?])
        }
    }
}

/// The membership of a user that is known.
pub(crate) fn membership(user: String, role: &str, terms: TermsChanges) -> Member {
    let new = Member { user, role: role.to_owned(), ..Member::default() };
    new.changed(dunlin_state::MemberChanges { role: Change::Keep, terms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, text: &str) -> Result<EntityFields, Error> {
        read(Body::parse(text.as_bytes())?.at(UnixMillis(1)), kind, &[])
    }

    #[test]
    fn an_end_users_id_may_be_as_long_as_requests_may_name() {
        let is_taken = |kind, length: usize| {
            let text = format!(r#"{{"{}": "{}"}}"#, id_name(kind), "x".repeat(length));
            let mut body = Body::parse(text.as_bytes()).expect("an object");
            name_of(&mut body, kind);
            body.finish([id_name(kind)].into_iter()).is_ok()
        };
        assert!(is_taken(Kind::EndUser, MAX_ID_BYTES) && is_taken(Kind::Team, MAX_NAME_BYTES));
        assert!(!is_taken(Kind::EndUser, MAX_ID_BYTES + 1));
        assert!(!is_taken(Kind::Team, MAX_NAME_BYTES + 1));
    }

    #[test]
    fn each_kind_has_its_own_words_for_the_same() {
        let team = of(
            Kind::Team,
            r#"{"team_alias": "A", "team_member_budget": 5, "team_member_key_duration": "30d",
                "default_team_member_models": ["m"], "model_aliases": {"x": "y"},
                "team_member_permissions": ["/key/generate"], "max_budget": 1, "spend": 2}"#,
        )
        .expect("a team");
        assert_eq!(team.changes.alias, Change::Set("A".to_owned()));
        assert_eq!(team.changes.member.max_budget, Change::Set(NanoUsd(5_000_000_000)));
        assert_eq!(team.changes.member.models, Change::Set(vec!["m".to_owned()]));
        let lives = &team.changes.member.other[KEY_DURATION];
        assert_eq!(*lives, Change::Set(r#""30d""#.to_owned()));
        assert_eq!(team.spend, Some(NanoUsd(2_000_000_000)));
        let permissions = &team.changes.terms.other["team_member_permissions"];
        assert_eq!(*permissions, Change::Set(r#"["/key/generate"]"#.to_owned()));
        let user = of(Kind::User, r#"{"user_email": "a@b.c", "user_role": "proxy_admin"}"#);
        assert_eq!(user.expect("a user").changes.role, Change::Set("proxy_admin".to_owned()));
        for (kind, text) in [
            (Kind::User, r#"{"user_role": "root"}"#),
            (Kind::User, r#"{"user_emial": "a@b.c"}"#),
            (Kind::EndUser, r#"{"allowed_model_region": "mars"}"#),
            (Kind::Team, r#"{"team_member_budget": -1}"#),
            (Kind::Team, r#"{"team_member_key_duration": "soon"}"#),
        ] {
            assert!(matches!(of(kind, text), Err(Error::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn names_that_deceive_and_rights_that_there_are_not_are_refused() {
        for (kind, text, name) in [
            (Kind::Team, r#"{"team_alias": "a\u0000b"}"#, "team_alias"),
            (Kind::User, r#"{"user_alias": "a\u202eb"}"#, "user_alias"),
            (Kind::Organization, r#"{"organization_alias": "a\nb"}"#, "organization_alias"),
            (Kind::EndUser, r#"{"alias": "a\u001bb"}"#, "alias"),
            (Kind::Team, r#"{"models": [""]}"#, "models"),
            (Kind::User, r#"{"user_email": "ann"}"#, "user_email"),
            (Kind::User, r#"{"user_email": "@example.com"}"#, "user_email"),
            (Kind::User, r#"{"user_email": "ann smith@example.com"}"#, "user_email"),
            (
                Kind::Team,
                r#"{"team_member_permissions": ["/team/delete"]}"#,
                "team_member_permissions",
            ),
        ] {
            let refused = of(kind, text).err();
            let Some(Error::BadField { name: told, .. }) = refused else { panic!("{text}") };
            assert_eq!(told, name);
        }
        let mut body = Body::parse(br#"{"team_id": "a\u0007b"}"#).expect("an object");
        body = body.at(UnixMillis(1));
        name_of(&mut body, Kind::Team);
        let refused = body.finish(std::iter::empty());
        assert!(matches!(refused, Err(Error::BadField { name: "team_id", .. })));
    }

    #[test]
    fn what_would_bind_nobody_is_refused() {
        for (kind, text, name) in [
            (Kind::User, r#"{"password": "x"}"#, "password"),
            (Kind::Tag, r#"{"models": ["a"]}"#, "models"),
            (Kind::Team, r#"{"tag_rpm_limit": {"a": 1}}"#, "tag_rpm_limit"),
            (Kind::Budget, r#"{"allowed_models": ["a"]}"#, "allowed_models"),
            (Kind::Organization, r#"{"guardrails": ["pii"]}"#, "guardrails"),
            (Kind::Organization, r#"{"allowed_routes": ["/x"]}"#, "allowed_routes"),
            (Kind::EndUser, r#"{"guardrails": ["pii"]}"#, "guardrails"),
            (Kind::User, r#"{"enforced_params": ["user"]}"#, "enforced_params"),
            (Kind::User, r#"{"rpm_limit_type": "dynamic"}"#, "rpm_limit_type"),
            (Kind::User, r#"{"budget_fallbacks": {"a": ["b"]}}"#, "budget_fallbacks"),
            (Kind::Team, r#"{"allowed_routes": ["/x"]}"#, "allowed_routes"),
            (Kind::Team, r#"{"enforced_params": ["user"]}"#, "enforced_params"),
            (Kind::Team, r#"{"metadata": {"guardrails": ["pii"]}}"#, "guardrails"),
            (Kind::Team, r#"{"metadata": {"enforced_params": ["user"]}}"#, "enforced_params"),
        ] {
            let refused = of(kind, text);
            let Err(Error::NotEnforced { fields }) = refused else { panic!("{text}: {refused:?}") };
            assert_eq!(fields, [name]);
        }
        let listed = of(Kind::EndUser, r#"{"models": ["a"]}"#).expect("in force");
        assert_eq!(listed.changes.terms.models, Change::Set(vec!["a".to_owned()]));
        assert!(of(Kind::User, r#"{"rpm_limit_type": "best_effort_throughput"}"#).is_ok());
        assert!(of(Kind::EndUser, r#"{"models": [], "object_permission": null}"#).is_ok());
    }

    #[test]
    fn members_are_named_one_by_one_or_in_a_list() {
        let read = |text: &str| members(&serde_json::from_str(text).expect("JSON")).ok();
        let named = read(r#"{"role": "admin", "user_id": "ann"}"#).expect("a member");
        assert_eq!((named[0].user.as_deref(), named[0].role.as_str()), (Some("ann"), "admin"));
        let named = read(r#"[{"user_email": "a@b.c"}, {"user_id": "bob"}]"#).expect("members");
        assert_eq!((named[0].role.as_str(), named.len()), ("user", 2));
        let inside = read(r#"{"user_id": "ann", "allowed_models": ["a"]}"#);
        assert!(inside.is_none(), "it would not be in force");
        for wrong in [
            r#"{"role": "user"}"#,
            r#"{"user_email": "ann"}"#,
            r#"{"user_id": "a\u202eb"}"#,
            r#"["ann"]"#,
            r#"{"user_id": 5}"#,
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }
}
