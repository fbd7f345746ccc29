//! What a model may call, and whether it must.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use crate::form::{Cache, Chat, Json};
use crate::json::{members, string};

/// What the only argument of a tool that takes any text is called where it is a function.
const CUSTOM_INPUT: &str = "input";

/// The arguments of the function that stands for a tool which takes any text.
pub(crate) fn custom_arguments(input: &str) -> String {
    json!({CUSTOM_INPUT: input}).to_string()
}

/// The text that a model means by them.
pub(crate) fn custom_input(arguments: &str) -> String {
    #[derive(Deserialize)]
    struct Arguments {
        input: String,
    }
    let read = serde_json::from_str::<Arguments>(arguments);
    read.map_or_else(|_| arguments.to_owned(), |arguments| arguments.input)
}

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

/// What the text must look like that a tool takes.
#[derive(Deserialize)]
pub(crate) struct Grammar {
    pub(crate) syntax: Option<String>,
    pub(crate) definition: String,
}

impl Tool {
    /// A tool that takes any text, as a function, which is all that most APIs have.
    pub(crate) fn of_any_text(
        name: String,
        description: Option<String>,
        grammar: Option<Grammar>,
    ) -> Self {
        let mut words = description.unwrap_or_default();
        if let Some(Grammar { definition, syntax }) = grammar {
            let syntax = syntax.map(|syntax| format!(" ({syntax})")).unwrap_or_default();
            let space = if words.is_empty() { "" } else { "\n\n" };
            words += &format!("{space}The input must follow this grammar{syntax}:\n{definition}");
        }
        let parameters = json!({
            "type": "object",
            "properties": {CUSTOM_INPUT: {"type": "string", "description": "The whole input as it is."}},
            "required": [CUSTOM_INPUT],
        });
        Self::Function {
            name,
            description: Some(words).filter(|words| !words.is_empty()),
            parameters: Some(Json::of(&parameters)),
            strict: None,
            cache: None,
        }
    }

    /// The type of a tool that the provider runs itself, if it says one.
    #[must_use]
    pub fn kind(&self) -> Option<Cow<'_, str>> {
        let Self::Hosted(json) = self else { return None };
        let found = members(json.text()).ok()?;
        let kind = found.iter().find(|member| member.name == "type")?;
        string(kind.value)
    }
}

impl Chat {
    /// Lets only some of its tools be called this time. What a provider runs itself, and may not be
    /// called, is left out at once: few can be told otherwise. False: nothing may be called.
    pub(crate) fn allow_only(&mut self, is_allowed: impl Fn(&Tool) -> bool) -> bool {
        self.tools.retain(|tool| matches!(tool, Tool::Function { .. }) || is_allowed(tool));
        let allowed: Vec<&Tool> = self.tools.iter().filter(|tool| is_allowed(tool)).collect();
        let any = !allowed.is_empty();
        let names = allowed.into_iter().filter_map(|tool| match tool {
            Tool::Function { name, .. } => Some(name.clone()),
            Tool::Hosted(_) => None,
        });
        self.allowed = Some(names.collect());
        any
    }

    /// Whether the model may call it this time.
    #[must_use]
    pub fn allows(&self, tool: &Tool) -> bool {
        match (&self.allowed, tool) {
            (Some(allowed), Tool::Function { name, .. }) => allowed.contains(name),
            (Some(_), Tool::Hosted(_)) | (None, _) => true,
        }
    }

    /// Whether the model may call one of its functions this time.
    #[must_use]
    pub fn may_call_functions(&self) -> bool {
        let is_one = |tool: &Tool| matches!(tool, Tool::Function { .. }) && self.allows(tool);
        let is_hosted = self.tool_choice.as_ref().is_some_and(ToolChoice::is_hosted);
        !is_hosted && self.tools.iter().any(is_one)
    }

    /// Forgets the tools that may not be called this time, for who cannot be told.
    pub fn leave_allowed(&mut self) {
        let mut tools = std::mem::take(&mut self.tools);
        tools.retain(|tool| self.allows(tool));
        (self.tools, self.allowed) = (tools, None);
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
