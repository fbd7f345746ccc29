//! Logs: to stderr, for people by default, as JSON lines on request. Nobody who logs waits for
//! stderr: read `queue.rs`.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, warn};
use tracing_subscriber::EnvFilter;

use crate::logs::queue::Queue;

mod queue;

/// How long the end of the process waits for its last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How long a thread that panics waits: it may end the process at once, or be one of a server's.
const LAST_WORDS: Duration = Duration::from_millis(100);

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

/// The log of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Log {
    queue: Arc<Queue>,
    json: bool,
}

impl Log {
    /// What people read between the lines of the log, and programs as one of its `events`.
    pub(crate) fn say(&self, text: &str, event: impl FnOnce()) {
        if self.json { event() } else { self.queue.push(text.as_bytes()) }
    }

    /// Lines that were lost because stderr did not take them.
    pub(crate) fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// The end of the process: waits for the last lines to be written, as long as that helps.
    pub(crate) fn end(&self) {
        self.queue.flush(LAST_LINES);
    }
}

/// Installs the logger of this process, which also says where the process panicked.
///
/// # Errors
/// The filter does not parse, or a logger is already there.
pub(crate) fn start(settings: Settings) -> anyhow::Result<Log> {
    let filter = filter(&settings.filter)?;
    // Past the lock of `io::stderr`: a write that blocks holds up no other.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let queue =
        Queue::start(stderr, |lines, why| warn!(lines, "lines of this log were lost: {why}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Arc::clone(&queue))
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal());
    let installed = if settings.json { builder.json().try_init() } else { builder.try_init() };
    installed.map_err(|error| anyhow::anyhow!("logs cannot start: {error}"))?;
    let log = Log { queue: Arc::clone(&queue), json: settings.json };
    std::panic::set_hook(Box::new(move |panic| {
        tell_panic(panic);
        queue.flush(LAST_WORDS);
    }));
    Ok(log)
}

/// What of its dependencies' words no user can act on: what matters of it, a node says itself, such
/// as that openraft's core has ended, unless it was to.
const QUIETED: &str = "sled=warn,chitchat=warn,openraft=error,\
                       openraft::raft::raft_inner=off,h2=error,hyper=error,hyper_util=error,\
                       rustls=error,tonic=error,tower=error";

/// The directives that were asked for, which may name what is quieted else.
fn filter(asked: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(format!("{QUIETED},{asked}"))
        .map_err(|error| anyhow::anyhow!("cannot read the log filter `{asked}`: {error}"))
}

/// A panic is a defect: whoever reports it needs the place.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let why = panic.payload_as_str().unwrap_or("no reason was given");
    let trace = Backtrace::capture();
    let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
    error!(
        panic.location = location,
        panic.thread = thread.name().unwrap_or_default(),
        panic.backtrace = trace,
        "panicked: {why}"
    );
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn dependencies_are_quiet_unless_they_are_asked_for_by_name() {
        let told = |asked: &str| {
            let lines = Lines::default();
            let writer = lines.clone();
            let builder = tracing_subscriber::fmt().with_writer(move || writer.clone());
            let logger = builder.with_env_filter(filter(asked).expect("as set up")).finish();
            tracing::subscriber::with_default(logger, || {
                tracing::warn!(target: "h2::proto::streams::recv", "of no use");
                tracing::warn!(target: "openraft::engine", "of its own matters");
                tracing::error!(target: "openraft::raft::raft_inner", "of an ended core");
                tracing::warn!(target: "dunlin_upstream::table", "of use");
            });
            let lines = lines.0.lock().expect("not poisoned").clone();
            let words = ["of no use", "of its own matters", "of an ended core", "of use"];
            let text = String::from_utf8(lines).expect("text");
            words.into_iter().filter(|words| text.contains(words)).collect::<Vec<_>>()
        };
        assert_eq!(told("info"), ["of use"]);
        assert_eq!(told("debug"), ["of use"]);
        assert_eq!(told("info,h2=warn"), ["of no use", "of use"]);
        assert_eq!(told("warn,openraft=debug"), ["of its own matters", "of use"]);
        assert!(filter("dunlin=loud").is_err());
    }

    #[test]
    fn a_panic_is_a_line_of_the_log_that_says_where() {
        let lines = Lines::default();
        let writer = lines.clone();
        let builder = tracing_subscriber::fmt().json().with_writer(move || writer.clone());
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(tell_panic));
        let panicking = std::thread::Builder::new().name("sorter".to_owned()).spawn(|| {
            tracing::subscriber::with_default(builder.finish(), || panic!("on purpose"));
        });
        let ended = panicking.expect("a thread").join();
        std::panic::set_hook(before);
        assert!(ended.is_err());
        let line = lines.0.lock().expect("not poisoned").clone();
        let line: serde_json::Value = serde_json::from_slice(&line).expect("one line of JSON");
        let fields = &line["fields"];
        assert_eq!(fields["message"], "panicked: on purpose");
        assert!(fields["panic.location"].as_str().is_some_and(|at| at.contains("logs.rs:")));
        assert_eq!(fields["panic.thread"], "sorter");
    }
}
