//! What bounds batches: budgets and limits before they are made, and tokens of a day, which are what
//! they used once they are over.

use dunlin_cluster::wait_until;
use serde_json::{Value, json};

use crate::harness;
use crate::responses::{line, now, start, upload};

mod beside;
mod lines;
mod messages;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_not_begun_where_a_budget_is_spent_or_a_limit_reached() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let (status, file) = upload(&setup, &owner, line("own")).await?;
    assert_eq!(status, 200, "{file}");
    let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h", "metadata": {"created_at": now()}});
    let batches = setup.cluster.url(0, "/v1/batches");
    for (fields, status, why) in [
        (json!({"max_budget": 0}), 422, "Budget has been exceeded"),
        (json!({"max_budget": null, "rpm_limit": 0}), 429, "until an admin sets another"),
        (json!({"rpm_limit": null}), 200, ""),
        (json!({"tpd_limit": 3}), 429, "tokens remaining out of 3 TPD limit. Limit resets at: "),
        (json!({"tpd_limit": 300}), 200, ""),
        (json!({"tpd_limit": 0}), 429, "until an admin sets another"),
    ] {
        let mut fields = fields;
        fields["key"] = json!(owner.key());
        setup.admin(0, "/key/update", fields).await?;
        let reply = owner.post(&batches, &body).await?;
        assert!(reply.status == status && reply.body.contains(why), "{why}: {}", reply.body);
    }
    let chat = setup.chat(0, &owner).await?;
    assert_ne!(chat.status, 429, "only batches are counted by the day: {}", chat.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_batch_used_counts_for_the_day_once_it_is_over_whichever_node_learns_it()
-> anyhow::Result<()> {
    let setup = start(3).await?;
    // By its lines it may use more than 500 tokens; it uses a few.
    let mut asked: Value = serde_json::from_str(&line("own"))?;
    asked["body"]["max_tokens"] = json!(500);
    for reader in [None, Some(2)] {
        let owner = setup.make_key(0, json!({"tpd_limit": 900})).await?;
        let (status, file) = upload(&setup, &owner, asked.to_string()).await?;
        assert_eq!(status, 200, "{file}");
        let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
            "completion_window": "24h", "metadata": {"created_at": now()}});
        let batches = setup.cluster.url(0, "/v1/batches");
        let made = owner.post(&batches, &body).await?;
        assert_eq!(made.status, 200, "{}", made.body);
        let refused = owner.post(&batches, &body).await?;
        assert_eq!(refused.status, 429, "it counts as what it may use: {}", refused.body);
        if let Some(node) = reader {
            let made: Value = made.json()?;
            let path = format!("/v1/batches/{}", made["id"].as_str().expect("an id"));
            let read = owner.get(&setup.cluster.url(node, &path)).await?;
            assert_eq!(read.status, 200, "{}", read.body);
        }
        wait_until("what it did not use is free again", 2 * harness::SOON, async || {
            owner.post(&batches, &body).await.is_ok_and(|reply| reply.status == 200)
        })
        .await?;
        // Less than another one is left, so that nothing was given back twice.
        let refused = owner.post(&batches, &body).await?;
        assert_eq!(refused.status, 429, "{}", refused.body);
    }
    Ok(())
}
