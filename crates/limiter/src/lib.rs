//! Limits: token buckets, slots, the ring that says who decides, shares and leases.

mod bucket;
mod claim;
mod ring;

pub use bucket::{Bucket, WINDOW};
pub use claim::{Amounts, Claim, Limited, Limits, Refused, Remaining};
pub use ring::{Ring, ScopeId};
