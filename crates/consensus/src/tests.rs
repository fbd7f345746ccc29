//! Whole nodes in one process, over real sockets on loopback and real disks. Every wait is for a
//! condition, with a deadline that only a broken build meets.

mod cluster;
mod cluster_time;
mod format;
mod forming;
mod leaving;
mod log_and_state;
mod staleness;
