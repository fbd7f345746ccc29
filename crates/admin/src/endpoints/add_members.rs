//! `POST /team/member_add` and `/organization/member_add`: users join. Those that nobody knew get an
//! account.

use axum::response::Response;
use dunlin_admin_api::Row;
use dunlin_state::{Command, Entity, Kind, Reply, TermsChanges};
use serde_json::{Value, json};
use tracing::info;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::rights::caller::Caller;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::{find, row};
use crate::rows::row::{View, put};
use crate::terms::edit::{Decided, with_organization};
use crate::terms::entity_fields::{self, Named, id_name};
use crate::terms::members::{Joining, check_leads, check_role, finish, read_terms};
use crate::terms::model_names::{Whose, in_list};

/// So many join at a time.
const MAX_MEMBERS: usize = 500;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/team/member_add", Who::Users, |admin, asked| handle(admin, asked, Kind::Team))
        .post("/organization/member_add", Who::Users, |admin, asked| {
            handle(admin, asked, Kind::Organization)
        })
}

async fn handle(admin: Admin, asked: Request, kind: Kind) -> Result<Response, Error> {
    let Wanted { name, named, terms } = parse(asked.body()?, kind, "member")?;
    let listed = in_list("allowed_models", &terms.models);
    let joined = join(&admin, &asked, (kind, &name), named, terms).await?;
    let Joined { group, view, users } = joined;
    let mut answer = answer(&view, &group, &users);
    admin.put_warnings(&mut answer, &asked.caller, &listed, Whose::entity(&group));
    Ok(ok(&answer))
}

/// What a request says.
pub(super) struct Wanted {
    /// The group's.
    name: String,
    /// Who joins it, and on which terms.
    named: Vec<Named>,
    terms: TermsChanges,
}

/// Users that have joined a group.
pub(super) struct Joined {
    group: std::sync::Arc<Entity>,
    view: View,
    users: Vec<String>,
}

/// Reads a request to join.
pub(super) fn parse(mut body: Body, kind: Kind, field: &'static str) -> Result<Wanted, Error> {
    let name = body.require(id_name(kind), values::text);
    let named = body.require(field, entity_fields::members);
    let (terms, guards) = read_terms(&mut body, kind);
    if named.is_empty() || named.len() > MAX_MEMBERS {
        body.refuse(field, format!("1 to {MAX_MEMBERS} members can be added at a time"));
    }
    for wrong in named.iter().filter_map(|named| check_role(kind, &named.role).err()) {
        body.fault(field, wrong);
    }
    finish(body, [id_name(kind), field].into_iter(), guards)?;
    Ok(Wanted { name, named, terms })
}

/// Lets users join.
pub(super) async fn join(
    admin: &Admin,
    asked: &Request,
    (kind, name): (Kind, &str),
    named: Vec<Named>,
    terms: TermsChanges,
) -> Result<Joined, Error> {
    let open = &admin.settings()?.settings.available_teams;
    let state = admin.read().await.state;
    let joining = |view: &View| {
        let group = find(&view.state, kind, name)?;
        let Joining { users, new_users } = Joining::read(named.clone(), &view.state, asked);
        if !joins_himself(&asked.caller, (kind, name), &users, &terms, open) {
            check_leads(asked, view, &group)?;
        }
        let member =
            |(user, role): (String, String)| entity_fields::membership(user, &role, terms.clone());
        let members = users.into_iter().map(member).collect();
        let join = Command::AddMembers { kind, name: name.to_owned(), members };
        let commands = new_users.into_iter().chain([join]).collect();
        let seen = if asked.caller.is_admin() {
            Vec::new()
        } else {
            with_organization(&view.state, &group)
        };
        Ok(Decided { seen, command: Command::All { commands } })
    };
    let (reply, view) = admin.edit(asked, state, joining).await?;
    let Reply::All(replies) = reply else { unreachable!("several commands have several replies") };
    let Some(Reply::Members(members)) = replies.last() else { unreachable!("joining comes last") };
    let users: Vec<_> = members.iter().map(|member| member.user.clone()).collect();
    info!(entity.kind = kind.name(), entity.name = name, ?users, "members joined");
    let group = find(&view.state, kind, name)?;
    Ok(Joined { group, view, users })
}

/// Whether a user joins a team that is open to all, and asks for no terms or rights there.
fn joins_himself(
    caller: &Caller,
    (kind, name): (Kind, &str),
    users: &[(String, String)],
    terms: &TermsChanges,
    open: &[String],
) -> bool {
    let himself =
        |(user, role): &(String, String)| Some(user.as_str()) == caller.user() && role == "user";
    kind == Kind::Team
        && open.iter().any(|team| team == name)
        && !users.is_empty()
        && users.iter().all(himself)
        && *terms == TermsChanges::default()
}

fn answer(view: &View, group: &Entity, users: &[String]) -> Row {
    let mut told = row(view, group);
    let rows: Vec<_> = users
        .iter()
        .filter_map(|user| Some(view.user(view.state.entity(Kind::User, user)?)))
        .collect();
    let members: Vec<Value> = users
        .iter()
        .filter_map(|user| view.state.member(group.kind, &group.name, user))
        .map(|member| json!(view.membership(group, member)))
        .collect();
    put(&mut told, "updated_users", &rows);
    let field = match group.kind {
        Kind::Organization => "updated_organization_memberships",
        Kind::Team | Kind::User | Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => {
            "updated_team_memberships"
        }
    };
    put(&mut told, field, &members);
    told
}

#[cfg(test)]
mod tests {
    use dunlin_state::Change;
    use dunlin_types::NanoUsd;

    use super::*;
    use crate::rights::tests::{bearer, world};

    #[test]
    fn a_user_joins_an_open_team_himself_and_only_as_a_user() {
        let (state, open) = (world(), ["other".to_owned()]);
        let dev = bearer(&state, "sk-dev");
        let joins = |caller: &Caller, team: &str, user: &str, role: &str, budget: Option<u64>| {
            let max_budget = budget.map_or(Change::Keep, |budget| Change::Set(NanoUsd(budget)));
            let terms = TermsChanges { max_budget, ..TermsChanges::default() };
            let users = [(user.to_owned(), role.to_owned())];
            joins_himself(caller, (Kind::Team, team), &users, &terms, &open)
        };
        assert!(joins(&dev, "other", "dev", "user", None));
        assert!(!joins(&dev, "t", "dev", "user", None), "it is not open");
        assert!(!joins(&dev, "other", "lead", "user", None), "it is somebody else");
        assert!(!joins(&dev, "other", "dev", "admin", None));
        assert!(!joins(&dev, "other", "dev", "user", Some(9)), "on terms of his own");
        assert!(!joins(&bearer(&state, "sk-team"), "other", "dev", "user", None), "no user's key");
    }

    #[test]
    fn one_or_many_join_on_the_same_terms() {
        let of = |text: &str| {
            parse(Body::parse(text.as_bytes()).expect("an object"), Kind::Team, "member")
        };
        let Wanted { name, named, terms } = of(r#"{"team_id": "t", "max_budget_in_team": 0.5,
            "member": {"role": "user", "user_id": "ann"}}"#)
        .expect("a member");
        assert_eq!((name.as_str(), named.len()), ("t", 1));
        assert_eq!(terms.max_budget, Change::Set(NanoUsd(500_000_000)));
        let two = of(r#"{"team_id": "t", "member": [{"user_id": "a"}, {"user_email": "b@c.d"}]}"#);
        assert_eq!(two.expect("members").named.len(), 2);
        assert!(matches!(of(r#"{"team_id": "t"}"#), Err(Error::Invalid(_))));
        let boss = of(r#"{"team_id": "t", "member": {"user_id": "a", "role": "boss"}}"#);
        assert!(matches!(boss, Err(Error::Invalid(_))));
        let none = of(r#"{"team_id": "t", "member": []}"#);
        assert!(matches!(none, Err(Error::BadField { name: "member", .. })));
    }
}
