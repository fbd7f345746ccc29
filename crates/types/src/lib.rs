//! The vocabulary that two or more crates share: ids, money, tokens, time and secrets.
//!
//! Knows nothing of requests, running nodes or storage. Every type is a plain value; the only
//! behaviour here is what keeps a value valid. Read `time.rs` first: wall time and monotonic time
//! are two types that do not convert into each other.

mod chain;
mod credential;
mod id;
mod money;
mod networks;
mod no_connection;
mod on_loss;
mod part;
mod secret;
mod seldom;
mod sensitive;
mod served;
mod source;
mod time;
mod tls;
mod usage;

pub use chain::ChainHash;
pub use credential::Credential;
pub use id::{
    ClusterId, DeploymentId, EntityId, Epoch, KeyDigest, Line, NodeId, ParseIdError, PotId,
    RequestId,
};
pub use money::{AmountError, NanoUsd, PicoUsd, PriceError, Tokens};
pub use networks::{Network, Networks, NoNetwork};
pub use no_connection::NoConnection;
pub use on_loss::OnLoss;
pub use part::{Part, Parts};
pub use secret::{Secret, Secrets};
pub use seldom::Seldom;
pub use sensitive::is_secret;
pub use served::Served;
pub use source::{AwsKeys, AwsRole, AwsSource, AzureLogin, AzureSource, GoogleSource, Source};
pub use time::{Clock, MonoMillis, UnixMillis};
pub use tls::{Tls, Trust};
pub use usage::{MOST_OTHERS, MOST_TOKENS, Premium, SearchSize, Usage};
