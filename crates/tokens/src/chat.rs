//! What of a chat becomes tokens, by the rules in `OpenAI`'s cookbook ("How to count tokens with
//! tiktoken") and its guide to images.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::family::Encoding;

/// What each message costs beside its texts, what a name costs beside its own, and what the start
/// of the answer costs.
const MESSAGE: u64 = 3;
const NAME: u64 = 1;
const PRIMING: u64 = 3;
/// A tool's costs beside its texts. Older models' are higher.
const TOOL: u64 = 7;
const TOOL_OF_CL100K: u64 = 10;
const PROPERTIES: u64 = 3;
const PROPERTY: u64 = 3;
const ENUM_ITEM: u64 = 3;
/// An enumeration's saving, against its items.
const ENUM: u64 = 3;
const TOOLS: u64 = 12;
/// An image of low detail; one of high detail whose size is not looked at, taken for 1024 pixels
/// square.
const LOW_DETAIL: u64 = 85;
const HIGH_DETAIL: u64 = 765;
/// Audio and files, whose tokens their bytes do not tell; as `llm` takes them.
const FILE: u64 = 1_000;

/// A chat taken apart.
#[derive(Default)]
pub(crate) struct Chat<'b> {
    /// Each is counted on its own.
    pub(crate) texts: Vec<Cow<'b, str>>,
    /// What is counted beside them.
    pub(crate) framing: u64,
    /// The rules for all that is in it are exact.
    pub(crate) exact: bool,
}

#[derive(Deserialize)]
struct Body<'b> {
    #[serde(borrow)]
    messages: Vec<Message<'b>>,
    #[serde(default)]
    tools: Vec<Tool>,
    #[serde(default)]
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Message<'b> {
    #[serde(borrow)]
    role: Cow<'b, str>,
    #[serde(borrow, default)]
    content: Option<Content<'b>>,
    #[serde(borrow, default)]
    name: Option<Cow<'b, str>>,
    #[serde(default)]
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'b> {
    Text(#[serde(borrow)] Cow<'b, str>),
    Parts(#[serde(borrow)] Vec<Part<'b>>),
}

#[derive(Deserialize)]
struct Part<'b> {
    #[serde(borrow, default)]
    text: Option<Cow<'b, str>>,
    #[serde(default)]
    image_url: Option<Image>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Image {
    Described { detail: Option<String> },
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct ToolCall {
    function: Option<Called>,
}

#[derive(Deserialize)]
struct Called {
    #[serde(default)]
    name: String,
    #[serde(default)]
    arguments: String,
}

#[derive(Deserialize)]
struct Tool {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Schema,
}

#[derive(Deserialize, Default)]
struct Schema {
    #[serde(default, rename = "type")]
    kind: serde_json::Value,
    #[serde(default)]
    description: String,
    #[serde(default, rename = "enum")]
    choices: Vec<serde_json::Value>,
    #[serde(default)]
    properties: BTreeMap<String, Schema>,
    #[serde(default)]
    items: Option<Box<Schema>>,
}

/// Takes a body apart, for models of an encoding.
pub(crate) fn read(body: &[u8], encoding: Encoding) -> Result<Chat<'_>, serde_json::Error> {
    let body: Body<'_> = serde_json::from_slice(body)?;
    let mut chat = Chat { framing: PRIMING, exact: true, ..Chat::default() };
    for message in body.messages {
        chat.message(message);
    }
    let tools = body.tools.into_iter().filter_map(|tool| tool.function);
    let functions: Vec<Function> = tools.chain(body.functions).collect();
    if !functions.is_empty() {
        chat.exact = false;
        chat.framing += TOOLS;
    }
    for function in functions {
        chat.function(&function, encoding);
    }
    Ok(chat)
}

impl<'b> Chat<'b> {
    fn message(&mut self, message: Message<'b>) {
        self.framing += MESSAGE;
        self.texts.push(message.role);
        if let Some(name) = message.name {
            self.framing += NAME;
            self.texts.push(name);
        }
        match message.content {
            Some(Content::Text(text)) => self.texts.push(text),
            Some(Content::Parts(parts)) => parts.into_iter().for_each(|part| self.part(part)),
            None => {}
        }
        for call in message.tool_calls.into_iter().flatten().filter_map(|call| call.function) {
            self.exact = false;
            self.texts.extend([call.name.into(), call.arguments.into()]);
        }
    }

    fn part(&mut self, part: Part<'b>) {
        match (part.text, part.image_url) {
            (Some(text), _) => self.texts.push(text),
            (None, Some(image)) => {
                self.exact = false;
                let low = matches!(&image, Image::Described { detail: Some(it) } if it == "low");
                self.framing += if low { LOW_DETAIL } else { HIGH_DETAIL };
            }
            (None, None) => {
                self.exact = false;
                self.framing += FILE;
            }
        }
    }

    fn function(&mut self, function: &Function, encoding: Encoding) {
        self.framing += match encoding {
            Encoding::O200k => TOOL,
            Encoding::Cl100k | Encoding::P50k | Encoding::R50k => TOOL_OF_CL100K,
        };
        let description = without_stop(&function.description);
        self.texts.push(format!("{}:{description}", function.name).into());
        self.properties(&function.parameters);
    }

    fn properties(&mut self, schema: &Schema) {
        if !schema.properties.is_empty() {
            self.framing += PROPERTIES;
        }
        for (name, property) in &schema.properties {
            let items = property.choices.len() as u64;
            self.framing += PROPERTY + (items * ENUM_ITEM).saturating_sub(ENUM);
            self.texts.extend(property.choices.iter().map(|choice| plain(choice).into()));
            let description = without_stop(&property.description);
            self.texts.push(format!("{name}:{}:{description}", plain(&property.kind)).into());
            self.properties(property);
            if let Some(items) = &property.items {
                self.properties(items);
            }
        }
    }
}

/// A JSON value as it would be spoken of: texts without their quotes.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn without_stop(text: &str) -> &str {
    text.strip_suffix('.').unwrap_or(text)
}
