//! What is known of the models a caller may call: LiteLLM's `/model/info` and `/model_group/info`,
//! from which agents learn windows, prices and abilities.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use dunlin_llm::Endpoint;
use dunlin_router::{Access, Catalog, Deployment, Group, listed};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

use crate::questions::one_model::params_of;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::said::Query;
use crate::response::error::Failed;
use crate::{Proxy, Serving};

/// What a list may hold that names no model.
const EVERYTHING_OR_NOTHING: [&str; 3] =
    ["all-proxy-models", "all-team-models", "no-default-models"];
/// The most rows of one page of the paged form.
const MAX_PAGE: usize = 1000;

#[derive(Deserialize)]
pub(crate) struct InfoQuery {
    litellm_model_id: Option<String>,
    model_group: Option<String>,
    model: Option<String>,
    #[serde(rename = "modelId")]
    id: Option<String>,
    search: Option<String>,
    page: Option<String>,
    size: Option<String>,
}

/// GET /model/info: of all, of the model of a name (`model`), or of what `litellm_model_id` says, an id
/// or a name.
pub(crate) async fn list(
    State(proxy): State<Proxy>,
    Query(asked): Query<InfoQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let rows = match rows(&proxy, &uri, &headers).await {
        Ok(rows) => rows,
        Err(failed) => return refused(failed, &proxy, &headers),
    };
    let of_name =
        |name: &str| rows.iter().filter(|row| row["model_name"] == *name).collect::<Vec<&Value>>();
    let (found, asked) = match (asked.litellm_model_id, asked.model) {
        (Some(id), _) => {
            let exact = rows.iter().find(|row| row["model_info"]["id"] == *id);
            (exact.map_or_else(|| of_name(&id), |row| vec![row]), format!("id = {id}"))
        }
        (None, Some(name)) => (of_name(&name), format!("name = {name}")),
        (None, None) => return Json(json!({"data": rows})).into_response(),
    };
    if found.is_empty() {
        let error = format!("Model {asked} not found on litellm proxy");
        return (StatusCode::BAD_REQUEST, Json(json!({"detail": {"error": error}})))
            .into_response();
    }
    Json(json!({"data": found})).into_response()
}

/// GET /v2/model/info: the same in pages.
pub(crate) async fn page(
    State(proxy): State<Proxy>,
    Query(asked): Query<InfoQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let mut rows = match rows(&proxy, &uri, &headers).await {
        Ok(rows) => rows,
        Err(failed) => return refused(failed, &proxy, &headers),
    };
    let page = number("page", asked.page.as_deref(), 1, usize::MAX);
    let size = number("size", asked.size.as_deref(), 50, MAX_PAGE);
    let (page, size) = match (page, size) {
        (Ok(page), Ok(size)) => (page, size),
        (page, size) => {
            let faults: Vec<Value> = [page, size].into_iter().filter_map(Result::err).collect();
            let detail = Json(json!({"detail": faults}));
            return (StatusCode::UNPROCESSABLE_ENTITY, detail).into_response();
        }
    };
    if let Some(name) = &asked.model {
        rows.retain(|row| row["model_name"] == **name);
    }
    if let Some(id) = &asked.id {
        rows.retain(|row| row["model_info"]["id"] == **id);
    }
    if let Some(part) = asked.search.map(|part| part.to_lowercase()) {
        let name = |row: &Value| row["model_name"].as_str().unwrap_or_default().to_lowercase();
        rows.retain(|row| name(row).contains(&part));
    }
    let total = rows.len();
    let data: Vec<Value> =
        rows.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect();
    let answer = json!({
        "data": data,
        "total_count": total,
        "current_page": page,
        "size": size,
        "total_pages": total.div_ceil(size),
    });
    Json(answer).into_response()
}

/// A number from 1 to `most`; the error is in FastAPI's shape, as for the other lists in pages.
fn number(name: &str, said: Option<&str>, usual: usize, most: usize) -> Result<usize, Value> {
    let Some(said) = said else { return Ok(usual) };
    let number = said.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| {
        let most = if most == usize::MAX { "on".to_owned() } else { format!("to {most}") };
        let msg = format!("Input should be a valid integer from 1 {most}");
        json!({"type": "value_error", "loc": ["query", name], "msg": msg})
    })
}

/// GET /model_group/info
pub(crate) async fn groups(
    State(proxy): State<Proxy>,
    Query(asked): Query<InfoQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let serving = proxy.0.serving.load_full();
    let caller = match Caller::identify(&proxy, &serving, &headers, &uri).await {
        Ok(caller) => caller,
        Err(refused_caller) => return refused(refused_caller.into(), &proxy, &headers),
    };
    let wanted = |name: &str| asked.model_group.as_deref().is_none_or(|group| group == name);
    let groups = callable(&serving, caller.access());
    let data: Vec<GroupInfo> = groups
        .filter(|(name, _)| wanted(name))
        .map(|(name, group)| GroupInfo::of(name, &group))
        .collect();
    Json(json!({"data": data})).into_response()
}

fn refused(failed: Failed, proxy: &Proxy, headers: &HeaderMap) -> Response<Body> {
    failed.response(&Call::of_headers(proxy, Endpoint::ChatCompletions, headers))
}

async fn rows(proxy: &Proxy, uri: &Uri, headers: &HeaderMap) -> Result<Vec<Value>, Failed> {
    let serving = proxy.0.serving.load_full();
    let caller = Caller::identify(proxy, &serving, headers, uri).await?;
    let groups = callable(&serving, caller.access());
    let rows = groups.flat_map(|(name, group)| {
        group.deployments.iter().map(|one| row(&name, one)).collect::<Vec<_>>()
    });
    Ok(rows.collect())
}

/// The groups the caller may call, under all their names; patterns as they stand, and what the
/// caller's lists name of what they stand for.
pub(crate) fn callable<'s>(
    serving: &'s Serving,
    access: Option<Access<'s>>,
) -> impl Iterator<Item = (Arc<str>, Cow<'s, Group>)> {
    let catalog = &serving.catalog;
    let names = listed(catalog, access).into_iter();
    let team = access.and_then(|access| access.team);
    let named = names.filter_map(move |name| {
        if let Some(own) = team.and_then(|team| catalog.of_team(team, &name)) {
            return Some((name, own));
        }
        let group = catalog.aliases.get(&name).map_or(&name, |alias| &alias.group);
        Some((Arc::clone(&name), catalog.groups.get(group)?))
    });
    let patterns = catalog.groups.iter().filter(|(name, _)| name.contains('*'));
    let patterns = patterns.filter(move |(name, _)| {
        access.is_none_or(|access| {
            access.models.is_empty() || access.models.iter().any(|m| **m == ***name)
        })
    });
    // The master key sees the models of all teams, by their teams' names for them.
    let all_teams = access.is_none().then_some(&catalog.team_groups).into_iter();
    let of_teams = all_teams.flat_map(BTreeMap::values).flatten();
    let more = patterns.chain(of_teams);
    let written = named.chain(more.map(|(name, group)| (Arc::clone(name), group)));
    written
        .map(|(name, group)| (name, Cow::Borrowed(group)))
        .chain(behind_patterns(catalog, access))
}

/// What the lists that bound a caller name, and it may call, though the config does not name it: a
/// pattern stands for it.
pub(crate) fn behind_patterns<'c>(
    catalog: &'c Catalog,
    access: Option<Access<'_>>,
) -> BTreeMap<Arc<str>, Cow<'c, Group>> {
    let Some(access) = access else { return BTreeMap::new() };
    let is_unwritten = |name: &str| {
        let of_team = access.team.is_some_and(|team| catalog.of_team(team, name).is_some());
        let is_written = of_team
            || catalog.groups.contains_key(name)
            || catalog.aliases.contains_key(name)
            || catalog.access_groups.values().any(|groups| groups.contains(name));
        let is_alias = access.unalias(name) != name;
        !is_written && !is_alias && !name.contains('*') && !EVERYTHING_OR_NOTHING.contains(&name)
    };
    let lists = [access.models].into_iter().chain(access.bounds);
    let names = lists.flatten().filter(|name| is_unwritten(name));
    let found = names.filter_map(|name| {
        let group = dunlin_router::group(catalog, Some(access), name).ok()?;
        Some((Arc::from(name.as_str()), group))
    });
    found.collect()
}

pub(crate) fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("it was written as an object")
}

/// Whether one of them can do that, as far as is known.
pub(crate) fn able(all: &[Map<String, Value>], ability: &str) -> bool {
    all.iter().any(|info| info.get(ability).and_then(Value::as_bool) == Some(true))
}

fn row(name: &str, deployment: &Deployment) -> Value {
    let mut info = object(deployment.about.info.get());
    info.insert("id".to_owned(), (*deployment.id.0).into());
    info.entry("litellm_provider").or_insert_with(|| (*deployment.provider).into());
    json!({
        "model_name": name,
        "litellm_params": object(deployment.about.params.get()),
        "model_info": info,
    })
}

/// What is known of all deployments of one public name together.
#[derive(Serialize)]
struct GroupInfo {
    model_group: Arc<str>,
    providers: BTreeSet<Arc<str>>,
    max_input_tokens: Option<f64>,
    max_output_tokens: Option<f64>,
    input_cost_per_token: f64,
    output_cost_per_token: f64,
    mode: Arc<str>,
    tpm: Option<Number>,
    rpm: Option<Number>,
    #[serde(flatten)]
    abilities: BTreeMap<&'static str, bool>,
    supported_openai_params: Vec<&'static str>,
    is_public_model_group: bool,
    health_status: Option<()>,
    health_response_time: Option<()>,
    health_checked_at: Option<()>,
    configurable_clientside_auth_params: Option<Value>,
}

/// LiteLLM gives these of every group.
const ABILITIES: [&str; 9] = [
    "supports_function_calling",
    "supports_parallel_function_calling",
    "supports_pdf_input",
    "supports_prompt_caching",
    "supports_reasoning",
    "supports_response_schema",
    "supports_url_context",
    "supports_vision",
    "supports_web_search",
];

impl GroupInfo {
    fn of(name: Arc<str>, group: &Group) -> Self {
        let all: Vec<Map<String, Value>> =
            group.deployments.iter().map(|one| object(one.about.info.get())).collect();
        let most =
            |key: &str| all.iter().filter_map(|info| info.get(key)?.as_f64()).reduce(f64::max);
        let sum = |share: fn(&Deployment) -> Option<f64>| {
            group.deployments.iter().filter_map(|one| share(one)).reduce(|a, b| a + b)
        };
        // A whole number has no point: typed clients want integers.
        let number = |sum: Option<f64>| sum.and_then(|sum| sum.to_string().parse().ok());
        let first = group.deployments.first().expect("a group has a deployment");
        Self {
            model_group: name,
            providers: group.deployments.iter().map(|one| Arc::clone(&one.provider)).collect(),
            max_input_tokens: most("max_input_tokens"),
            max_output_tokens: most("max_output_tokens"),
            input_cost_per_token: most("input_cost_per_token").unwrap_or(0.0),
            output_cost_per_token: most("output_cost_per_token").unwrap_or(0.0),
            mode: Arc::clone(&first.about.mode),
            tpm: number(sum(|one| one.weight.tpm)),
            rpm: number(sum(|one| one.weight.rpm)),
            abilities: ABILITIES.into_iter().map(|key| (key, able(&all, key))).collect(),
            supported_openai_params: params_of(first),
            is_public_model_group: false,
            health_status: None,
            health_response_time: None,
            health_checked_at: None,
            configurable_clientside_auth_params: object(first.about.params.get())
                .remove("configurable_clientside_auth_params"),
        }
    }
}
