//! What of a failure goes on record.

use dunlin_journal::{Fault, MAX_FAULT_BYTES, bounded};
use dunlin_llm::openai::ErrorBody;

/// What the client is told instead of an answer.
pub(crate) fn fault(body: ErrorBody) -> Fault {
    let ErrorBody { message, kind, code, .. } = body;
    Fault { status: code, kind, message: bounded(&message, MAX_FAULT_BYTES) }
}
