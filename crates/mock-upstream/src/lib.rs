//! A fake provider over real HTTP, for tests, demo, chaos and bench: the endpoints of OpenAI and of
//! those who speak otherwise, answered at a chosen speed, with faults by order.
//!
//! Knows nothing of gateways, and shares no code with them: what it writes comes from what the
//! providers document, so it is a witness of its own. It listens on loopback unless told otherwise,
//! and the same request gets the same answer: `settings.tokens` times "tok ", unless a tool has
//! answered (then the answer repeats it), a schema is given (then the answer fits it), or something
//! is wished for.
//!
//! # Wishes
//! The last message of the user may hold `[[word:argument]]`, a header may be
//! `x-mock-word: argument`:
//!
//! | wish | what happens |
//! |---|---|
//! | `[[tool:name {"city":"Paris"}]]` | calls the tool, if it is offered; twice, calls two |
//! | `[[say:text]]`, `[[echo]]` | says this; says the message itself |
//! | `[[think]]`, `[[think:text]]` | thinks first |
//! | `[[refuse]]`, `[[refuse:text]]` | refuses, where the dialect has a way to |
//! | `[[finish:length]]` | ends so, by OpenAI's word for it or by the dialect's own |
//! | `[[status:429]]`, `[[retry-after:7]]` | fails with this status, and this header |
//! | `[[tokens:100]]`, `[[delay:200]]` | so many tokens; so many milliseconds later |
//! | `[[cached:100]]`, `[[cache-written:9]]` | counts so many tokens of the prompt as cached |
//! | `[[fault:reset 3]]` | a fault: `hang`, `reset` n, `cut` n, `error` n, `stall` ms, `slow` ms, `rate` n, `loading`, `no-usage`, `wrong-name`, `truncated`, `malformed`, `bad-utf8`, `html`, `huge` n, `huge-frame` n, `chopped` n |
//!
//! A body may also have `upstream_delay_ms`, `upstream_tokens`, `upstream_status`.
//!
//! Read `settings.rs` and `fault.rs`, then `exchange.rs`, then the dialect at hand.

mod answer;
mod ask;
mod base64;
mod dialects;
mod exchange;
mod failure;
mod fault;
mod form;
mod record;
mod rerank;
mod schema;
mod script;
mod server;
mod settings;
mod shelf;
mod stream;
mod vector;
mod wish;

pub use fault::Fault;
pub use record::{Account, Recorded, Stats};
pub use server::MockUpstream;
pub use settings::{Habit, Settings};

#[cfg(test)]
mod tests;
