//! What nodes say of money: amounts in nano-dollars, to the last one.

use anyhow::{Context, ensure};
use dunlin_cluster::Cluster;
use serde_json::Value;

use crate::target::{INPUT_NANO, OUTPUT_NANO};

/// All days that a request log can have.
const DAYS: &str = "start_date=2000-01-01&end_date=2199-12-31";

/// What so many tokens cost at the price of every model here.
pub(crate) fn cost(prompt_tokens: u64, completion_tokens: u64) -> u64 {
    prompt_tokens * INPUT_NANO + completion_tokens * OUTPUT_NANO
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "no figure here comes near 2^53"
)]
pub(crate) fn nano(usd: f64) -> u64 {
    (usd * 1e9).round() as u64
}

/// A GET with the master key that must succeed.
pub(crate) async fn read(cluster: &Cluster, node: usize, path: &str) -> anyhow::Result<String> {
    let reply = cluster.client().get(&cluster.url(node, path)).await?;
    ensure!(reply.ok(), "GET {path} on node {node}: {} {}", reply.status, reply.body);
    Ok(reply.body)
}

/// An amount of a key, as `/key/info` of a node has it; 0 where it has none.
pub(crate) async fn of_key(
    cluster: &Cluster,
    node: usize,
    key: &str,
    field: &str,
) -> anyhow::Result<u64> {
    let told = read(cluster, node, &format!("/key/info?key={key}")).await?;
    let told: Value = serde_json::from_str(&told)?;
    Ok(nano(told["info"][field].as_f64().unwrap_or(0.0)))
}

/// A metric without labels, as a node exports it.
pub(crate) async fn metric(cluster: &Cluster, node: usize, name: &str) -> anyhow::Result<f64> {
    let page = read(cluster, node, "/metrics/").await?;
    let mut values = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = values.next().with_context(|| format!("node {node} exports no {name}"))?;
    Ok(value.trim().parse()?)
}

/// The successful requests of a key's alias in the request log: call ids and costs.
pub(crate) async fn rows(
    cluster: &Cluster,
    node: usize,
    alias: &str,
) -> anyhow::Result<Vec<(String, u64)>> {
    let filter = format!("key_alias={alias}&status_filter=success&page_size=100&count=false");
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/spend/logs/v2?{DAYS}&{filter}{cursor}");
        let page: Value = serde_json::from_str(&read(cluster, node, &path).await?)?;
        for row in page["data"].as_array().context("a page without rows")? {
            let id = row["litellm_call_id"].as_str().context("a row without an id")?;
            let cost = row["metadata"]["dunlin"]["nano_usd"].as_u64();
            rows.push((id.to_owned(), cost.context("a row without a cost")?));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(rows),
        }
    }
}
