//! Where an answer's words come from, from each provider that says it to each client that has words
//! for it.

use dunlin_llm::Chunk;
use dunlin_llm::form::Delta;
use http::StatusCode;
use serde_json::{Value, json};

use super::*;

/// "Ä robin sings. It flies." of which the first sentence is from a page.
const WORDS: [&str; 2] = ["Ä robin sings.", " It flies."];

fn cited(provider: &str) -> Value {
    let [sung, flown] = WORDS;
    let text = format!("{sung}{flown}");
    match provider {
        "openai" => {
            json!({"id": "1", "model": "m", "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": text, "annotations": [
                {"type": "url_citation", "url_citation":
                    {"start_index": 0, "end_index": 14, "title": "Birds", "url": "https://b"}}]}}]})
        }
        "anthropic" => json!({"id": "1", "type": "message", "role": "assistant", "model": "m",
            "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}, "content": [
                {"type": "text", "text": sung, "citations": [
                    {"type": "web_search_result_location", "url": "https://b", "title": "Birds",
                     "cited_text": "robins sing", "encrypted_index": "E"}]},
                {"type": "text", "text": flown}]}),
        "gemini" => json!({"responseId": "1", "candidates": [{"finishReason": "STOP",
            "content": {"role": "model", "parts": [{"text": "hm", "thought": true}, {"text": text}]},
            "groundingMetadata": {"webSearchQueries": ["robin"],
                "groundingChunks": [{"web": {"uri": "https://b", "title": "Birds"}}],
                "groundingSupports": [{"groundingChunkIndices": [0],
                    // Bytes: one letter has two.
                    "segment": {"partIndex": 1, "endIndex": 15, "text": sung}}]}}]}),
        "bedrock" => json!({"stopReason": "end_turn", "output": {"message": {"role": "assistant",
            "content": [
                {"citationsContent": {"content": [{"text": sung}], "citations": [
                    {"title": "Birds", "location": {"web": {"url": "https://b", "domain": "b"}},
                     "sourceContent": [{"text": "robins sing"}]}]}},
                {"text": flown}]}}}),
        other => panic!("{other} cites nothing here"),
    }
}

fn target() -> Target {
    Target { api_base: "http://x/v1".into(), model: "m".into(), ..Target::default() }
}

fn request(endpoint: Endpoint) -> ChatRequest {
    let body = if endpoint == Endpoint::GenerateContent {
        json!({"contents": [{"parts": [{"text": "?"}]}]})
    } else {
        json!({"model": "alias", "max_tokens": 9, "input": "?",
            "messages": [{"role": "user", "content": "?"}]})
    };
    parse(endpoint, body.to_string().into(), Some("alias")).unwrap()
}

fn stamp() -> Stamp<'static> {
    Stamp { model: "alias", id: "x", now: 1, request: "{}", turn: None }
}

/// What a client is told of a whole answer.
fn told(provider: &str, endpoint: Endpoint, answer: &Value) -> Value {
    let body = Bytes::from(answer.to_string());
    let provider = find(provider).unwrap();
    let reply = provider.decode(&request(endpoint), &target(), StatusCode::OK, body).unwrap();
    serde_json::from_slice(&reply.write(endpoint, stamp())).unwrap()
}

fn annotation(end: u64) -> Value {
    json!([{"type": "url_citation", "url_citation":
        {"start_index": 0, "end_index": end, "title": "Birds", "url": "https://b"}}])
}

#[test]
fn every_client_is_told_in_its_own_form() {
    let text = WORDS.concat();
    for provider in ["openai", "anthropic", "gemini", "bedrock"] {
        let answer = cited(provider);
        let chat = told(provider, Endpoint::ChatCompletions, &answer);
        let message = &chat["choices"][0]["message"];
        assert_eq!(message["content"], text, "{provider}");
        assert_eq!(message["annotations"], annotation(14), "{provider}");
        let original = &message["provider_specific_fields"]["citations"];
        if provider == "anthropic" {
            assert_eq!(original[0][0]["encrypted_index"], "E");
            assert_eq!(original[0][0]["supported_text"], WORDS[0]);
        } else {
            assert_eq!(original, &Value::Null, "{provider}");
        }
        let response = told(provider, Endpoint::Responses, &answer);
        let output = response["output"].as_array().unwrap().last().unwrap();
        // Where the provider cuts its words in two, so does the response.
        let annotations = &output["content"][0]["annotations"];
        assert_eq!(annotations[0]["end_index"], 14, "{provider}: {response}");
        assert_eq!(annotations[0]["url"], "https://b", "{provider}");

        let message = told(provider, Endpoint::Messages, &answer);
        let blocks = message["content"].as_array().unwrap();
        let texts: Vec<&Value> = blocks.iter().filter(|block| block["type"] == "text").collect();
        assert_eq!(texts.len(), 2, "{provider}: {message}");
        assert_eq!((&texts[0]["text"], &texts[1]["text"]), (&WORDS[0].into(), &WORDS[1].into()));
        let source = &texts[0]["citations"][0];
        assert_eq!(source["type"], "web_search_result_location", "{provider}");
        assert_eq!((&source["url"], &source["title"]), (&"https://b".into(), &"Birds".into()));
        let quote = if matches!(provider, "anthropic" | "bedrock") { "robins sing" } else { "" };
        assert_eq!(source["cited_text"], quote, "{provider}");
        assert_eq!(texts[1].get("citations"), None, "{provider}");

        let google = told(provider, Endpoint::GenerateContent, &answer);
        let found = &google["candidates"][0]["groundingMetadata"];
        assert_eq!(
            found["groundingChunks"],
            json!([{"web": {"uri": "https://b", "title": "Birds"}}])
        );
        let segment = &found["groundingSupports"][0]["segment"];
        assert_eq!((&segment["endIndex"], &segment["text"]), (&15.into(), &WORDS[0].into()));
    }
}

#[test]
fn words_that_are_not_known_are_not_made_up() {
    let mut vague = cited("gemini");
    let found = &mut vague["candidates"][0]["groundingMetadata"];
    // It does not repeat the words that it names.
    found["groundingSupports"][0]["segment"]["text"] = "A robin sings.".into();
    let chat = told("gemini", Endpoint::ChatCompletions, &vague);
    assert_eq!(chat["choices"][0]["message"]["annotations"], annotation(0));
    let message = told("gemini", Endpoint::Messages, &vague);
    assert_eq!(message["content"][1]["text"], WORDS.concat());
    assert_eq!(message["content"][1]["citations"][0]["url"], "https://b");
    found_without_supports(&mut vague);
    let chat = told("gemini", Endpoint::ChatCompletions, &vague);
    assert_eq!(chat["choices"][0]["message"]["annotations"], annotation(0));

    let mut openai = cited("openai");
    openai["choices"][0]["message"]["annotations"] = annotation(0);
    let google = told("openai", Endpoint::GenerateContent, &openai);
    let found = &google["candidates"][0]["groundingMetadata"];
    assert_eq!(found["groundingSupports"], json!([]));
    assert_eq!(found["groundingChunks"][0]["web"]["uri"], "https://b");
}

fn found_without_supports(answer: &mut Value) {
    answer["candidates"][0]["groundingMetadata"]["groundingSupports"] = json!(null);
}

#[test]
fn what_a_model_repeats_and_documents_are_sources_too() {
    let answer = json!({"candidates": [{"finishReason": "STOP",
        "content": {"parts": [{"text": "It is."}]},
        "citationMetadata": {"citationSources": [{"endIndex": 5, "uri": "https://b"}]}}]});
    let chat = told("gemini", Endpoint::ChatCompletions, &answer);
    let annotation = &chat["choices"][0]["message"]["annotations"][0]["url_citation"];
    assert_eq!((&annotation["end_index"], &annotation["url"]), (&5.into(), &"https://b".into()));

    let mut document = cited("anthropic");
    document["content"][0]["citations"][0] = json!({"type": "char_location", "cited_text": "q",
        "document_index": 0, "document_title": "D", "start_char_index": 0, "end_char_index": 1});
    let chat = told("anthropic", Endpoint::ChatCompletions, &document);
    let message = &chat["choices"][0]["message"];
    assert_eq!(message.get("annotations"), None, "it has no address");
    let original = &message["provider_specific_fields"]["citations"][0][0];
    assert_eq!((&original["document_title"], &original["cited_text"]), (&"D".into(), &"q".into()));
    let google = told("anthropic", Endpoint::GenerateContent, &document);
    let chunk = &google["candidates"][0]["groundingMetadata"]["groundingChunks"][0];
    assert_eq!(chunk["retrievedContext"], json!({"title": "D", "text": "q"}));
}

fn sse(events: &[Value]) -> Bytes {
    let frame = |event: &Value| {
        let name = event["type"].as_str().map(|name| format!("event: {name}\n"));
        format!("{}data: {event}\n\n", name.unwrap_or_default())
    };
    Bytes::from(events.iter().map(frame).collect::<String>())
}

fn streamed(provider: &str) -> Bytes {
    let [sung, flown] = WORDS;
    match provider {
        "openai" => {
            let chunk = |delta: Value, finish: Value| json!({"id": "1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
            let annotations = annotation(14);
            let all = sse(&[
                chunk(json!({"content": sung}), Value::Null),
                chunk(json!({"annotations": annotations}), Value::Null),
                chunk(json!({"content": flown}), Value::Null),
                chunk(json!({}), "stop".into()),
            ]);
            Bytes::from([&all[..], b"data: [DONE]\n\n"].concat())
        }
        "anthropic" => {
            let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
            let begin = |index: u64| {
                json!({"type": "content_block_start", "index": index,
                    "content_block": {"type": "text", "text": "", "citations": []}})
            };
            let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
            let citation = cited("anthropic")["content"][0]["citations"][0].clone();
            sse(&[
                json!({"type": "message_start", "message": {"id": "1", "model": "m"}}),
                begin(0),
                delta(0, json!({"type": "citations_delta", "citation": citation})),
                delta(0, json!({"type": "text_delta", "text": sung})),
                stop(0),
                begin(1),
                delta(1, json!({"type": "text_delta", "text": flown})),
                stop(1),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
                json!({"type": "message_stop"}),
            ])
        }
        "gemini" => {
            let found = cited("gemini")["candidates"][0]["groundingMetadata"].clone();
            let said = |text: &str| json!({"parts": [{"text": text}], "role": "model"});
            sse(&[
                json!({"candidates": [{"content": said(sung), "groundingMetadata": found}]}),
                // It says again what it has said.
                json!({"candidates": [{"content": said(flown), "groundingMetadata": found,
                    "finishReason": "STOP"}]}),
            ])
        }
        other => panic!("{other} cites nothing here"),
    }
}

fn read(provider: &str) -> Vec<Delta> {
    let asked = match provider {
        "openai" => request(Endpoint::Messages),
        _ => request(Endpoint::ChatCompletions),
    };
    let mut decoder = find(provider).unwrap().stream(&asked, &target());
    let mut events = Vec::new();
    decoder.push(streamed(provider), &mut events).unwrap();
    decoder.finish(&mut events).unwrap();
    let delta = |event| match event {
        StreamEvent::Delta(delta) => Some(delta),
        StreamEvent::Chunk(Chunk { .. })
        | StreamEvent::Comment(_)
        | StreamEvent::Done(_)
        | StreamEvent::Error(_)
        | StreamEvent::Failed(..) => None,
    };
    events.into_iter().filter_map(delta).collect()
}

/// The data of the frames that a client is told a stream in.
fn frames(endpoint: Endpoint, deltas: Vec<Delta>) -> Vec<Value> {
    let (mut writer, mut out) = (endpoint.stream_writer(stamp(), false), Vec::new());
    deltas.into_iter().for_each(|delta| writer.write(delta, &mut out));
    writer.finish(&mut out);
    let out = String::from_utf8(out).unwrap();
    let data = out.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

#[test]
fn streams_name_their_sources_once_and_in_the_clients_form() {
    for provider in ["openai", "anthropic", "gemini"] {
        let deltas = read(provider);
        let cited: Vec<_> = deltas
            .iter()
            .filter_map(|delta| {
                if let Delta::Citation { citation, .. } = delta { Some(citation) } else { None }
            })
            .collect();
        assert_eq!(cited.len(), 1, "{provider}");
        assert_eq!(cited[0].words, Some(0..14), "{provider}");

        let chat = frames(Endpoint::ChatCompletions, deltas.clone());
        let annotated = chat.iter().filter_map(|frame| {
            let delta = &frame["choices"][0]["delta"];
            delta.get("annotations").cloned()
        });
        let mut expected = annotation(14);
        expected[0]["index"] = 0.into();
        assert_eq!(annotated.collect::<Vec<_>>(), [expected], "{provider}");

        let message = frames(Endpoint::Messages, deltas.clone());
        let texts = message.iter().filter(|frame| frame["type"] == "content_block_delta");
        let texts: Vec<(u64, &str)> = texts
            .map(|frame| {
                let said = frame["delta"]["text"].as_str();
                (frame["index"].as_u64().unwrap(), said.unwrap_or("cites"))
            })
            .collect();
        assert_eq!(texts, [(0, WORDS[0]), (0, "cites"), (1, WORDS[1])], "{provider}");

        let google = frames(Endpoint::StreamGenerateContent, deltas);
        let found = &google.last().unwrap()["candidates"][0]["groundingMetadata"];
        let segment = &found["groundingSupports"][0]["segment"];
        assert_eq!((&segment["endIndex"], &segment["text"]), (&15.into(), &WORDS[0].into()));
    }
}

/// Claude's API takes back what it said itself, and nothing that looks so.
#[test]
fn sources_of_others_are_not_sent_to_anthropic() {
    let source = |index: &str| {
        json!({"type": "web_search_result_location", "url": "https://b", "title": "Birds",
            "cited_text": "", "encrypted_index": index})
    };
    let block = |index: &str| json!({"type": "text", "text": "x", "citations": [source(index)]});
    let body = json!({"model": "m", "max_tokens": 1, "messages": [
        {"role": "user", "content": "encrypted_index"},
        {"role": "assistant", "content": [block(""), block("E")]}]});
    let request = parse(Endpoint::Messages, body.to_string().into(), None).unwrap();
    let key = Credential::Key(Secret::new("k"));
    let call = find("anthropic").unwrap().encode(&request, &target(), &key, UnixMillis(0)).unwrap();
    let sent: Value = serde_json::from_slice(call.body()).unwrap();
    assert_eq!(sent["messages"][1]["content"], json!([{"type": "text", "text": "x"}, block("E")]));
}

/// Perplexity names its sources beside the answer, which refers to them by number.
#[test]
fn numbered_sources_are_told_to_clients_that_know_others() {
    let beside = json!({"citations": ["https://b", "https://c"],
        "search_results": [{"title": "Birds", "url": "https://b", "date": "2026-01-01"}]});
    let mut answer = json!({"id": "1", "model": "sonar", "choices": [{"index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Ä robin sings.[1] It flies."}}]});
    answer.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    let message = told("perplexity", Endpoint::Messages, &answer);
    let source = &message["content"][0]["citations"][0];
    assert_eq!((&source["url"], &source["title"]), (&"https://b".into(), &"Birds".into()));
    let response = told("perplexity", Endpoint::Responses, &answer);
    let annotations = &response["output"][0]["content"][0]["annotations"];
    assert_eq!(
        (&annotations[0]["end_index"], &annotations[0]["url"], &annotations[1]["url"]),
        (&14.into(), &"https://b".into(), &"https://c".into())
    );
    let google = told("perplexity", Endpoint::GenerateContent, &answer);
    let chunks = &google["candidates"][0]["groundingMetadata"]["groundingChunks"];
    assert_eq!(chunks[0]["web"], json!({"uri": "https://b", "title": "Birds"}));

    let piece = |text: &str, finish: Value| {
        let mut piece = json!({"id": "1", "choices": [{"index": 0, "finish_reason": finish,
            "delta": {"content": text}}]});
        piece.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
        piece
    };
    let stream = sse(&[piece("Ä robin", Value::Null), piece(" sings.[1]", "stop".into())]);
    let mut decoder = find("perplexity").unwrap().stream(&request(Endpoint::Messages), &target());
    let mut events = Vec::new();
    decoder.push(stream, &mut events).unwrap();
    decoder.finish(&mut events).unwrap();
    let cited: Vec<_> = events
        .iter()
        .filter_map(|event| {
            let StreamEvent::Delta(Delta::Citation { citation, .. }) = event else { return None };
            Some((citation.url.as_deref().unwrap(), citation.words.clone()))
        })
        .collect();
    assert_eq!(cited, [("https://b", Some(0..14)), ("https://c", None)]);
}
