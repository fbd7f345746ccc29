//! Requests of random costs, all at once, and what their clients see.

use std::time::{Duration, Instant};

use dunlin_cluster::{CallError, Cluster, http_client};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{LONGEST, MODEL};
use crate::clock;
use crate::spend::cost;
use crate::target::{INPUT_NANO, OUTPUT_NANO};

/// The longest prompt, in words.
const WORDS: u64 = 60;

/// A request may wait for budget money for half a minute before it is sent.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// How many, drawn from which seed.
pub(super) struct Rush {
    pub(super) requests: usize,
    pub(super) seed: u64,
}

/// One request, as its client saw it.
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) node: usize,
    /// The most that may have been held for it, in nano-dollars.
    pub(super) most: u64,
    pub(super) sent: Instant,
    pub(super) ended: Instant,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// What it cost, by the usage that it tells.
    Answered(u64),
    /// By a budget or a limit, in these words.
    Refused { status: u16, words: String },
    /// A 503.
    Undecided(String),
    /// Another status, or an answer that is none.
    Wrong(String),
    /// It broke under way.
    Broken(String),
    /// It was never sent: nobody took the connection.
    Unreached(String),
}

impl Outcome {
    /// What went wrong, if it did.
    pub(super) fn trouble(&self) -> Option<&str> {
        match self {
            Self::Answered(_) | Self::Refused { .. } => None,
            Self::Undecided(why) | Self::Wrong(why) | Self::Broken(why) | Self::Unreached(why) => {
                Some(why)
            }
        }
    }

    fn of(status: u16, body: String) -> Self {
        match status {
            200 => match usage(&body) {
                Some(cost) => Self::Answered(cost),
                None => Self::Wrong(format!("200 without usage: {body}")),
            },
            422 | 429 => Self::Refused { status, words: body },
            503 => Self::Undecided(format!("503 {body}")),
            _ => Self::Wrong(format!("{status} {body}")),
        }
    }
}

/// By this id the client's, the upstream's and the log's view of one request are compared.
pub(super) fn id(seed: u64, number: u64) -> String {
    format!("rush-{seed}-{number}")
}

impl Rush {
    /// Sends all, to the nodes by turns.
    pub(super) fn send(&self, cluster: &Cluster, key: &str) -> anyhow::Result<JoinSet<Asked>> {
        let (http, nodes) = (http_client()?, cluster.nodes().len());
        let mut sent = JoinSet::new();
        for number in 0..self.requests {
            let node = number % nodes;
            let body = body(self.seed, number as u64);
            let most = most(&body);
            let id = id(self.seed, number as u64);
            let request = http
                .post(cluster.url(node, "/v1/chat/completions"))
                .bearer_auth(key)
                .header("x-litellm-call-id", &id)
                .timeout(ANSWERED_WITHIN)
                .json(&body);
            sent.spawn(async move {
                let sent = clock::now();
                let answer = async {
                    let answer = request.send().await?;
                    Ok::<_, CallError>((answer.status().as_u16(), answer.text().await?))
                };
                let outcome = match answer.await {
                    Ok((status, body)) => Outcome::of(status, body),
                    Err(CallError::Refused(why)) => Outcome::Unreached(why),
                    Err(CallError::Broken(why)) => Outcome::Broken(why),
                };
                Asked { id, node, most, sent, ended: clock::now(), outcome }
            });
        }
        Ok(sent)
    }
}

/// Every second request names no maximum, so that only the model's own bounds it.
fn body(seed: u64, number: u64) -> Value {
    let draw = |what: u64, below: u64| mix(mix(mix(seed) ^ number) ^ what) % below;
    let tokens = 1 + draw(0, LONGEST);
    let words = " word".repeat(usize::try_from(draw(1, WORDS)).expect("few words"));
    let mut body = json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": format!("{}{words}", id(seed, number))}],
        "upstream_tokens": tokens,
    });
    if number.is_multiple_of(2) {
        body["max_tokens"] = json!(tokens + draw(2, LONGEST - tokens + 1));
    }
    body
}

/// No token is shorter than a byte, and less than the body is text.
fn most(body: &Value) -> u64 {
    let longest = body["max_tokens"].as_u64().unwrap_or(LONGEST);
    body.to_string().len() as u64 * INPUT_NANO + longest * OUTPUT_NANO
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn usage(body: &str) -> Option<u64> {
    let body: Value = serde_json::from_str(body).ok()?;
    let tokens = |name: &str| body["usage"][name].as_u64();
    Some(cost(tokens("prompt_tokens")?, tokens("completion_tokens")?))
}
