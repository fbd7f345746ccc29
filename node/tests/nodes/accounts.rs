//! What is delivered is charged to the nano-dollar, by what the upstream counts: on every way, in every
//! dialect, whole or streamed, over two nodes, after failures and fallbacks.

use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Recorded, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup};

/// Rates in pico-dollars a token.
const INPUT: u64 = 1_000_003;
const OUTPUT: u64 = 3_000_007;
const CACHE_READ: u64 = 200_009;
const CACHE_WRITE: u64 = 1_300_011;
const REASONING: u64 = 5_000_013;
const FLEX: u64 = 400_017;

fn model(name: &str, upstream: &str, base: &str) -> String {
    let rates = [
        ("input_cost_per_token", INPUT),
        ("output_cost_per_token", OUTPUT),
        ("cache_read_input_token_cost", CACHE_READ),
        ("cache_creation_input_token_cost", CACHE_WRITE),
        ("output_cost_per_reasoning_token", REASONING),
        ("input_cost_per_token_flex", FLEX),
    ];
    let rates = rates.map(|(key, pico)| format!("      {key}: {pico}.0e-12\n"));
    format!(
        "  - model_name: {name}\n    litellm_params:\n      model: {upstream}\n      \
         api_base: {base}\n      api_key: sk-upstream\n{}",
        rates.concat()
    )
}

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let (base, root) = (mock.api_base(), format!("http://{}", mock.address()));
    let config = [
        "model_list:\n".to_owned(),
        model("chat", "openai/chat-up", &base),
        model("claude", "anthropic/claude-up", &root),
        model("google", "gemini/google-up", &root),
        // Nobody is there.
        model("dead", "openai/dead-up", "http://127.0.0.1:9/v1"),
        "router_settings:\n  num_retries: 1\n  fallbacks: [{\"dead\": [\"claude\"]}]\n".to_owned(),
    ];
    harness::start_with(2, mock, config.concat()).await
}

/// What the upstream is told to count.
#[derive(Clone, Copy, Default)]
struct Used {
    cached: u64,
    written: u64,
    /// Words that are thought.
    thought: u64,
    said: u64,
}

impl Used {
    fn words(self) -> String {
        let Self { cached, written, thought, said } = self;
        let think = if thought > 0 {
            format!("[[think:{}]]", "hm ".repeat(usize::try_from(thought).unwrap_or(0)))
        } else {
            String::new()
        };
        format!("[[tokens:{said}]][[cached:{cached}]][[cache-written:{written}]]{think}")
    }

    /// In pico-dollars, of the request that reached the upstream.
    fn cost(self, sent: &Recorded) -> u64 {
        let plain = sent.body.len() as u64 / 4;
        // Others than Anthropic do not tell what they have written to their cache.
        let tells = sent.path.ends_with("/messages");
        let (plain, written) =
            if tells { (plain, self.written) } else { (plain + self.written, 0) };
        // In a stream it counts thoughts only in its first event, when there is one.
        let streams = tells && String::from_utf8_lossy(&sent.body).contains("\"stream\":true");
        let thought = if streams { self.thought.min(1) } else { self.thought };
        let said = self.said + self.thought - thought;
        plain * INPUT
            + self.cached * CACHE_READ
            + written * CACHE_WRITE
            + said * OUTPUT
            + thought * REASONING
    }
}

/// A way to ask: its path, and the body for these words.
type Way = (&'static str, fn(&str, bool) -> Value);

fn messages(words: &str) -> Value {
    json!([{"role": "user", "content": words}])
}

fn chat(model: &str, words: &str, stream: bool) -> Value {
    let mut body = json!({"model": model, "messages": messages(words), "stream": stream});
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

fn contents(words: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": words}]}]})
}

const WAYS: &[Way] = &[
    ("/v1/chat/completions", |words, stream| chat("chat", words, stream)),
    ("/v1/chat/completions", |words, stream| chat("claude", words, stream)),
    ("/v1/chat/completions", |words, stream| chat("google", words, stream)),
    ("/v1/chat/completions", |words, stream| chat("dead", words, stream)),
    ("/v1/responses", |words, stream| json!({"model": "chat", "input": words, "stream": stream})),
    ("/v1/responses", |words, stream| json!({"model": "claude", "input": words, "stream": stream})),
    (
        "/v1/messages",
        |words, stream| json!({"model": "claude", "max_tokens": 900, "messages": messages(words), "stream": stream}),
    ),
    (
        "/v1/messages",
        |words, stream| json!({"model": "chat", "max_tokens": 900, "messages": messages(words), "stream": stream}),
    ),
    ("/openai/v1/chat/completions", |words, stream| chat("chat-up", words, stream)),
    (
        "/anthropic/v1/messages",
        |words, stream| json!({"model": "claude-up", "max_tokens": 900, "messages": messages(words), "stream": stream}),
    ),
    ("/gemini/v1beta/models/google:generateContent", |words, _| contents(words)),
    ("/gemini/v1beta/models/google:streamGenerateContent?alt=sse", |words, _| contents(words)),
];

fn nano(pico: u64) -> u64 {
    (pico + 500) / 1000
}

async fn spent(setup: &Setup, node: usize, whom: &Client) -> Option<u64> {
    let dollars = setup.key_info(node, whom).await.ok()?["spend"].as_f64()?;
    format!("{:.0}", dollars * 1e9).parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_upstream_counts_is_charged_to_the_nano_dollar_on_every_way() -> anyhow::Result<()>
{
    let setup = start().await?;
    let used = [
        Used { said: 7, ..Used::default() },
        Used { cached: 11, said: 13, ..Used::default() },
        Used { cached: 17, written: 19, thought: 5, said: 23 },
    ];
    let mut wrong = Vec::new();
    for (at, (path, body)) in WAYS.iter().enumerate() {
        for (which, used) in used.iter().enumerate() {
            for stream in [false, true] {
                let node = (at + which + usize::from(stream)) % 2;
                let caller = setup.make_key(node, json!({})).await?;
                let body = body(&used.words(), stream);
                let reply = caller.post(&setup.cluster.url(node, path), &body).await?;
                assert_eq!(reply.status, 200, "{path}: {}", reply.body);
                let sent = setup.mock.last_request().expect("it came through");
                let expected = nano(used.cost(&sent));
                let what = format!("{path} {} stream {stream} case {which}", body["model"]);
                let charged = async || spent(&setup, 1 - node, &caller).await == Some(expected);
                if wait_until(&what, SOON, charged).await.is_err() {
                    let spent = spent(&setup, 1 - node, &caller).await;
                    wrong.push(format!("{what}: {spent:?}, not {expected}"));
                }
                let told = reply.header("x-litellm-response-cost");
                let told = told.and_then(|told| told.parse::<f64>().ok());
                let told = told.map(|told| format!("{:.0}", told * 1e9));
                if told.is_some_and(|told| told != expected.to_string()) {
                    wrong.push(format!("{what} is told another sum"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_over_two_nodes_is_charged_as_often_as_it_was_answered() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let used = Used { cached: 3, said: 9, ..Used::default() };
    let ways: Vec<_> = WAYS.iter().filter(|(path, _)| !path.contains("gemini")).collect();
    let calls = (0..60).map(|at| {
        let (path, body) = ways[at % ways.len()];
        let mut body = body(&used.words(), at % 2 == 0);
        if at % 3 == 0 && path.ends_with("chat/completions") && body["model"] == "chat" {
            body["service_tier"] = json!("flex");
        }
        let (url, caller) = (setup.cluster.url(at % 2, path), caller.clone());
        async move { caller.post(&url, &body).await }
    });
    let replies = futures::future::join_all(calls).await;
    let answered =
        replies.into_iter().filter(|reply| matches!(reply, Ok(reply) if reply.status == 200));
    assert_eq!(answered.count(), 60);
    // Each record says what it cost; together they are what the key has spent.
    let url = setup.cluster.url(0, "/spend/logs?summarize=false");
    wait_until("all are on record and settled", SOON, async || {
        let Ok(reply) = caller.get(&url).await else { return false };
        let Ok(rows) = reply.json::<Vec<Value>>() else { return false };
        let cost = |row: &Value| format!("{:.0}", row["spend"].as_f64().unwrap_or(0.0) * 1e9);
        let sum: u64 = rows.iter().filter_map(|row| cost(row).parse::<u64>().ok()).sum();
        let all_cost = rows.iter().all(|row| row["spend"].as_f64().is_some_and(|cost| cost > 0.0));
        rows.len() == 60
            && all_cost
            && spent(&setup, 0, &caller).await == Some(sum)
            && spent(&setup, 1, &caller).await == Some(sum)
    })
    .await
}
