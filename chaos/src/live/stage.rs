//! What a live run takes place on: the nodes, their backends, who writes it down.

use std::path::Path;
use std::time::Duration;

use dunlin_cluster::{Cluster, Launcher};
use dunlin_mock_upstream::{MockUpstream, Settings};

use super::Plan;
use super::recorder::Recorder;

/// For nodes to meet, at first and again.
pub(crate) const FORMED: Duration = Duration::from_secs(40);
/// Prices of a token in nano-dollars.
pub(crate) const INPUT_NANO: u64 = 1_000;
pub(crate) const OUTPUT_NANO: u64 = 2_000;
/// Tokens per second: twelve of them take 80 ms.
const PACE: f64 = 150.0;
const BACKENDS: usize = 2;

pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) backends: Vec<MockUpstream>,
    pub(crate) recorder: Recorder,
}

impl Stage {
    /// A ready cluster, whose model `chat` two backends have.
    pub(crate) async fn set(plan: &Plan, dir: &Path, recorder: Recorder) -> anyhow::Result<Self> {
        let mut backends = Vec::new();
        for _ in 0..BACKENDS {
            let settings = Settings { tokens_per_second: Some(PACE), ..Settings::default() };
            backends.push(MockUpstream::start(settings).await?);
        }
        let config = config(&backends);
        let launcher = Launcher {
            nodes: plan.nodes,
            ..Launcher::new(plan.binary.clone(), dir.to_owned(), config)
        };
        let mut cluster = launcher.start().await?;
        cluster.wait_ready(FORMED).await?;
        Ok(Self { cluster, backends, recorder })
    }
}

/// A backend that hangs is given up soon, so that the other one can be asked.
fn config(backends: &[MockUpstream]) -> String {
    let mut text = "model_list:\n".to_owned();
    for backend in backends {
        text += &format!(
            "  - model_name: chat\n    litellm_params:\n      model: openai/mock\n      \
             api_base: {}\n      api_key: sk-upstream\n      timeout: 2\n      \
             input_cost_per_token: 0.000001\n      output_cost_per_token: 0.000002\n",
            backend.api_base()
        );
    }
    text + "router_settings:\n  num_retries: 2\n"
}
