//! What the clients, the upstream and the request log say of the same requests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dunlin_mock_upstream::Account;

use super::rush::{Asked, Outcome};
use crate::report::line;
use crate::spend::cost;

/// Requests that are told one by one.
const MOST_TOLD: usize = 100;

/// By call id, what each says a request cost.
pub(super) struct Witnesses {
    requests: BTreeMap<String, Said>,
    doubled: usize,
}

#[derive(Default)]
struct Said {
    client: Option<u64>,
    upstream: Option<u64>,
    log: Option<u64>,
}

impl Witnesses {
    pub(super) fn hear(asked: &[Asked], upstream: &[Account], log: Vec<(String, u64)>) -> Self {
        let mut requests: BTreeMap<String, Said> = BTreeMap::new();
        let mut doubled = 0;
        for one in asked {
            if let Outcome::Answered(cost) = one.outcome {
                requests.entry(one.id.clone()).or_default().client = Some(cost);
            }
        }
        for account in upstream.iter().filter(|account| account.whole) {
            // The id is the first word of the prompt.
            let id = account.said.split(' ').next().unwrap_or_default();
            let cost = cost(account.prompt_tokens, account.completion_tokens);
            let said = requests.entry(id.to_owned()).or_default();
            doubled += usize::from(said.upstream.replace(cost).is_some());
        }
        for (id, cost) in log {
            let said = requests.entry(id).or_default();
            doubled += usize::from(said.log.replace(cost).is_some());
        }
        Self { requests, doubled }
    }

    /// What each counts, against what clients were answered.
    pub(super) fn sums(&self, settled: u64) -> String {
        let said = || self.requests.values();
        let client: u64 = said().filter_map(|said| said.client).sum();
        let upstream = said().filter_map(|said| said.client.and(said.upstream)).sum();
        let log: u64 = said().filter_map(|said| said.log).sum();
        let rows = said().filter(|said| said.log.is_some()).count();
        let mut text = line("completed", &format!("{client} nano-dollars, as the clients count"));
        text += &line("upstream", &against(upstream, client, "of the same requests"));
        text += &line("log", &against(log, client, &format!("in {rows} rows of the request log")));
        text += &line("settled", &against(settled, log, "against the log, as /key/info has it"));
        if self.doubled > 0 {
            text += &line("", &format!("{} requests are there more than once", self.doubled));
        }
        text
    }

    /// Each request of which not all say the same.
    pub(super) fn differences(&self) -> String {
        let differs = |said: &Said| said.client != said.upstream || said.client != said.log;
        let told = |amount: Option<u64>| amount.map_or("-".to_owned(), |cost| cost.to_string());
        let mut text = String::new();
        let differing: Vec<_> = self.requests.iter().filter(|(_, said)| differs(said)).collect();
        for (id, Said { client, upstream, log }) in differing.iter().take(MOST_TOLD) {
            let (client, upstream, log) = (told(*client), told(*upstream), told(*log));
            writeln!(text, "  {id:<16} client {client:>9}  upstream {upstream:>9}  log {log:>9}")
                .expect("writing to a String cannot fail");
        }
        line("differing", &format!("{} requests", differing.len())) + &text
    }
}

fn against(amount: u64, reference: u64, how: &str) -> String {
    let verdict = match amount.cmp(&reference) {
        std::cmp::Ordering::Equal => "exact".to_owned(),
        std::cmp::Ordering::Greater => format!("{} more", amount - reference),
        std::cmp::Ordering::Less => format!("{} less", reference - amount),
    };
    format!("{amount} nano-dollars {how}: {verdict}")
}
