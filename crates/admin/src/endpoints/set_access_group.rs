//! `POST /access_group/new`, `PUT /access_group/{access_group}/update` and
//! `DELETE /access_group/{access_group}/delete`: groups of models by their public names, beside
//! those that models of a config file name in `model_info.access_groups`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::response::Response;
use dunlin_consensus::ProposeError;
use dunlin_router::{Catalog, Group};
use dunlin_state::{Command, Kind, Rejected, Resource, ResourceKind, State};
use serde_json::{Value, json};
use tracing::info;

use super::access_group_budget::is_rejected;
use super::access_groups::{groups, unknown};
use super::ok;
use crate::changes::stored::{GroupContent, MAX_OVERTAKEN, ModelContent, overtaken};
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{DELETE, PUT, Request, Routes, Who};
use crate::{Admin, Published};

const GROUP: ResourceKind = ResourceKind::AccessGroup;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/access_group/new", Who::Admins, create)
        .add(PUT, "/access_group/{access_group}/update", Who::Admins, update)
        .add(DELETE, "/access_group/{access_group}/delete", Who::Admins, delete)
}

/// Words in lists of models that are no names.
const RESERVED: [&str; 3] = ["all-proxy-models", "all-team-models", "no-default-models"];

/// What a request says.
#[derive(Debug, Default, PartialEq)]
struct Sent {
    name: String,
    models: Option<Vec<String>>,
    ids: Option<Vec<String>>,
}

async fn create(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.storing().await?;
    let sent = parse(asked.body()?, true)?;
    let members = members(&published.catalog, &sent)?;
    check_name(&published.catalog, &sent.name)?;
    let state = admin.read().await.state;
    if groups(&published.catalog, &state).contains_key(sent.name.as_str()) {
        return Err(exists(&sent.name));
    }
    let content = GroupContent { models: members.into_iter().collect() };
    match admin.make(&asked, (GROUP, &sent.name, &sent.name), &content).await {
        Ok(_) => {}
        Err(Error::Propose(ProposeError::Rejected(Rejected::ResourceExists { .. }))) => {
            return Err(exists(&sent.name));
        }
        Err(error) => return Err(error),
    }
    info!(access_group = sent.name, "an access group was created");
    Ok(ok(&told(&published.catalog, &sent, &content.models)))
}

/// A group's name stands among the names of models that keys may call: it must mean nothing else there.
fn check_name(catalog: &Catalog, name: &str) -> Result<(), Error> {
    let why = if catalog.groups.contains_key(name) {
        "is a model: keys that may call it could then call all models of the group"
    } else if RESERVED.contains(&name) {
        "has a special meaning in a key's models"
    } else if name.contains('*') {
        "would be a model pattern"
    } else {
        return Ok(());
    };
    let reason = format!("'{name}' {why}. Choose another name");
    Err(Error::BadField { name: "access_group", reason })
}

fn exists(name: &str) -> Error {
    let reason = format!(
        "Access group '{name}' already exists. Use PUT /access_group/{name}/update to modify it."
    );
    Error::Conflict { reason }
}

async fn update(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.storing().await?;
    let name = asked.named.clone().unwrap_or_default();
    let sent = Sent { name: name.clone(), ..parse(asked.body()?, false)? };
    let members = members(&published.catalog, &sent)?;
    let content = GroupContent { models: members.iter().cloned().collect() };
    let state = admin.read().await.state;
    check_known(&published.catalog, &state, &name)?;
    strip(&admin, &asked, &state, &name, &members).await?;
    put(&admin, &asked, &name, &content).await?;
    info!(access_group = name, "an access group was changed");
    let mut row = told(&published.catalog, &sent, &content.models);
    let rest: Vec<_> = of_files(&published, &name).difference(&members).cloned().collect();
    if !rest.is_empty() {
        let warning = format!("the config file has these models in it too: {}", rest.join(", "));
        row["warnings"] = json!([warning]);
    }
    Ok(ok(&row))
}

/// Makes or replaces what the state holds of a group.
async fn put(
    admin: &Admin,
    asked: &Request,
    name: &str,
    content: &GroupContent,
) -> Result<(), Error> {
    for _ in 0..MAX_OVERTAKEN {
        let state = admin.read().await.state;
        let done = match state.resource(GROUP, name) {
            Some(before) => {
                admin.replace(asked, before, name.to_owned(), content).await.map(|it| it.is_some())
            }
            None => admin.make(asked, (GROUP, name, name), content).await.map(|_| true),
        };
        match done {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // Made or deleted by somebody else in between.
            Err(error)
                if is_rejected(&error, |why| {
                    matches!(
                        why,
                        Rejected::ResourceExists { .. } | Rejected::UnknownResource { .. }
                    )
                }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(overtaken(GROUP, name))
}

async fn delete(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.storing().await?;
    let name = asked.named.clone().unwrap_or_default();
    let state = admin.read().await.state;
    check_known(&published.catalog, &state, &name)?;
    let kept = of_files(&published, &name);
    let before = of_group(&published.catalog, &name);
    let stripped = strip(&admin, &asked, &state, &name, &BTreeSet::new()).await?;
    let is_added = state.resource(GROUP, &name).is_some();
    if !is_added && stripped == 0 {
        return Err(refuse_files(&name, &kept));
    }
    if is_added {
        match admin.unmake(&asked, GROUP, &name).await {
            Err(error)
                if !is_rejected(&error, |why| matches!(why, Rejected::UnknownResource { .. })) =>
            {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
    }
    let mut message = format!("Access group '{name}' deleted successfully");
    if kept.is_empty() {
        let budget = Command::DeleteEntities { kind: Kind::AccessGroup, names: vec![name.clone()] };
        match admin.carry_out(&asked, budget).await {
            Err(error)
                if !is_rejected(&error, |why| matches!(why, Rejected::UnknownEntity { .. })) =>
            {
                return Err(error);
            }
            Ok(_) | Err(_) => {}
        }
    } else {
        let kept: Vec<_> = kept.iter().cloned().collect();
        message += &format!("; the config file still has in it: {}", kept.join(", "));
    }
    info!(access_group = name, "an access group was deleted");
    let gone = before.difference(&kept);
    let updated: usize = gone.map(|model| deployments(&published.catalog, model)).sum();
    Ok(ok(&json!({"access_group": name, "models_updated": updated, "message": message})))
}

fn refuse_files(name: &str, kept: &BTreeSet<String>) -> Error {
    let kept: Vec<_> = kept.iter().cloned().collect();
    Error::BadField {
        name: "access_group",
        reason: format!(
            "Access group '{name}' is set by the config file, in the model_info.access_groups of {}: \
             change it there",
            kept.join(", ")
        ),
    }
}

fn check_known(catalog: &Catalog, state: &State, name: &str) -> Result<(), Error> {
    let known = groups(catalog, state);
    if known.contains_key(name) { Ok(()) } else { Err(unknown(name, &known)) }
}

/// Takes the group off all models set over the API that name it themselves, but for `members`.
/// Gives how many they were.
async fn strip(
    admin: &Admin,
    asked: &Request,
    state: &State,
    name: &str,
    members: &BTreeSet<String>,
) -> Result<usize, Error> {
    let mut stripped = 0;
    for model in state.resources(ResourceKind::Model).filter(|model| !members.contains(&model.name))
    {
        if strip_one(admin, asked, name, Arc::clone(model)).await? {
            stripped += 1;
        }
    }
    Ok(stripped)
}

/// Takes the group off a model. Gives whether it was in it.
async fn strip_one(
    admin: &Admin,
    asked: &Request,
    name: &str,
    mut model: Arc<Resource>,
) -> Result<bool, Error> {
    for _ in 0..MAX_OVERTAKEN {
        let mut content: ModelContent = admin.open(&model)?;
        if !take_off(&mut content, name) {
            return Ok(false);
        }
        if admin.replace(asked, &model, model.name.clone(), &content).await?.is_some() {
            return Ok(true);
        }
        model = admin.kept(ResourceKind::Model, &model.id).await?;
    }
    Err(overtaken(ResourceKind::Model, &model.id))
}

fn take_off(content: &mut ModelContent, name: &str) -> bool {
    let Some(Value::Array(groups)) = content.info.get_mut("access_groups") else { return false };
    let before = groups.len();
    groups.retain(|group| group.as_str() != Some(name));
    groups.len() < before
}

/// The models whose own `model_info` in the config file names the group.
fn of_files(published: &Published, name: &str) -> BTreeSet<String> {
    let mut models = BTreeSet::new();
    for (model, group) in &published.catalog.groups {
        let own = group.deployments.iter().filter(|deployment| !deployment.about.added);
        if own.into_iter().any(|deployment| super::access_groups::is_in(deployment, name)) {
            models.insert(model.to_string());
        }
    }
    models
}

fn of_group(catalog: &Catalog, name: &str) -> BTreeSet<String> {
    let members = catalog.access_groups.iter().filter(|(_, groups)| groups.contains(name));
    members.map(|(model, _)| model.to_string()).collect()
}

fn deployments(catalog: &Catalog, model: &str) -> usize {
    catalog.groups.get(model).map_or(0, |group| group.deployments.len())
}

fn told(catalog: &Catalog, sent: &Sent, members: &[String]) -> Value {
    let updated: usize = members.iter().map(|model| deployments(catalog, model)).sum();
    json!({
        "access_group": sent.name, "model_names": sent.models, "model_ids": sent.ids,
        "models_updated": updated,
    })
}

/// The public names of what a request names: ids count before names, as in LiteLLM.
fn members(catalog: &Catalog, sent: &Sent) -> Result<BTreeSet<String>, Error> {
    if let Some(ids) = sent.ids.as_ref().filter(|ids| !ids.is_empty()) {
        let model = |id: &String| {
            let has = |group: &Group| group.deployments.iter().any(|one| *one.id.0 == **id);
            let found = catalog.groups.iter().find(|(_, group)| has(group));
            found.map(|(model, _)| model.to_string()).ok_or_else(|| Error::BadField {
                name: "model_ids",
                reason: format!(
                    "Deployment with model_id '{id}' not found; `dunlin model list` shows all"
                ),
            })
        };
        return ids.iter().map(model).collect();
    }
    let names: BTreeSet<String> = sent.models.iter().flatten().cloned().collect();
    let missing: Vec<_> =
        names.iter().filter(|name| !catalog.groups.contains_key(name.as_str())).cloned().collect();
    if !missing.is_empty() {
        let reason = format!("Model(s) not found: {}", missing.join(", "));
        return Err(Error::BadField { name: "model_names", reason });
    }
    Ok(names)
}

fn parse(mut body: Body, is_new: bool) -> Result<Sent, Error> {
    let name = if is_new { body.require("access_group", values::text) } else { String::new() };
    let name = name.trim().to_owned();
    if is_new && name.is_empty() {
        let reason = "access_group is required and cannot be empty";
        body.refuse("access_group", reason.to_owned());
    }
    let models = body.take("model_names", values::texts).value();
    let ids = body.take("model_ids", values::texts).value();
    if [&models, &ids].into_iter().flatten().all(Vec::is_empty) {
        let reason = "Either model_names or model_ids must be provided and non-empty";
        body.refuse("model_names", reason.to_owned());
    }
    body.finish(["access_group", "model_names", "model_ids"].into_iter())?;
    Ok(Sent { name, models, ids })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn sent(text: &str) -> Result<Sent, Error> {
        parse(Body::parse(text.as_bytes()).expect("an object"), true)
    }

    #[test]
    fn a_group_has_a_name_and_models_that_there_are() {
        let group = sent(r#"{"access_group": " g ", "model_names": ["a", "a"]}"#).expect("a group");
        assert_eq!(group.name, "g");
        let name: Arc<str> = "a".into();
        let group_a = Group { name: Arc::clone(&name), deployments: Vec::new() };
        let catalog = Catalog { groups: [(name, group_a)].into(), ..Catalog::default() };
        assert_eq!(members(&catalog, &group).expect("known"), ["a".to_owned()].into());
        for (text, name) in [
            (r#"{"access_group": "", "model_names": ["a"]}"#, "access_group"),
            (r#"{"access_group": "g"}"#, "model_names"),
            (r#"{"access_group": "g", "model_names": [], "model_ids": []}"#, "model_names"),
        ] {
            let refused = sent(text).expect_err(text);
            assert!(matches!(refused, Error::BadField { name: of, .. } if of == name), "{text}");
        }
        for text in [
            r#"{"access_group": "g", "model_names": ["a", "b"]}"#,
            r#"{"access_group": "g", "model_ids": ["x"]}"#,
        ] {
            let refused = members(&catalog, &sent(text).expect("read")).expect_err(text);
            assert!(refused.told().contains("not found"), "{refused}");
        }
        for name in ["a", "all-proxy-models", "no-default-models", "a*"] {
            assert!(check_name(&catalog, name).is_err(), "{name}");
        }
        assert!(check_name(&catalog, "g").is_ok());
    }

    #[test]
    fn a_group_is_taken_off_a_model_that_names_it() {
        let Value::Object(info) = json!({"access_groups": ["g", "h"]}) else { panic!("an object") };
        let mut content = ModelContent { info, ..ModelContent::default() };
        assert!(take_off(&mut content, "g") && !take_off(&mut content, "g"));
        assert_eq!(content.info["access_groups"], json!(["h"]));
    }
}
