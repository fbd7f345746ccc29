//! A look at what every node holds, once all is quiet.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use dunlin_cluster::wait_until;
use dunlin_types::NanoUsd;
use serde::Deserialize;

use super::clients::clear;
use super::stage::Stage;
use crate::history::{KeySight, Sight, Standing};
use crate::workload::Key;

/// Spend is settled and everybody has caught up by then. What is not so yet is what is seen.
const QUIET_WITHIN: Duration = Duration::from_secs(20);
/// Two looks so far apart that see the same see the end.
const BETWEEN: Duration = Duration::from_millis(700);

#[derive(Deserialize)]
struct Answer {
    info: Info,
}

#[derive(Deserialize)]
struct Info {
    spend: f64,
    blocked: Option<bool>,
}

/// Looks until all nodes hold the same and nothing changes any more, and writes down what is seen.
pub(super) async fn at_all(stage: &Stage, seed: u64, keys: &[Key]) -> anyhow::Result<()> {
    let mut last: Vec<Sight> = Vec::new();
    let still = wait_until("all nodes hold the same", QUIET_WITHIN, async || {
        tokio::time::sleep(BETWEEN).await;
        let Ok(seen) = look(stage, seed, keys).await else { return false };
        let same = seen.windows(2).all(|pair| pair[0] == pair[1]);
        let idle = seen.iter().all(|sight| sight.in_flight == 0);
        let quiet = same && idle && seen == last;
        last = seen;
        quiet
    });
    if still.await.is_err() {
        last = look(stage, seed, keys).await?;
    }
    for (node, sight) in last.into_iter().enumerate() {
        stage.recorder.seen(node, sight);
    }
    Ok(())
}

async fn look(stage: &Stage, seed: u64, keys: &[Key]) -> anyhow::Result<Vec<Sight>> {
    let mut sights = Vec::new();
    for node in 0..stage.cluster.nodes().len() {
        let status = stage.cluster.status(node).await?;
        let mut held = BTreeMap::new();
        for key in keys {
            held.insert(*key, key_info(stage, node, &clear(seed, *key)).await?);
        }
        let in_flight = status.backends.iter().map(|backend| u64::from(backend.in_flight)).sum();
        sights.push(Sight { applied: status.applied, digest: None, keys: held, in_flight });
    }
    Ok(sights)
}

async fn key_info(stage: &Stage, node: usize, clear: &str) -> anyhow::Result<KeySight> {
    let url = stage.cluster.url(node, &format!("/key/info?key={clear}"));
    let reply = stage.cluster.client().get(&url).await?;
    match reply.status {
        404 => return Ok(KeySight { standing: Standing::Gone, spent: None }),
        200 => {}
        status => bail!("{url}: status {status}: {}", reply.body),
    }
    let Answer { info } = reply.json().context("no key in it")?;
    let blocked = info.blocked == Some(true);
    let standing = if blocked { Standing::Blocked } else { Standing::Open };
    Ok(KeySight { standing, spent: Some(nano(info.spend)) })
}

/// The whole nano-dollars that a number of dollars stands for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "no run spends more than fits"
)]
fn nano(usd: f64) -> NanoUsd {
    NanoUsd((usd * 1e9).round() as u64)
}
