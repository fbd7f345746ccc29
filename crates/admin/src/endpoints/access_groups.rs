//! `GET /access_group/list` and `/access_group/{access_group}/info`: the groups that models name in
//! `model_info.access_groups` and those set over the API, which of them are in each, and the budget
//! that all who call them share.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::Response;
use dunlin_router::{Catalog, Deployment};
use dunlin_state::{Entity, Kind, ResourceKind, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::request::moment::iso;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/access_group/list", Who::Viewers, list).get(
        "/access_group/{access_group}/info",
        Who::Viewers,
        info,
    )
}

async fn list(admin: Admin, _: Request) -> Result<Response, Error> {
    let published = admin.settings()?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let groups = groups(&published.catalog, &read.state);
    let rows: Vec<_> = groups.iter().map(|(name, models)| told(&view, name, models)).collect();
    Ok(ok_as_of(&read, &json!({ "access_groups": rows })))
}

async fn info(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.settings()?;
    let name = asked.named.as_deref().unwrap_or_default();
    let read = admin.read().await;
    let groups = groups(&published.catalog, &read.state);
    let models = groups.get(name).ok_or_else(|| unknown(name, &groups))?;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &told(&view, name, models)))
}

/// The models and the deployments of a group.
#[derive(Default)]
pub(super) struct Models<'c> {
    names: BTreeSet<&'c str>,
    deployments: usize,
}

/// All groups that a model names, and those set over the API.
pub(super) fn groups<'c>(catalog: &'c Catalog, state: &'c State) -> BTreeMap<&'c str, Models<'c>> {
    let added = state.resources(ResourceKind::AccessGroup);
    let mut groups: BTreeMap<&str, Models<'_>> =
        added.map(|group| (group.id.as_str(), Models::default())).collect();
    for (model, names) in &catalog.access_groups {
        for name in names {
            let group = groups.entry(name).or_default();
            group.names.insert(model);
            let deployments = catalog.groups.get(model).map_or(&[][..], |of| &of.deployments);
            let own = deployments.iter().filter(|one| is_in(one, name)).count();
            // A group that is set over the API has whole models.
            group.deployments += if own > 0 { own } else { deployments.len() };
        }
    }
    groups
}

pub(super) fn is_in(deployment: &Deployment, group: &str) -> bool {
    #[derive(Deserialize)]
    struct Info {
        #[serde(default)]
        access_groups: Vec<String>,
    }
    let info: Result<Info, _> = serde_json::from_str(deployment.about.info.get());
    info.is_ok_and(|info| info.access_groups.iter().any(|name| name == group))
}

/// No model names the group.
pub(super) fn unknown(name: &str, groups: &BTreeMap<&str, Models<'_>>) -> Error {
    let near = groups.keys().map(|known| (strsim::osa_distance(name, known), *known)).min();
    let meant = near.filter(|(distance, _)| *distance <= 2);
    let meant = meant.map_or(String::new(), |(_, known)| format!("; did you mean `{known}`?"));
    let reason = format!(
        "Access group '{name}' not found: it was not made, and no model has it in its \
         model_info.access_groups{meant}"
    );
    Error::NotFound { reason }
}

fn told(view: &View, name: &str, models: &Models<'_>) -> Value {
    let entity = view.state.entity(Kind::AccessGroup, name);
    json!({
        "access_group": name,
        "model_names": models.names,
        "deployment_count": models.deployments,
        "spend": entity.map(|entity| view.spent(entity).as_usd()),
        "budget": entity.map(|entity| budget(view, entity)),
    })
}

/// The budget of a group as its routes tell it.
pub(super) fn budget(view: &View, entity: &Entity) -> Value {
    let (most, every) = view.main_budget(&entity.terms);
    let soft = entity.terms.soft_budget;
    json!({
        "budget_id": entity.terms.budget_id,
        "max_budget": most.map(dunlin_types::NanoUsd::as_usd),
        "soft_budget": soft.map(dunlin_types::NanoUsd::as_usd),
        "budget_duration": every,
        "budget_reset_at": view.running(&entity.terms).map(|period| iso(period.end)),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rows::row::tests::{state_after, view_of};
    use dunlin_state::{Command, Terms};
    use dunlin_types::NanoUsd;

    #[test]
    fn a_group_is_told_with_its_models_and_its_budget() {
        let of = |model: &str| (Arc::from(model), [Arc::from("premium")].into());
        let catalog = Catalog { access_groups: [of("a"), of("b")].into(), ..Catalog::default() };
        let nothing = state_after([]);
        let groups = groups(&catalog, &nothing);
        let terms = Terms { max_budget: Some(NanoUsd(5_000_000_000)), ..Terms::default() };
        let name = "premium".to_owned();
        let entity = Entity { kind: Kind::AccessGroup, name, terms, ..Entity::default() };
        let make = Command::CreateEntity { entity: Box::new(entity), members: Vec::new() };
        let none = told(&view_of(state_after([])), "premium", &groups["premium"]);
        assert_eq!((&none["budget"], &none["spend"]), (&Value::Null, &Value::Null));
        let row = told(&view_of(state_after([make])), "premium", &groups["premium"]);
        assert_eq!(row["model_names"], json!(["a", "b"]));
        assert_eq!((&row["budget"]["max_budget"], &row["spend"]), (&json!(5.0), &json!(0.0)));
        let Error::NotFound { reason } = unknown("premum", &groups) else { panic!("unknown") };
        assert!(reason.ends_with("did you mean `premium`?"), "{reason}");
    }
}
