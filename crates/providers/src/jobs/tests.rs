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

fn line(custom_id: &str, body: &Value) -> Bytes {
    let line = json!({"custom_id": custom_id, "method": "POST", "url": CHATS, "body": body});
    Bytes::from(line.to_string())
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
            let sent = jobs.request(&line(custom_id, &body)).expect("it can be said");
            let sent = parsed(&sent);
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
            let written = jobs.answer(answer.to_string().as_bytes(), &told);
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
    let sent = parsed(&jobs.request(&line("Request-1", &body)).expect("it can be said"));
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
    let shown = parsed(&jobs("vertex_ai", &vertex).answer(refused.to_string().as_bytes(), &told));
    assert_eq!((&shown["custom_id"], &shown["response"]), (&json!("1"), &json!(null)));
    let error = json!({"code": "vertex_ai_error", "message": "Bad Request: no"});
    assert_eq!(shown["error"], error);
    let refused = json!({"recordId": "1", "modelInput": {},
        "error": {"errorCode": 400, "errorMessage": "no"}});
    let shown = jobs("bedrock", &bedrock).answer(refused.to_string().as_bytes(), &told);
    assert_eq!(parsed(&shown)["error"], json!({"code": "bedrock_error", "message": "400 no"}));
    assert_eq!(used_in_line(&shown), None);

    let odd = json!({"recordId": "1", "modelOutput": {"what": 1,
        "usage": {"inputTokens": 3, "outputTokens": 2}}});
    let shown = jobs("bedrock", &bedrock).answer(odd.to_string().as_bytes(), &told);
    let (used, _) = used_in_line(&shown).expect("it is charged");
    assert_eq!((used.prompt.0, used.completion.0), (3, 2));
    assert_eq!(parsed(&shown)["response"]["status_code"], 502);
    let (used, _) = used_in_line(&too_long(4_000_000, &told)).expect("it is charged");
    assert!(used.completion.0 > 100_000, "{used:?}");
    let none = parsed(&jobs("bedrock", &bedrock).answer(b"no JSON", &told));
    assert_eq!(none["error"]["code"], "bad_line");
}

#[test]
fn a_line_that_is_no_chat_is_refused() {
    let to = target("gemini-up");
    let jobs = jobs("vertex_ai", &to);
    let messages = json!([{"role": "user", "content": "x"}]);
    let cases = [
        (json!({"body": {"messages": messages}}), "custom_id"),
        (json!({"custom_id": "x".repeat(513), "body": {"messages": messages}}), "custom_id"),
        (json!({"custom_id": "1", "url": "/v1/embeddings", "body": {"input": "x"}}), "url"),
        (json!({"custom_id": "1", "url": CHATS}), "body"),
        (json!({"custom_id": "1", "body": {"messages": messages, "stream": true}}), "no streams"),
        (json!({"custom_id": "1", "body": {"messages": messages, "nonsense": 1}}), "nonsense"),
        (json!({"custom_id": "1", "body": {"messages": 7}}), "messages"),
        (json!([]), "object"),
    ];
    for (line, why) in cases {
        let refused = jobs.request(&Bytes::from(line.to_string())).expect_err(why);
        assert!(refused.to_string().contains(why), "{why}: {refused}");
    }
    assert_eq!(jobs.request(&Bytes::from_static(b" \r")), Ok(Vec::new()), "it is no line");
}

/// A batch of a file that was put where `jobs` puts it.
fn made(jobs: &Jobs<'_>) -> (Call, Address) {
    let at = jobs.place(Some("batch"), Some("../my input.jsonl"), 1).expect("a place");
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
    assert!(Wish::read(br#"{"input_file_id":"a","endpoint":"/v1/embeddings"}"#).is_err());
    assert!(jobs("bedrock", &to).place(Some("fine-tune"), None, 1).is_err());
    to.buckets.as_mut().expect("some").role = None;
    let own =
        json!({"input_file_id": format!("s3://in/{}", at.name), "endpoint": CHATS}).to_string();
    let wish = Wish::read(own.as_bytes()).expect("a wish");
    let refused = jobs("bedrock", &to).creation(&wish, 2).expect_err("nobody's role");
    assert!(refused.to_string().contains("aws_batch_role_arn"), "{refused}");
    for (provider, model) in [("vertex_ai", "1234567"), ("vertex_ai", "meta/llama-up")] {
        let to = target(model);
        assert!(jobs(provider, &to).place(Some("batch"), None, 1).is_err(), "{model}");
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
    let counts =
        &parsed(&google("JOB_STATE_SUCCEEDED", true).write(&of_google, None))["request_counts"];
    assert_eq!(*counts, json!({"total": 3, "completed": 2, "failed": 1}));
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
