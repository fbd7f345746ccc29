//! The demo's backends: real HTTP servers in this process, of different speeds, one of them flaky.

use std::time::Duration;

use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use tokio_util::sync::CancellationToken;

/// How often the flaky backend fails one request.
const FLAKY_EVERY: Duration = Duration::from_secs(3);

/// One mock's character.
struct Character {
    name: &'static str,
    first_byte: Duration,
    tokens_per_second: f64,
}

const CHARACTERS: [Character; 4] = [
    Character { name: "fast", first_byte: Duration::from_millis(20), tokens_per_second: 400.0 },
    Character { name: "medium", first_byte: Duration::from_millis(60), tokens_per_second: 200.0 },
    Character { name: "slow", first_byte: Duration::from_millis(200), tokens_per_second: 60.0 },
    Character { name: "flaky", first_byte: Duration::from_millis(40), tokens_per_second: 200.0 },
];

/// The running mocks; they stop when this is dropped.
pub(super) struct Backends {
    mocks: Vec<MockUpstream>,
}

impl Backends {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let mut mocks = Vec::new();
        for (seed, character) in (1..).zip(&CHARACTERS) {
            let settings = Settings {
                first_byte: character.first_byte,
                tokens_per_second: Some(character.tokens_per_second),
                jitter: 0.5,
                seed,
                ..Settings::default()
            };
            mocks.push(MockUpstream::start(settings).await?);
        }
        Ok(Self { mocks })
    }

    /// The config of the nodes: `chat` over all mocks, and each mock as a model of its own.
    pub(super) fn config(&self) -> String {
        let mut text = "model_list:\n".to_owned();
        for (mock, character) in self.mocks.iter().zip(&CHARACTERS) {
            for model in ["chat", character.name] {
                text += &format!(
                    "  - model_name: {model}\n    litellm_params:\n      \
                     model: openai/mock-{name}\n      api_base: {base}\n      \
                     api_key: sk-backend\n      input_cost_per_token: 0.0000005\n      \
                     output_cost_per_token: 0.0000015\n",
                    name = character.name,
                    base = mock.api_base(),
                );
            }
        }
        text += "router_settings:\n  routing_strategy: least-busy\n  num_retries: 2\n  \
                 fallbacks:\n    - chat: [fast]\n";
        text
    }

    /// The name of the mock that a node knows by this address.
    pub(super) fn name_of(&self, address: &str) -> Option<&'static str> {
        let at =
            self.mocks.iter().position(|mock| address.contains(&mock.address().to_string()))?;
        Some(CHARACTERS[at].name)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        CHARACTERS.iter().map(|character| character.name)
    }

    /// Makes the last mock fail a request now and then, until `stop`.
    pub(super) async fn misbehave(flaky: MockUpstream, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(FLAKY_EVERY);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            flaky.set_fault_for(Fault::Status { code: 503, retry_after: None }, 1).await;
        }
    }

    pub(super) fn flaky(&self) -> MockUpstream {
        self.mocks.last().expect("there are mocks").clone()
    }
}
