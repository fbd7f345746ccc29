//! What the mock says, before a dialect gives it its form.

use serde_json::{Value, json};

use crate::ask::{Ask, Last, MustCall};
use crate::fault::Fault;
use crate::schema;
use crate::settings::{Habit, Settings};
use crate::wish::{self, Wishes};

/// A whole answer.
pub(crate) struct Answer {
    /// Letters and digits that no other answer of any running mock has.
    pub(crate) id: String,
    pub(crate) parts: Vec<Part>,
    pub(crate) finish: Finish,
    /// `None` where it is to be left out.
    pub(crate) usage: Option<Usage>,
    /// All that is paced.
    pub(crate) tokens: u32,
}

/// One part of it, in the order in which they are said.
pub(crate) enum Part {
    Thought(Text),
    Text(Text),
    Refusal(Text),
    Call(Called),
}

/// A call that is wished for.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// A call that is made.
pub(crate) struct Called {
    /// Letters and digits.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Value,
    /// The arguments as JSON, cut as a model's tokens would be.
    pub(crate) json: Text,
}

/// A text as runs of the same token.
pub(crate) struct Text(Vec<(String, u32)>);

/// Why an answer ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Tools,
    Filter,
    Refusal,
    /// The dialect's own word.
    Named(String),
}

#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// All of the prompt, cached or not.
    pub(crate) prompt: u64,
    pub(crate) cached: u64,
    pub(crate) cache_written: u64,
    /// All of the answer, thoughts too.
    pub(crate) completion: u64,
    pub(crate) thought: u64,
}

impl Finish {
    /// A finish by OpenAI's name for it, or in the dialect's own words.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" => Self::Tools,
            "content_filter" => Self::Filter,
            "refusal" => Self::Refusal,
            _ => Self::Named(name.to_owned()),
        }
    }

    /// The word a dialect has for it, given its words for a stop, too long, tools and a filter.
    pub(crate) fn word<'a>(&'a self, [stop, length, tools, filter]: [&'a str; 4]) -> &'a str {
        match self {
            Self::Stop | Self::Refusal => stop,
            Self::Length => length,
            Self::Tools => tools,
            Self::Filter => filter,
            Self::Named(word) => word,
        }
    }
}

impl Text {
    fn repeated(token: impl Into<String>, times: u32) -> Self {
        Self(vec![(token.into(), times)])
    }

    /// Cut after each space, as words are tokens.
    fn words(text: &str) -> Self {
        Self(text.split_inclusive(' ').map(|word| (word.to_owned(), 1)).collect())
    }

    /// Cut where a tokenizer might, which is not where JSON does.
    fn json(value: &Value) -> Self {
        let text: Vec<char> = value.to_string().chars().collect();
        Self(text.chunks(6).map(|some| (some.iter().collect(), 1)).collect())
    }

    pub(crate) fn whole(&self) -> String {
        self.0.iter().map(|(token, times)| token.repeat(*times as usize)).collect()
    }

    /// Its tokens, and how often each is said before the next.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(token, times)| (token.as_str(), *times))
    }

    pub(crate) fn tokens(&self) -> u32 {
        self.0.iter().map(|(_, times)| times).sum()
    }

    /// Leaves out all but the first `most` tokens. Whether any was left out.
    fn cut(&mut self, most: u32) -> bool {
        let mut left = most;
        let before = self.tokens();
        for (_, times) in &mut self.0 {
            *times = left.min(*times);
            left -= *times;
        }
        self.0.retain(|(_, times)| *times > 0);
        before > most
    }
}

impl Answer {
    /// Decides what is said.
    pub(crate) fn compose(
        ask: &Ask,
        wishes: &Wishes,
        settings: &Settings,
        fault: &Fault,
        id: String,
    ) -> Self {
        let calls = calls(ask, wishes);
        let mut parts = Vec::new();
        let thought = wishes.think.as_deref().or(ask.thinks.then_some(wish::THOUGHT));
        if let Some(thought) = thought {
            parts.push(Part::Thought(Text::words(thought)));
        }
        let mut finish = Finish::Stop;
        if let Some(refusal) = &wishes.refuse {
            parts.push(Part::Refusal(Text::words(refusal)));
            finish = Finish::Refusal;
        } else if calls.is_empty() || wishes.say.is_some() {
            let mut text = text(ask, wishes, settings, fault);
            if text.cut(ask.max_tokens.unwrap_or(u32::MAX)) {
                finish = Finish::Length;
            }
            parts.push(Part::Text(text));
        }
        if !calls.is_empty() {
            finish = Finish::Tools;
        }
        for (at, call) in calls.into_iter().enumerate() {
            let json = Text::json(&call.arguments);
            let id = format!("{id}c{at}");
            parts.push(Part::Call(Called { id, name: call.name, arguments: call.arguments, json }));
        }
        let thought = parts.iter().filter(|part| matches!(part, Part::Thought(_)));
        let thought = thought.map(Part::tokens).sum::<u32>().into();
        let tokens = parts.iter().map(Part::tokens).sum();
        let silent = *fault == Fault::MissingUsage || settings.has(Habit::NoUsage);
        let usage = Usage {
            prompt: ask.prompt_tokens + wishes.cached + wishes.cache_written,
            cached: wishes.cached,
            cache_written: wishes.cache_written,
            completion: u64::from(tokens),
            thought,
        };
        let finish = wishes.finish.clone().unwrap_or(finish);
        Self { id, parts, finish, usage: (!silent).then_some(usage), tokens }
    }

    /// What is said aloud.
    pub(crate) fn text(&self) -> String {
        self.pick(|part| if let Part::Text(text) = part { Some(text) } else { None })
    }

    pub(crate) fn thought(&self) -> String {
        self.pick(|part| if let Part::Thought(text) = part { Some(text) } else { None })
    }

    pub(crate) fn refusal(&self) -> String {
        self.pick(|part| if let Part::Refusal(text) = part { Some(text) } else { None })
    }

    fn pick(&self, of: impl Fn(&Part) -> Option<&Text>) -> String {
        self.parts.iter().filter_map(of).map(Text::whole).collect()
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = &Called> {
        self.parts.iter().filter_map(|part| match part {
            Part::Call(called) => Some(called),
            Part::Text(_) | Part::Thought(_) | Part::Refusal(_) => None,
        })
    }
}

impl Part {
    fn tokens(&self) -> u32 {
        match self {
            Self::Thought(text) | Self::Text(text) | Self::Refusal(text) => text.tokens(),
            Self::Call(called) => called.json.tokens(),
        }
    }
}

/// Only tools that are offered are called, so that a list of tools that got lost is seen.
fn calls(ask: &Ask, wishes: &Wishes) -> Vec<Call> {
    let offered = |name: &str| ask.tools.iter().find(|tool| tool.name == name);
    let most = if ask.one_call { 1 } else { wishes.calls.len() };
    let wished = wishes.calls.iter().filter(|call| offered(&call.name).is_some());
    let wished: Vec<Call> = wished.take(most).cloned().collect();
    let forced = match &ask.must_call {
        MustCall::Never => return Vec::new(),
        MustCall::No => None,
        MustCall::Any => ask.tools.first(),
        MustCall::Named(name) => offered(name),
    };
    match forced {
        Some(tool) if wished.is_empty() => {
            let arguments = schema::instance(&tool.schema);
            vec![Call { name: tool.name.clone(), arguments }]
        }
        Some(_) | None => wished,
    }
}

const TOKEN: &str = "tok ";

fn text(ask: &Ask, wishes: &Wishes, settings: &Settings, fault: &Fault) -> Text {
    if let Some(text) = &wishes.say {
        return Text::words(text);
    }
    if wishes.echo {
        return Text::words(&wish::plain(ask.text()));
    }
    if let Some(call) = wishes.calls.first() {
        return Text::words(&format!("no tool {} was offered", call.name));
    }
    if let Some(schema) = &ask.schema {
        let any = json!({"answer": "tok"});
        let value = if schema.is_object() { schema::instance(schema) } else { any };
        return Text::json(&value);
    }
    if let Last::Tool(result) = &ask.last {
        return Text::words(&format!("the tool said: {result}"));
    }
    let tokens = wishes.tokens.unwrap_or(settings.tokens);
    match *fault {
        Fault::HugeReply(bytes) => {
            let filler = "x".repeat(bytes / tokens.max(1) as usize);
            Text::repeated(TOKEN.to_owned() + &filler, tokens.max(1))
        }
        Fault::HugeFrame(bytes) => {
            let filler = TOKEN.to_owned() + &"x".repeat(bytes);
            Text(vec![(TOKEN.into(), tokens / 2), (filler, 1), (TOKEN.into(), tokens / 2)])
        }
        Fault::None
        | Fault::Refuse
        | Fault::Status { .. }
        | Fault::Hang
        | Fault::ResetMidStream(_)
        | Fault::CutMidStream(_)
        | Fault::ErrorMidStream(_)
        | Fault::StallMidStream(..)
        | Fault::Loading
        | Fault::MissingUsage
        | Fault::WrongName
        | Fault::SlowFirstToken(_)
        | Fault::TokensPerSecond(_)
        | Fault::TruncatedJson
        | Fault::MalformedJson
        | Fault::BadUtf8
        | Fault::Html
        | Fault::Chopped(_) => Text::repeated(TOKEN, tokens),
    }
}
