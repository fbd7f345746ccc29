//! The commands on a running cluster: what they change, what they print, how they exit.

use std::process::Output;

use dunlin_cluster::{ClusterStatus, free_ports, wait_until};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{self, SOON, SPREAD, Setup};

/// Someone at a shell: the variables that are set there.
struct Shell {
    url: String,
    key: Option<String>,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    exit: i32,
    stdout: String,
    stderr: String,
}

impl Shell {
    /// An admin who names these nodes, in this order.
    fn admin(setup: &Setup, nodes: &[usize]) -> Self {
        let urls: Vec<_> = nodes.iter().map(|&node| setup.cluster.url(node, "")).collect();
        Self { url: urls.join(","), key: Some(setup.cluster.master_key().to_owned()) }
    }

    async fn run(&self, line: &str) -> anyhow::Result<Ended> {
        self.run_all(&line.split(' ').collect::<Vec<_>>()).await
    }

    async fn run_all(&self, arguments: &[&str]) -> anyhow::Result<Ended> {
        let mut command = Command::new(harness::binary());
        command.args(arguments).env_clear().env("DUNLIN_URL", &self.url);
        command.envs(self.key.iter().map(|key| ("DUNLIN_API_KEY", key)));
        let Output { status, stdout, stderr } = command.kill_on_drop(true).output().await?;
        let exit = status.code().expect("no signal ends it");
        Ok(Ended { exit, stdout: String::from_utf8(stdout)?, stderr: String::from_utf8(stderr)? })
    }

    /// Runs what must succeed and gives its stdout.
    async fn done(&self, line: &str) -> anyhow::Result<String> {
        let ended = self.run(line).await?;
        anyhow::ensure!(ended.exit == 0, "dunlin {line}: {ended:?}");
        Ok(ended.stdout)
    }

    async fn json(&self, line: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.done(&format!("{line} --output json")).await?)?)
    }
}

impl Ended {
    #[track_caller]
    fn assert_failed(&self, exit: i32, words: &[&str]) {
        assert_eq!(self.exit, exit, "{self:?}");
        assert_eq!(self.stdout, "", "a failure is no data");
        assert!(self.stderr.starts_with("error: "), "{}", self.stderr);
        for words in words {
            assert!(self.stderr.contains(words), "`{words}` is missing in: {}", self.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_that_no_majority_is_heard_and_whom_to_start() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let leader = setup.cluster.wait_leader(SOON).await?;
    let here = Shell::admin(&setup, &[leader]);
    assert!(here.done("status").await?.contains("leader           "));
    for other in (0..3).filter(|node| *node != leader) {
        setup.cluster.kill(other).await?;
    }
    wait_until("that nobody can decide is told", SOON, async || {
        here.run("status").await.is_ok_and(|ended| ended.exit == 6)
    })
    .await?;
    let told = here.run("status").await?.stdout;
    for part in
        ["leader           none, no majority for ", "1 of 3 voters", "start 1 of the silent"]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains(" leader "), "who led does not lead: {told}");
    let json: Value = serde_json::from_str(&here.run("status --output json").await?.stdout)?;
    assert_eq!(json["leader"], Value::Null);
    assert!(json["no_majority"]["serves_for_s"].is_u64(), "{json}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn spend_is_told_by_what_is_asked_for() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let (here, there) = (Shell::admin(&setup, &[0]), Shell::admin(&setup, &[1]));
    here.done("team create blue --max-budget 5 --every 30d").await?;
    let key = here.done("key create --quiet --alias app --team blue").await?;
    here.run("key create --alias app").await?.assert_failed(5, &["already exists"]);
    let caller = setup.cluster.client().with_key(key.trim_end());
    for node in 0..3 {
        assert!(setup.chat(node, &caller).await?.ok());
    }
    wait_until("three requests are settled", SOON, async || {
        let told = there.json("spend --by key --days 2").await;
        told.is_ok_and(|told| told["total"]["requests"] == json!(3))
    })
    .await?;
    let by_team = there.json("spend --by team --days 2").await?;
    assert_eq!(by_team["schema"], "dunlin.spend/1");
    let row = &by_team["rows"][0];
    assert_eq!((&row["name"], &row["spend"]), (&json!("blue"), &by_team["total"]["spend"]));
    let left = row["budget"]["left"].as_f64().expect("what is left");
    assert!(left < 5.0 && left > 4.9, "{by_team}");
    let table = here.done("spend --by key --team blue").await?;
    assert!(table.contains("app") && table.starts_with("KEY"), "{table}");
    for by in ["user", "organization", "customer", "tag", "model", "provider", "day"] {
        here.done(&format!("spend --by {by}")).await?;
    }
    let mut tagged = harness::chat_body();
    tagged["metadata"] = json!({"tags": ["x", "y"]});
    assert!(setup.ask(2, &caller, &tagged).await?.ok());
    wait_until("a request with two tags counts once in the whole", SOON, async || {
        let told = there.json("spend --by tag").await;
        told.is_ok_and(|told| {
            let each = told["rows"].as_array().map(|rows| rows.iter().map(|row| &row["requests"]));
            let each = each.is_some_and(|mut each| each.all(|count| *count == json!(1)));
            each && told["rows"][1] != json!(null) && told["total"]["requests"] == json!(4)
        })
    })
    .await?;
    here.run("spend --from 2026-13-01 --to 2026-12-01").await?.assert_failed(2, &["--from: "]);
    here.run("spend --by tag --team blue").await?.assert_failed(2, &["only by key and model"]);
    assert_eq!(here.run("spend --days 63").await?.exit, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_its_life_on_the_command_line() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let (here, there) = (Shell::admin(&setup, &[0]), Shell::admin(&setup, &[1]));
    let fields = "--alias app --models chat --aliases mine=chat --rpm 60 --tpm 9000 --parallel 3 \
                  --duration 30d --user ann";
    let made = here.run(&format!("key create --quiet {fields} --metadata {{\"a\":1}}")).await?;
    let key = made.stdout.trim_end();
    assert_eq!((made.exit, made.stderr.as_str()), (0, ""), "{made:?}");
    assert!(key.starts_with("sk-") && !key.contains(char::is_whitespace), "{made:?}");
    let caller = setup.cluster.client().with_key(key);
    assert!(setup.chat(2, &caller).await?.ok());

    let info = there.json("key info app").await?;
    for (name, value) in [
        ("schema", json!("dunlin.key/1")),
        ("models", json!(["chat"])),
        ("aliases", json!({"mine": "chat"})),
        ("rpm_limit", json!(60)),
        ("tpm_limit", json!(9000)),
        ("max_parallel_requests", json!(3)),
        ("user_id", json!("ann")),
        ("metadata", json!({"a": 1})),
    ] {
        assert_eq!(info[name], value, "{name}");
    }
    let hash = info["token"].as_str().expect("a hash");
    for name in [key, hash, &hash[..12]] {
        assert_eq!(there.json(&format!("key info {name}")).await?["key_alias"], "app", "{name}");
    }

    let changed = here.json("key update app --rpm 7 --clear tpm,duration").await?;
    let told = ["rpm_limit", "tpm_limit", "expires", "user_id"].map(|name| changed[name].clone());
    assert_eq!(told, [json!(7), Value::Null, Value::Null, json!("ann")]);

    here.done("key block app").await?;
    assert!(there.done("key list").await?.contains("blocked"));
    wait_until("the key is refused", SPREAD, async || {
        setup.chat(2, &caller).await.is_ok_and(|reply| reply.status == 401)
    })
    .await?;
    there.done("key unblock app").await?;
    assert!(!here.done("key info app").await?.contains("blocked"));

    here.run("key regenerate app --grace soon").await?.assert_failed(2, &["is not a duration"]);
    let anew = here.run("key regenerate app").await?;
    let anew = setup.cluster.client().with_key(anew.stdout.trim_end());
    assert!(setup.chat(0, &anew).await?.ok());
    assert_eq!(setup.chat(0, &caller).await?.status, 401, "the old text is gone");
    let info = here.json("key info app").await?;
    assert_eq!((&info["rpm_limit"], &info["user_id"]), (&json!(7), &json!("ann")));
    let hash = info["token"].as_str().expect("a hash");

    here.run("key delete app").await?.assert_failed(2, &["help: ", "--yes"]);
    assert_eq!(here.json("key list").await?["keys"][0]["token"], hash, "it was not confirmed");
    assert_eq!(here.json("key delete app --yes").await?["deleted_keys"], json!([hash]));
    there.run("key info app").await?.assert_failed(3, &["app", "dunlin key list"]);
    assert_eq!(there.json("key list").await?["keys"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_before_anybody_is_asked_and_every_fault_by_its_flag()
-> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let cli = Shell::admin(&setup, &[0]);
    let taken = cli.done("key create --alias taken").await?;
    for (line, exit, words) in [
        ("config rollback 99", 3, ["config revision 99", "dunlin config history"]),
        ("config show 99", 3, ["config revision 99", "dunlin config history"]),
        ("config rollback 1", 2, ["cannot bring back config revision 1", "--yes"]),
        ("config set num_retries 3", 2, ["`num_retries` is not a setting", "router_settings.NAME"]),
        ("config set foo.bar 3", 2, ["`foo`", "general_settings.NAME"]),
        ("credential delete nope", 3, ["nope", "dunlin credential list"]),
        ("audit show 99999", 3, ["99999", "dunlin audit list"]),
        ("log list --limit 0", 2, ["--limit", "a whole number from 1 on"]),
        ("audit list --limit 0", 2, ["--limit", "a whole number from 1 on"]),
        ("key create --rpm -1", 2, ["a whole number from 0 on", "--clear"]),
        ("key create --max-budget -1", 2, ["--max-budget: ", "greater than or equal to 0"]),
        ("key create --every soon", 2, ["--every: ", "is not a duration"]),
        ("key create --alias taken", 5, ["taken", "already exists"]),
        ("key create --metadata x", 2, ["--metadata", "it is a JSON object"]),
        ("log list --min-spend x", 2, ["--min-spend: ", "an amount in US dollars"]),
        ("team members nope --add ann", 3, ["nope", "dunlin team list"]),
        ("key regenerate taken --grace soon", 2, ["--grace: ", "is not a duration"]),
        ("key block ", 2, ["the name of the key is empty", "dunlin key list"]),
        ("log info ", 2, ["the request's id is empty", "dunlin log list"]),
        ("key info nope", 3, ["no key has the alias `nope`", "dunlin key list"]),
    ] {
        cli.run(line).await?.assert_failed(exit, &words);
    }
    let whole = cli.run(&format!("key info {}x", taken.trim_end())).await?;
    whole.assert_failed(3, &["no key with the hash "]);
    assert!(!whole.stderr.contains(taken.trim_end()), "a key is not repeated: {}", whole.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_listed_however_many_there_are() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    for number in 0..101 {
        setup.make_key(0, json!({"key_alias": format!("key-{number}")})).await?;
    }
    let shell = Shell::admin(&setup, &[0]);
    let list = shell.json("key list").await?;
    let aliases = list["keys"].as_array().expect("a list").iter().map(|key| &key["key_alias"]);
    let expected: Vec<_> = (0..101).map(|number| json!(format!("key-{number}"))).collect();
    assert_eq!(aliases.cloned().collect::<Vec<_>>(), expected);
    let lines = shell.done("key list --search key-10").await?;
    assert_eq!(lines.lines().count(), 3, "a head, key-10 and key-100: {lines}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_names_nodes_leader_and_backends() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let leader = setup.cluster.wait_leader(SOON).await?;
    let leader = setup.cluster.status(leader).await?.node.to_string();
    let shell = Shell::admin(&setup, &[1]);
    let json = shell.json("status").await?;
    assert_eq!(json["schema"], "dunlin.status/1");
    let status: ClusterStatus = serde_json::from_value(json)?;
    assert_eq!((status.members.len(), status.config_revision), (3, 1));

    let text = shell.done("status").await?;
    let line = |words: &str| text.lines().find(|line| line.starts_with(words)).unwrap_or_default();
    for member in &status.members {
        let (id, address) = (member.id.to_string(), member.api_address.as_deref());
        assert!(line(&id).contains(address.expect("an address")), "{text}");
        assert_eq!(line(&id).contains(" leader "), id == leader, "{text}");
    }
    assert!(line(&setup.mock.api_base()).contains("ready"), "{text}");
    assert!(line(&setup.mock.api_base()).ends_with("chat"), "{text}");
    assert_eq!(shell.done("models").await?, "chat\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_filtered_and_shown_whichever_node_served_them() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"key_alias": "app"})).await?;
    for node in 0..3 {
        setup.chat(node, &caller).await?;
    }
    let last = setup.chat(1, setup.cluster.client()).await?;
    let call = last.header("x-litellm-call-id").expect("an id").to_owned();
    let shell = Shell::admin(&setup, &[2]);
    let text = shell.done("log list").await?;
    assert_eq!(text.lines().count(), 5, "a head and four requests: {text}");
    assert!(text.lines().nth(1).is_some_and(|line| line.contains("master")), "{text}");
    let json = shell.json("log list --key app -n 2").await?;
    assert_eq!(json["requests"].as_array().map(Vec::len), Some(2));
    assert_eq!((&json["schema"], &json["complete"]), (&json!("dunlin.log.list/1"), &json!(true)));
    let info = shell.done(&format!("log info {call}")).await?;
    assert!(info.contains(&call) && info.contains("acompletion"), "{info}");
    shell.run("log info none").await?.assert_failed(3, &["none", "dunlin log list"]);
    for command in ["log list", "audit list"] {
        let of = |options: &str| format!("{command} {options}");
        shell.run(&of("--since 10x")).await?.assert_failed(2, &["--since"]);
        shell.run(&of("--until yesterday")).await?.assert_failed(2, &["--until"]);
        let reversed = shell.run(&of("--since 1h --until 2h")).await?;
        reversed.assert_failed(2, &["--since", "before --until"]);
    }
    let reversed = shell.run("spend --from 2026-02-02 --to 2026-02-01").await?;
    reversed.assert_failed(2, &["--from 2026-02-02 is after --to"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_enough_is_told_from_none() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let admin = Shell::admin(&setup, &[0]);
    let with = |key: Option<&str>| Shell { url: admin.url.clone(), key: key.map(str::to_owned) };
    let wrong = with(Some("sk-wrong-wrong-wrong")).run("status").await?;
    wrong.assert_failed(4, &[&admin.url, "DUNLIN_API_KEY", "help: ", "master key"]);
    with(None).run("key list").await?.assert_failed(4, &["help: set DUNLIN_API_KEY"]);

    let own = setup.make_key(0, json!({"key_alias": "own"})).await?;
    let own = with(Some(own.key()));
    own.run("key create").await?.assert_failed(4, &["master key"]);
    assert!(own.done("key list").await?.contains("own"), "a key sees itself");
    assert_eq!(own.json("key info").await?["key_alias"], "own");

    let dir = tempfile::tempdir()?;
    let file = dir.path().join("key").display().to_string();
    std::fs::write(&file, format!("{}\n", setup.cluster.master_key()))?;
    own.done(&format!("status --api-key-file {file}")).await?;
    std::fs::write(&file, "")?;
    admin.run(&format!("status --api-key-file {file}")).await?.assert_failed(2, &[&file]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_cannot_be_reached_are_named_and_others_asked() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let nobody = format!("http://127.0.0.1:{}", free_ports(1)?[0]);
    let mut shell = Shell::admin(&setup, &[]);
    shell.url.clone_from(&nobody);
    shell.run("status").await?.assert_failed(6, &[&nobody, "nothing listens", "help: ", "--url"]);
    let health = shell.run("health").await?;
    assert!(health.exit == 1 && health.stdout.contains(&nobody), "{health:?}");

    shell.url = format!("{nobody},{}", setup.cluster.url(0, ""));
    shell.done("key create").await?;
    let health = shell.run("health").await?;
    assert_eq!((health.exit, health.stdout.lines().count()), (1, 2), "{health:?}");
    let health = shell.run("health --wait 1s").await?;
    assert_eq!(health.exit, 1, "it is waited for in vain: {health:?}");
    Shell::admin(&setup, &[0, 1, 2]).done("health --wait 1m").await?;
    let status = Shell::admin(&setup, &[2]).done("status").await?;
    assert!(!status.contains("not ready"), "{status}");

    // One that took the question and does not answer: a look may go on, a change may not.
    let leader = setup.cluster.wait_leader(SOON).await?;
    let paused = (leader + 1) % 3;
    setup.cluster.pause(paused)?;
    let shell = Shell::admin(&setup, &[paused, leader]);
    shell.done("key list --timeout 2s").await?;
    let unknown = shell.run("key create --timeout 500ms").await?;
    unknown.assert_failed(7, &[&setup.cluster.url(paused, ""), "may still take effect"]);
    setup.cluster.resume(paused)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_what_is_shown_says_so_and_changes_are_unavailable() -> anyhow::Result<()>
{
    let mut setup = harness::start(3).await?;
    let shell = Shell::admin(&setup, &[0]);
    shell.done("key create --alias before").await?;
    setup.cluster.kill(1).await?;
    setup.cluster.kill(2).await?;
    wait_until("a change is refused", SOON, async || {
        shell.run("key create").await.is_ok_and(|ended| ended.exit == 6)
    })
    .await?;
    shell.run("key create").await?.assert_failed(6, &["leader", "help: nothing was begun"]);
    let set = shell.run("config set router_settings.num_retries 1").await?;
    set.assert_failed(6, &["no quorum", "help: nothing was begun"]);
    let list = shell.run("key list").await?;
    assert!(list.exit == 0 && list.stdout.contains("before"), "{list:?}");
    assert!(list.stderr.starts_with("note: ") && list.stderr.contains("old"), "{list:?}");
    wait_until("the status shows who is gone", SOON, async || {
        let status = shell.run("status").await;
        status.is_ok_and(|ended| {
            ended.exit == 6 && ended.stdout.matches("voter  silent ").count() == 2
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused_before_a_node_is_asked() -> anyhow::Result<()> {
    let nobody = Shell { url: "http://127.0.0.1:9".to_owned(), key: None };
    for line in [
        "status --url ftp://n1",
        "status --timeout 0s",
        "status --output yaml",
        "status --api-key sk-1234",
        "key create --rpm many",
        "key create --metadata [1]",
        "key create --aliases mine",
        "key update app",
        "key update app --clear colour",
        "key update app --rpm 5 --clear rpm",
        "key info a b",
        "key create --tags ,,",
        "key create --models ,",
        "key create --alias=",
        "key create --user=",
        "key create --team=",
        "key create --aliases x=a,x=b",
        "spend --days -1",
        "spend --key=",
        "log list --limit -1",
        "audit list --limit 0",
        "completion powerless",
    ] {
        let ended = nobody.run(line).await?;
        assert_eq!((ended.exit, ended.stdout.as_str()), (2, ""), "{line}: {ended:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = nobody.done(&format!("completion {shell}")).await?;
        assert!(script.contains("unblock") && script.contains("api-key-file"), "{shell}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_lives_its_life_on_the_command_line() -> anyhow::Result<()> {
    let setup = harness::start(2).await?;
    let (here, there) = (Shell::admin(&setup, &[0]), Shell::admin(&setup, &[1]));
    here.done("budget create monthly --max-budget 20 --every 30d").await?;
    let made =
        here.done("team create qa --alias QA --models chat --max-budget 5 --every 1d").await?;
    assert_eq!(made, "qa\n");
    here.done("user create ann --email ann@example.com --role internal_user").await?;
    let members = there.done("team members qa --add ann=admin,bob --max-budget 1").await?;
    assert!(members.contains("ann") && members.contains("admin"), "{members}");

    let key = here.done("key create --quiet --team qa --user ann --budget monthly").await?;
    let caller = setup.cluster.client().with_key(key.trim_end());
    assert!(setup.chat(1, &caller).await?.ok());
    let info = there.json("team info qa").await?;
    for (name, value) in
        [("schema", json!("dunlin.team/1")), ("max_budget", json!(5.0)), ("admins", json!(["ann"]))]
    {
        assert_eq!(info[name], value, "{name}");
    }
    let list = there.done("team list").await?;
    assert!(list.contains("qa") && list.contains("$5.00"), "{list}");
    let changed = here.json("team update qa --rpm 7 --clear max-budget").await?;
    assert_eq!((&changed["rpm_limit"], &changed["max_budget"]), (&json!(7), &Value::Null));
    here.run("team update qa --email a@b.c").await?.assert_failed(2, &["has no --email"]);

    here.done("team block qa").await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 401);
    here.done("team delete qa --yes").await?;
    assert_eq!(here.run("team info qa").await?.exit, there.run("key info nothing").await?.exit);
    Ok(())
}
