//! `POST /team/new`, `/organization/new`, `/customer/new`, `/budget/new` and `/tag/new`.

use axum::response::Response;
use dunlin_state::{Change, Command, Entity, Kind, Member, Seen, Spender, State};
use serde_json::{Value, json};
use tracing::info;

use super::{entity_of, ok};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::rights::forbidden;
use crate::rights::within::within_organization;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::row;
use crate::rows::row::View;
use crate::terms::defaults::Defaulted;
use crate::terms::edit::Decided;
use crate::terms::entity_fields::{self, EntityFields, Named};
use crate::terms::members::{Joining, check_role};
use crate::terms::model_names::{Whose, in_changes};

/// Where each kind is made.
const PATHS: &[(&str, Kind)] = &[
    ("/team/new", Kind::Team),
    ("/organization/new", Kind::Organization),
    ("/customer/new", Kind::EndUser),
    ("/end_user/new", Kind::EndUser),
    ("/budget/new", Kind::Budget),
    ("/tag/new", Kind::Tag),
];

/// A new organization must have a display name.
const ORGANIZATION_ALIAS: &str = "organization_alias";

pub(super) fn add(routes: Routes) -> Routes {
    PATHS.iter().fold(routes, |routes, &(path, kind)| {
        routes.post(path, Who::changing(kind), move |admin, asked| handle(admin, asked, kind))
    })
}

async fn handle(admin: Admin, asked: Request, kind: Kind) -> Result<Response, Error> {
    let mut body = asked.body()?;
    let mut defaulted = Defaulted::default();
    if kind == Kind::Team {
        let state = admin.knowing(&body).await;
        let published = admin.settings()?;
        let defaults = ("default_team_params", &published.settings.team_defaults);
        defaulted.fill(&mut body, &state, defaults);
    }
    let mut sent = Sent::read(body, kind)?;
    sent.fields.changes.terms.defaulted = Change::Set(defaulted.gives_way());
    // Who joins may have been made on another node a moment ago: known here, nobody is made twice.
    let state = if sent.joining.is_empty() {
        admin.judging(&asked).await
    } else {
        admin.read().await.state
    };
    let (reply, view) = admin.edit(&asked, state, |view| sent.decide(&asked, view)).await?;
    let entity = entity_of(reply);
    info!(entity.kind = kind.name(), entity.name = entity.name, "an entity was created");
    Ok(match kind {
        Kind::Tag => ok(&told_tag(&view, &entity, "created")),
        Kind::Team
        | Kind::User
        | Kind::EndUser
        | Kind::Organization
        | Kind::Budget
        | Kind::AccessGroup => {
            let (mut row, sent) = (row(&view, &entity), in_changes(&sent.fields.changes));
            admin.put_warnings(&mut row, &asked.caller, &sent, Whose::entity(&entity));
            ok(&row)
        }
    })
}

/// What is said of a tag that was made or changed.
pub(super) fn told_tag(view: &View, tag: &Entity, done: &str) -> Value {
    json!({"message": format!("Tag {} {done} successfully", tag.name), "tag": row(view, tag)})
}

/// What a request says of something new.
struct Sent {
    kind: Kind,
    name: String,
    fields: EntityFields,
    joining: Vec<Named>,
}

impl Sent {
    fn read(mut body: Body, kind: Kind) -> Result<Self, Error> {
        let name = entity_fields::name_of(&mut body, kind);
        let has_alias = body.peek(ORGANIZATION_ALIAS).is_some_and(|alias| !alias.is_null());
        if kind == Kind::Organization && !has_alias {
            body.fault(ORGANIZATION_ALIAS, values::wrong("missing", "Field required"));
        }
        let joining = body.take("members_with_roles", entity_fields::members).value();
        let joining = joining.unwrap_or_default();
        for named in &joining {
            if let Err(wrong) = check_role(kind, &named.role) {
                body.fault("members_with_roles", wrong);
            }
        }
        Ok(Self { kind, name, fields: entity_fields::read(body, kind, &[])?, joining })
    }

    /// What makes it, as far as the caller may, where things are as in `view`; and what that was
    /// judged by.
    fn decide(&self, asked: &Request, view: &View) -> Result<Decided, Error> {
        let state = &view.state;
        let Self { kind, ref name, ref fields, ref joining } = *self;
        let by = asked.caller.maker();
        let entity = entity_fields::new(kind, name.clone(), fields.changes.clone(), by);
        if !asked.caller.is_admin() {
            may_make(&entity, asked, state)?;
        }
        let organization = organization_of(state, &entity).filter(|_| kind == Kind::Team);
        if kind == Kind::Team {
            within_organization(&entity, None, organization)?;
        }
        let seen = organization.map(Seen::from).into_iter().collect();
        let mut joining = Joining::read(joining.clone(), state, asked);
        if let Some(user) = asked.caller.user().filter(|_| kind == Kind::Team)
            && !joining.users.iter().any(|(known, _)| known == user)
        {
            joining.users.push((user.to_owned(), "admin".to_owned()));
        }
        let joined = joining.users.into_iter();
        let members: Vec<Member> =
            joined.map(|(user, role)| Member { user, role, ..Member::default() }).collect();
        let (whose, period) = (Spender::Entity(kind, name.clone()), view.period(&entity.terms));
        let make = Command::CreateEntity { entity: Box::new(entity), members };
        let spent = fields.spend.map(|to| Command::SetSpendOf { whose, period, to });
        let commands = [make].into_iter().chain(joining.new_users).chain(spent).collect();
        Ok(Decided { seen, command: Command::All { commands } })
    }
}

/// The organization whose team it is.
pub(super) fn organization_of<'s>(state: &'s State, team: &Entity) -> Option<&'s Entity> {
    state.entity(Kind::Organization, team.organization.as_ref()?).map(AsRef::as_ref)
}

/// Who leads an organization makes its teams, within what it has.
fn may_make(entity: &Entity, asked: &Request, state: &State) -> Result<(), Error> {
    let Some(name) = &entity.organization else {
        return Err(forbidden("only an admin may create teams without an organization".to_owned()));
    };
    if !asked.caller.leads(state, Kind::Organization, name) {
        return Err(forbidden(format!(
            "only admins of organization `{name}` may create its teams"
        )));
    }
    if !entity.aliases.is_empty() {
        return Err(forbidden("only an admin may set model_aliases".to_owned()));
    }
    asked.caller.may_grow(state, None, entity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::caller::Caller;
    use crate::rights::tests::{asked_by, world};
    use crate::rows::row::tests::view_of;

    fn made(caller: Caller, kind: Kind, text: &str) -> Result<Vec<Command>, Error> {
        let sent = Sent::read(Body::parse(text.as_bytes())?, kind)?;
        commands(sent.decide(&asked_by(caller), &view_of(world()))?)
    }

    fn commands(decided: Decided) -> Result<Vec<Command>, Error> {
        let Command::All { commands } = decided.command else { panic!("several commands") };
        Ok(commands)
    }

    #[test]
    fn a_team_lists_no_models_that_its_organization_lacks_whoever_makes_it() {
        let organization = Entity {
            kind: Kind::Organization,
            name: "narrow".to_owned(),
            terms: dunlin_state::Terms { models: vec!["a".to_owned()], ..Default::default() },
            ..Entity::default()
        };
        let make = Command::CreateEntity { entity: Box::new(organization), members: Vec::new() };
        let view = view_of(crate::rows::row::tests::state_after([make]));
        let made = |models: &str| {
            let text = format!(r#"{{"organization_id": "narrow", "models": {models}}}"#);
            let sent = Sent::read(Body::parse(text.as_bytes())?, Kind::Team)?;
            commands(sent.decide(&asked_by(Caller::Master), &view)?)
        };
        assert!(made(r#"["a"]"#).is_ok() && made("[]").is_ok(), "all that the organization has");
        let Err(Error::BadField { name: "models", reason }) = made(r#"["a", "b"]"#) else {
            panic!("b is not the organization's")
        };
        assert!(reason.contains("Model 'b' not in organization's allowed models"), "{reason}");
        assert!(reason.ends_with("Organization: narrow"), "{reason}");
    }

    #[test]
    fn a_team_is_made_with_its_members_and_its_maker_leads_it() {
        let lead = crate::rights::tests::bearer(&world(), "sk-boss");
        let text = r#"{"team_id": "new", "organization_id": "o",
            "members_with_roles": [{"role": "user", "user_id": "dev"}], "spend": 5}"#;
        let commands = made(lead, Kind::Team, text).expect("a team");
        let Command::CreateEntity { entity, members } = &commands[0] else { panic!("a team") };
        assert_eq!((entity.name.as_str(), entity.created_by.as_str()), ("new", "boss"));
        let members: Vec<_> =
            members.iter().map(|member| (member.user.as_str(), member.role.as_str())).collect();
        assert_eq!(members, [("dev", "user"), ("boss", "admin")]);
        assert!(matches!(commands[1], Command::SetSpendOf { .. }));
    }

    #[test]
    fn who_leads_an_organization_makes_teams_there_only() {
        let boss = || crate::rights::tests::bearer(&world(), "sk-boss");
        let dev = crate::rights::tests::bearer(&world(), "sk-dev");
        for (caller, text) in [
            (boss(), r#"{"team_id": "new"}"#),
            (boss(), r#"{"organization_id": "o", "model_aliases": {"a": "b"}}"#),
            (dev, r#"{"organization_id": "o"}"#),
        ] {
            assert!(
                matches!(made(caller, Kind::Team, text), Err(Error::Forbidden { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn an_end_user_and_a_tag_must_be_named_and_a_budget_need_not() {
        assert!(matches!(made(Caller::Master, Kind::EndUser, "{}"), Err(Error::Invalid(_))));
        assert!(matches!(made(Caller::Master, Kind::Tag, "{}"), Err(Error::Invalid(_))));
        assert!(matches!(made(Caller::Master, Kind::Organization, "{}"), Err(Error::Invalid(_))));
        assert!(made(Caller::Master, Kind::Budget, r#"{"max_budget": 5}"#).is_ok());
    }
}
