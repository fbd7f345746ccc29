//! Objects in buckets, read with a deployment's own credential: the answers of its provider's jobs.
//! How it goes says nothing of the deployment.

use std::sync::Arc;
use std::time::Duration;

use dunlin_providers::ProviderError;
use dunlin_providers::bucket::{self, Asked};
use dunlin_router::Deployment;

use crate::Upstream;
use crate::error::Failure;
use crate::relay::{Relayed, in_time, provider_of, send_on};

impl Upstream {
    /// Asks a bucket of the store where the jobs of `by`'s provider leave their answers, and waits, no
    /// longer than `first`, for the head of the answer.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer.
    pub async fn ask_bucket(
        &self,
        by: &Arc<Deployment>,
        bucket: &str,
        asked: Asked<'_>,
        first: Duration,
    ) -> Result<Relayed, Failure> {
        let (provider, began) = (provider_of(by), self.0.clock.mono());
        let speaker = provider.speaker();
        let asking = async {
            let credential = self.credential(by, speaker).await?;
            let (to, now) = ((provider.id(), &by.target), self.0.clock.unix());
            let request = bucket::request(to, bucket, asked, &credential, now)
                .map_err(|error| Failure::unsendable(by, speaker, &error))?;
            let client = self.client(by, speaker)?;
            send_on(&client, request, None, speaker).await.map_err(|(error, no_connection)| {
                Failure { no_connection, ..Failure::new(by, error) }
            })
        };
        in_time(first, None, asking).await.unwrap_or_else(|| {
            let taken = self.0.clock.mono().since(began);
            Err(Failure::new(by, ProviderError::timeout(first, taken)))
        })
    }
}
