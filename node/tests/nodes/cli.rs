//! The command line: what it says and how it exits.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use dunlin_cluster::wait_until;
use serde_json::Value;
use tokio::process::Command as AsyncCommand;

use crate::harness::{self, FORMED};

/// Runs the binary to its end with nothing in its environment but these variables.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Output> {
    let mut command = Command::new(harness::binary());
    Ok(command.args(arguments).env_clear().envs(environment.iter().copied()).output()?)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(dir: &Path, text: &str) -> anyhow::Result<String> {
    let path = dir.join("config.yaml");
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(output), stderr(output));
}

#[test]
fn words_for_scripts_go_to_stdout_and_exit_codes_are_kept() -> anyhow::Result<()> {
    let version = run(&["version"], &[])?;
    assert_exit(&version, 0);
    assert_eq!(stdout(&version), concat!("dunlin ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_exit(&run(&["explain", "DL0103"], &[])?, 0);
    assert_exit(&run(&["explain", "DL9999"], &[])?, 3);
    assert_exit(&run(&["serve", "--no-such-flag"], &[])?, 2);
    let help = run(&["--help"], &[])?;
    assert_exit(&help, 0);
    assert!(stdout(&help).contains("dunlin demo"));
    Ok(())
}

#[test]
fn a_config_check_shows_all_errors_at_once_where_they_are() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = write(
        dir.path(),
        "model_list:\n  - model_name: chat\n    litellm_params:\n      model: openai/x\n      \
         api_bse: http://localhost:8000/v1\nrouter_settings:\n  routing_strategy: least-bussy\n",
    )?;
    let output = run(&["config", "check", &file], &[])?;
    assert_exit(&output, 10);
    let text = stderr(&output);
    assert!(text.contains(&format!("{file}:5:7")), "{text}");
    assert!(text.contains("did you mean `api_base`?"), "{text}");
    assert!(text.contains(&format!("{file}:7:")), "the second error is shown too: {text}");
    assert!(text.contains("dunlin explain DL"), "{text}");
    Ok(())
}

#[test]
fn the_sample_config_of_the_deployments_is_right() -> anyhow::Result<()> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/deploy/config.yaml");
    let key = [("LITELLM_MASTER_KEY", "sk-a-master-key-of-length")];
    let output = run(&["config", "check", "--strict", sample], &key)?;
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("2 models, 3 deployments"), "{}", stdout(&output));
    Ok(())
}

#[test]
fn a_master_key_that_anybody_can_guess_is_refused_with_the_way_out() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = write(dir.path(), &harness::chat_config("http://127.0.0.1:9/v1"))?;
    let data = dir.path().join("data").display().to_string();
    let serve = ["serve", "--config", &file, "--port", "0", "--data-dir", &data];
    for weak in [None, Some("sk-1234"), Some(""), Some("sk-short")] {
        let environment = weak.map(|key| ("LITELLM_MASTER_KEY", key));
        let output = run(&serve, environment.as_slice())?;
        assert_exit(&output, 2);
        let text = stderr(&output);
        assert!(text.contains("openssl rand"), "{weak:?}: no way out in: {text}");
        assert!(!text.contains("sk-short"), "the key is repeated: {text}");
    }
    Ok(())
}

#[test]
fn a_control_that_would_be_lost_refuses_to_start() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let text = harness::chat_config("http://127.0.0.1:9/v1")
        + "guardrails:\n  - guardrail_name: pii\n    litellm_params: {guardrail: presidio}\n";
    let file = write(dir.path(), &text)?;
    let key = [("LITELLM_MASTER_KEY", "sk-a-master-key-of-length")];
    let output = run(&["serve", "--config", &file, "--port", "0"], &key)?;
    assert_exit(&output, 2);
    assert!(stderr(&output).contains("guardrails"), "{}", stderr(&output));
    Ok(())
}

#[test]
fn programs_get_one_object_from_the_commands_without_a_cluster_too() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = write(dir.path(), "model_list:\n  - model_name: a\n    litellm_parms: {}\n")?;
    let json = |arguments: &[&str]| -> anyhow::Result<(Option<i32>, Value)> {
        let output = run(&[arguments, &["--output", "json"]].concat(), &[])?;
        Ok((output.status.code(), serde_json::from_slice(&output.stdout)?))
    };
    let (exit, told) = json(&["config", "check", &file])?;
    assert_eq!((exit, &told["schema"]), (Some(10), &Value::from("dunlin.config.check/1")));
    let found = told["diagnostics"].as_array().expect("an array");
    assert!(found.iter().any(|one| one["line"] == 3 && one["column"] == 5), "{told}");
    let (exit, told) = json(&["version"])?;
    assert_eq!((exit, &told["version"]), (Some(0), &Value::from(env!("CARGO_PKG_VERSION"))));
    let (exit, told) = json(&["explain", "DL0103"])?;
    assert_eq!((exit, &told["code"]), (Some(0), &Value::from("DL0103")));
    let (exit, told) = json(&["health", "--url", "http://127.0.0.1:9"])?;
    assert_eq!((exit, &told["nodes"][0]["ready"]), (Some(1), &Value::from(false)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_address_that_cannot_be_resolved_is_named_with_the_reason() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = write(dir.path(), &harness::chat_config("http://127.0.0.1:9/v1"))?;
    let ports = dunlin_cluster::free_ports(2)?;
    let listen = format!("127.0.0.1:{}", ports[1]);
    let log = dir.path().join("log");
    let mut node = AsyncCommand::new(harness::binary())
        .args(["serve", "--config", &file, "--port", &ports[0].to_string()])
        .args(["--cluster-listen", &listen, "--join", &format!("{listen},nowhere.invalid:4100")])
        .current_dir(dir.path())
        .env_clear()
        .env("LITELLM_MASTER_KEY", "sk-a-master-key-of-length")
        .env("DUNLIN_CLUSTER_SECRET", "a secret of a cluster that never forms here")
        .stdout(std::fs::File::create(&log)?)
        .stderr(std::fs::File::options().append(true).open(&log)?)
        .kill_on_drop(true)
        .spawn()?;
    wait_until("the address is named", FORMED, async || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let line = log.lines().find(|line| line.contains("waiting to form a cluster"));
        line.is_some_and(|line| line.contains("nowhere.invalid:4100: cannot resolve it"))
    })
    .await?;
    node.start_kill()?;
    tokio::time::timeout(Duration::from_secs(5), node.wait()).await??;
    Ok(())
}

#[test]
fn a_cluster_without_a_secret_is_refused() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = write(dir.path(), &harness::chat_config("http://127.0.0.1:9/v1"))?;
    let key = [("LITELLM_MASTER_KEY", "sk-a-master-key-of-length")];
    let output = run(&["serve", "--config", &file, "--join", "127.0.0.1:9"], &key)?;
    assert_exit(&output, 2);
    assert!(stderr(&output).contains("DUNLIN_CLUSTER_SECRET"), "{}", stderr(&output));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_alone_mean_serve_as_litellms_start_scripts_have_it() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = write(dir.path(), &harness::chat_config("http://127.0.0.1:9/v1"))?;
    let port = dunlin_cluster::free_ports(1)?[0];
    let mut node = AsyncCommand::new(harness::binary())
        .args(["--config", &file, "--port", &port.to_string(), "--num_workers", "8"])
        .current_dir(dir.path())
        .env_clear()
        .env("LITELLM_MASTER_KEY", "sk-a-master-key-of-length")
        .stdout(std::fs::File::create(dir.path().join("log"))?)
        .stderr(std::fs::File::options().create(true).append(true).open(dir.path().join("log"))?)
        .kill_on_drop(true)
        .spawn()?;
    let http = dunlin_cluster::http_client()?;
    let url = format!("http://127.0.0.1:{port}/health/readiness");
    wait_until("the node is ready", FORMED, async || {
        http.get(&url).send().await.is_ok_and(|response| response.status().is_success())
    })
    .await?;
    let log = std::fs::read_to_string(dir.path().join("log"))?;
    assert!(log.contains("--num_workers"), "a flag without meaning is named: {log}");
    node.start_kill()?;
    tokio::time::timeout(Duration::from_secs(5), node.wait()).await??;
    Ok(())
}

#[test]
fn a_move_tells_which_models_of_the_config_and_of_the_dump_would_not_be_served()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let dump = dir.path().join("dump.sql");
    let rows = "COPY public.\"LiteLLM_ProxyModelTable\" (model_id, model_name, litellm_params, \
                model_info) FROM stdin;\n\
                id-1\tgood\t{\"model\": \"openai/x\", \"api_key\": \"k\"}\t{}\n\
                id-2\tbad\t{\"model\": \"nowehre/x\", \"api_key\": \"k\"}\t{}\n\
                id-3\tlent\t{\"model\": \"openai/x\", \"litellm_credential_name\": \"none\"}\t{}\n\
                \\.\n";
    std::fs::write(&dump, rows)?;
    let dump = dump.display().to_string();
    let told = |config: &str, more: &[&str]| -> anyhow::Result<String> {
        let config = write(dir.path(), &format!("model_list:\n{config}"))?;
        let output = run(&[&["migrate", "litellm", "--config", &config], more].concat(), &[])?;
        assert_exit(&output, 10);
        Ok(stdout(&output))
    };
    let lines = |text: &str, expected: &[(&str, &str)]| {
        for (line, words) in expected {
            let (_, after) = text.split_once(line).unwrap_or_else(|| panic!("{line}: {text}"));
            let found = after.lines().take(3).any(|line| line.contains(words));
            assert!(found, "{words} after {line}: {text}");
        }
    };
    let model = |name: &str, params: &str| {
        format!("  - model_name: {name}\n    litellm_params: {{{params}}}\n")
    };
    let keyless = model("a", "model: openai/a");
    let unknown = keyless.clone() + &model("b", "model: nowehre/b, api_key: k");
    let text = told(&unknown, &[])?;
    lines(&text, &[("config.yaml:3", "OPENAI_API_KEY"), ("config.yaml:5", "nowehre")]);
    let text = told(&keyless, &["--dump", &dump])?;
    let of_dump = [("dump.sql:3  model `bad`", "nowehre"), ("dump.sql:4  model `lent`", "none")];
    lines(&text, &of_dump);
    assert!(!text.contains("model `good`"), "{text}");
    Ok(())
}
