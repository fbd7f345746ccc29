//! Whatever a model is called, and whoever it is bound for.

use super::*;

/// A key, a team and a user may each have what is for one model.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_model_binds_keys_teams_and_users_by_any_name() -> anyhow::Result<()> {
    for rows in [Rows::Exact, Rows::Pattern] {
        let setup = rows.start().await?;
        let ours = &*rows.ours("openai");
        let names = json!({"theirs": ours});
        let limits = [
            json!({"model_max_budget": spent_on(ours)}),
            json!({"model_rpm_limit": {ours: 0}}),
            json!({"model_tpm_limit": {ours: 0}}),
        ];
        for limit in limits {
            let mut team = json!({"model_aliases": names});
            let mut user = json!({"auto_create_key": false});
            let fields = limit.as_object().expect("an object");
            for (field, value) in fields {
                team[field] = value.clone();
                user[field] = value.clone();
            }
            let team = setup.admin(0, "/team/new", team).await?.json::<Value>()?["team_id"].clone();
            let user = setup.admin(0, "/user/new", user).await?.json::<Value>()?["user_id"].clone();
            let free = json!({"model_aliases": names});
            let free = setup.admin(0, "/team/new", free).await?.json::<Value>()?["team_id"].clone();
            let aliases = json!({"mine": ours, "own": "theirs"});
            let mut of_key = json!({"team_id": free, "aliases": aliases});
            fields.iter().for_each(|(field, value)| of_key[field] = value.clone());
            let keys = [
                ("key", of_key, &["theirs"][..]),
                ("team", json!({"team_id": team, "aliases": aliases}), &["theirs"]),
                ("user", json!({"user_id": user, "aliases": aliases}), &[]),
            ];
            for (whose, key, more) in keys {
                let key = setup.make_key(0, key).await?;
                for model in [ours, "mine"].iter().chain(more) {
                    let before = setup.mock.stats().requests;
                    let reply = setup.ask(0, &key, &chat(model)).await?;
                    assert_barred(&reply, &format!("{whose} {limit} {model}"));
                    assert_eq!(setup.mock.stats().requests, before, "{whose} {limit} {model}");
                }
            }
        }
    }
    Ok(())
}

/// Each model of a list is asked by itself.
#[tokio::test(flavor = "multi_thread")]
async fn each_model_of_a_list_is_bound_by_what_is_for_it() -> anyhow::Result<()> {
    for rows in [Rows::Exact, Rows::Pattern] {
        let setup = rows.start().await?;
        let ours = &*rows.ours("openai");
        for key in &barred(&setup, ours).await? {
            for fastest in [true, false] {
                for (models, asked) in [(format!("{ours},mine"), 0), (format!("talk, {ours}"), 1)] {
                    let before = setup.mock.stats().requests;
                    let mut body = chat(&models);
                    body["fastest_response"] = fastest.into();
                    let reply = setup.ask(0, key, &body).await?;
                    let told = format!("{models} {fastest}: {} {}", reply.status, reply.body);
                    assert_eq!(setup.mock.stats().requests, before + asked, "{told}");
                    assert!(asked == 1 || !reply.ok() || reply.body.contains("error"), "{told}");
                }
            }
        }
    }
    Ok(())
}

/// Of rows that overlap, what is for one binds what that one serves; below a prefix, what any of them
/// may. A name in another case, which its provider may read as the same, is bound with it.
#[tokio::test(flavor = "multi_thread")]
async fn patterns_that_overlap_bind_what_they_serve() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let rows = [("o/*", "openai/*"), ("o/gpt-*", "openai/gpt-*"), ("o/gpt-x", "openai/gpt-x")];
    let rows = rows.map(|(row, upstream)| deployment(row, upstream, &mock.api_base()));
    let config = format!("model_list:\n{}router_settings:\n  num_retries: 0\n", rows.concat());
    let setup = harness::start_with(1, mock, config).await?;
    let (own, below) = ("/v1/chat/completions", "/openai/v1/chat/completions");
    for (bound, path, model, is_bound) in [
        ("o/gpt-x", own, "o/gpt-x", true),
        ("o/gpt-x", own, "o/GPT-x", true),
        ("o/gpt-x", own, "o/gpt-X", true),
        ("o/gpt-x", own, "o/gpt-xy", false),
        ("o/gpt-x", below, "gpt-x", true),
        ("o/gpt-x", below, "GPT-X", true),
        ("o/gpt-x", below, "gpt-y", false),
        ("o/gpt-*", own, "o/gpt-y", true),
        ("o/gpt-*", own, "o/GPT-y", true),
        ("o/gpt-*", own, "o/gpt-x", false),
        ("o/gpt-*", own, "o/y", false),
        ("o/gpt-*", below, "gpt-y", true),
        ("o/gpt-*", below, "Gpt-y", true),
        ("o/gpt-*", below, "y", false),
        ("o/*", own, "o/y", true),
        ("o/*", own, "o/GPT-y", true),
        ("o/*", own, "o/gpt-y", false),
        ("o/*", below, "y", true),
        ("o/*", below, "gpt-y", true),
        ("o/gpt-y", own, "o/gpt-y", true),
        ("o/gpt-y", own, "o/GPT-Y", true),
        ("o/gpt-y", below, "gpt-y", true),
    ] {
        let key = setup.make_key(0, json!({"model_max_budget": spent_on(bound)})).await?;
        let reply = key.post(&setup.cluster.url(0, path), &chat(model)).await?;
        let told = format!("{bound} {path} {model}: {} {}", reply.status, reply.body);
        assert_eq!((is_barred(&reply), reply.ok()), (is_bound, !is_bound), "{told}");
    }
    Ok(())
}
