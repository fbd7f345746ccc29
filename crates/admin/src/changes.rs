//! What is set over the API beside those who spend: models and credentials, the config, callbacks, and
//! rows that come from elsewhere.

pub(crate) mod config_change;
pub(crate) mod import;
pub(crate) mod logging;
pub(crate) mod stored;
