//! Waiting for a condition, with a deadline.

use std::time::Duration;

use anyhow::Context;

/// How often a condition is looked at: well under any bound that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `holds` says so, looking every 20 ms.
///
/// # Errors
/// `within` has passed; the error names `what` was waited for.
pub async fn wait_until(
    what: &str,
    within: Duration,
    mut holds: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(within, looking)
        .await
        .with_context(|| format!("waited {within:?} in vain: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_never_holds_is_named_at_the_deadline() {
        let waiting = wait_until("pigs fly", Duration::from_millis(50), async || false);
        let error = waiting.await.expect_err("they do not");
        assert_eq!(error.to_string(), "waited 50ms in vain: pigs fly");
    }

    #[tokio::test]
    async fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        let waiting = wait_until("three looks", Duration::from_secs(5), async || {
            looks += 1;
            looks == 3
        });
        waiting.await.expect("it holds");
        assert_eq!(looks, 3);
    }
}
