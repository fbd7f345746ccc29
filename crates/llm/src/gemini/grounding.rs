//! Where an answer's words come from: `groundingMetadata`, what Google looked up, and
//! `citationMetadata`, what its model repeats. Both count bytes of a part's text.

use std::iter::Sum;
use std::ops::Range;

use dunlin_types::Usage;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::form::{self, Citation, Part, PartKind};

use super::write::said;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Grounding {
    web_search_queries: Option<Vec<IgnoredAny>>,
    grounding_chunks: Option<Vec<Chunk>>,
    grounding_supports: Option<Vec<Support>>,
    google_maps_widget_context_token: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Chunk {
    web: Option<Place>,
    image: Option<Picture>,
    maps: Option<Place>,
    retrieved_context: Option<Place>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Place {
    uri: Option<String>,
    title: Option<String>,
    text: Option<String>,
}

/// A picture that was found, and the page that it is on.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Picture {
    source_uri: Option<String>,
    title: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Support {
    segment: Option<Segment>,
    grounding_chunk_indices: Option<Vec<usize>>,
}

/// What is 0 is left out.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Segment {
    part_index: usize,
    start_index: usize,
    end_index: usize,
    text: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Repeated {
    /// On Vertex AI.
    citations: Option<Vec<Source>>,
    /// On AI Studio.
    citation_sources: Option<Vec<Source>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    start_index: usize,
    end_index: usize,
    uri: Option<String>,
    title: Option<String>,
}

fn grounding(metadata: Option<&RawValue>) -> Option<Grounding> {
    serde_json::from_str(metadata?.get()).ok()
}

/// How often something was looked up for an answer, which is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Searches {
    pub(crate) web: u64,
    pub(crate) maps: u64,
}

impl Searches {
    /// Those that a candidate tells of. Its queries are the maps' where it found nothing but places.
    pub(super) fn of(metadata: Option<&RawValue>) -> Self {
        let Some(looked_up) = grounding(metadata) else { return Self::default() };
        let queries = looked_up.web_search_queries.map_or(0, |queries| queries.len() as u64);
        let chunks = looked_up.grounding_chunks.unwrap_or_default();
        let shows_map = looked_up.google_maps_widget_context_token.is_some();
        if !shows_map && chunks.iter().all(|chunk| chunk.maps.is_none()) {
            return Self { web: queries, maps: 0 };
        }
        if chunks.iter().any(|chunk| chunk.web.is_some()) {
            return Self { web: queries, maps: 1 };
        }
        Self { web: 0, maps: queries.max(1) }
    }

    /// The larger count of each: later pieces repeat what earlier ones tell.
    pub(crate) fn or_more(self, other: Self) -> Self {
        Self { web: self.web.max(other.web), maps: self.maps.max(other.maps) }
    }

    /// What was used, these included.
    pub(crate) fn counted_in(self, usage: Usage) -> Usage {
        Usage { web_searches: self.web, map_searches: self.maps, ..usage }
    }
}

impl Sum for Searches {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            web: sum.web + one.web,
            maps: sum.maps + one.maps,
        })
    }
}

/// The sources that a candidate names: what was looked up, and what is repeated. `texts` are those of
/// its parts, where they are words.
pub(super) fn read(
    metadata: Option<&RawValue>,
    repeated: Option<&RawValue>,
    texts: &[Option<&str>],
) -> Vec<Citation> {
    let Grounding { grounding_chunks, grounding_supports, .. } =
        grounding(metadata).unwrap_or_default();
    let chunks = grounding_chunks.unwrap_or_default();
    let mut all = Vec::new();
    for Support { segment, grounding_chunk_indices } in grounding_supports.into_iter().flatten() {
        let words = segment.and_then(|segment| words(&segment, texts));
        let of = grounding_chunk_indices.into_iter().flatten().filter_map(|at| chunks.get(at));
        all.extend(of.filter_map(|chunk| cited(chunk, words.clone())));
    }
    if all.is_empty() {
        all.extend(chunks.iter().filter_map(|chunk| cited(chunk, None)));
    }
    let repeated = repeated.and_then(|said| serde_json::from_str::<Repeated>(said.get()).ok());
    let Repeated { citations, citation_sources } = repeated.unwrap_or_default();
    for source in citations.into_iter().chain(citation_sources).flatten() {
        let Source { start_index, end_index, uri: Some(url), title } = source else { continue };
        let segment = Segment { start_index, end_index, ..Segment::default() };
        let (words, title) = (words(&segment, texts), title.unwrap_or_default());
        all.push(Citation { words, title, url: Some(url), ..Citation::default() });
    }
    all
}

fn cited(chunk: &Chunk, words: Option<Range<u64>>) -> Option<Citation> {
    if let Some(Picture { source_uri: url, title }) = &chunk.image {
        let (url, title) = (url.clone(), title.clone().unwrap_or_default());
        return Some(Citation { words, title, url, ..Citation::default() });
    }
    let place = chunk.web.as_ref().or(chunk.maps.as_ref()).or(chunk.retrieved_context.as_ref())?;
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let (title, quote) = (said(&place.title), said(&place.text));
    Some(Citation { words, title, url: place.uri.clone(), quote, anthropic: None })
}

/// The words of a segment, in its part or in all the text. `None` where they are not those it repeats.
fn words(segment: &Segment, texts: &[Option<&str>]) -> Option<Range<u64>> {
    let bytes = segment.start_index..segment.end_index;
    let is_it = |text: &str| {
        let words = text.get(bytes.clone()).filter(|words| !words.is_empty());
        words.is_some_and(|words| segment.text.is_empty() || words == segment.text)
    };
    let part = texts.get(segment.part_index).copied().flatten().filter(|text| is_it(text));
    if let Some(text) = part {
        let before = texts[..segment.part_index].iter().flatten();
        let before = before.map(|text| text.chars().count() as u64).sum::<u64>();
        let words = form::characters(text, bytes)?;
        return Some(before + words.start..before + words.end);
    }
    let whole: String = texts.iter().copied().flatten().collect();
    if is_it(&whole) { form::characters(&whole, bytes) } else { None }
}

/// The sources of an answer of these parts, as what was looked up. `None` without any.
pub(super) fn write(parts: &[Part], citations: &[Citation]) -> Option<Value> {
    // Each text begins so many characters into all of it, and is the part of that number.
    let (mut texts, mut before) = (Vec::new(), 0);
    for (at, part) in parts.iter().enumerate().filter(|_| !citations.is_empty()) {
        if let PartKind::Text(text) = &part.kind {
            texts.push((said(&parts[..at]).len(), before, text.as_str()));
            before += text.chars().count() as u64;
        }
    }
    written(&texts, citations)
}

/// The same for a streamed answer, all of whose text is `text`.
pub(super) fn write_streamed(text: &str, citations: &[Citation]) -> Option<Value> {
    written(&[(0, 0, text)], citations)
}

fn written(texts: &[(usize, u64, &str)], citations: &[Citation]) -> Option<Value> {
    let (mut chunks, mut supports): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for cited in citations {
        let place = match &cited.url {
            Some(url) => json!({"web": {"uri": url, "title": cited.title}}),
            None => json!({"retrievedContext": {"title": cited.title, "text": cited.quote}}),
        };
        let known = chunks.iter().position(|chunk| *chunk == place);
        let at = known.unwrap_or(chunks.len());
        if known.is_none() {
            chunks.push(place);
        }
        let segment = texts.iter().find_map(|(part, before, text)| {
            let words = cited.words.as_ref()?;
            let here = words.start.checked_sub(*before)?..words.end.checked_sub(*before)?;
            let bytes = form::bytes(text, &here)?;
            Some(json!({"partIndex": part, "startIndex": bytes.start, "endIndex": bytes.end,
                "text": &text[bytes]}))
        });
        let Some(segment) = segment else { continue };
        match supports.iter_mut().find(|support| support["segment"] == segment) {
            Some(support) => {
                let indices = support["groundingChunkIndices"].as_array_mut();
                indices.expect("it was made below").push(at.into());
            }
            None => supports.push(json!({"segment": segment, "groundingChunkIndices": [at]})),
        }
    }
    let found = json!({"groundingChunks": chunks, "groundingSupports": supports});
    (!chunks.is_empty()).then_some(found)
}
