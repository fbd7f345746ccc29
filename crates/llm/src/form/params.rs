//! The parameters of a chat that the form has a word for: which were said, and how each is taken back.

use crate::Dialect;
use crate::form::{Chat, Format, Tool};

/// One of them.
struct Param {
    /// OpenAI's name of it.
    name: &'static str,
    is_said: fn(&Chat) -> bool,
    forget: fn(&mut Chat),
}

/// One whose field has its name.
macro_rules! option {
    ($name:ident) => {
        Param {
            name: stringify!($name),
            is_said: |chat| chat.$name.is_some(),
            forget: |chat| chat.$name = None,
        }
    };
}

/// All of them, in the order in which refusals name them.
const PARAMS: &[Param] = &[
    Param {
        name: "tools",
        is_said: |chat| chat.tools.iter().any(|tool| chat.is_said_as_tool(tool)),
        forget: |chat| chat.tools.clear(),
    },
    Param {
        name: "tool_choice",
        is_said: |chat| chat.tool_choice.as_ref().is_some_and(|choice| !choice.is_hosted()),
        forget: |chat| chat.tool_choice = None,
    },
    option!(parallel_tool_calls),
    Param {
        name: "max_tokens",
        is_said: |chat| chat.max_output.is_some(),
        forget: |chat| chat.max_output = None,
    },
    option!(temperature),
    option!(top_p),
    option!(top_k),
    Param { name: "stop", is_said: |chat| !chat.stop.is_empty(), forget: |chat| chat.stop.clear() },
    Param {
        name: "n",
        is_said: |chat| chat.n.is_some_and(|n| n != 1),
        forget: |chat| chat.n = None,
    },
    option!(seed),
    option!(presence_penalty),
    option!(frequency_penalty),
    Param {
        name: "logprobs",
        is_said: |chat| chat.logprobs == Some(true),
        forget: |chat| chat.logprobs = None,
    },
    option!(top_logprobs),
    option!(logit_bias),
    Param {
        name: "response_format",
        is_said: |chat| chat.format.as_ref().is_some_and(|format| *format != Format::Text),
        forget: |chat| chat.format = None,
    },
    Param {
        name: "reasoning_effort",
        is_said: |chat| chat.reasoning.is_some(),
        forget: |chat| chat.reasoning = None,
    },
    option!(verbosity),
    option!(service_tier),
];

impl Chat {
    /// OpenAI's names of the parameters that were said, for a provider to compare with those it
    /// has. Messages, streaming and the user are no parameters, nor is what another dialect than
    /// OpenAI's has beyond the common form: it is nobody's but its own.
    #[must_use]
    pub fn params(&self) -> Vec<&str> {
        let said = PARAMS.iter().filter(|param| (param.is_said)(self)).map(|param| param.name);
        let other = self.other.iter().filter(|_| self.from == Dialect::OpenAi);
        said.chain(other.map(|(name, _)| name.as_str())).collect()
    }

    /// Takes a parameter back, by OpenAI's name.
    pub fn forget(&mut self, name: &str) {
        let known = match name {
            "max_completion_tokens" => "max_tokens",
            "thinking" => "reasoning_effort",
            name => name,
        };
        if let Some(param) = PARAMS.iter().find(|param| param.name == known) {
            (param.forget)(self);
        } else if name == "user" {
            self.user = None;
        } else if name == "safety_identifier" {
            self.safety_identifier = None;
        } else {
            self.other.retain(|(other, _)| other != name);
            self.extra.retain(|(extra, _)| extra != name);
        }
    }

    /// What responses have as a tool that is run for them, chats have as an option, if at all.
    fn is_said_as_tool(&self, tool: &Tool) -> bool {
        self.from != Dialect::Responses || matches!(tool, Tool::Function { .. })
    }
}
