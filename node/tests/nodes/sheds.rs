//! Nobody but an admin takes off what binds: who tries what, on whose key or team, by which route. What
//! is refused changes nothing.

use std::collections::BTreeMap;

use dunlin_cluster::{Client, Reply};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup};

/// A world with a shared budget `b` (and a `wide` one), organizations `o` and `p`, the team `t` of
/// `o`, led by lead, and the teams `open`, whose members may do everything with their keys, and
/// `also`, which lead and boss lead, too. Dev is a member of all and boss leads `o`.
struct World {
    setup: Setup,
    callers: Vec<(&'static str, Client)>,
}

const ROLES: [(&str, &str); 5] = [
    ("dev", "internal_user"),
    ("lead", "internal_user"),
    ("boss", "internal_user"),
    ("reader", "internal_user_viewer"),
    ("auditor", "proxy_admin_viewer"),
];

impl World {
    async fn start() -> anyhow::Result<Self> {
        let setup = harness::start(1).await?;
        for (path, body) in [
            (
                "/budget/new",
                json!({"budget_id": "b", "max_budget": 1, "budget_duration": "30d",
                "rpm_limit": 5, "tpm_limit": 500, "max_parallel_requests": 2, "strict_budget": true,
                "model_max_budget": {"chat": {"max_budget": 1}},
                "budget_limits": [{"budget_duration": "1d", "max_budget": 1}]}),
            ),
            ("/budget/new", json!({"budget_id": "wide", "max_budget": 1000})),
            ("/organization/new", json!({"organization_id": "o", "organization_alias": "O"})),
            ("/organization/new", json!({"organization_id": "p", "organization_alias": "P"})),
        ] {
            setup.admin(0, path, body).await?;
        }
        let mut callers = Vec::new();
        for (name, role) in ROLES {
            let body = json!({"user_id": name, "user_role": role, "max_budget": 5});
            let made: Value = setup.admin(0, "/user/new", body).await?.json()?;
            let key = made["key"].as_str().expect("a key");
            callers.push((name, setup.cluster.client().with_key(key)));
        }
        let member = |user: &str, role: &str| json!({"user_id": user, "role": role});
        let leads = json!({"organization_id": "o", "member": member("boss", "org_admin")});
        setup.admin(0, "/organization/member_add", leads).await?;
        for body in [
            json!({"team_id": "t", "organization_id": "o", "budget_id": "b", "models": ["chat"],
                "tags": ["x"],
                "members_with_roles": [member("lead", "admin"), member("dev", "user")]}),
            json!({"team_id": "open", "members_with_roles": [member("dev", "user")],
                "team_member_permissions": ["/key/update", "/key/generate", "/key/regenerate",
                    "/key/service-account/generate"]}),
            json!({"team_id": "also", "members_with_roles":
                [member("lead", "admin"), member("dev", "user"), member("boss", "admin")],
                "team_member_permissions": ["/key/update", "/key/regenerate"]}),
        ] {
            setup.admin(0, "/team/new", body).await?;
        }
        Ok(Self { setup, callers })
    }

    async fn post(&self, who: &str, path: &str, body: &Value) -> anyhow::Result<Reply> {
        let (_, caller) = self.callers.iter().find(|(name, _)| *name == who).expect("a caller");
        Ok(caller.post(&self.setup.cluster.url(0, path), body).await?)
    }

    /// Another key, made by an admin.
    async fn key(&self, whose: &str) -> anyhow::Result<String> {
        let (path, body) = match whose {
            "own" => (
                "/key/generate",
                json!({"user_id": "dev", "organization_id": "o",
                "models": ["chat"], "tags": ["x"], "duration": "30d", "enforced_params": ["user"],
                "allowed_routes": ["llm_api_routes"], "rpm_limit": 5, "max_budget": 1,
                "model_max_budget": {"chat": {"max_budget": 1, "rpm_limit": 5}}}),
            ),
            "shared" => ("/key/generate", json!({"user_id": "dev", "budget_id": "b"})),
            "blocked" => ("/key/generate", json!({"user_id": "dev", "blocked": true})),
            "team" => ("/key/generate", json!({"user_id": "dev", "team_id": "t"})),
            "plain" => ("/key/generate", json!({"user_id": "dev"})),
            "leads" => ("/key/generate", json!({"user_id": "lead"})),
            "bosses" => ("/key/generate", json!({"user_id": "boss", "rpm_limit": 5})),
            "open" => ("/key/generate", json!({"user_id": "dev", "team_id": "open"})),
            "led" => ("/key/generate", json!({"user_id": "lead", "team_id": "t"})),
            "service" => ("/key/service-account/generate", json!({"team_id": "t"})),
            other => panic!("no key is called {other}"),
        };
        let made: Value = self.setup.admin(0, path, body).await?.json()?;
        Ok(made["key"].as_str().expect("a key").to_owned())
    }

    /// A row, without what every look at it changes.
    async fn row(&self, path: &str) -> anyhow::Result<Value> {
        let reply = self.setup.cluster.client().get(&self.setup.cluster.url(0, path)).await?;
        reply.json()
    }
}

/// Who tries it, on whose key or by which route, with what, and the answer's status.
type Attempt = (&'static str, &'static str, Value, u16);

/// What is tried on a key by those who have it, and by those who lead its team or its organization.
fn of_owners() -> Vec<Attempt> {
    vec![
        ("dev", "own", json!({"key_alias": null}), 200),
        ("dev", "own", json!({"max_budget": 0.5}), 200),
        ("dev", "open", json!({"team_id": null}), 403),
        ("dev", "open", json!({"team_id": null, "user_id": "dev"}), 403),
        ("dev", "open", json!({"team_id": "also"}), 403),
        ("dev", "open", json!({"max_budget": 1}), 200),
        ("dev", "plain", json!({"team_id": "open"}), 403),
        ("dev", "plain", json!({"team_id": "open", "user_id": null}), 403),
        ("lead", "leads", json!({"team_id": "t", "user_id": null}), 403),
        ("lead", "leads", json!({"team_id": "t"}), 403),
        ("lead", "led", json!({"team_id": null}), 403),
        ("lead", "led", json!({"team_id": "also"}), 403),
        ("lead", "service", json!({"team_id": "also"}), 403),
        ("boss", "bosses", json!({"organization_id": "o"}), 403),
        ("boss", "led", json!({"team_id": "also"}), 403),
        ("dev", "open", json!({"user_id": null}), 403),
        ("dev", "open", json!({"user_id": "lead"}), 403),
        ("dev", "open", json!({"organization_id": "o"}), 403),
        ("dev", "open", json!({"team_id": "t"}), 403),
        ("dev", "blocked", json!({"blocked": false}), 403),
        ("dev", "blocked", json!({"blocked": null}), 403),
        ("dev", "led", json!({"key_alias": "mine"}), 403),
        ("lead", "led", json!({"organization_id": "o"}), 200),
        ("lead", "led", json!({"organization_id": "p"}), 403),
        ("lead", "led", json!({"user_id": null}), 200),
        ("lead", "team", json!({"user_id": null}), 200),
        ("lead", "team", json!({"team_id": null}), 403),
        ("lead", "team", json!({"user_id": "boss"}), 403),
        ("lead", "led", json!({"max_budget": 2}), 403),
        ("lead", "led", json!({"budget_id": "wide"}), 403),
        ("lead", "led", json!({"models": ["other"]}), 403),
        ("lead", "service", json!({"team_id": null}), 403),
        ("lead", "own", json!({"key_alias": "mine"}), 403),
        ("boss", "own", json!({"organization_id": null}), 403),
        ("boss", "led", json!({"organization_id": "p"}), 403),
        ("boss", "service", json!({"rpm_limit": 9}), 403),
        ("boss", "service", json!({"rpm_limit": 1}), 200),
        ("reader", "own", json!({"max_budget": null}), 401),
        ("auditor", "own", json!({"max_budget": null}), 401),
    ]
}

/// What is tried on a key: by whom, whose it is, the fields, and the answer.
fn of_keys() -> Vec<Attempt> {
    let mut all = of_owners();
    for (whose, field, values) in [
        ("own", "user_id", vec![json!(null), json!(""), json!("lead")]),
        ("own", "organization_id", vec![json!(null), json!(""), json!("p")]),
        ("own", "models", vec![json!(null), json!([]), json!(["*"]), json!(["all-team-models"])]),
        ("own", "aliases", vec![json!({"chat": "other"})]),
        ("own", "max_budget", vec![json!(null), json!(2)]),
        ("own", "budget_duration", vec![json!("1h")]),
        ("own", "model_max_budget", vec![json!(null), json!({}), json!({"chat": {}})]),
        ("own", "model_rpm_limit", vec![json!({"chat": 50})]),
        ("own", "rpm_limit", vec![json!(null), json!(6)]),
        ("own", "rpm_limit_type", vec![json!("dynamic")]),
        ("own", "throttle_on_budget_exceeded", vec![json!(true)]),
        ("own", "tags", vec![json!(null), json!([]), json!(["y"])]),
        ("own", "metadata", vec![json!({"tags": []}), json!({"rpm_limit_type": "dynamic"})]),
        ("own", "enforced_params", vec![json!(null), json!([])]),
        ("own", "allowed_routes", vec![json!(null), json!([]), json!(["management_routes"])]),
        ("own", "key_type", vec![json!("default")]),
        ("own", "duration", vec![json!(null), json!("-1"), json!("60d")]),
        ("own", "spend", vec![json!(0)]),
        ("own", "team_id", vec![json!("t")]),
        ("team", "team_id", vec![json!(null), json!(""), json!("open")]),
        ("team", "user_id", vec![json!(null), json!("")]),
        ("team", "key_alias", vec![json!("mine")]),
        ("shared", "budget_id", vec![json!(null), json!(""), json!("wide")]),
        ("shared", "max_budget", vec![json!(50), json!(1), json!(0.5)]),
        ("shared", "budget_duration", vec![json!("1h"), json!("30d")]),
        ("shared", "budget_limits", vec![json!([{"budget_duration": "1d", "max_budget": 9}])]),
        ("shared", "model_max_budget", vec![json!({"chat": {"rpm_limit": 9}})]),
        ("shared", "strict_budget", vec![json!(false)]),
        ("shared", "rpm_limit", vec![json!(50)]),
        ("shared", "rpm_limit_type", vec![json!("dynamic")]),
        ("shared", "tpm_limit", vec![json!(5000)]),
        ("shared", "max_parallel_requests", vec![json!(50)]),
        ("shared", "throttle_on_budget_exceeded", vec![json!(true)]),
    ] {
        all.extend(values.into_iter().map(|value| ("dev", whose, json!({field: value}), 403)));
    }
    let more = json!({"temp_budget_increase": 5, "temp_budget_expiry": "2099-01-01"});
    all.extend(["own", "shared"].map(|whose| ("dev", whose, more.clone(), 403)));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_what_an_admin_put_on_it() -> anyhow::Result<()> {
    let world = World::start().await?;
    let mut keys = BTreeMap::new();
    for (who, whose, fields, status) in of_keys() {
        for path in ["/key/update", "/key/regenerate"] {
            let key = match keys.remove(whose) {
                Some(key) => key,
                None => world.key(whose).await?,
            };
            let info = format!("/key/info?key={key}");
            let before = world.row(&info).await?;
            let mut body = fields.clone();
            body["key"] = json!(key);
            let reply = world.post(who, path, &body).await?;
            let what = format!("{who} at {path} with {fields} on {whose}: {}", reply.body);
            assert_eq!(reply.status, status, "{what}");
            if status != 200 {
                let told: Value = reply.json()?;
                assert_eq!(told["error"]["code"], json!(status.to_string()), "{what}");
                assert_eq!(world.row(&info).await?, before, "{what}");
                keys.insert(whose, key);
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_its_user_made_keeps_what_an_admin_put_on_it_later() -> anyhow::Result<()> {
    let world = World::start().await?;
    let made: Value = world.post("dev", "/key/generate", &json!({"rpm_limit": 5})).await?.json()?;
    let key = &made["key"];
    let set = async |fields: Value| -> anyhow::Result<u16> {
        let mut body = fields;
        body["key"] = key.clone();
        Ok(world.post("dev", "/key/update", &body).await?.status)
    };
    assert_eq!(set(json!({"rpm_limit": 50})).await?, 200, "its own will");
    world.setup.admin(0, "/key/update", json!({"key": key, "rpm_limit": 2})).await?;
    assert_eq!(set(json!({"key_alias": "mine"})).await?, 200);
    assert_eq!(set(json!({"rpm_limit": 50})).await?, 403, "an admin's");
    assert_eq!(set(json!({"rpm_limit": 1})).await?, 200);
    world.setup.admin(0, "/key/block", json!({"key": key})).await?;
    assert_eq!(set(json!({"blocked": false})).await?, 403);
    Ok(())
}

/// What is tried elsewhere: by whom, by which route, with what, and the answer.
fn of_others() -> Vec<Attempt> {
    vec![
        ("dev", "/key/generate", json!({"team_id": "t"}), 403),
        ("dev", "/key/generate", json!({"user_id": "lead"}), 403),
        ("dev", "/key/generate", json!({"organization_id": "o"}), 403),
        ("dev", "/key/generate", json!({"team_id": "open", "organization_id": "o"}), 403),
        ("dev", "/key/generate", json!({"team_id": "open"}), 200),
        ("dev", "/key/generate", json!({"budget_id": "wide"}), 403),
        ("dev", "/key/service-account/generate", json!({"team_id": "t"}), 403),
        ("dev", "/key/service-account/generate", json!({"team_id": "open"}), 200),
        ("lead", "/key/generate", json!({"team_id": "t", "organization_id": "p"}), 403),
        ("lead", "/key/generate", json!({"team_id": "t", "organization_id": "o"}), 200),
        ("lead", "/key/generate", json!({"team_id": "t", "budget_id": "wide"}), 403),
        ("boss", "/key/generate", json!({"team_id": "t", "organization_id": "p"}), 403),
        ("boss", "/key/generate", json!({"organization_id": "p"}), 403),
        ("boss", "/team/new", json!({"organization_id": "p"}), 403),
        ("boss", "/team/new", json!({"team_id": "loose"}), 403),
        ("boss", "/team/update", json!({"team_id": "t", "organization_id": "p"}), 403),
        ("boss", "/team/update", json!({"team_id": "t", "organization_id": null}), 403),
        ("lead", "/team/model/add", json!({"team_id": "t", "models": ["other"]}), 403),
        ("dev", "/team/model/add", json!({"team_id": "t", "models": ["other"]}), 403),
        ("dev", "/team/update", json!({"team_id": "t", "team_alias": "mine"}), 403),
        (
            "dev",
            "/team/permissions_update",
            json!({"team_id": "t",
            "team_member_permissions": ["/key/update"]}),
            403,
        ),
        (
            "dev",
            "/team/member_update",
            json!({"team_id": "t", "user_id": "dev",
            "role": "admin"}),
            403,
        ),
        (
            "dev",
            "/team/member_update",
            json!({"team_id": "t", "user_id": "dev",
            "max_budget_in_team": null}),
            403,
        ),
        (
            "lead",
            "/organization/member_add",
            json!({"organization_id": "o",
            "member": {"user_id": "lead", "role": "org_admin"}}),
            403,
        ),
        (
            "dev",
            "/team/key/bulk_update",
            json!({"team_id": "t", "all_keys_in_team": true,
            "update_fields": {"rpm_limit": null}}),
            403,
        ),
        ("dev", "/user/update", json!({"user_id": "dev", "max_budget": null}), 401),
        ("lead", "/user/bulk_update", json!({"users": [{"user_id": "lead"}]}), 401),
        ("lead", "/key/bulk_update", json!({"keys": [{"key": "sk-x", "rpm_limit": null}]}), 401),
        ("boss", "/budget/update", json!({"budget_id": "b", "max_budget": 9}), 401),
        ("boss", "/customer/new", json!({"user_id": "c"}), 401),
        ("boss", "/tag/update", json!({"name": "x", "max_budget": 9}), 401),
        ("dev", "/team/unblock", json!({"team_id": "t"}), 403),
        ("lead", "/customer/unblock", json!({"user_ids": ["c"]}), 401),
    ]
}

/// What the team's admin tries on its team.
fn of_teams() -> Vec<Attempt> {
    let mut all = Vec::new();
    for (field, values) in [
        ("organization_id", vec![json!(null), json!(""), json!("p")]),
        ("budget_id", vec![json!(null), json!(""), json!("wide")]),
        ("max_budget", vec![json!(50), json!(1)]),
        ("budget_duration", vec![json!("1h")]),
        ("budget_limits", vec![json!([{"budget_duration": "1d", "max_budget": 9}])]),
        ("model_max_budget", vec![json!({"chat": {"max_budget": 9}})]),
        ("strict_budget", vec![json!(false)]),
        ("rpm_limit", vec![json!(50)]),
        ("rpm_limit_type", vec![json!("dynamic")]),
        ("tpm_limit", vec![json!(5000)]),
        ("max_parallel_requests", vec![json!(50)]),
        ("models", vec![json!(null), json!([]), json!(["*"])]),
        ("tags", vec![json!(null), json!([])]),
        ("model_aliases", vec![json!({"chat": "other"})]),
        ("spend", vec![json!(0)]),
    ] {
        let body = |value: Value| json!({"team_id": "t", field: value});
        all.extend(values.into_iter().map(|value| ("lead", "/team/update", body(value), 403)));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_and_members_keep_what_is_above_them() -> anyhow::Result<()> {
    let world = World::start().await?;
    for (who, path, body, status) in of_others().into_iter().chain(of_teams()) {
        let before = world.row("/team/info?team_id=t").await?;
        let reply = world.post(who, path, &body).await?;
        assert_eq!(reply.status, status, "{who} at {path} with {body}: {}", reply.body);
        if status != 200 {
            let after = world.row("/team/info?team_id=t").await?;
            assert_eq!(after, before, "{who} at {path} with {body}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_budget_that_is_named_stands_before_the_configs_defaults() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "litellm_settings:\n  default_key_generate_params: {{max_budget: 50, tpm_limit: 7}}\n  \
         default_team_params: {{max_budget: 50}}\n  upperbound_key_generate_params: \
         {{max_budget: 100}}\n{}",
        harness::chat_config(&mock.api_base())
    );
    let setup = harness::start_with(1, mock, config).await?;
    for (name, most) in [("b", 1), ("wide", 1000)] {
        setup.admin(0, "/budget/new", json!({"budget_id": name, "max_budget": most})).await?;
    }
    for (path, body, budget) in [
        ("/key/generate", json!({"budget_id": "b"}), json!(null)),
        ("/key/generate", json!({}), json!(50.0)),
        ("/team/new", json!({"budget_id": "b"}), json!(null)),
        ("/team/new", json!({}), json!(50.0)),
    ] {
        let made: Value = setup.admin(0, path, body.clone()).await?.json()?;
        assert_eq!(made["max_budget"], budget, "{path} with {body}: {made}");
    }
    let wide = json!({"budget_id": "wide"});
    let client = setup.cluster.client();
    let refused = client.post(&setup.cluster.url(0, "/key/generate"), &wide).await?;
    assert_eq!(refused.status, 400, "beyond the config's bound: {}", refused.body);
    // The same of one that is named later. What was asked for is one's own, and stays.
    for (made_by, changed_by, name) in
        [("/key/generate", "/key/update", "key"), ("/team/new", "/team/update", "team_id")]
    {
        for (first, then, budget) in [
            (json!({}), json!({"budget_id": "b"}), json!(null)),
            (json!({}), json!({"budget_id": "b", "max_budget": 3}), json!(3.0)),
            (json!({"max_budget": 50}), json!({"budget_id": "b"}), json!(50.0)),
        ] {
            let made: Value = setup.admin(0, made_by, first.clone()).await?.json()?;
            let mut change = then.clone();
            change[name] = made[name].clone();
            let changed: Value = setup.admin(0, changed_by, change).await?.json()?;
            let row = if name == "key" { &changed } else { &changed["data"] };
            assert_eq!(row["max_budget"], budget, "{changed_by}: {first}, then {then}: {changed}");
            assert_eq!(row["budget_id"], "b", "{changed}");
        }
    }
    let bound = setup.make_key(0, json!({})).await?;
    let beyond = json!({"key": bound.key(), "budget_id": "wide"});
    let refused = client.post(&setup.cluster.url(0, "/key/update"), &beyond).await?;
    assert_eq!(refused.status, 400, "beyond the config's bound: {}", refused.body);
    Ok(())
}
