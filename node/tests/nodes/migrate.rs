//! The move from LiteLLM: its dump goes in on one node, and its keys work on all.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{self, SOON, Setup, assert_error, deployment};

/// Dumps that a real PostgreSQL made; the script beside them makes them anew.
fn dumps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/migrate/testdata/postgres")
}

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let models = ["chat", "other"].map(|model| deployment(model, "openai/upstream-name", &base));
    harness::start_with(3, mock, format!("model_list:\n{}", models.concat())).await
}

/// `dunlin migrate litellm` with a config of LiteLLM's.
fn migrate(setup: &Setup, dump: &Path, more: &[&str]) -> anyhow::Result<Command> {
    let config = setup.dir().join("litellm.yaml");
    let text = "model_list:\n  - model_name: chat\n    litellm_params: {model: openai/x, api_key: k}\n\
                general_settings:\n  database_url: postgresql://localhost/litellm\n  \
                alerting: [slack]\n";
    std::fs::write(&config, text)?;
    let urls: Vec<_> = (0..3).map(|node| setup.cluster.url(node, "")).collect();
    let mut command = Command::new(harness::binary());
    command.args(["migrate", "litellm", "--config"]).arg(config).arg("--dump").arg(dump);
    command.args(more).env_clear().env("DUNLIN_URL", urls.join(","));
    command.env("LITELLM_MASTER_KEY", setup.cluster.master_key());
    command.env("LITELLM_SALT_KEY", "sk-salt-of-the-test-0123");
    Ok(command)
}

async fn run(setup: &Setup, dump: &Path, more: &[&str]) -> anyhow::Result<(i32, String, Output)> {
    let output = migrate(setup, dump, more)?.output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = output.status.code().unwrap_or(-1);
    eprintln!("{code}: {text}{}", String::from_utf8_lossy(&output.stderr));
    Ok((code, text, output))
}

fn caller(setup: &Setup, key: &str) -> Client {
    setup.cluster.client().with_key(key)
}

async fn read(setup: &Setup, node: usize, path: &str) -> anyhow::Result<Value> {
    let reply = setup.cluster.client().get(&setup.cluster.url(node, path)).await?;
    anyhow::ensure!(reply.ok(), "GET {path}: {} {}", reply.status, reply.body);
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_litellms_works_on_every_node_and_moves_once() -> anyhow::Result<()> {
    let setup = start().await?;
    let dump = dumps().join("recorded/copy.sql");
    let (code, text, output) = run(&setup, &dump, &[]).await?;
    assert_eq!(code, 10, "some of it is not supported");
    for told in ["LiteLLM_VerificationToken", "litellm.yaml:5", "not enforced by this version"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(read(&setup, 0, "/team/list").await?.as_array().is_some_and(Vec::is_empty));

    let (_, text, _) = run(&setup, &dump, &["--check"]).await?;
    assert!(text.starts_with("Nothing was changed. The result would be: "), "{text}");
    assert!(read(&setup, 0, "/team/list").await?.as_array().is_some_and(Vec::is_empty));

    let (code, text, _) = run(&setup, &dump, &["--apply"]).await?;
    assert_eq!(code, 10, "{text}");
    assert!(text.contains(" 0 already there, 0 replaced, 0 in conflict, 0 refused"));
    check_keys(&setup).await?;
    check_rows(&setup).await?;

    let (_, text, _) = run(&setup, &dump, &["--apply"]).await?;
    assert!(text.starts_with("0 rows created, "), "{text}");
    check_rows(&setup).await?;
    check_others(&setup, &dump).await
}

/// Clear texts that nobody told the cluster.
async fn check_keys(setup: &Setup) -> anyhow::Result<()> {
    for node in 0..3 {
        let app = caller(setup, "sk-moved-app-0123456789");
        wait_until("the change is everywhere", SOON, async || {
            setup.chat(node, &app).await.is_ok_and(|reply| reply.status == 200)
        })
        .await?;
        let former = caller(setup, "sk-moved-former-0123456789");
        assert_eq!(setup.chat(node, &former).await?.status, 200, "its time is not over");
        let spent = setup.chat(node, &caller(setup, "sk-moved-spent-0123456789")).await?;
        assert_error(&spent, 422, json!("budget_exceeded"), "Budget has been exceeded! Key=spent");
        let over = setup.chat(node, &caller(setup, "sk-moved-over-0123456789")).await?;
        assert_eq!(over.status, 200, "a new period has begun: {}", over.body);
        let blocked = setup.chat(node, &caller(setup, "sk-moved-blocked-0123456789")).await?;
        assert_eq!(blocked.status, 401, "{}", blocked.body);
        let team = caller(setup, "sk-moved-team-0123456789");
        let without = setup.chat(node, &team).await?;
        assert_eq!(without.status, 400, "it must name a user: {}", without.body);
        let body = json!({"model": "fast", "user": "x",
            "messages": [{"role": "user", "content": "hi"}]});
        let reply = setup.ask(node, &team, &body).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("60"), "{}", reply.body);
        let left_out = setup.chat(node, &caller(setup, "sk-guarded")).await?;
        assert_eq!(left_out.status, 401);
    }
    Ok(())
}

async fn check_rows(setup: &Setup) -> anyhow::Result<()> {
    let team = read(setup, 1, "/team/info?team_id=blue").await?;
    let info = &team["team_info"];
    assert_eq!((&info["max_budget"], &info["budget_duration"]), (&json!(50.0), &json!("30d")));
    assert_eq!(info["metadata"]["tags"], json!(["prod", "a, b"]));
    assert_eq!(info["organization_id"], "acme");
    assert_eq!(info["members_with_roles"].as_array().map(Vec::len), Some(2));
    let ann = team["team_memberships"]
        .as_array()
        .and_then(|members| members.iter().find(|member| member["user_id"] == "ann"))
        .expect("ann is a member");
    assert_eq!((&ann["role"], &ann["spend"]), (&json!("admin"), &json!(0.0625)));
    let key = setup.key_info(2, &caller(setup, "sk-moved-spent-0123456789")).await?;
    assert_eq!(key["spend"], json!(2.000_000_001));
    let key = setup.key_info(2, &caller(setup, "sk-moved-app-0123456789")).await?;
    assert_eq!(key["created_at"], "2024-02-03T04:05:06.789000Z");
    assert_eq!((&key["user_id"], &key["key_alias"]), (&json!("ann"), &json!("app")));
    assert_eq!(key["limited_by"], "default_user_id", "its owner does not widen it");
    let shared = setup.key_info(0, &caller(setup, "sk-moved-shared-0123456789")).await?;
    assert_eq!((&shared["budget_id"], &shared["spend"]), (&json!("free"), &json!(0.5)));
    let user = read(setup, 0, "/user/info?user_id=ann").await?;
    assert_eq!(user["user_info"]["user_email"], "Ann@Example.com");
    wait_until("its models are served", SOON, async || {
        let Ok(models) = read(setup, 1, "/v1/models").await else { return false };
        let listed = |name: &str| {
            models["data"].as_array().is_some_and(|all| all.iter().any(|one| one["id"] == name))
        };
        listed("boxed") && listed("gcm")
    })
    .await?;
    let customer = read(setup, 0, "/customer/info?end_user_id=paying").await?;
    assert_eq!((&customer["spend"], &customer["budget_id"]), (&json!(0.5), &json!("free")));
    Ok(())
}

/// A row that differs is told and stays, unless it is to be replaced.
async fn check_others(setup: &Setup, dump: &Path) -> anyhow::Result<()> {
    setup.admin(0, "/team/update", json!({"team_id": "red", "team_alias": "Ours"})).await?;
    let (code, text, _) = run(setup, dump, &["--apply"]).await?;
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("team `red`: it already exists: it differs in alias"), "{text}");
    let alias = async || {
        let team = read(setup, 0, "/team/info?team_id=red").await?;
        anyhow::Ok(team["team_info"]["team_alias"].clone())
    };
    assert_eq!(alias().await?, "Ours");
    let (code, text, _) = run(setup, dump, &["--apply", "--overwrite"]).await?;
    assert_eq!(code, 10, "{text}");
    assert_eq!(alias().await?, Value::Null);
    let no_master = setup.make_key(0, json!({"user_id": "ann"})).await?;
    let body = json!({"rows": [{"kind": "tag", "fields": {"name": "x"}}]});
    let refused = no_master.post(&setup.cluster.url(0, "/dunlin/import"), &body).await?;
    assert_eq!(refused.status, 401, "{}", refused.body);
    Ok(())
}

/// Many keys in several batches.
const MANY: usize = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_where_it_was() -> anyhow::Result<()> {
    let mut setup = start().await?;
    let dump = setup.dir().join("many.sql");
    let mut text =
        "COPY public.\"LiteLLM_VerificationToken\" (token, key_name, spend) FROM stdin;\n"
            .to_owned();
    for number in 0..MANY {
        let digest = dunlin_types::KeyDigest::of(&format!("sk-many-{number}"));
        writeln!(text, "{digest}\tsk-...\t0.5")?;
    }
    std::fs::write(&dump, text + "\\.\n")?;
    let mut command = migrate(&setup, &dump, &["--apply"])?;
    let mut first = command.stdout(Stdio::null()).kill_on_drop(true).spawn()?;
    let many = async |setup: &Setup| {
        let list = read(setup, 0, "/key/list?size=1").await.ok()?;
        list["total_count"].as_u64()
    };
    wait_until("some keys are there", SOON, async || many(&setup).await.is_some_and(|n| n > 0))
        .await?;
    first.kill().await?;
    let leader = setup.cluster.wait_leader(SOON).await?;
    setup.cluster.kill(leader).await?;
    setup.cluster.restart(leader)?;
    let (code, text, _) = run(&setup, &dump, &["--apply"]).await?;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(" 0 in conflict, 0 refused"), "{text}");
    wait_until("all keys are there, once", SOON, async || many(&setup).await == Some(MANY as u64))
        .await?;
    let last = caller(&setup, &format!("sk-many-{}", MANY - 1));
    wait_until("the last one works", SOON, async || {
        setup.chat(1, &last).await.is_ok_and(|reply| reply.status == 200)
    })
    .await?;
    assert_eq!(setup.key_info(1, &last).await?["spend"], json!(0.5));
    Ok(())
}

/// Where there is a PostgreSQL, what it dumps today moves with what was spent in the month that runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_dump_moves_with_the_period_that_runs() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let made = Command::new(dumps().join("dump.sh")).arg(folder.path()).output().await?;
    if made.status.code() == Some(3) {
        eprintln!("no PostgreSQL on this machine: only the recorded dump was moved");
        return Ok(());
    }
    anyhow::ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let setup = start().await?;
    let (_, text, _) = run(&setup, &folder.path().join("csv"), &["--apply"]).await?;
    assert!(text.contains(" 0 refused"), "{text}");
    let month = caller(&setup, "sk-moved-month-0123456789");
    wait_until("the change is everywhere", SOON, async || {
        setup.key_info(2, &month).await.is_ok_and(|key| key["spend"] == json!(0.75))
    })
    .await?;
    assert_eq!(setup.chat(2, &month).await?.status, 200);
    let custom = run(&setup, &folder.path().join("custom.dump"), &[]).await?;
    assert_eq!(custom.0, 2);
    let said = String::from_utf8_lossy(&custom.2.stderr);
    assert!(said.contains("custom format") && said.contains("pg_restore"), "{said}");
    Ok(())
}

/// Without a cluster the same is told as by one.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_refuses_what_the_cluster_would() -> anyhow::Result<()> {
    let setup = start().await?;
    let dump = setup.dir().join("dump");
    std::fs::create_dir(&dump)?;
    let key = |digit: &str, more: &str| format!("{},{more}\n", digit.repeat(64));
    let keys = [key("a", "{/chat}"), key("b", "{chat}"), key("c", "{llm_api_routes}")].concat();
    std::fs::write(
        dump.join("LiteLLM_VerificationToken.csv"),
        format!("token,allowed_routes\n{keys}"),
    )?;
    std::fs::write(
        dump.join("LiteLLM_TeamTable.csv"),
        "team_id,team_member_permissions\nt,{/key/info}\nu,{/team/delete}\n",
    )?;
    let refusals = ["`chat` is neither a path nor one of", "`/team/delete` is none of"];
    for (more, moving) in [(&[][..], "Not supported: 2\n"), (&["--check"], " 2 refused")] {
        let (code, text, _) = run(&setup, &dump, more).await?;
        assert_eq!(code, 10, "{more:?}: {text}");
        for told in refusals.iter().chain([&moving]) {
            assert!(text.contains(told), "{more:?} {told}: {text}");
        }
    }
    Ok(())
}
