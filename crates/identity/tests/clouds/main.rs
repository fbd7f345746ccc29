//! Credentials from stand-ins of every cloud's token services, over real sockets.

mod aws;
mod azure;
mod google;
mod renewal;
mod service;
mod trouble;
