//! A fake provider over real HTTP, for tests, chaos and bench: OpenAI's endpoints, answered at a
//! chosen speed, with faults that can be switched at run time.
//!
//! Knows nothing of gateways. It listens on loopback only. A request may bring its own wishes in
//! its body: `upstream_delay_ms`, `upstream_tokens`, `upstream_status`. Read `settings.rs`, then
//! `answer.rs`.

mod answer;
mod record;
mod server;
mod settings;
mod stream;
mod text;

pub use record::{Recorded, Stats};
pub use server::MockUpstream;
pub use settings::{Fault, Settings};

#[cfg(test)]
mod tests;
