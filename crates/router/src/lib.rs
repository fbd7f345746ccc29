//! Where a request goes, decided in pure code: catalog + health + load + request → a pick.
mod catalog;
pub use catalog::{Alias, BackendId, Catalog, Deployment, Group, Retry, Strategy, Weight};
