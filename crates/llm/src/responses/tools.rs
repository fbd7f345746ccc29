//! The tools of a request, and which of them the model may or must call.
//!
//! They are in `tools`, in items that add some, as Codex has them all, and in what a search of the
//! client's found. Such items come again and again: the newest of a tool stands.

use std::borrow::Cow;
use std::collections::btree_map::Entry;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Dialect;
use crate::form::{Chat, Grammar, Json, Tool, ToolChoice, is_web_search};
use crate::json::{Member, members, string};
use crate::parse::BadRequest;
use crate::responses::calls::{BuiltIn, ClientTool, ClientTools, Named, OwnName};
use crate::responses::read::{invalid, value};
use crate::word::Word;

/// The items that hold tools, as they are written.
static HOLDERS: [Word; 2] =
    [Word::new(br#""additional_tools""#), Word::new(br#""tool_search_output""#)];
const NAMED: &str = "a tool with a type and a name";

/// A tool's definition.
#[derive(Deserialize)]
struct Wire<'a> {
    r#type: String,
    name: Option<String>,
    description: Option<String>,
    parameters: Option<Json>,
    strict: Option<bool>,
    format: Option<WireFormat>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    environment: Option<&'a RawValue>,
    #[serde(borrow)]
    execution: Option<&'a RawValue>,
}

/// What the input of a custom tool looks like.
#[derive(Deserialize)]
struct WireFormat {
    syntax: Option<String>,
    definition: Option<String>,
}

impl WireFormat {
    fn grammar(self) -> Option<Grammar> {
        let Self { syntax, definition } = self;
        Some(Grammar { syntax, definition: definition? })
    }
}

impl Wire<'_> {
    /// `None`: a server would run it.
    fn of_client(
        self,
        namespace: Option<&str>,
    ) -> Result<Option<(ClientTool, Tool)>, &'static str> {
        let Self { name, description, parameters, strict, format, .. } = self;
        let own = |name: Option<String>| {
            Ok::<_, &str>(OwnName {
                namespace: namespace.map(str::to_owned),
                name: name.ok_or(NAMED)?,
            })
        };
        Ok(Some(match &*self.r#type {
            "function" => {
                let own = own(name)?;
                let tool = Tool::Function {
                    name: own.function(),
                    description,
                    parameters: parameters.filter(Json::is_object),
                    // Chats of other servers know no strictness, and OpenAI's SDKs always send it.
                    strict: strict.filter(|strict| *strict),
                    cache: None,
                };
                (ClientTool::Function(own), tool)
            }
            "custom" => {
                let own = own(name)?;
                let grammar = format.and_then(WireFormat::grammar);
                let tool = Tool::of_any_text(own.function(), description, grammar);
                (ClientTool::Custom(own), tool)
            }
            kind => {
                let is_clients = match kind {
                    "tool_search" => self.execution.is_some_and(|by| by.get() == r#""client""#),
                    "shell" => self.environment.is_none_or(is_local),
                    _ => true,
                };
                let built_in = BuiltIn::of_kind(kind).filter(|_| is_clients && namespace.is_none());
                let Some(built_in) = built_in else { return Ok(None) };
                let parameters = parameters.filter(Json::is_object);
                (ClientTool::BuiltIn(built_in), built_in.function(description, parameters))
            }
        }))
    }
}

/// Whether commands run where the client is, and in no container of OpenAI's.
fn is_local(environment: &RawValue) -> bool {
    let found = members(environment.get()).unwrap_or_default();
    let kind = found.iter().find(|member| member.name == "type");
    kind.is_none_or(|kind| string(kind.value).as_deref() == Some("local"))
}

/// A tool where it stands.
struct Offered<'a> {
    /// In an item of the input.
    item: Option<usize>,
    at: usize,
    raw: &'a RawValue,
}

impl Offered<'_> {
    fn wrong(&self, expected: &'static str) -> BadRequest {
        let item = self.item.map(|item| format!("input[{item}].")).unwrap_or_default();
        invalid(&format!("{item}tools[{}]", self.at), expected)
    }
}

/// The tools of a request.
#[derive(Default)]
pub(super) struct Declared {
    pub(super) tools: Vec<Tool>,
    pub(super) own: ClientTools,
}

impl Declared {
    /// Those of a body with these members.
    pub(super) fn read(body: &[Member<'_>]) -> Result<Self, BadRequest> {
        let named =
            |name: &str| body.iter().find(|member| member.name == name && member.value != "null");
        let mut all = Self::default();
        let tools: Option<Vec<&RawValue>> =
            named("tools").map(|tools| value(tools, "a list of tools")).transpose()?;
        for (at, raw) in tools.into_iter().flatten().enumerate() {
            all.add(&Offered { item: None, at, raw })?;
        }
        // Few have such items, and others need not be read again.
        let input = named("input").map_or("", |input| input.value);
        if HOLDERS.iter().any(|holder| holder.is_in(input.as_bytes())) {
            held(input).iter().try_for_each(|offered| all.add(offered))?;
        }
        Ok(all)
    }

    fn add(&mut self, offered: &Offered<'_>) -> Result<(), BadRequest> {
        let wrong = |expected| offered.wrong(expected);
        let wire: Wire<'_> = serde_json::from_str(offered.raw.get()).map_err(|_| wrong(NAMED))?;
        if wire.r#type != "namespace" {
            return match wire.of_client(None).map_err(wrong)? {
                Some((own, tool)) => self.put(own, tool).map_err(wrong),
                None => {
                    let tool = Tool::Hosted(offered.raw.into());
                    if offered.item.is_none() || !self.tools.contains(&tool) {
                        self.tools.push(tool);
                    }
                    Ok(())
                }
            };
        }
        let namespace = wire.name.as_deref().ok_or_else(|| wrong(NAMED))?;
        let inner = wire.tools.map_or("[]", RawValue::get);
        let inner: Vec<Wire<'_>> = serde_json::from_str(inner).map_err(|_| wrong(IN_NAMESPACE))?;
        for mut tool in inner {
            tool.description = joined(wire.description.as_deref(), tool.description);
            let tool = tool.of_client(Some(namespace)).map_err(wrong)?;
            let (own, tool) = tool.ok_or_else(|| wrong(IN_NAMESPACE))?;
            self.put(own, tool).map_err(wrong)?;
        }
        Ok(())
    }

    fn put(&mut self, own: ClientTool, tool: Tool) -> Result<(), &'static str> {
        let Some(function) = function_of(&tool).map(str::to_owned) else { return Ok(()) };
        match self.own.0.entry(function) {
            Entry::Vacant(place) => {
                place.insert(own);
                self.tools.push(tool);
            }
            Entry::Occupied(known) if *known.get() == own => {
                let is_it = |old: &&mut Tool| function_of(old) == Some(known.key().as_str());
                if let Some(old) = self.tools.iter_mut().find(is_it) {
                    *old = tool;
                }
            }
            Entry::Occupied(_) => return Err(UNIQUE),
        }
        Ok(())
    }
}

const IN_NAMESPACE: &str = "a namespace of tools of type function or custom";
const UNIQUE: &str = "a tool whose name, behind that of its namespace and __, no other tool has";

fn function_of(tool: &Tool) -> Option<&str> {
    let Tool::Function { name, .. } = tool else { return None };
    Some(name)
}

/// What a namespace and a tool in it are for.
fn joined(namespace: Option<&str>, tool: Option<String>) -> Option<String> {
    let words = [namespace.map(Cow::Borrowed), tool.map(Cow::Owned)];
    let words: Vec<Cow<'_, str>> =
        words.into_iter().flatten().filter(|words| !words.is_empty()).collect();
    (!words.is_empty()).then(|| words.join("\n\n"))
}

/// An item that may hold tools.
#[derive(Default, Deserialize)]
struct Holder<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tools: Option<Vec<&'a RawValue>>,
}

impl<'a> Holder<'a> {
    /// What is no such item is refused by who reads them all.
    fn read(item: &'a RawValue) -> Self {
        serde_json::from_str(item.get()).unwrap_or_default()
    }
}

/// Whether an item says nothing but that there are more tools.
pub(super) fn only_adds_tools(item: &RawValue) -> bool {
    Holder::read(item).r#type.as_deref() == Some("additional_tools")
}

/// The tools that items of an input hold.
fn held(input: &str) -> Vec<Offered<'_>> {
    let items: Vec<&RawValue> = serde_json::from_str(input).unwrap_or_default();
    let mut all = Vec::new();
    for (item, raw) in items.into_iter().enumerate() {
        let Holder { r#type: kind, tools } = Holder::read(raw);
        if matches!(kind.as_deref(), Some("additional_tools" | "tool_search_output")) {
            let tools = tools.into_iter().flatten().enumerate();
            all.extend(tools.map(|(at, raw)| Offered { item: Some(item), at, raw }));
        }
    }
    all
}

/// What a model is told of the tools that a search found, which are declared to it.
pub(super) fn found(tools: &[&RawValue]) -> String {
    let mut all = Declared::default();
    for (at, raw) in tools.iter().enumerate() {
        // A tool that is none is refused by who reads the request's.
        let _refused = all.add(&Offered { item: None, at, raw });
    }
    let names: Vec<&str> = all.tools.iter().filter_map(function_of).collect();
    if names.is_empty() {
        return "No tool was found.".to_owned();
    }
    format!("These tools were found and can be called: {}", names.join(", "))
}

/// The client's tools in `request`.
pub(super) fn client_tools(request: &str) -> ClientTools {
    let body = members(request).unwrap_or_default();
    // A request that cannot be read has been refused.
    Declared::read(&body).unwrap_or_default().own
}

/// What `tool_choice` says.
pub(super) struct Wanted {
    choice: ToolChoice,
    /// The tool that must be called.
    named: Option<Named>,
    /// Those of the tools that may be called, where not all may.
    among: Option<Vec<Named>>,
}

/// Reads `tool_choice`.
pub(super) fn read_choice(member: &Member<'_>) -> Result<Wanted, BadRequest> {
    #[derive(Deserialize)]
    struct WireChoice {
        r#type: String,
        name: Option<String>,
        namespace: Option<String>,
        mode: Option<String>,
        tools: Option<Vec<Named>>,
    }
    let expected = "auto, none, required, or an object with the type of a tool, or with type \
                    allowed_tools, a mode and tools";
    let word = |word: &str| match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" | "any" | "tool" => Some(ToolChoice::Required),
        _ => None,
    };
    let wrong = || invalid("tool_choice", expected);
    let of = |choice| Ok(Wanted { choice, named: None, among: None });
    if let Some(text) = string(member.value) {
        return of(word(&text).ok_or_else(wrong)?);
    }
    let WireChoice { r#type, name, namespace, mode, tools } = value(member, expected)?;
    let named = Some(Named { r#type: r#type.clone(), name: name.clone(), namespace });
    match (&*r#type, name) {
        ("function" | "custom", Some(name)) => {
            Ok(Wanted { choice: ToolChoice::Named(name), named, among: None })
        }
        ("function" | "custom", None) => of(ToolChoice::Required),
        ("allowed_tools", _) => {
            let among = Some(tools.ok_or_else(wrong)?);
            let choice = word(mode.as_deref().unwrap_or("auto")).ok_or_else(wrong)?;
            Ok(Wanted { choice, named: None, among })
        }
        // Some clients wrap the plain words in an object.
        (kind, _) => match word(kind) {
            Some(choice) => of(choice),
            None => Ok(Wanted { choice: ToolChoice::Hosted(r#type), named, among: None }),
        },
    }
}

/// Applies `tool_choice` to the tools, which have been read.
pub(super) fn choose(chat: &mut Chat, own: &ClientTools, wanted: Wanted) -> Result<(), BadRequest> {
    let Wanted { mut choice, named, among } = wanted;
    // A namespace may hold many: it is no choice of one.
    let named = named.filter(|named| named.r#type != "namespace");
    if let Some(function) = named.as_ref().and_then(|named| own.function(named)) {
        choice = ToolChoice::Named(function.to_owned());
    }
    if let ToolChoice::Hosted(kind) = &choice
        && !chat.tools.iter().any(|tool| is_of(tool, kind))
    {
        return Err(invalid("tool_choice", "a tool that is one of `tools`"));
    }
    if let Some(among) = among {
        let is_allowed = |tool: &Tool| match tool {
            Tool::Function { name, .. } => {
                let tool = own.called(name);
                among.iter().any(|named| tool.is(name, named))
            }
            Tool::Hosted(_) => among.iter().any(|named| is_of(tool, &named.r#type)),
        };
        if !chat.allow_only(is_allowed) {
            return Err(invalid("tool_choice.tools", "some of the request's `tools`"));
        }
    }
    chat.tool_choice = Some(choice);
    Ok(())
}

/// Whether a tool is of the type that a choice names: a search of the web has several names.
fn is_of(tool: &Tool, kind: &str) -> bool {
    let Some(own) = tool.kind() else { return false };
    *own == *kind || (is_web_search(&own) && is_web_search(kind))
}

/// A chat of nothing but the request's tools, those that it may use.
#[must_use]
pub fn tools_of(request: &str) -> Chat {
    let mut chat = Chat::new(Dialect::Responses);
    let body = members(request).unwrap_or_default();
    let Declared { tools, own } = Declared::read(&body).unwrap_or_default();
    chat.tools = tools;
    let wanted = body.iter().find(|member| member.name == "tool_choice");
    let wanted = wanted.and_then(|choice| read_choice(choice).ok());
    // A choice that cannot be is refused by who reads the request.
    let _chosen = wanted.map(|wanted| choose(&mut chat, &own, wanted));
    chat
}
