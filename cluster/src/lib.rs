//! Many nodes on one machine: starts, stops, kills, pauses, restarts and waits for real `dunlin`
//! processes on loopback. Used by the tests, the demo and the benchmark.
//!
//! Knows the command line, the HTTP API and the log files of a node, and nothing of what is inside.
//! A [`Cluster`] that is dropped kills its nodes; nothing outlives its owner except by SIGKILL of
//! the owner itself. Nothing here sleeps for a time: waits are for conditions, with deadlines.
//! Read `cluster.rs` first.

mod apart;
mod client;
mod cluster;
mod gate;
mod launcher;
mod node;
mod ports;
mod wait;

pub use apart::{UPSTREAMS, alone};
pub use client::{CallError, Client, Reply, http_client};
pub use cluster::Cluster;
pub use dunlin_admin_api::ClusterStatus;
pub use launcher::Launcher;
pub use node::Node;
pub use ports::free_ports;
pub use wait::wait_until;
