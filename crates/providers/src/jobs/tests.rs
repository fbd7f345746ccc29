//! The shapes of jobs and their lines are documented, not recorded: Google's "Batch inference
//! with Gemini" and "Batch predictions with Anthropic Claude models"
//! (docs.cloud.google.com/vertex-ai), AWS's "Format and upload your batch inference data", "View
//! the results of a batch inference job" and the references of CreateModelInvocationJob and
//! GetModelInvocationJob (docs.aws.amazon.com/bedrock), read 2026-11-27. The labels with the
//! client's name of a request are those of LiteLLM, read the same day.

use dunlin_llm::batch::{KeptBatch, used_in_line};
use serde_json::{Value, json};

use super::*;

fn target(model: &str) -> Target {
    let buckets = Buckets {
        store: "https://h".into(),
        files: Some("in/own".into()),
        role: Some("arn:role".into()),
        ..Buckets::default()
    };
    let (region, project) = (Some("eu-west-1".into()), Some("p".into()));
    Target {
        api_base: "https://h".into(),
        model: model.into(),
        buckets: Some(buckets),
        region,
        project,
        max_output: Some(dunlin_types::Tokens(100)),
        ..Target::default()
    }
}

fn jobs<'t>(provider: &str, to: &'t Target) -> Jobs<'t> {
    Jobs::of(crate::find(provider).expect("a provider"), to).expect("it has a bucket")
}

const CHATS: &str = "/v1/chat/completions";
const VECTORS: &str = "/v1/embeddings";

fn line(custom_id: &str, url: &str, body: &Value) -> Bytes {
    let line = json!({"custom_id": custom_id, "method": "POST", "url": url, "body": body});
    Bytes::from(line.to_string())
}

/// What the provider is put for the first line of a file.
fn sent(jobs: &Jobs<'_>, line: &Bytes) -> Value {
    let sent = jobs.request(line, &mut None).expect("it can be said");
    parsed(&sent.expect("it is no empty line"))
}

fn told_in(jobs: &Jobs<'_>, answer: &Value, part: Part, told: &Told<'_>) -> Option<Vec<u8>> {
    jobs.answer(answer.to_string().as_bytes(), part, told)
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

const CASES: [(&str, &str); 3] =
    [("vertex_ai", "gemini-2.5-flash"), ("vertex_ai", "claude-up"), ("bedrock", "eu.claude-v1:0")];

#[test]
fn a_clients_line_becomes_the_providers_and_its_answer_one_of_openais() {
    let long = "Ä b/".repeat(60);
    for custom_id in ["1", "request-1", "a\"b", &long] {
        for (provider, model) in CASES {
            let to = target(model);
            let jobs = jobs(provider, &to);
            let body = json!({"model": "public", "max_tokens": 9, "user": "ann",
                "messages": [{"role": "user", "content": "good day"}]});
            let sent = sent(&jobs, &line(custom_id, CHATS, &body));
            let answer = match (provider, model) {
                ("bedrock", _) => {
                    let text = &sent["modelInput"]["messages"][0]["content"][0]["text"];
                    assert_eq!(text, "good day");
                    json!({"recordId": sent["recordId"], "modelInput": sent["modelInput"],
                        "modelOutput": {"output": {"message": {"role": "assistant",
                            "content": [{"text": "hello"}]}}, "stopReason": "end_turn",
                            "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}})
                }
                (_, "claude-up") => {
                    assert_eq!(sent["request"]["anthropic_version"], "vertex-2023-10-16");
                    json!({"custom_id": sent["custom_id"], "status": "", "response":
                        {"id": "msg_1", "type": "message", "role": "assistant", "model": "c",
                        "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn",
                        "usage": {"input_tokens": 3, "output_tokens": 2}}})
                }
                _ => {
                    let labels = sent["request"]["labels"].as_object().expect("labels");
                    let is_label = |text: &str| {
                        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                        text.len() <= 63 && text.bytes().all(|byte| plain(byte) || byte == b'_')
                    };
                    let all = labels.iter().all(|(name, value)| {
                        is_label(name) && value.as_str().is_some_and(is_label)
                    });
                    assert!(all && labels.len() <= 64, "{labels:?}");
                    json!({"status": "", "processed_time": "2026-11-20T01:00:00.000+00:00",
                        "request": sent["request"], "response": {"candidates": [{"content":
                            {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"}],
                            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2,
                            "totalTokenCount": 5}, "modelVersion": "g"}})
                }
            };
            let told = Told { model: "public", object: "o", number: 1, made: 7 };
            assert_eq!(told_in(&jobs, &answer, Part::Errors, &told), None);
            let written = told_in(&jobs, &answer, Part::Output, &told).expect("it has answered");
            let (used, estimated) = used_in_line(&written).expect("it is charged");
            assert_eq!((used.prompt.0, used.completion.0, estimated), (3, 2, false));
            let shown = parsed(&written);
            assert_eq!(shown["custom_id"], custom_id, "{provider}");
            assert_eq!(
                (&shown["error"], &shown["response"]["status_code"]),
                (&json!(null), &json!(200))
            );
            let body = &shown["response"]["body"];
            assert_eq!(body["choices"][0]["message"]["content"], "hello", "{shown}");
            assert_eq!(
                (&body["model"], &body["object"]),
                (&json!("public"), &json!("chat.completion"))
            );
        }
    }
}

#[test]
fn labels_of_a_clients_own_stay_and_litellms_are_read() {
    let to = target("gemini-2.5-flash");
    let jobs = jobs("vertex_ai", &to);
    let body = json!({"messages": [{"role": "user", "content": "x"}], "labels": {"team": "a"}});
    let sent = sent(&jobs, &line("Request-1", CHATS, &body));
    // Base32 of `Request-1`, as Python's base64 writes it.
    let expected = json!({"team": "a", "litellm_custom_id_raw": "b32_kjsxc5lfon2c2mi"});
    assert_eq!(sent["request"]["labels"], expected);
}

#[test]
fn what_came_to_nothing_and_what_cannot_be_read_are_errors_and_the_latter_is_charged() {
    let (vertex, bedrock) = (target("gemini-up"), target("m"));
    let told = Told { model: "m", object: "o", number: 2, made: 7 };
    let refused = json!({"status": "Bad Request: no", "response": {},
        "request": {"labels": {"litellm_custom_id_raw": "b32_ge"}}});
    let (vertex, bedrock) = (jobs("vertex_ai", &vertex), jobs("bedrock", &bedrock));
    assert_eq!(told_in(&vertex, &refused, Part::Output, &told), None, "nobody has answered");
    let shown = parsed(&told_in(&vertex, &refused, Part::Errors, &told).expect("an error"));
    assert_eq!((&shown["custom_id"], &shown["response"]), (&json!("1"), &json!(null)));
    let error = json!({"code": "vertex_ai_error", "message": "Bad Request: no"});
    assert_eq!(shown["error"], error);
    let refused = json!({"recordId": "1", "modelInput": {},
        "error": {"errorCode": 400, "errorMessage": "no"}});
    let shown = told_in(&bedrock, &refused, Part::Errors, &told).expect("an error");
    assert_eq!(parsed(&shown)["error"], json!({"code": "bedrock_error", "message": "400 no"}));
    assert_eq!(used_in_line(&shown), None);

    let odd = json!({"recordId": "1", "modelOutput": {"what": 1,
        "usage": {"inputTokens": 3, "outputTokens": 2}}});
    assert_eq!(told_in(&bedrock, &odd, Part::Errors, &told), None, "a model has answered");
    let shown = told_in(&bedrock, &odd, Part::Output, &told).expect("an answer");
    let (used, _) = used_in_line(&shown).expect("it is charged");
    assert_eq!((used.prompt.0, used.completion.0), (3, 2));
    assert_eq!(parsed(&shown)["response"]["status_code"], 502);
    let (used, _) = used_in_line(&too_long(4_000_000, &told)).expect("it is charged");
    assert!(used.completion.0 > 100_000, "{used:?}");
    let none = bedrock.answer(b"no JSON", Part::Errors, &told).expect("an error");
    assert_eq!(parsed(&none)["error"]["code"], "bad_line");
}

#[test]
fn a_line_that_is_no_request_of_a_batch_is_refused() {
    let to = target("gemini-up");
    let jobs = jobs("vertex_ai", &to);
    let messages = json!([{"role": "user", "content": "x"}]);
    let cases = [
        (json!({"body": {"messages": messages}}), "custom_id"),
        (json!({"custom_id": "x".repeat(513), "body": {"messages": messages}}), "custom_id"),
        (json!({"custom_id": "1", "url": VECTORS, "body": {"input": "x"}}), "which answer"),
        (json!({"custom_id": "1", "url": "/v1/responses", "body": {"input": "x"}}), "/v1/embed"),
        (json!({"custom_id": "1", "url": CHATS}), "body"),
        (json!({"custom_id": "1", "body": {"messages": messages, "stream": true}}), "no streams"),
        (json!({"custom_id": "1", "body": {"messages": messages, "nonsense": 1}}), "nonsense"),
        (json!({"custom_id": "1", "body": {"messages": 7}}), "messages"),
        (json!([]), "object"),
    ];
    for (line, why) in cases {
        let refused = jobs.request(&Bytes::from(line.to_string()), &mut None).expect_err(why);
        assert!(refused.to_string().contains(why), "{why}: {refused}");
    }
    assert_eq!(jobs.request(&Bytes::from_static(b" \r"), &mut None), Ok(None), "it is no line");

    let to = target("amazon.titan-embed-text-v2:0");
    let jobs = self::jobs("bedrock", &to);
    let mut before = None;
    let vectors = |body: Value| line("1", VECTORS, &body);
    jobs.request(&vectors(json!({"input": "x"})), &mut before).expect("the first");
    for (line, why) in [
        (line("2", CHATS, &json!({"messages": messages})), "as of the lines before it"),
        (vectors(json!({"input": ["x", "y"]})), "one text"),
        (vectors(json!({"input": "x", "encoding_format": "base64"})), "encoding_format"),
    ] {
        let refused = jobs.request(&line, &mut before).expect_err(why);
        assert!(refused.to_string().contains(why), "{why}: {refused}");
    }
}

#[test]
fn a_tool_is_called_by_the_clients_own_name() {
    let own = format!("mcp__server__{}", "x".repeat(120));
    let told = Told { model: "public", object: "o", number: 1, made: 7 };
    for (provider, model) in CASES {
        let to = target(model);
        let jobs = jobs(provider, &to);
        let tool = |name: &str| json!({"type": "function", "function": {"name": name, "description": "Does it."}});
        let body = json!({"model": "public", "max_tokens": 9, "tools": [tool(&own), tool("f")],
            "messages": [{"role": "user", "content": "good day"}]});
        let sent = sent(&jobs, &line("1", CHATS, &body));
        let called = format!("{}_{}", &own[..55], digest(&own));
        assert!(sent.to_string().contains(&called), "{provider}: {sent}");
        let answer = match (provider, model) {
            ("bedrock", _) => json!({"recordId": "1", "modelInput": sent["modelInput"],
                "modelOutput": {"output": {"message": {"role": "assistant", "content": [
                    {"toolUse": {"toolUseId": "t", "name": called, "input": {}}}]}},
                    "stopReason": "tool_use", "usage": {"inputTokens": 3, "outputTokens": 2}}}),
            (_, "claude-up") => json!({"custom_id": "1", "status": "", "request": sent["request"],
                "response": {"id": "msg_1", "type": "message", "role": "assistant", "model": "c",
                    "content": [{"type": "tool_use", "id": "t", "name": called, "input": {}}],
                    "stop_reason": "tool_use", "usage": {"input_tokens": 3, "output_tokens": 2}}}),
            _ => json!({"status": "", "request": sent["request"], "response": {"candidates": [
                {"content": {"role": "model", "parts": [{"functionCall": {"name": called,
                    "args": {}}}]}, "finishReason": "STOP"}]}}),
        };
        let written = told_in(&jobs, &answer, Part::Output, &told).expect("it has answered");
        let call = &parsed(&written)["response"]["body"]["choices"][0]["message"]["tool_calls"][0];
        assert_eq!(call["function"]["name"], own, "{provider} {model}");
    }
}

fn digest(name: &str) -> String {
    use sha2::Digest;
    hex::encode(&sha2::Sha256::digest(name)[..4])
}

#[test]
fn vectors_are_asked_for_and_told_as_each_model_has_them() {
    let told = Told { model: "public", object: "o", number: 1, made: 7 };
    for (model, input, expected, output, counted) in [
        (
            "amazon.titan-embed-text-v2:0",
            json!("good day"),
            json!({"inputText": "good day"}),
            json!({"embedding": [0.5, -1.0], "inputTextTokenCount": 3}),
            Some(3),
        ),
        (
            "cohere.embed-english-v3",
            json!(["good", "day"]),
            json!({"texts": ["good", "day"], "input_type": "search_document"}),
            json!({"id": "1", "embeddings": [[0.5, -1.0], [1.0, 0.0]], "texts": ["good", "day"]}),
            None,
        ),
    ] {
        let to = target(model);
        let jobs = jobs("bedrock", &to);
        let sent = sent(&jobs, &line("v/1", VECTORS, &json!({"model": "public", "input": input})));
        assert_eq!(sent, json!({"recordId": "v/1", "modelInput": expected}));
        let answer = json!({"recordId": "v/1", "modelInput": expected, "modelOutput": output});
        let written = told_in(&jobs, &answer, Part::Output, &told).expect("an answer");
        let shown = parsed(&written);
        let body = &shown["response"]["body"];
        assert_eq!(body["data"][0]["embedding"], json!([0.5, -1.0]), "{shown}");
        assert_eq!((&shown["custom_id"], &body["model"]), (&json!("v/1"), &json!("public")));
        let (used, _) = used_in_line(&written).expect("it is charged");
        assert!(used.prompt.0 > 0 && used.completion.0 == 0, "{used:?}");
        assert!(counted.is_none_or(|counted| used.prompt.0 == counted), "{used:?}");
    }
}

fn shelved(jobs: &Jobs<'_>, asks: Asks) -> Address {
    jobs.shelved(Some("batch"), Some("../my input.jsonl"), (1, asks)).expect("a place")
}

/// A batch of a file that was put where `jobs` puts it.
fn made(jobs: &Jobs<'_>) -> (Call, Address) {
    let at = shelved(jobs, Asks::Chats);
    let body =
        json!({"input_file_id": jobs.id(&at), "endpoint": CHATS, "completion_window": "48h"});
    let body = body.to_string();
    let wish = Wish::read(body.as_bytes()).expect("a wish");
    let (call, input) = jobs.creation(&wish, 2).expect("it can be made");
    assert_eq!(input, at);
    (call, at)
}

#[test]
fn a_job_takes_its_input_and_model_from_the_file_and_leaves_its_answers_below_its_name() {
    let to = target("gemini-up");
    let (call, at) = made(&jobs("vertex_ai", &to));
    let number = "00000000000000000000000000000001";
    let below = "own/litellm-vertex-files/publishers/google/models/gemini-up";
    assert_eq!(at.name, format!("{below}/{number}/_my_input.jsonl"));
    assert_eq!(call.path, "v1/projects/p/locations/eu-west-1/batchPredictionJobs");
    let job = parsed(&call.body);
    assert_eq!(job["model"], "publishers/google/models/gemini-up");
    assert_eq!(job["inputConfig"]["gcsSource"]["uris"], json!([format!("gs://in/{}", at.name)]));
    let output = job["outputConfig"]["gcsDestination"]["outputUriPrefix"].as_str().expect("one");
    assert!(output.starts_with("gs://in/own/litellm-batch-outputs/"), "{output}");
    // Whatever the deployment's model is by then, as where it has a star.
    let claude = target("claude-up");
    let (file, _) = made(&jobs("vertex_ai", &claude));
    assert_eq!(parsed(&file.body)["model"], "publishers/anthropic/models/claude-up");

    let mut to = target("converse/eu.anthropic.claude-v1:0");
    let (call, at) = made(&jobs("bedrock", &to));
    assert_eq!((&*call.path, &call.method), ("model-invocation-job", &Method::POST));
    let job = parsed(&call.body);
    assert_eq!(job["modelId"], "eu.anthropic.claude-v1:0");
    assert_eq!(
        (&job["roleArn"], &job["modelInvocationType"]),
        (&json!("arn:role"), &json!("Converse"))
    );
    assert_eq!(job["timeoutDurationInHours"], 48);
    let input = &job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"];
    assert_eq!(*input, format!("s3://in/{}", at.name));
    let name = job["jobName"].as_str().expect("a name");
    assert!(name.len() < 64, "{name}");
    let output = &job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"];
    assert_eq!(*output, format!("s3://in/own/litellm-batch-outputs/{name}/"));

    let foreign = json!({"input_file_id": "s3://in/else/x.jsonl", "endpoint": CHATS}).to_string();
    let wish = Wish::read(foreign.as_bytes()).expect("a wish");
    assert!(jobs("bedrock", &to).creation(&wish, 2).is_err());
    assert!(Wish::read(br#"{"input_file_id":"a","endpoint":"/v1/responses"}"#).is_err());
    assert!(jobs("bedrock", &to).shelved(Some("fine-tune"), None, (1, Asks::Chats)).is_err());
    let vectors = shelved(&jobs("bedrock", &to), Asks::Embeddings);
    let wish = |endpoint: &str| {
        json!({"input_file_id": format!("s3://in/{}", vectors.name), "endpoint": endpoint})
            .to_string()
    };
    let (right, wrong) = (wish(VECTORS), wish(CHATS));
    let right = Wish::read(right.as_bytes()).expect("a wish");
    let (call, _) = jobs("bedrock", &to).creation(&right, 2).expect("it can be made");
    let job = parsed(&call.body);
    assert_eq!(
        (&job["modelId"], &job["modelInvocationType"]),
        (&json!("eu.anthropic.claude-v1:0"), &json!("InvokeModel"))
    );
    let wrong = Wish::read(wrong.as_bytes()).expect("a wish");
    let refused = jobs("bedrock", &to).creation(&wrong, 2).expect_err("its lines are others");
    assert!(refused.to_string().contains("as of the lines of its file"), "{refused}");
    to.buckets.as_mut().expect("some").role = None;
    let own =
        json!({"input_file_id": format!("s3://in/{}", at.name), "endpoint": CHATS}).to_string();
    let wish = Wish::read(own.as_bytes()).expect("a wish");
    let refused = jobs("bedrock", &to).creation(&wish, 2).expect_err("nobody's role");
    assert!(refused.to_string().contains("aws_batch_role_arn"), "{refused}");
    for (provider, model) in [("vertex_ai", "1234567"), ("vertex_ai", "meta/llama-up")] {
        let to = target(model);
        let refused = jobs(provider, &to).shelved(Some("batch"), None, (1, Asks::Chats));
        assert!(refused.is_err(), "{model}");
    }
}

#[test]
fn a_job_is_shown_as_a_batch() {
    let (vertex, bedrock) = (target("gemini-up"), target("m"));
    let google = |state: &str, done: bool| {
        let mut job = json!({"name": "projects/1/locations/l/batchPredictionJobs/77", "state": state,
            "createTime": "2023-11-14T22:13:20.123456Z", "endTime": "2023-11-14T22:13:30Z",
            "inputConfig": {"gcsSource": {"uris": ["gs://in/a"]}}, "error": {"message": "why"}});
        if done {
            job["outputInfo"] = json!({"gcsOutputDirectory": "gs://in/o/prediction-1"});
            job["completionStats"] = json!({"successfulCount": "2", "failedCount": "1"});
        }
        jobs("vertex_ai", &vertex).read(job.to_string().as_bytes()).expect("a job")
    };
    let aws = |status: &str| {
        let job = json!({"jobArn": "arn:aws:bedrock:r:1:model-invocation-job/abc", "status": status,
            "submitTime": "2023-11-14T22:13:20Z", "endTime": "2023-11-14T22:13:30Z", "message": "why",
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://in/a"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://in/o/"}}});
        jobs("bedrock", &bedrock).read(job.to_string().as_bytes()).expect("a job")
    };
    let (of_google, of_aws) = (jobs("vertex_ai", &vertex), jobs("bedrock", &bedrock));
    let cases = [
        (google("JOB_STATE_PENDING", false), &of_google, "validating", None, false),
        (google("JOB_STATE_RUNNING", false), &of_google, "in_progress", None, false),
        (
            google("JOB_STATE_SUCCEEDED", true),
            &of_google,
            "completed",
            Some("gs://in/o/prediction-1/"),
            false,
        ),
        (google("JOB_STATE_CANCELLING", false), &of_google, "cancelling", None, false),
        (
            google("JOB_STATE_CANCELLED", true),
            &of_google,
            "cancelled",
            Some("gs://in/o/prediction-1/"),
            true,
        ),
        (google("JOB_STATE_FAILED", false), &of_google, "failed", None, false),
        (aws("Submitted"), &of_aws, "validating", None, false),
        (aws("InProgress"), &of_aws, "in_progress", None, false),
        (aws("Completed"), &of_aws, "completed", Some("s3://in/o/abc/"), false),
        (aws("Stopping"), &of_aws, "cancelling", None, false),
        (aws("Stopped"), &of_aws, "cancelled", Some("s3://in/o/abc/"), true),
        (aws("Expired"), &of_aws, "expired", Some("s3://in/o/abc/"), true),
    ];
    for (batch, jobs, status, output, in_doubt) in cases {
        let body = batch.write(jobs, None);
        let shown = parsed(&body);
        assert_eq!((&shown["status"], &shown["output_file_id"]), (&json!(status), &json!(output)));
        assert_eq!(shown["created_at"], 1_700_000_000_u64);
        assert_eq!(shown["errors"]["data"][0]["message"] == "why", status == "failed", "{shown}");
        let is_over = ["completed", "failed", "cancelled", "expired"].contains(&status);
        let kept = KeptBatch::read(&body).expect("a batch");
        assert_eq!((kept.finished, kept.output_file_id.as_deref()), (is_over, output), "{status}");
        assert_eq!(batch.in_doubt().is_some(), in_doubt, "{status}");
    }
    let made = json!({"input_file_id": "s3://in/a", "endpoint": CHATS, "metadata": {"a": "b"}})
        .to_string();
    let wish = Wish::read(made.as_bytes()).expect("a wish");
    let new = of_aws.read(br#"{"jobArn":"arn:x/abc"}"#).expect("a job").made(&wish, 9);
    let shown = parsed(&new.write(&of_aws, Some(&wish)));
    assert_eq!((&shown["metadata"], &shown["created_at"]), (&json!({"a": "b"}), &json!(9)));
    assert_eq!(
        (&shown["input_file_id"], &shown["status"]),
        (&json!("s3://in/a"), &json!("validating"))
    );
}

#[test]
fn a_batch_has_the_files_in_which_something_is() {
    let (vertex, bedrock) = (target("gemini-up"), target("m"));
    let (of_google, of_aws) = (jobs("vertex_ai", &vertex), jobs("bedrock", &bedrock));
    let of = |[done, failed]: [&str; 2], state: &str| {
        let job = json!({"name": "a/77", "state": state,
            "outputInfo": {"gcsOutputDirectory": "gs://in/o"},
            "completionStats": {"successfulCount": done, "failedCount": failed}});
        let job = of_google.read(job.to_string().as_bytes()).expect("a job");
        parsed(&job.write(&of_google, None))
    };
    let (output, errors) = (json!("gs://in/o/"), json!("gs://in/o/#errors"));
    for (counts, left) in [
        (["2", "1"], [&output, &errors]),
        (["2", "0"], [&output, &Value::Null]),
        (["0", "2"], [&Value::Null, &errors]),
        (["0", "0"], [&output, &Value::Null]),
    ] {
        let shown = of(counts, "JOB_STATE_SUCCEEDED");
        assert_eq!([&shown["output_file_id"], &shown["error_file_id"]], left, "{shown}");
        let open = of(counts, "JOB_STATE_RUNNING");
        assert_eq!((&open["output_file_id"], &open["error_file_id"]), (&Value::Null, &Value::Null));
    }
    let counts = &of(["2", "1"], "JOB_STATE_SUCCEEDED")["request_counts"];
    assert_eq!(*counts, json!({"total": 3, "completed": 2, "failed": 1}));
    let unknown = json!({"jobArn": "arn:x/abc", "status": "Completed",
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://in/o/"}}});
    let unknown = of_aws.read(unknown.to_string().as_bytes()).expect("a job");
    let unknown = parsed(&unknown.write(&of_aws, None));
    assert_eq!(unknown["error_file_id"], "s3://in/o/abc/#errors", "some may have failed");
    for id in ["s3://in/o/abc/#errors", "s3://in/o/abc/", "s3://in/o/x.jsonl#errors"] {
        let place = of_aws.place(id).expect("a place");
        assert_eq!(
            (place.part == Part::Errors, of_aws.file_id(&place)),
            (id.ends_with("/#errors"), id.to_owned())
        );
    }
}

#[test]
fn a_route_of_openais_says_what_is_asked() {
    let id = "gs%3A%2F%2Fin%2Fa%20b";
    let (get, post) = (Method::GET, Method::POST);
    let named = || "gs://in/a b".to_owned();
    for (method, path, expected) in [
        (&post, "/files".to_owned(), Some(Wanted::Upload)),
        (&get, format!("/files/{id}"), Some(Wanted::File(named()))),
        (&get, format!("/files/{id}/content"), Some(Wanted::Content(named()))),
        (&Method::DELETE, format!("/files/{id}"), Some(Wanted::Deletion(named()))),
        (&post, "/batches/7/cancel".to_owned(), Some(Wanted::Cancellation("7".to_owned()))),
        (&post, "/fine_tuning/jobs".to_owned(), None),
    ] {
        assert_eq!(Wanted::read(method, &path), expected, "{path}");
    }
}
