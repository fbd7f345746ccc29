//! Logs: to stderr, for people by default, as JSON lines on request.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What to log and how.
pub(crate) struct Settings {
    filter: String,
    json: bool,
}

impl Settings {
    /// Only what someone must act on: for commands that draw on the terminal themselves.
    pub(crate) fn quiet() -> Self {
        Self { filter: "error".to_owned(), json: false }
    }

    /// `filter` in the form of `tracing`'s directives, or one of LiteLLM's level names.
    pub(crate) fn new(filter: &str, json: bool) -> Self {
        Self { filter: filter.to_lowercase(), json }
    }
}

/// Installs the logger of this process.
///
/// # Errors
/// The filter does not parse, or a logger is already there.
pub(crate) fn start(settings: Settings) -> anyhow::Result<()> {
    // sled and the HTTP stack speak at info about their own matters.
    let quieted = format!("{},sled=warn,openraft=error,chitchat=warn", settings.filter);
    let filter = EnvFilter::try_new(quieted)
        .map_err(|error| anyhow::anyhow!("the log filter `{}`: {error}", settings.filter))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let installed = if settings.json { builder.json().try_init() } else { builder.try_init() };
    installed.map_err(|error| anyhow::anyhow!("logs cannot start: {error}"))
}
