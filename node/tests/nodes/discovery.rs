//! What agents ask before they call: windows, prices and abilities of models, without credentials.

use dunlin_cluster::Client;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup};

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let config = format!(
        "model_list:
  - model_name: fast
    litellm_params: {{model: openai/gpt-4o-mini, api_base: '{base}', api_key: sk-upstream, rpm: 10}}
    model_info: {{id: one, tier: free, max_input_tokens: 1000}}
  - model_name: fast
    litellm_params: {{model: hosted_vllm/qwen, api_base: '{base}', rpm: 5}}
  - model_name: other
    litellm_params: {{model: hosted_vllm/llama, api_base: '{base}'}}
  - model_name: cloud/*
    litellm_params: {{model: openai/*, api_key: sk-upstream}}
router_settings:
  model_group_alias: {{quick: fast}}
"
    );
    harness::start_with(1, mock, config).await
}

async fn get(setup: &Setup, caller: &Client, path: &str) -> anyhow::Result<(u16, Value)> {
    let reply = caller.get(&setup.cluster.url(0, path)).await?;
    Ok((reply.status, reply.json()?))
}

fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().expect("a list").iter();
    data.map(|model| model["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_described_to_those_who_may_call_them() -> anyhow::Result<()> {
    let setup = start().await?;
    let admin = setup.cluster.client();
    let (status, info) = get(&setup, admin, "/v1/model/info").await?;
    assert_eq!(status, 200, "{info}");
    let text = info.to_string();
    assert!(!text.contains("sk-upstream") && !text.contains("api_key"), "{text}");
    let rows = info["data"].as_array().expect("rows");
    let one = rows.iter().find(|row| row["model_info"]["id"] == "one").expect("by its own id");
    assert_eq!(one["model_name"], "fast");
    assert_eq!(one["litellm_params"]["model"], "openai/gpt-4o-mini");
    let about = &one["model_info"];
    assert_eq!(
        about["max_input_tokens"], 1000,
        "the operator's word goes before what is published"
    );
    assert_eq!((&about["tier"], &about["mode"]), (&json!("free"), &json!("chat")));
    assert!(about["input_cost_per_token"].as_f64() > Some(0.0), "{about}");
    assert_eq!(about["supports_function_calling"], true);

    let (status, found) = get(&setup, admin, "/model/info?litellm_model_id=one").await?;
    assert_eq!((status, found["data"].as_array().map(Vec::len)), (200, Some(1)));
    let (status, missing) = get(&setup, admin, "/model/info?litellm_model_id=two").await?;
    assert_eq!(status, 400);
    assert_eq!(missing["detail"]["error"], "Model id = two not found on litellm proxy");

    for query in ["page=0", "page=-1", "page=", "size=0", "size=1001", "size=x"] {
        let (status, refused) = get(&setup, admin, &format!("/v2/model/info?{query}")).await?;
        let place = json!(["query", query.split('=').next()]);
        assert_eq!((status, &refused["detail"][0]["loc"]), (422, &place), "{query}: {refused}");
    }
    let (_, page) = get(&setup, admin, "/v2/model/info?size=2&page=2").await?;
    assert_eq!(page["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(page["total_count"].as_u64(), Some(rows.len() as u64));

    let (_, groups) = get(&setup, admin, "/model_group/info?model_group=quick").await?;
    let group = &groups["data"][0];
    assert_eq!(group["providers"], json!(["hosted_vllm", "openai"]));
    assert_eq!((&group["rpm"], &group["supports_vision"]), (&json!(15), &json!(true)));

    let key = setup.make_key(0, json!({"models": ["other"]})).await?;
    let (_, info) = get(&setup, &key, "/model/info").await?;
    let names: Vec<&Value> =
        info["data"].as_array().expect("rows").iter().map(|row| &row["model_name"]).collect();
    assert_eq!(names, ["other"]);
    let (status, _) =
        get(&setup, &admin.with_key("sk-nobody-knows-this-key"), "/model/info").await?;
    assert_eq!(status, 401);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_are_listed_as_the_models_they_stand_for() -> anyhow::Result<()> {
    let setup = start().await?;
    let (_, list) = get(&setup, setup.cluster.client(), "/v1/models").await?;
    let all = ids(&list);
    assert!(
        all.contains(&"cloud/gpt-4o".to_owned()) && all.contains(&"quick".to_owned()),
        "{all:?}"
    );
    let key = setup.make_key(0, json!({"models": ["cloud/gpt-4o", "fast"]})).await?;
    let (_, list) = get(&setup, &key, "/v1/models").await?;
    assert_eq!(ids(&list), ["fast", "quick", "cloud/gpt-4o"]);
    let (status, _) = get(&setup, &key, "/v1/models/cloud/gpt-4o").await?;
    assert_eq!(status, 200);

    let (_, list) = get(&setup, &key, "/models?client_version=0.99.0").await?;
    let models = list["models"].as_array().expect("in Codex's shape");
    let slugs: Vec<&Value> = models.iter().map(|model| &model["slug"]).collect();
    assert_eq!(slugs, ["fast", "quick", "cloud/gpt-4o"]);
    let (window, modalities) = (&models[0]["context_window"], &models[0]["input_modalities"]);
    assert_eq!((window, modalities), (&json!(1000), &json!(["text", "image"])));
    // What Codex cannot do without.
    for name in ["base_instructions", "experimental_supported_tools", "shell_type", "visibility"] {
        assert!(!models[0][name].is_null(), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_list_names_behind_a_pattern_is_listed_to_whom_it_bounds() -> anyhow::Result<()> {
    let setup = start().await?;
    let team = json!({"team_id": "t", "models": ["cloud/new-one", "fast"]});
    setup.admin(0, "/team/new", team).await?;
    let listing = json!({"models": ["cloud/new-one", "nowhere/new-one", "fast"]});
    let (own, of_team) = (setup.make_key(0, listing), setup.make_key(0, json!({"team_id": "t"})));
    for key in [own.await?, of_team.await?] {
        let (_, list) = get(&setup, &key, "/v1/models").await?;
        assert_eq!(ids(&list), ["fast", "quick", "cloud/new-one"]);
        let (status, _) = get(&setup, &key, "/v1/models/cloud/new-one").await?;
        assert_eq!(status, 200);
        let (_, groups) = get(&setup, &key, "/model_group/info?model_group=cloud/new-one").await?;
        assert_eq!(groups["data"][0]["providers"], json!(["openai"]), "{groups}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_told() -> anyhow::Result<()> {
    let setup = start().await?;
    let admin = setup.cluster.client();
    let (_, params) = get(&setup, admin, "/utils/supported_openai_params?model=fast").await?;
    let params = params["supported_openai_params"].as_array().expect("a list");
    assert!(params.contains(&json!("temperature")), "{params:?}");
    let (status, _) = get(&setup, admin, "/utils/supported_openai_params?model=nothing").await?;
    assert_eq!(status, 400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_looked_up_by_name() -> anyhow::Result<()> {
    let setup = start().await?;
    let admin = setup.cluster.client();
    // One that nobody serves here, and one by its name here.
    let (_, told) = get(&setup, admin, "/utils/model_info?model=gpt-4o").await?;
    assert_eq!(
        (&told["model"], &told["custom_llm_provider"]),
        (&json!("gpt-4o"), &json!("openai"))
    );
    let info = &told["model_info"];
    assert_eq!((&info["key"], &info["mode"]), (&json!("gpt-4o"), &json!("chat")));
    assert!(info["input_cost_per_token"].as_f64().is_some_and(|usd| usd > 0.0), "{told}");
    assert!(info["supported_openai_params"].as_array().is_some_and(|all| !all.is_empty()));
    let path = "/utils/model_info?model=gpt-4o&custom_llm_provider=azure";
    assert_eq!(get(&setup, admin, path).await?.1["custom_llm_provider"], "azure");
    let (_, told) = get(&setup, admin, "/utils/model_info?model=fast").await?;
    assert_eq!(told["model_info"]["max_input_tokens"], 1000, "{told}");
    for (path, status) in [
        ("/utils/model_info?model=nothing", 404),
        ("/utils/model_info?model=gpt-4o&custom_llm_provider=nobody", 404),
        ("/utils/model_info", 400),
    ] {
        assert_eq!(get(&setup, admin, path).await?.0, status, "{path}");
    }
    let (_, all) = get(&setup, admin, "/model/info").await?;
    for query in ["model=fast", "litellm_model_id=fast"] {
        let (_, found) = get(&setup, admin, &format!("/model/info?{query}")).await?;
        let found = found["data"].as_array().expect("a list");
        let named = all["data"].as_array().expect("a list").iter();
        let named: Vec<&Value> = named.filter(|row| row["model_name"] == "fast").collect();
        assert!(!named.is_empty() && found.iter().eq(named), "{query}");
    }
    let (status, said) = get(&setup, admin, "/model/info?model=nothing").await?;
    let error = said["detail"]["error"].as_str().unwrap_or_default();
    assert_eq!((status, error.contains("nothing")), (400, true), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_queries_that_cannot_be_read_are_refused_in_the_clients_words()
-> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let http = dunlin_cluster::http_client()?;
    for (method, path, place) in [
        ("GET", "/v1/models?limit=abc", "/error/message"),
        ("GET", "/v1/models/%ff", "/error/message"),
        ("GET", "/v1/files/%ff", "/error/message"),
        ("POST", "/engines/%ff/chat/completions", "/error/message"),
        ("POST", "/v1beta/models/%ff:generateContent", "/error/status"),
    ] {
        let url = setup.cluster.url(0, path);
        let response = http.request(method.parse()?, &url).bearer_auth("x").send().await?;
        assert_eq!(response.status(), 400, "{path}");
        let said: Value = response.json().await?;
        assert!(said.pointer(place).is_some_and(Value::is_string), "{path}: {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_for_every_model() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let caller = setup.make_key(0, json!({"models": ["chat"]})).await?;
    let url = setup.cluster.url(0, "/utils/token_counter");
    let messages = json!([{"role": "user", "content": "hi"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "hi there"}]}]);
    for body in [json!({"prompt": "x"}), json!({"model": "chat", "prompt": 5}), json!([])] {
        let reply = caller.post(&url, &body).await?;
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert!(reply.body.contains("a text for `model`"), "{}", reply.body);
    }
    for (body, model, tokens) in [
        (json!({"model": "chat", "messages": messages}), "upstream-name", 8),
        (json!({"model": "chat", "prompt": "hello world"}), "upstream-name", 2),
        (json!({"model": "chat", "contents": contents}), "upstream-name", 9),
    ] {
        let reply = caller.post(&url, &body).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let counted: Value = reply.json()?;
        assert_eq!(counted["total_tokens"], tokens, "{}", reply.body);
        assert_eq!(
            (&counted["request_model"], &counted["model_used"]),
            (&json!("chat"), &json!(model))
        );
    }
    // What stands beside the messages counts as well.
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let function = json!({"name": "weather", "parameters": schema});
    for beside in [
        json!({"tools": [{"type": "function", "function": function}]}),
        json!({"tools": [{"name": "weather", "input_schema": schema}]}),
        json!({"system": "Be brief and kind."}),
    ] {
        let mut body = json!({"model": "chat", "messages": messages});
        body.as_object_mut().expect("an object").extend(beside.as_object().cloned().expect("one"));
        let counted: Value = caller.post(&url, &body).await?.json()?;
        assert!(counted["total_tokens"].as_u64() > Some(10), "{body} {counted}");
    }
    for (body, status) in [
        (json!({"model": "chat"}), 400),
        (json!({"messages": messages}), 400),
        (json!({"model": "other", "messages": messages}), 403),
    ] {
        assert_eq!(caller.post(&url, &body).await?.status, status, "{body}");
    }
    let unknown = json!({"model": "gpt-4o", "messages": messages});
    let reply = setup.cluster.client().post(&url, &unknown).await?;
    assert!(reply.body.contains(r#""model_used":"gpt-4o""#), "{}", reply.body);
    assert_eq!(setup.mock.stats().requests, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_described_and_what_is_described_is_served() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let nobody = dunlin_cluster::Client::new("")?;
    let document: Value = nobody.get(&setup.cluster.url(0, "/openapi.json")).await?.json()?;
    let paths = document["paths"].as_object().expect("paths");
    let known = ["/v1/chat/completions", "/key/generate", "/openai/{rest}", "/health/liveliness"];
    assert!(known.iter().all(|path| paths.contains_key(*path)), "{:?}", paths.keys());
    let http = dunlin_cluster::http_client()?;
    for (path, operations) in paths {
        for method in operations.as_object().expect("operations").keys() {
            let filled = path
                .split('/')
                .map(|part| if part.starts_with('{') { "x:countTokens" } else { part });
            let url = setup.cluster.url(0, &filled.collect::<Vec<_>>().join("/"));
            let method: reqwest::Method = method.to_ascii_uppercase().parse()?;
            let answer = http.request(method.clone(), url).send().await?;
            let (status, body) = (answer.status().as_u16(), answer.text().await?);
            assert_ne!(status, 405, "{method} {path}");
            // Who may not drain a node is told that there is no such thing, as in LiteLLM.
            let is_hidden = (method.as_str(), path.as_str()) == ("GET", "/health/drain");
            assert_eq!(body == r#"{"detail":"Not Found"}"#, is_hidden, "{method} {path}");
        }
    }
    let routes: Value = nobody.get(&setup.cluster.url(0, "/routes")).await?.json()?;
    assert_eq!(routes["routes"].as_array().map(Vec::len), Some(paths.len()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teams_models_are_listed_to_whom_it_concerns_and_all_to_those_who_lead()
-> anyhow::Result<()> {
    let setup = start().await?;
    let mut keys = Vec::new();
    for (user, role) in [
        ("lead", "internal_user"),
        ("dev", "internal_user"),
        ("stranger", "internal_user"),
        ("auditor", "proxy_admin_viewer"),
        ("root", "proxy_admin"),
    ] {
        let body = json!({"user_id": user, "user_role": role, "models": ["other"]});
        let made: Value = setup.admin(0, "/user/new", body).await?.json()?;
        let key = made["key"].as_str().expect("a key");
        keys.push((user, setup.cluster.client().with_key(key)));
    }
    let team = json!({"team_id": "t", "models": ["fast"], "members_with_roles": [
        {"user_id": "lead", "role": "admin"}, {"user_id": "dev", "role": "user"}]});
    setup.admin(0, "/team/new", team).await?;
    let of_team = setup.make_key(0, json!({"team_id": "t"})).await?;
    keys.extend([("the team's", of_team), ("the master", setup.cluster.client().clone())]);
    let all = ["fast", "other", "quick"];
    for (who, key) in &keys {
        let own: &[&str] = match *who {
            "the team's" => &["fast", "quick"],
            "the master" => &all,
            _ => &["other"],
        };
        let expanded: &[&str] = if matches!(*who, "lead" | "root") { &all } else { own };
        let team = (*who != "stranger").then_some(&["fast", "quick"][..]);
        for (query, expected) in
            [("", Some(own)), ("?team_id=t", team), ("?scope=expand", Some(expanded))]
        {
            let (status, list) = get(&setup, key, &format!("/v1/models{query}")).await?;
            let Some(expected) = expected else {
                assert_eq!(status, 403, "{who}{query}: {list}");
                assert!(list["detail"]["error"].is_string(), "{list}");
                continue;
            };
            assert_eq!(status, 200, "{who}{query}: {list}");
            let found = ids(&list).into_iter().filter(|id| !id.starts_with("cloud/"));
            assert_eq!(found.collect::<Vec<_>>(), expected, "{who}{query}");
        }
    }
    let dev = &keys[1].1;
    for (key, query, expected) in [
        (dev, "team_id=none", 403),
        (setup.cluster.client(), "team_id=none", 404),
        (dev, "scope=all", 400),
        (dev, "include_metadata=true&fallback_type=any", 400),
        (dev, "healthy_only=perhaps", 422),
    ] {
        let (status, told) = get(&setup, key, &format!("/v1/models?{query}")).await?;
        assert_eq!(status, expected, "{query}: {told}");
        assert!(!told["detail"].is_null(), "{query}: {told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_holds_what_its_query_asks_for() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let model = |name: &str, base: &str, more: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{model: openai/upstream-name, api_base: \
             '{base}', api_key: sk-x}}\n    model_info: {{{more}}}\n"
        )
    };
    let config = format!(
        "model_list:\n{}{}{}{}router_settings:\n  fallbacks: [{{a: [b]}}]\n  \
         context_window_fallbacks: [{{a: [down]}}]\n  num_retries: 0\n  cooldown_time: 60\n  \
         allowed_fails: 0\n",
        model("a", &base, "access_groups: [beta]"),
        model("b", &base, ""),
        model("down", "http://127.0.0.1:9/v1", ""),
        model("own/*", &base, "access_groups: [beta]"),
    );
    let setup = harness::start_with(1, mock, config).await?;
    let some = setup.make_key(0, json!({"models": ["beta", "b"]})).await?;
    let master = setup.cluster.client();
    for (key, query, expected) in [
        (master, "", &["a", "b", "down"][..]),
        (master, "return_wildcard_routes=true", &["a", "b", "down", "own/*"]),
        (master, "include_model_access_groups=True", &["a", "b", "down", "beta"]),
        (master, "only_model_access_groups=1", &["beta"]),
        (master, "return_wildcard_routes=false&healthy_only=0", &["a", "b", "down"]),
        (&some, "", &["a", "b"]),
        (&some, "return_wildcard_routes=true", &["a", "b", "own/*"]),
        (&some, "include_model_access_groups=true", &["a", "b", "beta"]),
    ] {
        let (status, list) = get(&setup, key, &format!("/v1/models?{query}")).await?;
        assert_eq!(
            (status, ids(&list)),
            (200, expected.iter().map(|id| (*id).to_owned()).collect()),
            "{query}"
        );
    }
    for (kind, after) in [
        ("", json!(["b"])),
        ("&fallback_type=general", json!(["b"])),
        ("&fallback_type=context_window", json!(["down"])),
        ("&fallback_type=content_policy", json!([])),
    ] {
        let path = format!("/v1/models?include_metadata=true{kind}");
        let (_, list) = get(&setup, master, &path).await?;
        assert_eq!(list["data"][0]["metadata"]["fallbacks"], after, "{kind}");
    }
    dunlin_cluster::wait_until("what cannot be reached is not listed", harness::SOON, async || {
        let chat = json!({"model": "down", "messages": [{"role": "user", "content": "hi"}]});
        let _failed = setup.ask(0, master, &chat).await;
        let list = get(&setup, master, "/v1/models?healthy_only=true").await;
        list.is_ok_and(|(_, list)| ids(&list) == ["a", "b"])
    })
    .await
}
