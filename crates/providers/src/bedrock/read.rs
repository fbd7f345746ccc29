//! Converse's whole answers.

use std::ops::Range;

use dunlin_llm::anthropic::answer_in_json;
use dunlin_llm::form::{Choice, Citation, Finish, Part, PartKind, Reply, Source, ToolCall};
use dunlin_llm::{BadReply, Tier};
use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReply<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    stop_reason: Option<String>,
    usage: Option<WireUsage>,
    service_tier: Option<ServiceTier>,
}

/// In what the answer was served.
#[derive(Deserialize)]
pub(super) struct ServiceTier {
    r#type: Option<String>,
}

impl ServiceTier {
    pub(super) fn tier(&self) -> Option<Tier> {
        self.r#type.as_deref().and_then(Tier::named)
    }
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    text: Option<String>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    reasoning_content: Option<Reasoning>,
    citations_content: Option<Cited>,
    image: Option<Image>,
}

/// A picture that the model made.
#[derive(Deserialize)]
struct Image {
    format: String,
    source: ImageSource,
}

#[derive(Deserialize)]
struct ImageSource {
    bytes: String,
}

/// Words and where they come from.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Cited {
    content: Vec<SourceText>,
    citations: Vec<WireCitation>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SourceText {
    text: String,
}

/// Where words come from: those of the block in which it stands.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireCitation {
    title: String,
    source: Option<String>,
    source_content: Vec<SourceText>,
    location: Location,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Location {
    web: Option<Web>,
}

#[derive(Deserialize)]
struct Web {
    url: Option<String>,
}

impl WireCitation {
    pub(super) fn of(self, words: Range<u64>) -> Citation {
        let url = self.location.web.and_then(|web| web.url).or(self.source);
        Citation {
            words: Some(words).filter(|words| !words.is_empty()),
            title: self.title,
            url: url.filter(|url| !url.is_empty()),
            quote: self.source_content.into_iter().map(|content| content.text).collect(),
            anthropic: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: String,
    name: String,
    r#type: Option<String>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    reasoning_text: Option<ReasoningText>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    text: String,
    signature: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireUsage {
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    cache_read_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    cache_write_input_tokens: Option<u64>,
    /// What was written to the cache, by how long it stays there.
    cache_details: Option<Vec<CacheDetail>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    ttl: Option<String>,
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    input_tokens: Option<u64>,
}

impl WireUsage {
    /// Here, what was cached does not count as input.
    pub(super) fn usage(&self) -> Option<Usage> {
        let [input, cached, written] =
            [self.input_tokens, self.cache_read_input_tokens, self.cache_write_input_tokens]
                .map(|count| count.unwrap_or(0));
        let details = self.cache_details.iter().flatten();
        let hour = details.filter(|detail| detail.ttl.as_deref() == Some("1h"));
        let hour = hour.filter_map(|detail| detail.input_tokens).fold(0, u64::saturating_add);
        let usage = Usage {
            prompt: Tokens(input.saturating_add(cached).saturating_add(written)),
            cached: Tokens(cached),
            cache_write: Tokens(written),
            cache_write_1h: Tokens(hour.min(written)),
            completion: Tokens(self.output_tokens.unwrap_or(0)),
            ..Usage::default()
        };
        usage.if_any()
    }
}

/// Whether a tool of that type is run by Bedrock itself: nobody else is asked to.
pub(super) fn is_run_there(kind: Option<&str>) -> bool {
    kind == Some("server_tool_use")
}

/// Bedrock's word for why an answer ended.
pub(super) fn finish(word: &str) -> Finish {
    match word {
        "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopSequence(None),
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "guardrail_intervened" | "content_filtered" => Finish::ContentFilter,
        other => Finish::Other(other.to_owned()),
    }
}

/// Reads a whole answer.
pub(super) fn reply(body: &[u8]) -> Result<Reply, BadReply> {
    let wire: WireReply<'_> = serde_json::from_slice(body)?;
    let blocks = wire.output.message.map(|message| message.content).unwrap_or_default();
    let (mut parts, mut citations, mut said): (Vec<Part>, _, _) = (Vec::new(), Vec::new(), 0);
    for mut block in blocks {
        let cited = block.citations_content.take().unwrap_or_default();
        let words: String = cited.content.into_iter().map(|content| content.text).collect();
        block.text = block.text.or(Some(words));
        let before = said;
        said += block.text.as_ref().map_or(0, |text| text.chars().count() as u64);
        citations.extend(cited.citations.into_iter().map(|cited| cited.of(before..said)));
        parts.extend(self::parts(block));
    }
    if answer_in_json(&mut parts) {
        citations.clear();
    }
    let calls = parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let finish = match wire.stop_reason.as_deref().filter(|word| !word.is_empty()).map(finish) {
        // The only call was the answer itself.
        Some(Finish::ToolCalls) if !calls => Finish::Stop,
        Some(finish) => finish,
        None => return Err(BadReply::Unended),
    };
    let choice = Choice { index: 0, parts, finish, logprobs: None, citations };
    let usage = wire.usage.as_ref().and_then(WireUsage::usage);
    let served_in = wire.service_tier.as_ref().and_then(ServiceTier::tier);
    Ok(Reply { choices: vec![choice], usage, served_in, ..Reply::default() })
}

fn parts(block: Block<'_>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    if let Some(reasoning) = block.reasoning_content {
        let redacted = reasoning.redacted_content.map(PartKind::RedactedThinking);
        parts.extend(redacted.map(Part::from));
        let text = reasoning.reasoning_text;
        parts.extend(text.map(|ReasoningText { text, signature }| {
            Part::from(PartKind::Thinking { text, signature })
        }));
    }
    parts.extend(block.text.filter(|text| !text.is_empty()).map(Part::text));
    if let Some(Image { format, source: ImageSource { bytes: data } }) = block.image {
        let source = Source::Inline { media_type: format!("image/{format}"), data };
        parts.push(PartKind::Image { source, detail: None }.into());
    }
    if let Some(call) = block.tool_use.filter(|call| !is_run_there(call.r#type.as_deref())) {
        let arguments = call.input.map_or("{}", RawValue::get).to_owned();
        let (id, name) = (call.tool_use_id, call.name);
        parts.push(PartKind::ToolCall(ToolCall { id, name, arguments, signature: None }).into());
    }
    parts
}
