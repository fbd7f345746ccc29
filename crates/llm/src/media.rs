//! What else than tokens a request asks for or an answer holds, as far as providers charge it and
//! it is said: pictures made, sound heard, characters spoken, queries, searches of the web.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::endpoint::Endpoint;
use crate::reply::ChatReply;
use crate::request::ChatRequest;

/// Counts of such things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Pictures made.
    pub pictures: u64,
    /// Milliseconds of sound heard, rounded up.
    pub millis: u64,
    /// Characters spoken.
    pub characters: u64,
    /// Queries that documents were ranked by, or what the provider counts for them.
    pub queries: u64,
    /// Searches of the web that a model made.
    pub web_searches: u64,
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
struct PeekSearches {
    usage: Option<SearchUsage>,
}

#[derive(Deserialize)]
struct SearchUsage {
    server_tool_use: Option<ServerTools>,
}

#[derive(Deserialize)]
struct ServerTools {
    web_search_requests: Option<u64>,
}

impl Media {
    /// What is known when a request is sent.
    #[must_use]
    pub fn asked(request: &ChatRequest) -> Self {
        match request.endpoint() {
            Endpoint::Speech => Self { characters: request.prompt_characters(), ..Self::default() },
            Endpoint::Rerank => Self { queries: 1, ..Self::default() },
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::GenerateContent
            | Endpoint::ImageEdits
            | Endpoint::ImageGenerations
            | Endpoint::Messages
            | Endpoint::Moderations
            | Endpoint::Responses
            | Endpoint::StreamGenerateContent
            | Endpoint::Transcriptions
            | Endpoint::Translations => Self::default(),
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
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::GenerateContent
            | Endpoint::Messages
            | Endpoint::Responses => self.searched(body),
            Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::Moderations
            | Endpoint::Speech
            | Endpoint::StreamGenerateContent => self,
        }
    }

    fn searched(self, body: &[u8]) -> Self {
        // Most answers hold none, and need not be read again.
        if memchr::memmem::find(body, b"\"web_search_requests\"").is_none() {
            return self;
        }
        let counted = parse(body)
            .and_then(|peek: PeekSearches| peek.usage?.server_tool_use?.web_search_requests);
        Self { web_searches: counted.unwrap_or(0), ..self }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// Rounded up; nothing for what is no count.
fn whole(count: f64) -> u64 {
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
    use crate::parse as parse_request;

    #[test]
    fn what_is_charged_beside_tokens_is_counted() {
        let none = Media::default();
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
                Media { web_searches: 4, ..none },
            ),
            (Endpoint::ChatCompletions, r#"{"choices":[]}"#, none),
        ];
        for (endpoint, body, expected) in cases {
            let reply = ChatReply::parse(Bytes::from(body)).expect("a reply");
            assert_eq!(none.answered(endpoint, &reply), expected, "{body}");
        }
        let asked = |endpoint, body: &'static str| {
            let request = parse_request(endpoint, Bytes::from(body), None).expect("a request");
            Media::asked(&request)
        };
        let speech = asked(Endpoint::Speech, r#"{"model":"m","input":"é\n\"x","voice":"a"}"#);
        assert_eq!(speech, Media { characters: 4, ..none });
        let rank = asked(Endpoint::Rerank, r#"{"model":"m","query":"x","documents":["a"]}"#);
        assert_eq!(rank, Media { queries: 1, ..none });
    }
}
