//! The form that an answer is to have.

use serde_json::{Map, Value};

use crate::form::Json;

/// The form of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Words.
    Text,
    /// Some JSON object.
    Json,
    /// JSON of a schema.
    Schema {
        /// The schema's name; OpenAI asks for one.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// A JSON schema.
        schema: Json,
        /// Whether it must fit exactly.
        strict: Option<bool>,
    },
}

impl Format {
    /// OpenAI's word for it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json_object",
            Self::Schema { .. } => "json_schema",
        }
    }

    /// What OpenAI is told of a schema: chats have it one level lower than responses.
    pub(crate) fn schema_members(&self) -> Option<Map<String, Value>> {
        let Self::Schema { name, description, schema, strict } = self else { return None };
        let name = name.as_deref().unwrap_or("answer");
        let mut members = Map::from_iter([
            ("name".to_owned(), name.into()),
            ("schema".to_owned(), schema.value()),
        ]);
        if let Some(description) = description {
            members.insert("description".to_owned(), description.as_str().into());
        }
        if let Some(strict) = strict {
            members.insert("strict".to_owned(), (*strict).into());
        }
        Some(members)
    }
}
