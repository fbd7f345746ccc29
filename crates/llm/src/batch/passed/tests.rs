//! Each form of batches, as its provider documents it.

use super::*;

fn shelf(form: Form, path: &str) -> Shelf {
    Shelf { form, path: path.to_owned() }
}

#[test]
fn calls_that_make_batches_are_known_behind_each_prefix() {
    let cases = [
        ("anthropic", "/v1/messages/batches", Some((Form::Anthropic, "/v1/messages/batches"))),
        ("anthropic", "/v1/messages/batches/", Some((Form::Anthropic, "/v1/messages/batches"))),
        ("anthropic", "/v1/messages", None),
        ("anthropic", "/v1/messages/batches/b_1/cancel", None),
        (
            "gemini",
            "/v1beta/models/gemini-2.5-flash:batchGenerateContent",
            Some((Form::Google, "/v1beta")),
        ),
        ("gemini", "/v1beta/models/e:asyncBatchEmbedContent", Some((Form::Google, "/v1beta"))),
        ("gemini", "/v1beta/models/g:generateContent", None),
        ("gemini", "/v1beta/batches/b:cancel", None),
        ("openai_passthrough", "/v1/batches", Some((Form::OpenAi, "/v1/batches"))),
        ("mistral", "/v1/batch/jobs", Some((Form::OpenAi, "/v1/batch/jobs"))),
        ("bedrock", "/batches", None),
        ("vertex_ai", "/v1/projects/p/batches", None),
        ("bedrock", "/model-invocation-job", Some((Form::Bedrock, "/model-invocation-job"))),
        ("bedrock", "/model-invocation-job/j/stop", None),
        (
            "vertex_ai",
            "/v1/projects/p/locations/l/batchPredictionJobs",
            Some((Form::Vertex, "/v1/projects/p/locations/l/batchPredictionJobs")),
        ),
    ];
    for (prefix, path, expected) in cases {
        let expected = expected.map(|(form, path)| shelf(form, path));
        assert_eq!(Shelf::of_making(prefix, path), expected, "{prefix}{path}");
    }
}

#[test]
fn calls_about_one_batch_are_known() {
    let cases = [
        ("anthropic", "/v1/messages/batches/b_1", Some(("/v1/messages/batches", "b_1", false))),
        (
            "anthropic",
            "/v1/messages/batches/b_1/results",
            Some(("/v1/messages/batches", "b_1", true)),
        ),
        ("gemini", "/v1beta/batches/b1", Some(("/v1beta", "batches/b1", true))),
        ("gemini", "/v1beta/batches/b1:cancel", Some(("/v1beta", "batches/b1", true))),
        ("groq", "/openai/v1/batches/b1", Some(("/openai/v1/batches", "b1", false))),
        ("anthropic", "/v1/messages/batches", None),
        ("gemini", "/v1beta/batches", None),
        ("openai_passthrough", "/v1/files/f", None),
    ];
    for (prefix, path, expected) in cases {
        let found = Shelf::of_one(prefix, path);
        let found =
            found.as_ref().map(|(shelf, named)| (&*shelf.path, &*named.id, named.shows_answers));
        assert_eq!(found, expected, "{prefix}{path}");
        if let Some((shelf, named)) = Shelf::of_one(prefix, path) {
            let asked = shelf.path_of(&named.id).expect("it has a path");
            assert!(path.starts_with(&asked), "{path} is about {asked}");
        }
    }
    let at = shelf(Form::Anthropic, "/v1/messages/batches");
    for id in ["../../keys", "", "a/b", "a?x=1"] {
        assert_eq!(at.path_of(id), None, "{id}");
    }
}

#[test]
fn a_batch_says_whether_it_is_over_and_where_its_answers_are() {
    let anthropic = shelf(Form::Anthropic, "/v1/messages/batches");
    let google = shelf(Form::Google, "/v1beta");
    let openai = shelf(Form::OpenAi, "/openai/v1/batches");
    let mistral = shelf(Form::OpenAi, "/v1/batch/jobs");
    let at = |path: &str| Answers::At(path.to_owned(), None);
    let inline = r#"{"response":{"usageMetadata":{}}}"#;
    let here = Answers::Here(vec![inline.to_owned()]);
    let cases = [
        (
            &anthropic,
            r#"{"id":"b_1","processing_status":"in_progress","results_url":null}"#.to_owned(),
            Some(("b_1", false, Answers::None)),
        ),
        (
            &anthropic,
            r#"{"id":"b_1","processing_status":"ended"}"#.to_owned(),
            Some(("b_1", true, at("/v1/messages/batches/b_1/results"))),
        ),
        (&anthropic, r#"{"id":"../x","processing_status":"ended"}"#.to_owned(), None),
        (&anthropic, r#"{"type":"error","error":{}}"#.to_owned(), None),
        (
            &google,
            r#"{"name":"batches/b","metadata":{"state":"BATCH_STATE_PENDING"}}"#.to_owned(),
            Some(("batches/b", false, Answers::None)),
        ),
        (
            &google,
            format!(
                r#"{{"name":"batches/b","done":true,"metadata":{{"state":"BATCH_STATE_SUCCEEDED"}},"response":{{"inlinedResponses":{{"inlinedResponses":[{inline}]}}}}}}"#
            ),
            Some(("batches/b", true, here.clone())),
        ),
        (
            &google,
            format!(
                r#"{{"name":"batches/b","metadata":{{"state":"JOB_STATE_CANCELLED","output":{{"inlinedResponses":[{inline}]}}}}}}"#
            ),
            Some(("batches/b", true, here)),
        ),
        (
            &google,
            r#"{"name":"batches/b","done":true,"response":{"responsesFile":"files/f"}}"#.to_owned(),
            Some((
                "batches/b",
                true,
                Answers::At("/download/v1beta/files/f:download".to_owned(), Some("alt=media")),
            )),
        ),
        (&google, r#"{"name":"models/x/operations/y"}"#.to_owned(), None),
        (
            &openai,
            r#"{"id":"b1","status":"expired","output_file_id":"file-1"}"#.to_owned(),
            Some(("b1", true, at("/openai/v1/files/file-1/content"))),
        ),
        (
            &mistral,
            r#"{"id":"b1","status":"SUCCESS","output_file":"f-1"}"#.to_owned(),
            Some(("b1", true, at("/v1/files/f-1/content"))),
        ),
        (
            &mistral,
            r#"{"id":"b1","status":"RUNNING","output_file":null}"#.to_owned(),
            Some(("b1", false, Answers::None)),
        ),
    ];
    for (shelf, body, expected) in cases {
        let found = shelf.read(body.as_bytes());
        let found = found.as_ref().map(|found| (&*found.id, found.finished, found.answers.clone()));
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn each_request_says_its_model_and_how_long_its_answer_may_be() {
    let body = Bytes::from_static(
        br#"{"requests":[{"custom_id":"1","params":{"model":"a","max_tokens":7,"messages":[]}},
            {"custom_id":"2","params":{"model":"b","messages":[]}}]}"#,
    );
    let wishes = Form::Anthropic.wishes(&body).expect("they are there");
    let said: Vec<_> = wishes.iter().map(|wish| (wish.model, wish.bound.tokens)).collect();
    assert_eq!(said, [(Some("a"), Some(Tokens(7))), (Some("b"), None)]);
    let names = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert_eq!(Form::Anthropic.models(&body), names);
    let renamed =
        Form::Anthropic.with_models(&body, &mut |name| (name == "b").then(|| "c".to_owned()));
    assert!(renamed.ends_with(br#""params":{"model":"c","messages":[]}}]}"#), "{renamed:?}");
    let twice = br#"{"params":{"model":"a"},"params":{"model":"b"}}"#;
    let twice = Bytes::from([&br#"{"requests":["#[..], twice, b"]}"].concat());
    let names = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 1)]);
    assert_eq!(Form::Anthropic.models(&twice), names, "whoever says it twice names both");

    let google = br#"{"batch":{"input_config":{"requests":{"requests":[
        {"request":{"contents":[],"generationConfig":{"maxOutputTokens":9,"candidateCount":2}}}]}}}}"#;
    let wishes = Form::Google.wishes(google).expect("they are there");
    assert_eq!(wishes.len(), 1);
    assert_eq!((wishes[0].bound.tokens, wishes[0].bound.answers), (Some(Tokens(9)), 2));
    let file = br#"{"batch":{"inputConfig":{"fileName":"files/f"}}}"#;
    assert_eq!(Form::Google.wishes(file), None);
    assert_eq!(Form::OpenAi.wishes(br#"{"input_file_id":"file-1"}"#), None);
}

#[test]
fn a_batch_of_messages_says_that_its_answers_are_here() {
    let below =
        |root, batch: &'static str| Shelf::of_messages().answered_here(Bytes::from(batch), root);
    let here = |batch| below("", batch);
    let rooted = r#"{"id":"b_1","results_url":"/llm/v1/messages/batches/b_1/results"}"#;
    assert_eq!(below("/llm", r#"{"id":"b_1","results_url":"x"}"#), rooted);
    let theirs = r#"{"id":"b_1","results_url":"https://api.anthropic.com/v1/x"}"#;
    let ours = r#"{"id":"b_1","results_url":"/v1/messages/batches/b_1/results"}"#;
    assert_eq!(here(theirs), ours);
    for same in [r#"{"id":"b_1","results_url":null}"#, r#"{"id":"b/1","results_url":"x"}"#, "[]"] {
        assert_eq!(here(same), same);
    }
    let other = shelf(Form::OpenAi, "/v1/batches");
    assert_eq!(other.answered_here(Bytes::from(theirs), ""), theirs);
}

#[test]
fn what_is_no_batch_is_refused_and_a_bad_request_by_its_number() {
    let good = r#"{"params":{"model":"m","max_tokens":1,"messages":[]}}"#;
    for (body, request, told) in [
        ("[1]".to_owned(), None, "expected an object"),
        ("{".to_owned(), None, "Invalid JSON"),
        ("{}".to_owned(), None, "'requests': expected a list"),
        (r#"{"requests":{}}"#.to_owned(), None, "'requests': expected a list"),
        (r#"{"requests":[]}"#.to_owned(), None, "'requests': expected a list"),
        (format!(r#"{{"requests":[{good}],"requests":[]}}"#), None, "'requests'"),
        (format!(r#"{{"requests":[{good},7]}}"#), Some(2), "expected an object"),
        (format!(r#"{{"requests":[{good},{{}}]}}"#), Some(2), "'params'"),
    ] {
        let heard = Form::Anthropic.hear(&Bytes::from(body.clone()), [&[]; 2]);
        let bad = heard.expect_err(&body);
        assert_eq!(bad.request, request, "{body}");
        assert!(bad.why.to_string().contains(told), "{body}: {}", bad.why);
    }
    let body = Bytes::from(format!(r#"{{"requests":[{good}]}}"#));
    assert!(Form::Anthropic.hear(&body, [&[]; 2]).is_ok());
    assert!(Form::OpenAi.hear(&Bytes::from("x"), [&[]; 2]).is_ok(), "its file is heard");
}

#[test]
fn each_answer_says_what_it_used() {
    let usage = |prompt, cached, completion| Usage {
        prompt: Tokens(prompt),
        cached: Tokens(cached),
        completion: Tokens(completion),
        ..Usage::default()
    };
    let cases = [
        (
            Form::Anthropic,
            r#"{"custom_id":"1","result":{"type":"succeeded","message":{"model":"c","usage":{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":2}}}}"#,
            Some((Some("c"), usage(7, 4, 2))),
        ),
        (
            Form::Anthropic,
            r#"{"custom_id":"1","result":{"type":"errored","error":{"type":"error"}}}"#,
            None,
        ),
        (Form::Anthropic, r#"{"custom_id":"1","result":{"type":"expired"}}"#, None),
        (
            Form::Google,
            r#"{"key":"1","response":{"modelVersion":"g","usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":1,"thoughtsTokenCount":2}}}"#,
            Some((Some("g"), Usage { reasoning: Tokens(2), ..usage(5, 0, 3) })),
        ),
        (Form::Google, r#"{"key":"1","error":{"code":3}}"#, None),
        (
            Form::OpenAi,
            r#"{"response":{"body":{"model":"m","usage":{"prompt_tokens":3,"completion_tokens":2}}}}"#,
            Some((Some("m"), usage(3, 0, 2))),
        ),
        (Form::OpenAi, r#"{"response":{"body":{"error":{"message":"no"}}}}"#, None),
        (Form::OpenAi, r#"{"response":null,"error":{}}"#, None),
    ];
    for (form, line, expected) in cases {
        let expected = expected.map(|(model, usage)| {
            let model = model.map(str::to_owned);
            Answered { model, usage, estimated: false }
        });
        assert_eq!(form.answered(line.as_bytes()), expected, "{line}");
    }
    let uncounted = br#"{"result":{"message":{"content":[{"type":"text","text":"good day"}]}}}"#;
    let answered = Form::Anthropic.answered(uncounted).expect("a model answered");
    assert!(answered.estimated && answered.usage.completion > Tokens(0), "{answered:?}");
}
