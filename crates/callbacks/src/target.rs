//! A receiver as records are sent to it: in its own form, by its own way.

use dunlin_config::{Callback, Receiver};
use dunlin_journal::Outcome;
use dunlin_types::Networks;

use crate::event::Event;
use crate::post::{Judge, Post};
use crate::{generic, langfuse, otel};

/// Who is sent what, and where it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) callback: Callback,
    pub(crate) networks: Networks,
}

impl Target {
    /// Whether it is told of requests that end so.
    pub(crate) fn wants(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Success | Outcome::Partial => self.callback.on.success,
            Outcome::Failure => self.callback.on.failure,
        }
    }

    /// The requests that tell `events`.
    pub(crate) fn posts(&self, events: &[&Event]) -> Vec<Post> {
        let messages = self.callback.messages;
        match &self.callback.receiver {
            Receiver::GenericApi(to) => generic::posts(to, events, messages),
            Receiver::Langfuse(to) => vec![langfuse::post(to, events, messages)],
            Receiver::Otel(to) => vec![otel::post(to, events, messages)],
        }
    }

    /// Reads in an answer what was not taken.
    pub(crate) fn judge(&self) -> Judge {
        match &self.callback.receiver {
            Receiver::GenericApi(_) => |_| None,
            Receiver::Langfuse(_) => langfuse::rejected,
            Receiver::Otel(_) => otel::rejected,
        }
    }

    /// Where it is, for people: a path and a query may hold secrets.
    pub(crate) fn address(&self) -> String {
        let at = self.callback.receiver.address();
        let port = at.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", at.scheme_str().unwrap_or_default(), at.host().unwrap_or_default())
    }
}
