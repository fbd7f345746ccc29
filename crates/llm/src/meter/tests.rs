//! What is read of each provider's answers, and that it does not matter how they are cut.

use dunlin_types::PicoUsd;
use http::HeaderValue;
use proptest::prelude::*;

use super::*;

/// Prompt, cached, written, completion, reasoning.
type Counted = [u64; 5];

const JSON: &str = "application/json";
const SSE: &str = "text/event-stream; charset=utf-8";

/// Answers in the forms that the providers document, cut down to what is read.
const ANSWERS: &[(&str, &str, Option<&str>, Option<Counted>)] = &[
    (
        JSON,
        r#"{"model":"gpt-4o","usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,
           "prompt_tokens_details":{"cached_tokens":4},"cache_read_input_tokens":4,
           "completion_tokens_details":{"reasoning_tokens":2}}}"#,
        Some("gpt-4o"),
        Some([9, 4, 0, 3, 2]),
    ),
    (
        SSE,
        "data: {\"model\":\"gpt-4o\",\"usage\":null,\"choices\":[]}\r\n\r\n: waiting\n\n\
         data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\n\
         data: [DONE]\n\n",
        Some("gpt-4o"),
        Some([9, 0, 0, 3, 0]),
    ),
    (
        SSE,
        "event: response.created\ndata: {\"response\":{\"model\":\"o3\",\"usage\":null}}\n\n\
         event: response.output_text.delta\ndata: {\"delta\":\"usage\"}\n\n\
         event: response.completed\ndata: {\"response\":{\"model\":\"o3\",\"usage\":{\
         \"input_tokens\":7,\"input_tokens_details\":{\"cached_tokens\":5},\"output_tokens\":6,\
         \"output_tokens_details\":{\"reasoning_tokens\":1},\"total_tokens\":13}}}\n\n",
        Some("o3"),
        Some([7, 5, 0, 6, 1]),
    ),
    (
        SSE,
        "event: message_start\ndata: {\"message\":{\"model\":\"claude\",\"usage\":{\
         \"input_tokens\":2,\"cache_read_input_tokens\":10,\"cache_creation_input_tokens\":3,\
         \"output_tokens\":1}}}\n\n\
         event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\"},\n\
         data: \"usage\":{\"output_tokens\":40}}\n\n",
        Some("claude"),
        Some([15, 10, 3, 40, 0]),
    ),
    (
        SSE,
        "data: {\"modelVersion\":\"gemini\",\"usageMetadata\":{\"promptTokenCount\":8}}\n\n\
         data: {\"usageMetadata\":{\"promptTokenCount\":8,\"candidatesTokenCount\":4,\
         \"thoughtsTokenCount\":2,\"cachedContentTokenCount\":3}}\n\n",
        Some("gemini"),
        Some([8, 3, 0, 6, 2]),
    ),
    (
        JSON,
        r#" [{"usageMetadata":{"promptTokenCount":8}},
             {"usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":5}}]"#,
        None,
        Some([8, 0, 0, 5, 0]),
    ),
    (
        SSE,
        "data: {\"type\":\"message-end\",\"delta\":{\"usage\":{\"billed_units\":{\
         \"input_tokens\":5,\"output_tokens\":7},\"tokens\":{\"input_tokens\":66,\
         \"output_tokens\":7}}}}\n\n",
        None,
        Some([66, 0, 0, 7, 0]),
    ),
    (
        JSON,
        r#"{"meta":{"billed_units":{"input_tokens":5.0,"output_tokens":7.0}}}"#,
        None,
        Some([5, 0, 0, 7, 0]),
    ),
    (
        "application/x-ndjson",
        "{\"model\":\"qwen\",\"response\":\"a\",\"done\":false}\n\
         {\"model\":\"qwen\",\"done\":true,\"prompt_eval_count\":11,\"eval_count\":13}",
        Some("qwen"),
        Some([11, 0, 0, 13, 0]),
    ),
    (
        JSON,
        r#"{"usage":{"inputTokens":5,"outputTokens":2,"cacheReadInputTokens":4,"totalTokens":11}}"#,
        None,
        Some([9, 4, 0, 2, 0]),
    ),
    (
        SSE,
        "data: {\"type\":\"message_stop\",\"amazon-bedrock-invocationMetrics\":\
         {\"inputTokenCount\":3,\"outputTokenCount\":4}}\n\n",
        None,
        Some([3, 0, 0, 4, 0]),
    ),
    (
        SSE,
        "data: {\"event_type\":\"content.delta\",\"delta\":{\"type\":\"text\",\"text\":\"hi\"}}\n\n\
         data: {\"event_type\":\"interaction.complete\",\"interaction\":{\"model\":\"gemini\",\
         \"usage\":{\"total_input_tokens\":9,\"total_output_tokens\":3,\"total_thought_tokens\":2,\
         \"total_cached_tokens\":4,\"total_tokens\":14}}}\n\n",
        Some("gemini"),
        Some([9, 4, 0, 5, 2]),
    ),
    (
        JSON,
        r#"{"usage":{"prompt_tokens":9.0,"completion_tokens":"3"}}"#,
        None,
        Some([9, 0, 0, 3, 0]),
    ),
    (JSON, r#"{"object":"list","data":[]}"#, None, None),
    (JSON, r#"{"usage":"none","model":7}"#, None, None),
    (JSON, "not json", None, None),
    ("audio/mpeg", r#"{"usage":{"prompt_tokens":9}}"#, None, None),
];

fn headers(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
}

/// Reads an answer in pieces of these sizes over and over.
fn metered(kind: &'static str, answer: &[u8], sizes: &[usize]) -> Meter {
    let mut meter = Meter::new(&headers(kind));
    let mut rest = Bytes::copy_from_slice(answer);
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        meter.push(&rest.split_to(size.min(rest.len())));
    }
    meter.finish();
    meter
}

fn counted(meter: &Meter) -> Option<Counted> {
    let count = |usage: Usage| {
        [usage.prompt, usage.cached, usage.cache_write, usage.completion, usage.reasoning]
            .map(|tokens| tokens.0)
    };
    meter.usage().map(count)
}

/// A frame of Amazon's event stream; the checksums are not looked at.
fn amazon(payload: &str) -> Vec<u8> {
    let header = b"\x0b:event-type\x07\x00\x08metadata";
    let length = 12 + header.len() + payload.len() + 4;
    let number = |number: usize| u32::try_from(number).expect("short").to_be_bytes();
    [&number(length)[..], &number(header.len()), &[0; 4], header, payload.as_bytes(), &[0; 4]]
        .concat()
}

#[test]
fn each_providers_words_are_understood() {
    for (kind, answer, model, expected) in ANSWERS {
        let meter = metered(kind, answer.as_bytes(), &[usize::MAX]);
        assert_eq!((meter.model(), counted(&meter)), (*model, *expected), "{answer}");
        assert!(!meter.is_blind());
    }
}

#[test]
fn an_answer_has_the_first_id_that_it_names() {
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_ID_BYTES + 1));
    for (kind, answer, id) in [
        (
            JSON,
            r#"{"id":"chatcmpl-1","choices":[{"message":{"tool_calls":[{"id":"call_1"}]}}]}"#,
            Some("chatcmpl-1"),
        ),
        (SSE, "data: {\"id\":\"a\",\"choices\":[]}\n\ndata: {\"id\":\"b\"}\n\n", Some("a")),
        (
            SSE,
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\"}}\n\n\
            data: {\"content_block\":{\"id\":\"toolu_1\"}}\n\n",
            Some("msg_1"),
        ),
        (
            SSE,
            "data: {\"response\":{\"id\":\"resp_1\"}}\n\ndata: {\"item\":{\"id\":\"i\"}}\n\n",
            Some("resp_1"),
        ),
        (JSON, r#"{"responseId":"g","candidates":[]}"#, Some("g")),
        (JSON, r#"{"id":""}"#, None),
        (JSON, r#"{"id":7}"#, None),
        (JSON, &long, None),
    ] {
        assert_eq!(metered(kind, answer.as_bytes(), &[3]).id(), id, "{answer}");
    }
}

#[test]
fn protocol_buffers_are_taken_for_text() {
    for kind in ["application/x-protobuf", "application/vnd.google.protobuf; proto=a.B"] {
        let meter = metered(kind, &[10; 40], &[7]);
        assert_eq!((meter.usage(), meter.text()), (None, (40, 40)), "{kind}");
        assert!(!meter.is_of_media() && !meter.is_blind());
    }
}

#[test]
fn amazons_frames_and_headers_are_read() {
    let kind = "application/vnd.amazon.eventstream";
    let stream = [amazon("{}"), amazon(r#"{"usage":{"inputTokens":5,"outputTokens":2}}"#)].concat();
    for size in [usize::MAX, 1, 7, 40] {
        let meter = metered(kind, &stream, &[size]);
        assert_eq!(counted(&meter), Some([5, 0, 0, 2, 0]), "in pieces of {size}");
        assert_eq!(meter.frames(), 2);
    }
    assert!(metered(kind, &[255; 32], &[32]).is_blind());
    let mut said = headers(JSON);
    said.insert("x-amzn-bedrock-input-token-count", HeaderValue::from_static("6"));
    said.insert("x-amzn-bedrock-output-token-count", HeaderValue::from_static("8"));
    assert_eq!(counted(&Meter::new(&said)), Some([6, 0, 0, 8, 0]));
}

const CLAUDE_BEGUN: &str = "data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\",\
    \"content\":[],\"usage\":{\"input_tokens\":2,\"output_tokens\":1}}}\n\n\
    data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"twelve bytes\"}}\n\n\
    data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"abcd\"}}\n\n";
const CLAUDE_COUNTED: &str =
    "data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":4}}\n\n";

#[test]
fn text_is_counted_in_all_words_and_apart_where_no_count_includes_it() {
    let both = |begun: &str, more: &str| format!("{begun}{more}");
    for (kind, stream, text) in [
        (SSE, CLAUDE_BEGUN.to_owned(), (12, 12)),
        (SSE, both(CLAUDE_BEGUN, CLAUDE_COUNTED), (12, 0)),
        (SSE, "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"four\"}}]}\n\n".to_owned(), (4, 4)),
        (SSE, "data: {\"type\":\"response.output_text.delta\",\"delta\":\"four\"}\n\n".to_owned(), (4, 4)),
        (SSE, "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"four\"}]},\
            \"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":8}}\n\n".to_owned(), (4, 4)),
        (SSE, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"four\"}]}}],\
            \"usageMetadata\":{\"promptTokenCount\":8,\"candidatesTokenCount\":1}}\n\n".to_owned(), (4, 0)),
        (SSE, "data: {\"type\":\"content-delta\",\"delta\":{\"message\":{\"content\":{\"text\":\"four\"}}}}\n\n".to_owned(), (4, 4)),
        ("application/x-ndjson", "{\"message\":{\"role\":\"assistant\",\"content\":\"four\"}}\n".to_owned(), (4, 4)),
        ("application/x-ndjson", "{\"response\":\"four\"}\n".to_owned(), (4, 4)),
        // What is in no known form is taken for a token an event.
        (SSE, "data: {\"x\":1}\n\ndata: {\"y\":2}\n\n".to_owned(), (8, 8)),
        (JSON, "{\"choices\":[{\"message\":{\"content\":\"four\"}}]}".to_owned(), (4, 4)),
    ] {
        assert_eq!(metered(kind, stream.as_bytes(), &[usize::MAX]).text(), text, "{stream}");
        assert_eq!(metered(kind, stream.as_bytes(), &[7]).text(), text, "{stream}");
    }
    let kind = "application/vnd.amazon.eventstream";
    let said = metered(kind, &amazon(r#"{"delta":{"text":"four"},"p":"abc"}"#), &[9]);
    assert_eq!(said.text(), (4, 4));
}

#[test]
fn a_stream_that_fails_or_ends_early_is_told_from_a_whole_one() {
    let error = "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let stop = "data: {\"type\":\"message_stop\"}\n\n";
    for (stream, fails, is_cut) in [
        (CLAUDE_BEGUN.to_owned(), false, true),
        (format!("{CLAUDE_BEGUN}{CLAUDE_COUNTED}{stop}"), false, false),
        (format!("{CLAUDE_BEGUN}{error}"), true, false),
        ("data: {\"error\":{\"message\":\"x\"}}\n\n".to_owned(), true, false),
        ("data: {\"error\":null,\"choices\":[]}\n\n".to_owned(), false, false),
        ("data: {\"type\":\"response.failed\",\"response\":{}}\n\n".to_owned(), true, false),
        ("data: {\"delta\":\"an error of message_start\"}\n\n".to_owned(), false, false),
    ] {
        let meter = metered(SSE, stream.as_bytes(), &[11]);
        assert_eq!((meter.failure().is_some(), meter.is_cut()), (fails, is_cut), "{stream}");
    }
}

#[test]
fn pages_queries_and_searches_are_counted_beside_tokens() {
    for (answer, pages, queries, searches) in [
        (
            r#"{"model":"ocr","pages":[],"usage_info":{"pages_processed":3,"doc_size_bytes":9}}"#,
            3,
            0,
            0,
        ),
        (r#"{"results":[],"meta":{"billed_units":{"search_units":2}}}"#, 0, 2, 0),
        (r#"{"usage":{"input_tokens":1,"server_tool_use":{"web_search_requests":4}}}"#, 0, 0, 4),
        (
            r#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a"],"groundingChunks":
            [{"maps":{}},{"web":{}}]}}],"usageMetadata":{"promptTokenCount":1}}"#,
            0,
            0,
            1,
        ),
    ] {
        let usage = metered(JSON, answer.as_bytes(), &[7]).usage().expect("it counts");
        assert_eq!((usage.pages, usage.queries, usage.web_searches), (pages, queries, searches));
    }
}

#[test]
fn calls_of_a_providers_tools_are_counted_in_responses() {
    let response = r#"{"output":[{"type":"web_search_call"},{"type":"file_search_call"},
        {"type":"code_interpreter_call","container_id":"a"},{"type":"message"}],
        "usage":{"input_tokens":1,"output_tokens":1}}"#;
    let event = format!("data: {{\"response\":{}}}\n\n", response.replace('\n', ""));
    for (kind, answer) in [(JSON, response), (SSE, &*event)] {
        let usage = metered(kind, answer.as_bytes(), &[7]).usage().expect("it counts");
        let tools = (usage.web_searches, usage.file_searches, usage.code_sessions);
        assert_eq!(tools, (1, 1, 1), "{kind}");
    }
}

#[test]
fn google_tells_modalities_apart_and_counts_thoughts_within_or_beside() {
    let answer = |total: u64| {
        format!(
            r#"{{"usageMetadata":{{"promptTokenCount":9,"candidatesTokenCount":5,
                "thoughtsTokenCount":2,"totalTokenCount":{total},"promptTokensDetails":[
                {{"modality":"TEXT","tokenCount":2}},{{"modality":"AUDIO","tokenCount":7}}],
                "cachedContentTokenCount":5,"cacheTokensDetails":[{{"modality":"AUDIO","tokenCount":4}}],
                "candidatesTokensDetails":[{{"modality":"IMAGE","tokenCount":3}}]}}}}"#
        )
    };
    for (total, completion) in [(16, 7), (14, 5)] {
        let usage = metered(JSON, answer(total).as_bytes(), &[7]).usage().expect("it counts");
        let counts = (usage.prompt_audio.0, usage.completion_image.0, usage.completion.0);
        assert_eq!(counts, (7, 3, completion), "of {total}");
        assert_eq!((usage.cached.0, usage.cached_audio.0), (5, 4));
    }
}

#[test]
fn what_a_provider_says_that_an_answer_cost_is_read() {
    for (cost, pico) in [("0.0165", 16_500_000_000), (r#"{"total_cost":0.0165}"#, 16_500_000_000)] {
        let answer =
            format!(r#"{{"usage":{{"prompt_tokens":9,"completion_tokens":4,"cost":{cost}}}}}"#);
        let usage = metered(JSON, answer.as_bytes(), &[7]).usage().expect("it counts");
        assert_eq!(usage.reported, Some(PicoUsd(pico)), "{cost}");
    }
}

#[test]
fn thought_that_is_counted_beside_the_answer_counts() {
    for (usage, completion) in [
        (
            r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#,
            103,
        ),
        (
            r#"{"prompt_tokens":32,"completion_tokens":94,"total_tokens":126,"completion_tokens_details":{"reasoning_tokens":94}}"#,
            94,
        ),
    ] {
        let answer = format!(r#"{{"usage":{usage}}}"#);
        let usage = metered(JSON, answer.as_bytes(), &[7]).usage().expect("it counts");
        assert_eq!((usage.completion.0, usage.reasoning.0), (completion, 94));
    }
}

#[test]
fn the_last_event_may_repeat_the_whole_answer() {
    let text = "x".repeat(2 << 20);
    let event = format!(
        "data: {{\"response\":{{\"output\":\"{text}\",\"usage\":{{\"input_tokens\":1}}}}}}\n\n"
    );
    let meter = metered(SSE, event.as_bytes(), &[1 << 16]);
    assert_eq!(counted(&meter), Some([1, 0, 0, 0, 0]));
}

#[test]
fn an_answer_that_ends_before_its_end_is_cut() {
    for (body, is_cut) in [
        (r#"{"a":1}"#, false),
        (
            r#" [{"a":1}]
"#,
            false,
        ),
        ("", false),
        (r#""a""#, false),
        (r#"{"a":1"#, true),
        (r#"[{"a":1}"#, true),
        (r#"{"a":"#, true),
    ] {
        assert_eq!(metered(JSON, body.as_bytes(), &[2]).is_cut(), is_cut, "{body}");
    }
}

#[test]
fn what_is_not_labelled_is_read_if_it_begins_like_text() {
    let answer = r#"{"usage":{"prompt_tokens":9}}"#;
    let event = format!("data: {answer}\n\n");
    for (kind, body, expected) in [
        ("text/plain", answer, Some([9, 0, 0, 0, 0])),
        ("", answer, Some([9, 0, 0, 0, 0])),
        ("application/octet-stream", &*event, Some([9, 0, 0, 0, 0])),
        ("audio/mpeg", "ID3", None),
    ] {
        let mut meter = Meter::of_unlabelled(&headers(kind));
        meter.push(&Bytes::from_static(b"\n "));
        meter.push(&Bytes::copy_from_slice(body.as_bytes()));
        meter.finish();
        assert_eq!(counted(&meter), expected, "{kind} {body}");
    }
}

#[test]
fn what_is_too_long_or_compressed_is_not_taken_for_free() {
    let long = vec![b' '; MAX_METERED_BYTES + 1];
    assert!(metered(JSON, &long, &[1 << 20]).is_blind());
    assert!(!metered(JSON, &long[1..], &[1 << 20]).is_blind());
    assert!(metered(SSE, &long, &[1 << 20]).is_blind());
    assert!(metered("application/x-ndjson", &long, &[1 << 20]).is_blind());
    let mut zipped = headers(JSON);
    zipped.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert!(Meter::new(&zipped).is_blind());
}

proptest! {
    #[test]
    fn however_it_is_cut_the_same_is_counted(
        which in 0..ANSWERS.len(),
        sizes in proptest::collection::vec(1_usize..60, 1..6),
    ) {
        let (kind, answer, ..) = ANSWERS[which];
        let whole = metered(kind, answer.as_bytes(), &[usize::MAX]);
        let cut = metered(kind, answer.as_bytes(), &sizes);
        prop_assert_eq!(whole.usage(), cut.usage());
        prop_assert_eq!(whole.model(), cut.model());
        prop_assert_eq!(whole.frames(), cut.frames());
    }
}

/// What our own routes read of a whole answer, and what the meter does.
#[test]
fn an_answer_below_a_prefix_counts_what_it_does_on_our_own_routes() {
    type Read = fn(Bytes) -> crate::ChatReply;
    let openai: Read = |body| crate::ChatReply::parse(body).expect("a reply");
    let anthropic: Read = |body| crate::anthropic::parse_reply(body).expect("a reply");
    let gemini: Read = |body| crate::gemini::pass_reply(body).expect("a reply");
    let cases: &[(Read, &str)] = &[
        (
            openai,
            r#"{"service_tier":"flex","choices":[],"usage":{"prompt_tokens":90,
            "completion_tokens":30,"total_tokens":120,"cost":0.01,"prompt_tokens_details":{
            "cached_tokens":40,"cached_tokens_details":{"audio_tokens":7,"image_tokens":3},
            "cache_write_tokens":5,"audio_tokens":9,"image_tokens":4},"completion_tokens_details":{
            "reasoning_tokens":6,"audio_tokens":2},"server_tool_use":{"web_search_requests":2}}}"#,
        ),
        (
            openai,
            r#"{"usage":{"input_tokens":9,"output_tokens":4,"total_tokens":13,
            "input_tokens_details":{"text_tokens":7,"image_tokens":2}}}"#,
        ),
        (
            anthropic,
            r#"{"content":[],"usage":{"input_tokens":2,"output_tokens":40,
            "service_tier":"priority","cache_read_input_tokens":10,"cache_creation":{
            "ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},
            "server_tool_use":{"web_search_requests":3}}}"#,
        ),
        (
            gemini,
            r#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}],
            "usageMetadata":{"promptTokenCount":9,"toolUsePromptTokenCount":3,"thoughtsTokenCount":2,
            "candidatesTokenCount":4,"trafficType":"ON_DEMAND_PRIORITY"}}"#,
        ),
    ];
    for (read, body) in cases {
        let native = read(Bytes::from_static(body.as_bytes()));
        let event = format!("data: {}\n\n", body.replace('\n', " "));
        for (kind, answer) in [(JSON, *body), (SSE, &*event)] {
            let meter = metered(kind, answer.as_bytes(), &[7]);
            assert_eq!(meter.usage(), native.usage(), "{answer}");
            assert_eq!(meter.tier(), native.service_tier(), "{answer}");
        }
    }
}

#[test]
fn what_no_route_of_ours_speaks_counts_its_caches_vectors_and_tiers() {
    let converse = r#"{"serviceTier":{"type":"flex"},"usage":{"inputTokens":5,"outputTokens":2,
        "cacheWriteInputTokens":8,"cacheDetails":[{"ttl":"1h","inputTokens":6},
        {"ttl":"5m","inputTokens":2}]}}"#;
    let meter = metered(JSON, converse.as_bytes(), &[7]);
    let usage = meter.usage().expect("it counts");
    assert_eq!((usage.prompt.0, usage.cache_write.0, usage.cache_write_1h.0), (13, 8, 6));
    assert_eq!(meter.tier(), Some(Tier::Flex));
    let vectors =
        r#"{"predictions":[{"embeddings":{"values":[1],"statistics":{"token_count":4.0}}}]}"#;
    assert_eq!(counted(&metered(JSON, vectors.as_bytes(), &[7])), Some([4, 0, 0, 0, 0]));
    let cited = r#"{"choices":[{"message":{"annotations":[{"type":"url_citation"}]}}],
        "usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    assert_eq!(metered(JSON, cited.as_bytes(), &[7]).usage().map(|u| u.web_searches), Some(1));
}
