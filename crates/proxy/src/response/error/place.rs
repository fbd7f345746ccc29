//! Which of several requests a batch is refused for.

use dunlin_llm::batch::BadLine;
use dunlin_llm::openai::ErrorBody;

use super::{Failed, Refused};

/// One of the requests of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// What it is there.
    pub(crate) noun: &'static str,
    /// The first is 1.
    pub(crate) number: u64,
}

impl Place {
    /// A line of a file.
    pub(crate) fn line(number: u64) -> Self {
        Self { noun: "line", number }
    }
}

/// A request of a batch that cannot be part of it.
impl From<BadLine> for Failed {
    fn from(bad: BadLine) -> Self {
        Self::from(match bad {
            BadLine::Bad(bad) => Refused::BadRequest(bad),
            BadLine::Lacks(name) => Refused::MissingParam(name),
            BadLine::TooMany => Refused::Unfit { param: "user", message: bad.to_string() },
            BadLine::TooManyModels => Refused::Unfit { param: "tools", message: bad.to_string() },
            BadLine::Duplicate { .. } => {
                Refused::Unfit { param: "custom_id", message: bad.to_string() }
            }
        })
    }
}

impl Failed {
    /// The same, for the sake of one request of several.
    pub(crate) fn at(self, at: Place) -> Self {
        Self { at: Some(Box::new(at)), ..self }
    }

    pub(super) fn placed(&self, mut body: ErrorBody) -> ErrorBody {
        if let Some(Place { noun, number }) = self.at.as_deref() {
            body.message = format!("{noun} {number}: {}", body.message);
        }
        body
    }
}
