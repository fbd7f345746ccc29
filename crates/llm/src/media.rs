//! What else than tokens a request asks for or an answer holds, as far as providers charge it and
//! it is said: pictures made, sound heard, characters spoken, queries, searches of the web.

use dunlin_types::SearchSize;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::endpoint::Endpoint;
use crate::reply::ChatReply;
use crate::request::ChatRequest;
use crate::sound;
use crate::tools::{self, Tools};
use crate::word::Word;

mod most;

pub use most::MostMedia;

/// Counts of such things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Pictures made.
    pub pictures: u64,
    /// Pixels of one of them, as they were asked for.
    pub pixels: u64,
    /// Milliseconds of sound heard, rounded up, as the answer says.
    pub millis: u64,
    /// Milliseconds of the sound that was sent to be heard, as its file says: see [`sound`].
    pub millis_sent: u64,
    /// Milliseconds of sound made, as its file says.
    pub millis_made: u64,
    /// Characters spoken.
    pub characters: u64,
    /// Queries that documents were ranked by, or what the provider counts for them.
    pub queries: u64,
    /// What a model used of its provider's tools.
    pub tools: Tools,
    /// How much it was to look at of what a search of the web finds.
    pub search_size: SearchSize,
}

#[derive(Deserialize)]
struct PeekPictures<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct PeekSound {
    duration: Option<f64>,
    usage: Option<SoundUsage>,
}

#[derive(Deserialize)]
struct SoundUsage {
    seconds: Option<f64>,
}

#[derive(Deserialize)]
struct PeekRank {
    meta: Option<RankMeta>,
}

#[derive(Deserialize)]
struct RankMeta {
    billed_units: Option<RankUnits>,
}

#[derive(Deserialize)]
struct RankUnits {
    search_units: Option<f64>,
}

#[derive(Deserialize)]
struct PeekEvent<'a> {
    #[serde(borrow)]
    response: &'a RawValue,
}

/// How Imagen is asked, and how many pictures it makes where nobody says how many.
const PREDICT: &str = ":predict";
const PREDICTED: u64 = 4;

/// OpenAI's words for where an answer has something from.
pub(crate) static CITATION: Word = Word::new(b"\"url_citation\"");

/// What a client says of a picture that it wants made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u64,
    height: u64,
    /// Whether it says its size.
    is_sized: bool,
    quality: Option<String>,
}

#[derive(Deserialize)]
struct PeekPicture {
    size: Option<String>,
    quality: Option<String>,
}

impl Picture {
    /// `None` for a request that asks for none. A size that is not said, or left to the model, is
    /// taken for a square of 1024.
    #[must_use]
    pub fn asked(request: &ChatRequest) -> Option<Self> {
        if !matches!(request.endpoint(), Endpoint::ImageEdits | Endpoint::ImageGenerations) {
            return None;
        }
        let peek: Option<PeekPicture> = parse(request.text_as_bytes());
        let field = |name| request.form_field(name).map(str::to_owned);
        let PeekPicture { size, quality } =
            peek.unwrap_or_else(|| PeekPicture { size: field("size"), quality: field("quality") });
        Some(Self::of(size.as_deref(), quality.as_deref()))
    }

    /// One of that size, such as `1024x1536`, and quality.
    pub(crate) fn of(size: Option<&str>, quality: Option<&str>) -> Self {
        let size = size.and_then(|size| {
            let (width, height) = size.split_once('x')?;
            Some((width.parse().ok()?, height.parse().ok()?))
        });
        let size = size.filter(|(w, h)| *w <= MAX_SIDE && *h <= MAX_SIDE);
        let (width, height) = size.unwrap_or(SQUARE);
        let quality = quality.map(str::to_owned);
        Self { width, height, is_sized: size.is_some(), quality }
    }

    /// What it may be priced by, the best first: its quality and size, as price lists write them.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let size = format!("{}-x-{}", self.width, self.height);
        let qualities = match self.quality.as_deref() {
            None | Some("auto") => vec!["standard", "medium"],
            Some(quality) => vec![quality],
        };
        let named: Vec<String> =
            qualities.into_iter().map(|quality| format!("{quality}/{size}")).collect();
        named.into_iter().chain([size])
    }
}

const SQUARE: (u64, u64) = (1024, 1024);
/// No provider makes larger ones.
const MAX_SIDE: u64 = 1 << 15;

impl Media {
    /// What a call of that path asks for that is passed on and not understood: how much is to be
    /// looked at of what is found, and Google's pictures.
    #[must_use]
    pub fn asked_at(path: &str, body: &[u8]) -> Self {
        let pictures = if path.ends_with(PREDICT) { predicted(body) } else { 0 };
        Self { pictures, search_size: tools::search_size(body), ..Self::default() }
    }

    /// What is known when a request is sent.
    #[must_use]
    pub fn asked(request: &ChatRequest) -> Self {
        match request.endpoint() {
            Endpoint::Speech => Self { characters: request.prompt_characters(), ..Self::default() },
            Endpoint::Rerank => Self { queries: 1, ..Self::default() },
            Endpoint::ImageEdits | Endpoint::ImageGenerations => {
                let pixels = Picture::asked(request).map_or(0, |one| one.width * one.height);
                Self { pictures: request.answers(), pixels, ..Self::default() }
            }
            Endpoint::ChatCompletions | Endpoint::Responses => {
                let search_size = tools::search_size(request.text_as_bytes());
                Self { search_size, ..Self::default() }
            }
            Endpoint::Completions
            | Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::GenerateContent
            | Endpoint::Messages
            | Endpoint::Moderations
            | Endpoint::StreamGenerateContent => Self::default(),
            Endpoint::Transcriptions | Endpoint::Translations => {
                let file = request.file().unwrap_or_default();
                let millis_sent = sound::millis(file, file.len() as u64);
                Self { millis_sent, ..Self::default() }
            }
        }
    }

    /// The same with what an answer to `endpoint` says.
    #[must_use]
    pub fn answered(self, endpoint: Endpoint, reply: &ChatReply) -> Self {
        let Some(body) = reply.bytes() else { return self };
        match endpoint {
            Endpoint::ImageEdits | Endpoint::ImageGenerations => {
                let pictures = parse(body).map_or(0, |peek: PeekPictures<'_>| peek.data.len());
                Self { pictures: pictures as u64, ..self }
            }
            Endpoint::Transcriptions | Endpoint::Translations => {
                let peek: Option<PeekSound> = parse(body);
                let seconds =
                    peek.and_then(|peek| peek.usage.and_then(|u| u.seconds).or(peek.duration));
                Self { millis: seconds.map_or(0, |seconds| whole(seconds * 1000.0)), ..self }
            }
            Endpoint::Rerank => {
                let units =
                    parse(body).and_then(|peek: PeekRank| peek.meta?.billed_units?.search_units);
                Self { queries: units.map_or(self.queries, whole), ..self }
            }
            Endpoint::ChatCompletions => self.cited(body).helped(body),
            Endpoint::Completions
            | Endpoint::GenerateContent
            | Endpoint::Messages
            | Endpoint::Responses => self.helped(body),
            Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::Moderations
            | Endpoint::Speech
            | Endpoint::StreamGenerateContent => self,
        }
    }

    /// The same with what an event of a stream says that counts what was used.
    #[must_use]
    pub fn streamed(self, event: &[u8]) -> Self {
        if !Tools::are_told_of(event) {
            return self;
        }
        let response = parse(event).map(|event: PeekEvent<'_>| event.response.get().as_bytes());
        self.helped(response.unwrap_or(event))
    }

    /// The same with what a chat of OpenAI's says of searches: it counts none, but cites what was
    /// found, which is charged as one.
    #[must_use]
    pub fn cited(self, body: &[u8]) -> Self {
        if self.tools.web_searches > 0 || !CITATION.is_in(body) {
            return self;
        }
        Self { tools: Tools { web_searches: 1, ..self.tools }, ..self }
    }

    fn helped(self, body: &[u8]) -> Self {
        // Most answers tell of none, and need not be read again.
        if !Tools::are_told_of(body) {
            return self;
        }
        Self { tools: Tools::of_answer(body), ..self }
    }
}

/// As many pictures as a model of Google's is to make by `predict`.
fn predicted(body: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Peek {
        parameters: Option<Parameters>,
    }
    #[derive(Deserialize)]
    struct Parameters {
        #[serde(default, rename = "sampleCount", deserialize_with = "crate::lenient::count")]
        samples: Option<u64>,
    }
    let said = parse(body).and_then(|peek: Peek| peek.parameters?.samples);
    said.unwrap_or(PREDICTED)
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// Rounded up; nothing for what is no count.
pub(crate) fn whole(count: f64) -> u64 {
    const MOST: f64 = 1e12;
    if !(0.0..=MOST).contains(&count) {
        return 0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked first"
    )]
    let whole = count.ceil() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{parse as parse_request, parse_upload};

    #[test]
    fn what_is_charged_beside_tokens_is_counted() {
        let none = Media::default();
        let searched = |web_searches| {
            let tools = Tools { web_searches, ..Tools::default() };
            Media { tools, ..none }
        };
        let cases = [
            (
                Endpoint::ImageGenerations,
                r#"{"data":[{"url":"a"},{"url":"b"}]}"#,
                Media { pictures: 2, ..none },
            ),
            (
                Endpoint::Transcriptions,
                r#"{"text":"a","usage":{"type":"duration","seconds":3}}"#,
                Media { millis: 3000, ..none },
            ),
            (
                Endpoint::Transcriptions,
                r#"{"text":"a","duration":1.2345}"#,
                Media { millis: 1235, ..none },
            ),
            (Endpoint::Transcriptions, r#"{"text":"a","duration":-1}"#, none),
            (
                Endpoint::Rerank,
                r#"{"results":[],"meta":{"billed_units":{"search_units":2}}}"#,
                Media { queries: 2, ..none },
            ),
            (
                Endpoint::ChatCompletions,
                r#"{"usage":{"prompt_tokens":1,"server_tool_use":{"web_search_requests":4}}}"#,
                searched(4),
            ),
            (Endpoint::ChatCompletions, r#"{"choices":[]}"#, none),
            (
                Endpoint::ChatCompletions,
                r#"{"choices":[{"message":{"annotations":[{"type":"url_citation"},{"type":"url_citation"}]}}]}"#,
                searched(1),
            ),
            (Endpoint::Messages, r#"{"content":[{"type":"url_citation"}]}"#, none),
            (
                Endpoint::Responses,
                r#"{"output":[{"type":"web_search_call"},{"type":"message"},{"type":"web_search_call"}]}"#,
                searched(2),
            ),
        ];
        for (endpoint, body, expected) in cases {
            let reply = ChatReply::parse(Bytes::from(body)).expect("a reply");
            assert_eq!(none.answered(endpoint, &reply), expected, "{body}");
        }
    }

    #[test]
    fn searches_are_counted_in_streams_too() {
        let none = Media::default();
        for (event, searches) in [
            (
                r#"{"type":"message_delta","usage":{"server_tool_use":{"web_search_requests":3}}}"#,
                3,
            ),
            (r#"{"response":{"output":[{"type":"web_search_call"}],"usage":{}}}"#, 1),
            (r#"{"type":"message_delta","usage":{"output_tokens":3}}"#, 0),
            (r#"{"delta":"web_search_call"}"#, 0),
        ] {
            assert_eq!(none.streamed(event.as_bytes()).tools.web_searches, searches, "{event}");
        }
    }

    #[test]
    fn what_is_asked_for_beside_text_is_counted() {
        let none = Media::default();
        let asked = |endpoint, body: &'static str| {
            let request = parse_request(endpoint, Bytes::from(body), None).expect("a request");
            Media::asked(&request)
        };
        let speech = asked(Endpoint::Speech, r#"{"model":"m","input":"é\n\"x","voice":"a"}"#);
        assert_eq!(speech, Media { characters: 4, ..none });
        for (body, pixels, names) in [
            (
                r#"{"model":"m","prompt":"x"}"#,
                1024 * 1024,
                vec!["standard/1024-x-1024", "medium/1024-x-1024", "1024-x-1024"],
            ),
            (
                r#"{"model":"m","prompt":"x","size":"1792x1024","quality":"hd"}"#,
                1792 * 1024,
                vec!["hd/1792-x-1024", "1792-x-1024"],
            ),
            (
                r#"{"model":"m","prompt":"x","size":"99999999x1","quality":"low"}"#,
                1024 * 1024,
                vec!["low/1024-x-1024", "1024-x-1024"],
            ),
        ] {
            let request =
                parse_request(Endpoint::ImageGenerations, Bytes::from(body), None).expect("one");
            assert_eq!(Media::asked(&request), Media { pictures: 1, pixels, ..none }, "{body}");
            let picture = Picture::asked(&request).expect("it asks for one");
            assert_eq!(picture.names().collect::<Vec<_>>(), names);
        }
        let form = "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n\
            --XX\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a\"\r\n\r\nx\r\n\
            --XX\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"b\"\r\n\r\ny\r\n\
            --XX\r\nContent-Disposition: form-data; name=\"size\"\r\n\r\n512x256\r\n\
            --XX\r\nContent-Disposition: form-data; name=\"quality\"\r\n\r\nhigh\r\n--XX--\r\n";
        let kind = "multipart/form-data; boundary=XX";
        let form = parse_upload(Endpoint::ImageEdits, Bytes::from(form), kind, None).expect("one");
        assert_eq!(Media::asked(&form), Media { pictures: 1, pixels: 512 * 256, ..none });
        let names = Picture::asked(&form).map(|picture| picture.names().collect::<Vec<_>>());
        assert_eq!(names, Some(vec!["high/512-x-256".to_owned(), "512-x-256".to_owned()]));
        let rank = asked(Endpoint::Rerank, r#"{"model":"m","query":"x","documents":["a"]}"#);
        assert_eq!(rank, Media { queries: 1, ..none });
    }
}
