//! What `modify_params` allows: a chat put into the form that strict providers want, with words and
//! tools that nobody said. LiteLLM's, so that its users find the answers they know.

use crate::form::{Chat, Json, Message, PartKind, Role, Tool};

/// Said where a user must speak and has said nothing.
const CONTINUE: &str = "Please continue.";
/// A provider that sees calls of tools wants tools.
const DUMMY: &str = "dummy_tool";

impl Chat {
    /// Lets a user speak last, for a model that does not go on with what it is said to have begun.
    pub fn hand_over(&mut self) {
        if self.messages.last().is_some_and(|last| last.role == Role::Assistant) {
            self.messages.push(Message::of_text(Role::User, CONTINUE));
        }
    }

    /// Lets a user speak first, and gives a tool to a conversation that called some and has none.
    pub fn mend(&mut self) {
        let opening = self.messages.iter().position(|message| message.role != Role::System);
        let opening = opening.unwrap_or(self.messages.len());
        if self.messages.get(opening).is_none_or(|message| message.role == Role::Assistant) {
            self.messages.insert(opening, Message::of_text(Role::User, CONTINUE));
        }
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        let is_call =
            |kind: &PartKind| matches!(kind, PartKind::ToolCall(_) | PartKind::ToolResult { .. });
        if self.tools.is_empty() && parts.into_iter().any(|part| is_call(&part.kind)) {
            let schema = serde_json::json!({"type": "object", "properties": {}});
            self.tools.push(Tool::Function {
                name: DUMMY.to_owned(),
                description: Some("This is a dummy tool call".to_owned()),
                parameters: Some(Json::of(&schema)),
                strict: None,
                cache: None,
            });
        }
    }
}
