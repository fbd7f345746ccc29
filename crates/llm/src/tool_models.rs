//! The models that tools of a provider's own ask beside the one that is asked: OpenAI's tool for
//! pictures, whoever writes one as SVG, and Anthropic's advisor. A request names them; an answer counts
//! what they used apart from its own model. Beside them, the models that may answer in its place: at
//! OpenRouter any of `models`, at Anthropic its `fallbacks` where it declines.

use std::borrow::Cow;

use dunlin_types::{Part, Tokens};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::media::Picture;
use crate::parse::MAX_MODEL_BYTES;
use crate::usage;
use crate::uses::TOKENS_A_CALL;
use crate::word::Word;

/// Models that one request may name beside its own, or all requests of a batch; more are refused.
pub(crate) const MAX_MODELS: usize = 32;
const TOO_MANY: &str =
    "at most 32 models beside the request's own, with names of at most 512 bytes";
const TWO_PAINTERS: &str =
    "`image_generation` of one model: what each of two has drawn is not told apart";

/// What OpenAI's tool for pictures asks where its request names no model.
pub const DEFAULT_PAINTER: &str = "gpt-image-1";

/// Of a picture that is shown before it is finished; there are at most three of a picture.
const TOKENS_A_PARTIAL: u64 = 100;
const MOST_PARTIALS: u64 = 3;
/// A picture that the tool is shown, looked at as closely as can be.
const TOKENS_A_PICTURE_SHOWN: u64 = 8_192;
/// Most pictures are written as SVG in fewer.
const TOKENS_AN_SVG: u64 = 4_096;
/// Advice that names no maximum is hardly longer.
const TOKENS_OF_ADVICE: u64 = 2_048;

/// Words of such tools, and what letters can be written as instead.
static WORDS: [Word; 3] =
    [Word::new(b"image_generation"), Word::new(b"advisor"), Word::new(b"\\u")];
/// Where an item of a response's input brings tools along.
static ADDITIONAL: Word = Word::new(b"additional_tools");
/// Where Anthropic's model is to make a conversation short before it answers.
static COMPACTS: Word = Word::new(b"\"compact_");
const COMPACTION: ToolModel = ToolModel {
    model: Cow::Borrowed(""),
    likely: Tokens(0),
    most: None,
    shown: Tokens(0),
    most_calls: Some(1),
    paints: false,
};
static DRAWN: Word = Word::new(b"\"image_gen\"");
static WRITTEN: Word = Word::new(b"\"svg_usage\"");

/// A tool that asks a model of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolModel {
    /// The model, by its provider's name. Empty: the one that is asked itself, once more.
    pub model: Cow<'static, str>,
    /// What it hardly answers more with, once.
    pub likely: Tokens,
    /// What it never answers more with, once. `None`: as much as it can.
    pub most: Option<Tokens>,
    /// What it is shown beside the request and what was answered so far.
    pub shown: Tokens,
    /// How often it may be asked.
    most_calls: Option<u64>,
    /// It draws, and what it has used is told without its name.
    paints: bool,
}

/// Those of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolModels {
    all: Vec<ToolModel>,
    /// How often all tools together may be called.
    most_calls: Option<u64>,
    /// See [`Self::others`].
    others: Vec<String>,
    /// See [`Self::fallbacks`].
    fallbacks: Vec<ToolModel>,
}

#[derive(Deserialize)]
struct PeekToolUsage<'a> {
    #[serde(borrow)]
    image_gen: Option<&'a RawValue>,
    web_search: Option<PeekSearches>,
}

/// An item of a response.
#[derive(Deserialize)]
struct PeekItem<'a> {
    #[serde(borrow)]
    svg_usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PeekAuthor<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
}

#[derive(Deserialize)]
struct PeekSearches {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    num_requests: Option<u64>,
}

impl ToolModel {
    /// Who writes a picture as SVG.
    fn author(model: &str) -> Self {
        Self {
            model: model.to_owned().into(),
            likely: Tokens(TOKENS_AN_SVG),
            most: None,
            shown: Tokens(TOKENS_A_PICTURE_SHOWN),
            most_calls: None,
            paints: false,
        }
    }
}

impl ToolModels {
    /// Takes a member of a request, if it says something of them.
    pub(crate) fn take(&mut self, name: &str, value: &str) {
        match name {
            "tools" => self.all.extend(models(value)),
            "input" if ADDITIONAL.is_in(value.as_bytes()) => self.all.extend(additional(value)),
            "context_management" if COMPACTS.is_in(value.as_bytes()) => self.all.push(COMPACTION),
            "fallbacks" => self.fallbacks.extend(fallbacks(value)),
            "svg" => {
                let svg = serde_json::from_str::<Value>(value).unwrap_or_default();
                self.all.extend(svg["model"].as_str().map(ToolModel::author));
            }
            "max_tool_calls" => self.most_calls = value.parse().ok(),
            "models" => {
                let list = serde_json::from_str::<Vec<Value>>(value).unwrap_or_default();
                self.others.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|tool| &*tool.model).filter(|model| !model.is_empty())
    }

    /// Those that may answer in its place, where OpenRouter is asked.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        self.others.iter().map(String::as_str)
    }

    /// Those that answer where Anthropic's model declines. Its own choice counts as one that is called
    /// `default`.
    pub fn fallbacks(&self) -> impl Iterator<Item = &ToolModel> {
        self.fallbacks.iter()
    }

    /// Each that a tool may ask.
    pub fn iter(&self) -> impl Iterator<Item = &ToolModel> {
        self.all.iter()
    }

    /// Whether there are none, as in most requests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.others.is_empty() && self.fallbacks.is_empty()
    }

    /// What a request must have instead that cannot have these.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let fallbacks = self.fallbacks.iter().map(|one| &*one.model);
        let names = || self.names().chain(self.others()).chain(fallbacks.clone());
        if names().count() > MAX_MODELS || names().any(|name| name.len() > MAX_MODEL_BYTES) {
            return Some(TOO_MANY);
        }
        let mut painters = self.all.iter().filter(|tool| tool.paints);
        let first = painters.next()?;
        painters.any(|other| other.model != first.model).then_some(TWO_PAINTERS)
    }

    /// How often one may be asked by an answer of so many tokens at most.
    #[must_use]
    pub fn most_calls(&self, tool: &ToolModel, output: Tokens) -> u64 {
        let said = [tool.most_calls, self.most_calls].into_iter().flatten();
        said.chain([output.0 / TOKENS_A_CALL]).min().unwrap_or_default().max(1)
    }
}

/// Those in the JSON text of a list of tools.
fn models(tools: &str) -> Vec<ToolModel> {
    if !WORDS.iter().any(|word| word.is_in(tools.as_bytes())) {
        return Vec::new();
    }
    // Of what is said twice the last holds, as it does for those who read it.
    let tools = serde_json::from_str::<Vec<Value>>(tools).unwrap_or_default();
    tools.iter().flat_map(of_tool).collect()
}

fn of_tool(tool: &Value) -> impl Iterator<Item = ToolModel> + use<> {
    [author(tool), model(tool)].into_iter().flatten()
}

/// Those of the tools that items of a response's input bring along.
fn additional(input: &str) -> Vec<ToolModel> {
    let items = serde_json::from_str::<Vec<Value>>(input).unwrap_or_default();
    let bring = items.iter().filter(|item| item["type"] == "additional_tools");
    let tools = bring.filter_map(|item| item["tools"].as_array()).flatten();
    tools.flat_map(of_tool).collect()
}

/// Who writes what the tool for pictures drew as SVG: the model that is asked, where none is named.
fn author(tool: &Value) -> Option<ToolModel> {
    let writes = tool["output_format"] == "svg" || tool["svg"].is_object();
    let writes = writes && tool["type"] == "image_generation";
    writes.then(|| ToolModel::author(tool["svg"]["model"].as_str().unwrap_or_default()))
}

fn model(tool: &Value) -> Option<ToolModel> {
    let (text, number) = (|name| tool[name].as_str(), |name| tool[name].as_u64());
    match text("type")? {
        "image_generation" => {
            let picture = Picture::of(text("size"), text("quality"));
            let partials = number("partial_images").unwrap_or(0).min(MOST_PARTIALS);
            let one = Tokens(picture.most_tokens() + partials * TOKENS_A_PARTIAL);
            Some(ToolModel {
                model: text("model").unwrap_or(DEFAULT_PAINTER).to_owned().into(),
                likely: one,
                most: Some(one),
                shown: Tokens(TOKENS_A_PICTURE_SHOWN),
                most_calls: None,
                paints: true,
            })
        }
        kind if kind.starts_with("advisor_") => {
            let most = number("max_tokens").map(Tokens);
            let usual = Tokens(TOKENS_OF_ADVICE);
            Some(ToolModel {
                model: text("model")?.to_owned().into(),
                likely: most.map_or(usual, |most| most.min(usual)),
                most,
                shown: Tokens(0),
                most_calls: number("max_uses"),
                paints: false,
            })
        }
        _ => None,
    }
}

/// The models in the JSON text of `fallbacks`, each with how long it may answer if that is told.
fn fallbacks(said: &str) -> Vec<ToolModel> {
    let of = |said: &Value| {
        let model = said.as_str().or(said["model"].as_str())?.to_owned().into();
        let most = said["max_tokens"].as_u64().map(Tokens);
        let (likely, shown) = (Tokens(0), Tokens(0));
        Some(ToolModel { model, likely, most, shown, most_calls: Some(1), paints: false })
    };
    let said: Value = serde_json::from_str(said).unwrap_or_default();
    match said.as_array() {
        Some(all) => all.iter().filter_map(of).collect(),
        None => of(&said).into_iter().collect(),
    }
}

/// What the tool for pictures used, by the JSON text of a response's `tool_usage`. Its `tools` say of
/// which model.
pub(crate) fn drawn(tool_usage: &str, tools: Option<&str>) -> Option<Part> {
    if !DRAWN.is_in(tool_usage.as_bytes()) {
        return None;
    }
    let peek: PeekToolUsage<'_> = serde_json::from_str(tool_usage).ok()?;
    let mut used = usage::read(peek.image_gen?.get())?;
    if used.completion_image == Tokens(0) {
        used.completion_image = used.completion;
    }
    let model = tools.and_then(painter).unwrap_or_default();
    Some(Part::of(&model, &used))
}

/// What was used to write pictures as SVG, by the JSON text of a response's `output`. Its `tools` say
/// whether it draws any.
pub(crate) fn written(output: &str, tools: Option<&str>) -> Vec<Part> {
    let draws = |tools: &str| WORDS.iter().any(|word| word.is_in(tools.as_bytes()));
    if !tools.is_none_or(draws) || !WRITTEN.is_in(output.as_bytes()) {
        return Vec::new();
    }
    let items = serde_json::from_str::<Vec<PeekItem<'_>>>(output).unwrap_or_default();
    items.into_iter().filter_map(|item| of_author(item.svg_usage?.get())).collect()
}

/// The same of one picture, by the JSON text of its `svg_usage`.
pub(crate) fn of_author(svg_usage: &str) -> Option<Part> {
    let PeekAuthor { model } = serde_json::from_str(svg_usage).ok()?;
    Some(Part::of(&model, &usage::read(svg_usage)?))
}

/// The model that is asked for pictures, by the JSON text of a list of tools.
pub(crate) fn painter(tools: &str) -> Option<String> {
    let painter = models(tools).into_iter().rfind(|tool| tool.paints)?;
    Some(painter.model.into_owned())
}

/// How often the web was searched, by the same.
pub(crate) fn searched(tool_usage: &str) -> Option<u64> {
    let peek: PeekToolUsage<'_> = serde_json::from_str(tool_usage).ok()?;
    peek.web_search?.num_requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_that_the_input_brings_along_are_read_as_well() {
        let mut read = ToolModels::default();
        read.take(
            "input",
            r#"["a", {"type": "additional_tools", "tools": [{"type": "image_generation", "model": "p"}]}]"#,
        );
        assert_eq!(read.names().collect::<Vec<_>>(), ["p"]);
    }

    fn read(tools: &str, calls: Option<&str>) -> ToolModels {
        let mut read = ToolModels::default();
        read.take("tools", tools);
        calls.into_iter().for_each(|calls| read.take("max_tool_calls", calls));
        read
    }

    #[test]
    fn a_request_names_the_models_of_its_tools() {
        for (tools, expected) in [
            (r#"[{"type":"function","name":"image_generation","model":"m"}]"#, ""),
            (r#"[{"type":"image_generation"}]"#, "gpt-image-1"),
            (r#"[{"type":"image\u005fgeneration","model":"m"}]"#, "m"),
            (r#"[{"name":"f"},{"type":"advisor_20260301","model":"opus"}]"#, "opus"),
            (r#"[{"type":"image_generation","model":"a","model":"b"}]"#, "b"),
            (r#"[7,{"type":"advisor_20260301"},{"type":"advisor_20260301","model":7}]"#, ""),
            (r#"{"type":"image_generation"}"#, ""),
            (r#"[{"type":"image_generation","svg":{"model":"a"},"model":"b"}]"#, "a b"),
            (r#"[{"type":"image_generation","output_format":"svg"}]"#, " gpt-image-1"),
        ] {
            let read = read(tools, None);
            let names: Vec<&str> = read.iter().map(|tool| &*tool.model).collect();
            assert_eq!(names.join(" "), expected, "{tools}");
        }
    }

    #[test]
    fn whoever_writes_a_picture_as_svg_is_named_and_told_apart() {
        let mut asked = ToolModels::default();
        asked.take("svg", r#"{"model":"a","reasoning":{"effort":"low"}}"#);
        assert_eq!(asked.names().collect::<Vec<_>>(), ["a"]);
        let used = r#"{"model":"a","input_tokens":9,"output_tokens":70,"reasoning_tokens":5,
            "total_tokens":79}"#;
        let expected = of_author(used).expect("it counts");
        assert_eq!((expected.prompt, expected.completion), (Tokens(9), Tokens(70)));
        let tools = r#"[{"type":"image_generation","svg":{"model":"a"}}]"#;
        let output = format!(r#"[{{"type":"image_generation_call","svg_usage":{used}}},{{}}]"#);
        assert_eq!(written(&output, Some(tools)), [expected]);
        assert_eq!(written(&output, Some("[]")), []);
        assert_eq!(painter(tools).as_deref(), Some(DEFAULT_PAINTER));
    }

    #[test]
    fn others_that_may_answer_are_named_in_a_list() {
        let mut read = ToolModels::default();
        assert!(read.is_empty());
        read.take("models", r#"["a", 7, "b/c"]"#);
        assert_eq!(read.others().collect::<Vec<_>>(), ["a", "b/c"]);
        assert!(!read.is_empty() && read.names().next().is_none());
    }

    #[test]
    fn who_answers_where_one_declines_is_named_with_how_long() {
        let mut read = ToolModels::default();
        read.take("fallbacks", r#"[{"model":"a","max_tokens":9},"b",{"x":["c"]},7]"#);
        read.take("fallbacks", r#""default""#);
        let told = read.fallbacks().map(|one| (&*one.model, one.most));
        let expected = [("a", Some(Tokens(9))), ("b", None), ("default", None)];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert!(!read.is_empty() && read.names().next().is_none());
    }

    #[test]
    fn too_many_models_or_two_that_draw_are_a_fault() {
        let tools = |models: &[&str]| {
            let tool = |model: &&str| format!(r#"{{"type":"image_generation","model":"{model}"}}"#);
            let tools = models.iter().map(tool).collect::<Vec<_>>().join(",");
            read(&format!(r#"[{tools},{{"type":"advisor_20260301","model":"opus"}}]"#), None)
        };
        assert_eq!(tools(&["a", "a"]).fault(), None);
        assert_eq!(tools(&["a", "b"]).fault(), Some(TWO_PAINTERS));
        assert_eq!(tools(&["a"; 31]).fault(), None);
        assert_eq!(tools(&["a"; 32]).fault(), Some(TOO_MANY));
        assert_eq!(tools(&[&*"a".repeat(MAX_MODEL_BYTES + 1)]).fault(), Some(TOO_MANY));
    }

    #[test]
    fn what_a_tool_may_use_is_bounded_by_what_it_is_told() {
        let one = |tools: &str, calls, output| {
            let read = read(tools, calls);
            let tool = read.iter().next().expect("there is one").clone();
            (tool.likely.0, tool.most.map(|most| most.0), read.most_calls(&tool, Tokens(output)))
        };
        let low = r#"[{"type":"image_generation","quality":"low","size":"1024x1024"}]"#;
        assert_eq!(one(low, None, 160), (272, Some(272), 10));
        assert_eq!(one(low, Some("3"), 160), (272, Some(272), 3));
        assert_eq!(one(low, None, 5), (272, Some(272), 1));
        let shown = r#"[{"type":"image_generation","partial_images":9}]"#;
        assert_eq!(one(shown, Some("1"), 160), (6_540, Some(6_540), 1));
        let advisor = r#"[{"type":"advisor_20260301","model":"m","max_uses":2}]"#;
        assert_eq!(one(advisor, None, 1_600), (2_048, None, 2));
        let short = r#"[{"type":"advisor_20260301","model":"m","max_tokens":1024}]"#;
        assert_eq!(one(short, None, 1_600), (1_024, Some(1_024), 100));
    }

    #[test]
    fn an_answer_tells_what_was_drawn_and_searched() {
        let told = r#"{"image_gen":{"input_tokens":9,"output_tokens":40,"total_tokens":49,
            "input_tokens_details":{"image_tokens":4,"text_tokens":5},
            "output_tokens_details":{"image_tokens":38,"text_tokens":2}},
            "web_search":{"num_requests":3}}"#;
        let part = drawn(told, Some(r#"[{"type":"image_generation","model":"p"}]"#));
        let part = part.expect("it is told");
        assert_eq!(
            (part.model.as_str(), part.prompt, part.prompt_image),
            ("p", Tokens(9), Tokens(4))
        );
        assert_eq!((part.completion, part.completion_image), (Tokens(40), Tokens(38)));
        assert_eq!(searched(told), Some(3));
        let bare = drawn(r#"{"image_gen":{"input_tokens":9,"output_tokens":40}}"#, None);
        let bare = bare.expect("it is told");
        assert_eq!((bare.model.as_str(), bare.completion_image), ("", Tokens(40)));
        let none = r#"{"image_gen":{"input_tokens":0,"output_tokens":0,"total_tokens":0}}"#;
        assert_eq!(drawn(none, None), None);
        assert_eq!((drawn("7", None), searched("7")), (None, None));
    }
}
