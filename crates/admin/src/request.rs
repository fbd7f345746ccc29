//! Reading a request: its body and its query, and what keys, moments, days and pages look like in them.

pub(crate) mod body;
pub(crate) mod fault;
pub(crate) mod moment;
pub(crate) mod naming;
pub(crate) mod pages;
pub(crate) mod queries;
pub(crate) mod received;
mod repeats;
pub(crate) mod span;

pub(crate) use dunlin_admin_api::values;
