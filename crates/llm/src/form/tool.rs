//! What a model may call, and whether it must.

use std::borrow::Cow;

use crate::form::{Cache, Json};
use crate::json::{members, string};

/// What a model may call.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// A function of the client's.
    Function {
        /// Its name.
        name: String,
        /// What it does.
        description: Option<String>,
        /// A JSON schema.
        parameters: Option<Json>,
        /// Whether arguments must fit the schema exactly.
        strict: Option<bool>,
        /// A cache point behind it.
        cache: Option<Cache>,
    },
    /// A tool that the provider runs itself.
    Hosted(Json),
}

impl Tool {
    /// The type of a tool that the provider runs itself, if it says one.
    #[must_use]
    pub fn kind(&self) -> Option<Cow<'_, str>> {
        let Self::Hosted(json) = self else { return None };
        let found = members(json.text()).ok()?;
        let kind = found.iter().find(|member| member.name == "type")?;
        string(kind.value)
    }
}

/// Whether a tool is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This function.
    Named(String),
    /// This tool that the provider runs itself, by its type.
    Hosted(String),
}

impl ToolChoice {
    pub(super) fn is_hosted(&self) -> bool {
        matches!(self, Self::Hosted(_))
    }
}
