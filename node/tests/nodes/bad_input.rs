//! Every field of every route that makes or changes a key, a team, a user, ...: what cannot be meant
//! is refused by name and changes nothing; what is absent stays; null clears. Routes and fields come
//! from the node itself, so that one that is forgotten here fails the test.

use std::collections::BTreeMap;

use dunlin_cluster::Client;
use serde_json::{Map, Value, json};

use crate::harness::{self, Setup};

/// What a field takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Usd,
    Count,
    Flag,
    Text,
    Address,
    Texts,
    Object,
    Counts,
    Every,
    Windows,
    ModelBudgets,
    Throughput,
    Region,
    Role,
    /// It would guard something and does not: only nothing is taken.
    Nothing,
}

impl Takes {
    /// What is refused.
    fn wrong(self) -> Vec<Value> {
        let (list, map, yes) = (json!([]), json!({}), json!(true));
        match self {
            Self::Usd => {
                let words = ["NaN", "inf", "-inf", "Infinity", "1e999", "abc"].map(|it| json!(it));
                let numbers = [json!(-1), json!(-0.01), json!(1e300), yes, list, map];
                words.into_iter().chain(numbers).collect()
            }
            Self::Count => {
                vec![json!(-1), json!(1.5), json!("NaN"), json!("x"), json!(1e300), yes, list, map]
            }
            Self::Flag => vec![json!("maybe"), json!(2), list, map],
            Self::Text | Self::Every => vec![json!(5), yes, json!(["x"]), map],
            Self::Address => vec![json!("some text"), json!(5), yes, json!(["x"]), map],
            Self::Texts => vec![json!("x"), json!(5), map, json!([1]), json!([null])],
            Self::Object => vec![json!("x"), json!(5), list, yes],
            Self::Counts => {
                let within =
                    [json!({"m": -1}), json!({"m": "x"}), json!({"m": 1.5}), json!({"m": null})];
                within.into_iter().chain([json!("x"), json!(5), list]).collect()
            }
            Self::Windows => vec![
                json!("x"),
                map,
                json!([{"max_budget": 1}]),
                json!([{"budget_duration": "1d", "max_budget": -1}]),
                json!([{"budget_duration": "soon", "max_budget": 1}]),
            ],
            Self::ModelBudgets => vec![
                json!("x"),
                list,
                json!({"m": {"max_budget": "NaN"}}),
                json!({"m": {"budget_duration": "1y"}}),
                json!({"m": {"max_budgets": 1}}),
            ],
            Self::Throughput | Self::Region | Self::Role => {
                vec![json!("sometimes"), json!(5), list]
            }
            Self::Nothing => vec![json!("x"), json!(["x"]), json!({"x": ["x"]}), json!(5), yes],
        }
    }

    /// What is taken, as it is shown, and how it is shown once it is cleared: null or nothing.
    fn right(self) -> Option<Value> {
        Some(match self {
            Self::Usd => json!(2.5),
            Self::Count => json!(7),
            Self::Flag => json!(true),
            Self::Text => json!("some text"),
            Self::Address => json!("ann@example.com"),
            Self::Texts => json!(["chat"]),
            Self::Object => json!({"a": "b"}),
            Self::Counts => json!({"m": 3}),
            Self::Every => json!("7d"),
            Self::Windows => json!([{"budget_duration": "1d", "max_budget": 3.0}]),
            Self::ModelBudgets => json!({"m": {"budget_duration": "1d", "max_budget": 3.0}}),
            Self::Throughput => json!("dynamic"),
            Self::Region => json!("eu"),
            Self::Role => json!("internal_user"),
            Self::Nothing => return None,
        })
    }
}

/// All fields that some row shows and some request sets.
const FIELDS: &[(&str, Takes)] = &[
    ("access_group_ids", Takes::Nothing),
    ("agent_id", Takes::Nothing),
    ("alias", Takes::Text),
    ("aliases", Takes::Object),
    ("allowed_model_region", Takes::Region),
    ("allowed_models", Takes::Nothing),
    ("allowed_routes", Takes::Texts),
    ("allowed_vector_store_indexes", Takes::Nothing),
    ("auto_rotate", Takes::Nothing),
    ("blocked", Takes::Flag),
    ("budget_duration", Takes::Every),
    ("budget_limits", Takes::Windows),
    ("default_estimated_output_tokens", Takes::Count),
    ("default_estimated_output_tokens_per_model", Takes::Counts),
    ("default_model", Takes::Text),
    ("default_team_member_models", Takes::Texts),
    ("denied_passthrough_routes", Takes::Nothing),
    ("description", Takes::Text),
    ("end_user_budget_id", Takes::Nothing),
    ("enforced_batch_output_expires_after", Takes::Nothing),
    ("enforced_file_expires_after", Takes::Nothing),
    ("enforced_params", Takes::Texts),
    ("guardrails", Takes::Nothing),
    ("key_alias", Takes::Text),
    ("max_budget", Takes::Usd),
    ("max_parallel_requests", Takes::Count),
    ("mcp_rpm_limit", Takes::Nothing),
    ("metadata", Takes::Object),
    ("model_aliases", Takes::Object),
    ("model_max_budget", Takes::ModelBudgets),
    ("model_rpm_limit", Takes::Counts),
    ("model_tpm_limit", Takes::Counts),
    ("models", Takes::Texts),
    ("object_permission", Takes::Nothing),
    ("organization_alias", Takes::Text),
    ("password", Takes::Nothing),
    ("policies", Takes::Nothing),
    ("project_id", Takes::Nothing),
    ("prompts", Takes::Nothing),
    ("require_trace_id", Takes::Nothing),
    ("rpm_limit", Takes::Count),
    ("rpm_limit_type", Takes::Throughput),
    ("soft_budget", Takes::Usd),
    ("tag_rpm_limit", Takes::Counts),
    ("tags", Takes::Texts),
    ("team_alias", Takes::Text),
    ("team_member_budget", Takes::Usd),
    ("team_member_budget_duration", Takes::Every),
    ("team_member_key_duration", Takes::Every),
    ("team_member_model_max_budget", Takes::Nothing),
    ("team_member_rpm_limit", Takes::Count),
    ("team_member_tpm_limit", Takes::Count),
    ("throttle_on_budget_exceeded", Takes::Flag),
    ("tpd_limit", Takes::Count),
    ("tpm_limit", Takes::Count),
    ("tpm_limit_type", Takes::Throughput),
    ("user_alias", Takes::Text),
    ("user_email", Takes::Address),
    ("user_role", Takes::Role),
];

/// What rows show and no request sets, or which other tests set: names, owners, times, sums; and what
/// is kept as it comes.
const NOT_SET: &[&str] = &[
    "admins",
    "allowed_cache_controls",
    "allowed_passthrough_routes",
    "budget_fallbacks",
    "budget_id",
    "budget_reset_at",
    "config",
    "created_at",
    "created_by",
    "disable_global_guardrails",
    "expires",
    "key_name",
    "key_rotation_at",
    "key_type",
    "last_rotation_at",
    "last_active",
    "litellm_budget_table",
    "litellm_model_table",
    "members",
    "members_with_roles",
    "model_id",
    "model_info",
    "model_spend",
    "object_permission_id",
    "organization_id",
    "organization_memberships",
    "organizations",
    "permissions",
    "rotation_count",
    "rotation_interval",
    "router_settings",
    "secret_manager_settings",
    "send_invite_email",
    "soft_budget_cooldown",
    "spend",
    "sso_user_id",
    "team_id",
    "team_member_permissions",
    "teams",
    "total_spend",
    "updated_at",
    "updated_by",
    "user_id",
    "name",
];

/// One thing that has terms.
struct Thing {
    new: &'static str,
    /// Other paths to the same.
    also: &'static [&'static str],
    update: &'static str,
    /// What a request that makes one named `id` must say.
    made_by: fn(&str) -> Value,
    /// The field of an update that names it.
    id: &'static str,
    info: fn(&str) -> (String, Option<Value>),
    /// Where its row is in the answer.
    row: &'static str,
}

const THINGS: &[Thing] = &[
    Thing {
        new: "/key/generate",
        also: &["/key/regenerate", "/key/service-account/generate"],
        update: "/key/update",
        made_by: |id| json!({"key": key_of(id)}),
        id: "key",
        info: |id| (format!("/key/info?key={}", key_of(id)), None),
        row: "/info",
    },
    Thing {
        new: "/team/new",
        also: &[],
        update: "/team/update",
        made_by: |id| json!({"team_id": id}),
        id: "team_id",
        info: |id| (format!("/team/info?team_id={id}"), None),
        row: "/team_info",
    },
    Thing {
        new: "/user/new",
        also: &[],
        update: "/user/update",
        made_by: |id| json!({"user_id": id, "auto_create_key": false}),
        id: "user_id",
        info: |id| (format!("/v2/user/info?user_id={id}"), None),
        row: "",
    },
    Thing {
        new: "/customer/new",
        also: &["/end_user/new", "/end_user/update"],
        update: "/customer/update",
        made_by: |id| json!({"user_id": id}),
        id: "user_id",
        info: |id| (format!("/customer/info?end_user_id={id}"), None),
        row: "",
    },
    Thing {
        new: "/organization/new",
        also: &[],
        update: "PATCH /organization/update",
        made_by: |id| json!({"organization_id": id, "organization_alias": "An organization"}),
        id: "organization_id",
        info: |id| (format!("/organization/info?organization_id={id}"), None),
        row: "",
    },
    Thing {
        new: "/budget/new",
        also: &[],
        update: "/budget/update",
        made_by: |id| json!({"budget_id": id}),
        id: "budget_id",
        info: |id| ("/budget/info".to_owned(), Some(json!({"budgets": [id]}))),
        row: "/0",
    },
    Thing {
        new: "/tag/new",
        also: &[],
        update: "/tag/update",
        made_by: |id| json!({"name": id}),
        id: "name",
        info: |id| ("/tag/info".to_owned(), Some(json!({"names": [id]}))),
        row: "/it",
    },
];

/// Routes that change something and take no terms, or wrap those above: other tests have them.
const OTHERS: &[&str] = &[
    "/access_group/new",
    "/access_group/{access_group}/budget",
    "/access_group/{access_group}/delete",
    "/access_group/{access_group}/update",
    "/budget/delete",
    "/budget/info",
    "/customer/block",
    "/customer/delete",
    "/customer/unblock",
    "/end_user/block",
    "/end_user/delete",
    "/end_user/unblock",
    "/key/block",
    "/key/bulk_update",
    "/key/delete",
    "/key/health",
    "/key/unblock",
    "/key/{key}/regenerate",
    "/key/{key}/reset_spend",
    "/organization/delete",
    "/organization/member_add",
    "/organization/member_delete",
    "/organization/member_update",
    "/tag/delete",
    "/tag/info",
    "/team/block",
    "/team/bulk_member_add",
    "/team/delete",
    "/team/key/bulk_update",
    "/team/member_add",
    "/team/member_delete",
    "/team/member_update",
    "/team/model/add",
    "/team/model/delete",
    "/team/permissions_update",
    "/team/unblock",
    "/team/{team_id}/callback",
    "/team/{team_id}/disable_logging",
    "/team/{team_id}/reset_spend",
    "/user/bulk_update",
    "/user/delete",
    "/v2/key/info",
];

fn key_of(id: &str) -> String {
    format!("sk-0123456789-abcdef-{id}")
}

struct Node {
    setup: Setup,
    client: Client,
}

impl Node {
    async fn send(&self, path: &str, body: &Value) -> anyhow::Result<(u16, String)> {
        let reply = match path.strip_prefix("PATCH ") {
            Some(path) => self.client.patch(&self.setup.cluster.url(0, path), body).await?,
            None => self.client.post(&self.setup.cluster.url(0, path), body).await?,
        };
        Ok((reply.status, reply.body))
    }

    async fn row(&self, thing: &Thing, id: &str) -> anyhow::Result<Option<Map<String, Value>>> {
        let (path, body) = (thing.info)(id);
        let reply = match body {
            Some(body) => self.send(&path, &body).await?,
            None => {
                let reply = self.client.get(&self.setup.cluster.url(0, &path)).await?;
                (reply.status, reply.body)
            }
        };
        let told: Value = serde_json::from_str(&reply.1)?;
        let row = told.pointer(thing.row).and_then(Value::as_object).cloned();
        Ok(row.filter(|_| reply.0 == 200))
    }
}

async fn start() -> anyhow::Result<Node> {
    let setup = harness::start(1).await?;
    let client = setup.cluster.client().clone();
    Ok(Node { setup, client })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// A row without what may change by itself, or with other fields.
fn lasting(row: &Map<String, Value>) -> BTreeMap<&str, &Value> {
    let fleeting = ["updated_at", "updated_by", "budget_reset_at", "budgets"];
    let stays = row.iter().filter(|(name, _)| !fleeting.contains(&name.as_str()));
    stays.map(|(name, value)| (name.as_str(), value)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_and_no_field_is_forgotten() -> anyhow::Result<()> {
    let node = start().await?;
    let told: Value = node.client.get(&node.setup.cluster.url(0, "/routes")).await?.json()?;
    let heads = [
        "access_group",
        "budget",
        "customer",
        "end_user",
        "key",
        "organization",
        "tag",
        "team",
        "user",
    ];
    let tested: Vec<_> = THINGS
        .iter()
        .flat_map(|thing| [thing.new, thing.update].into_iter().chain(thing.also.iter().copied()))
        .map(|path| path.split_once(' ').map_or(path, |(_, path)| path))
        .collect();
    for route in told["routes"].as_array().expect("routes") {
        let path = route["path"].as_str().expect("a path");
        let methods = route["methods"].as_array().expect("methods");
        let changes = methods.iter().any(|method| method != "GET");
        let head = path.trim_start_matches("/v2").split('/').nth(1).unwrap_or_default();
        if changes && heads.contains(&head) {
            assert!(tested.contains(&path) || OTHERS.contains(&path), "{path} is not tested here");
        }
    }
    for thing in THINGS {
        node.send(thing.new, &(thing.made_by)("it")).await?;
        let row = node.row(thing, "it").await?.expect("it was made");
        let is_known = |name: &&String| {
            NOT_SET.contains(&name.as_str()) || FIELDS.iter().any(|(field, _)| field == name)
        };
        let forgotten: Vec<_> = row.keys().filter(|name| !is_known(name)).collect();
        assert!(forgotten.is_empty(), "{forgotten:?} of {} are forgotten", thing.new);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused_by_name_and_changes_nothing() -> anyhow::Result<()> {
    let node = start().await?;
    for thing in THINGS {
        let (status, told) = node.send(thing.new, &(thing.made_by)("it")).await?;
        assert_eq!(status, 200, "{}: {told}", thing.new);
        let before = node.row(thing, "it").await?.expect("it was made");
        for (field, takes) in FIELDS.iter().filter(|(field, _)| before.contains_key(*field)) {
            for wrong in takes.wrong() {
                let made = with((thing.made_by)("never"), field, wrong.clone());
                let id = (thing.made_by)("it")[thing.id].clone();
                let changed = with(json!({(thing.id): id}), field, wrong.clone());
                for (path, body) in [(thing.new, made), (thing.update, changed)] {
                    let (status, told) = node.send(path, &body).await?;
                    assert!(matches!(status, 400 | 422), "{path} {body}: {status} {told}");
                    assert!(told.contains(field), "{path} {body}: {told}");
                }
            }
        }
        assert!(node.row(thing, "never").await?.is_none(), "{}: one was made", thing.new);
        let after = node.row(thing, "it").await?.expect("it is there still");
        assert_eq!(before, after, "{}", thing.update);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_absent_stays_and_null_clears() -> anyhow::Result<()> {
    let node = start().await?;
    for thing in THINGS {
        node.send(thing.new, &(thing.made_by)("it")).await?;
        let bare = node.row(thing, "it").await?.expect("it was made");
        let change = async |field: &str, value: Value| {
            let id = (thing.made_by)("it")[thing.id].clone();
            let body = with(json!({(thing.id): id}), field, value);
            let (status, told) = node.send(thing.update, &body).await?;
            anyhow::ensure!(status == 200, "{} {body}: {status} {told}", thing.update);
            Ok(node.row(thing, "it").await?.expect("it is there still"))
        };
        let mut before = bare.clone();
        for (field, takes) in FIELDS.iter().filter(|(field, _)| bare.contains_key(*field)) {
            let Some(right) = takes.right().filter(|_| is_taken(thing, field)) else { continue };
            let right = if *field == "allowed_routes" { json!(["/key/info"]) } else { right };
            let after = change(field, right.clone()).await?;
            let shown = if *takes == Takes::Object {
                subset(&after[*field], &right)
            } else {
                after[*field].clone()
            };
            assert_eq!(shown, right, "{} {field}", thing.update);
            for (name, value) in lasting(&before) {
                // LiteLLM shows some fields in the metadata, too.
                if name != *field && name != "metadata" {
                    assert_eq!(&after[name], value, "{} {field} changed {name}", thing.update);
                }
            }
            before = after;
        }
        for (field, takes) in FIELDS.iter().filter(|(field, _)| bare.contains_key(*field)) {
            if *field == "organization_alias" {
                assert!(change(field, Value::Null).await.is_err(), "it is required");
                change(field, bare[*field].clone()).await?;
            } else if takes.right().is_some() && is_taken(thing, field) {
                let after = change(field, Value::Null).await?;
                let cleared = &after[*field];
                let is_bare = *cleared == bare[*field] || cleared.is_null();
                assert!(is_bare || *field == "metadata", "{} {field}: {cleared}", thing.update);
            }
        }
        let after = node.row(thing, "it").await?.expect("it is there still");
        let (after, bare) = (lasting(&after), lasting(&bare));
        assert_eq!(after, bare, "{}: all is as it was", thing.update);
    }
    Ok(())
}

/// Whether a field that a row shows can be set there: budgets and tags list no models, and some fields
/// are in force for keys alone, or for keys and teams.
fn is_taken(thing: &Thing, field: &str) -> bool {
    let is = |things: &[&str]| things.contains(&thing.new);
    match field {
        "models" => !is(&["/budget/new", "/tag/new"]),
        "allowed_routes" | "enforced_params" | "tag_rpm_limit" => is(&["/key/generate"]),
        "rpm_limit_type" | "tpm_limit_type" => is(&["/key/generate", "/team/new"]),
        _ => true,
    }
}

fn subset(shown: &Value, expected: &Value) -> Value {
    let names = expected.as_object().into_iter().flatten().map(|(name, _)| name);
    names.map(|name| (name.clone(), shown[name].clone())).collect::<Map<_, _>>().into()
}
