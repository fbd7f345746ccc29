//! What a cluster promises, asked from outside: real processes of the `dunlin` binary on loopback,
//! real HTTP, mock upstreams. One test binary, so that it is linked once and tests run two or so
//! at a time. Every wait is for a condition with a deadline.

mod audit;
mod background;
mod bad_input;
mod budgets;
mod called_budgets;
mod chaos;
mod cli;
mod commands;
mod customers;
mod data_path;
mod demo;
mod discovery;
mod failover;
mod fallbacks;
mod forms;
mod gemini;
mod governance;
mod harness;
mod health;
mod keys;
mod limits;
mod members;
mod messages;
mod metrics;
mod migrate;
mod models;
mod natives;
mod permissions;
mod prices;
mod realtime;
mod recovery;
mod relay;
mod request_log;
mod responses;
mod restart;
mod revisions;
mod rotation;
mod settings;
mod spend;
mod stale;
mod stored;
mod streams;
mod teams;
mod traps;
