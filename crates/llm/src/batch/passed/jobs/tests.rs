//! Jobs as Bedrock and Vertex AI document them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::batch::passed::{Form, Shelf};

const ARN: &str = "arn:aws:bedrock:us-east-1:1:model-invocation-job/abc123def456";
const VERTEX: &str = "/v1/projects/p/locations/l/batchPredictionJobs";

fn bedrock() -> Shelf {
    Shelf { form: Form::Bedrock, path: "/model-invocation-job".to_owned() }
}

fn vertex() -> Shelf {
    Shelf { form: Form::Vertex, path: VERTEX.to_owned() }
}

fn below(bucket: &str, prefix: &str, expected: bool) -> Answers {
    let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
    Answers::Below { folder: Folder { bucket, prefix }, expected }
}

#[test]
fn a_job_is_known_by_every_name_that_it_has() {
    let escaped = ARN.replace(':', "%3A").replace('/', "%2F");
    for name in ["abc123def456", &escaped] {
        let path = format!("/model-invocation-job/{name}");
        let (shelf, named) = Shelf::of_one("bedrock", &path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!((&*named.id, named.shows_answers), ("abc123def456", true), "{path}");
        assert_eq!(shelf, bedrock());
    }
    let (shelf, named) = Shelf::of_one("vertex_ai", &format!("{VERTEX}/456")).expect("a job");
    assert_eq!((&shelf, &*named.id, named.shows_answers), (&vertex(), "456", true));
    assert_eq!(shelf.path_of("456"), Some(format!("{VERTEX}/456")));
}

#[test]
fn a_job_says_whether_it_is_over_and_where_its_answers_are() {
    let of_bedrock = |status: &str, more: &str| {
        format!(
            r#"{{"jobArn":"{ARN}","status":"{status}",
            "outputDataConfig":{{"s3OutputDataConfig":{{"s3Uri":"s3://b/out/"}}}}{more}}}"#
        )
    };
    let of_vertex = |state: &str, more: &str| {
        format!(
            r#"{{"name":"projects/1/locations/l/batchPredictionJobs/456","state":"{state}"{more}}}"#
        )
    };
    let to_bucket = r#","outputInfo":{"gcsOutputDirectory":"gs://b/x/prediction-1"}"#;
    let to_table = r#","outputInfo":{"bigqueryOutputTable":"t"}"#;
    let counted = format!(r#"{to_bucket},"completionStats":{{"successfulCount":"3"}}"#);
    let none = r#","successRecordCount":0"#;
    let there = |expected| below("b", "out/abc123def456/", expected);
    let cases = [
        (bedrock(), format!(r#"{{"jobArn":"{ARN}"}}"#), false, Answers::None),
        (bedrock(), of_bedrock("InProgress", ""), false, Answers::None),
        (bedrock(), of_bedrock("Stopping", ""), false, Answers::None),
        (bedrock(), of_bedrock("Completed", ""), true, there(true)),
        (bedrock(), of_bedrock("PartiallyCompleted", none), true, there(false)),
        (bedrock(), of_bedrock("Stopped", ""), true, there(false)),
        (vertex(), of_vertex("JOB_STATE_PENDING", ""), false, Answers::None),
        (vertex(), of_vertex("JOB_STATE_FAILED", ""), true, Answers::None),
        (
            vertex(),
            of_vertex("JOB_STATE_SUCCEEDED", to_bucket),
            true,
            below("b", "x/prediction-1/", true),
        ),
        (
            vertex(),
            of_vertex("JOB_STATE_PARTIALLY_SUCCEEDED", to_bucket),
            true,
            below("b", "x/prediction-1/", true),
        ),
        (
            vertex(),
            of_vertex("JOB_STATE_CANCELLED", &counted),
            true,
            below("b", "x/prediction-1/", true),
        ),
        (vertex(), of_vertex("JOB_STATE_SUCCEEDED", to_table), true, Answers::Elsewhere),
    ];
    for (shelf, job, finished, answers) in cases {
        let found = shelf.read(job.as_bytes()).unwrap_or_else(|| panic!("{job}"));
        let id = if shelf.form == Form::Vertex { "456" } else { "abc123def456" };
        assert_eq!((&*found.id, found.finished, found.answers), (id, finished, answers), "{job}");
    }
    assert_eq!(bedrock().read(br#"{"message":"no"}"#), None);
}

#[test]
fn a_job_says_where_its_answers_are_to_be() {
    let bucket = |bucket: &str, prefix: &str| {
        Some(Folder { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    };
    let cases = [
        (
            Form::Bedrock,
            r#"{"outputDataConfig":{"s3OutputDataConfig":{"s3Uri":"s3://b/a/c/"}}}"#,
            bucket("b", "a/c/"),
        ),
        (
            Form::Bedrock,
            r#"{"outputDataConfig":{"s3OutputDataConfig":{"s3Uri":"s3://../a"}}}"#,
            None,
        ),
        (
            Form::Vertex,
            r#"{"outputConfig":{"gcsDestination":{"outputUriPrefix":"gs://b"}}}"#,
            bucket("b", ""),
        ),
        (
            Form::Vertex,
            r#"{"output_config":{"gcs_destination":{"output_uri_prefix":"gs://b/a"}}}"#,
            bucket("b", "a/"),
        ),
        (
            Form::Vertex,
            r#"{"outputConfig":{"gcsDestination":{"outputUriPrefix":"gs://b"}},"outputConfig":{}}"#,
            None,
        ),
        (
            Form::Vertex,
            r#"{"outputConfig":{"bigqueryDestination":{"outputUri":"bq://p.d.t"}}}"#,
            None,
        ),
    ];
    for (form, job, expected) in cases {
        assert_eq!(form.place(job.as_bytes()), expected, "{job}");
    }
}

#[test]
fn a_job_names_its_model_in_its_providers_way() {
    let renamed = |form: Form, body: &str| {
        let rename = &mut |model: &str| (model == "ours").then(|| "theirs".to_owned());
        let body = form.with_models(&Bytes::copy_from_slice(body.as_bytes()), rename);
        String::from_utf8(body.to_vec()).expect("text")
    };
    let cases = [
        (Form::Bedrock, r#"{"modelId":"ours"}"#, "ours", r#"{"modelId":"theirs"}"#),
        (
            Form::Bedrock,
            r#"{"modelId":"arn:aws:bedrock:r::foundation-model/m:0"}"#,
            "m:0",
            r#"{"modelId":"arn:aws:bedrock:r::foundation-model/m:0"}"#,
        ),
        (
            Form::Vertex,
            r#"{"model":"ours"}"#,
            "ours",
            r#"{"model":"publishers/google/models/theirs"}"#,
        ),
        (
            Form::Vertex,
            r#"{"model":"claude-x"}"#,
            "claude-x",
            r#"{"model":"publishers/anthropic/models/claude-x"}"#,
        ),
        (
            Form::Vertex,
            r#"{"model":"publishers/google/models/g"}"#,
            "g",
            r#"{"model":"publishers/google/models/g"}"#,
        ),
    ];
    for (form, body, model, expected) in cases {
        let named = form.models(&Bytes::copy_from_slice(body.as_bytes()));
        assert_eq!(named, BTreeMap::from([(model.to_owned(), 1)]), "{body}");
        assert_eq!(renamed(form, body), expected);
    }
}

#[test]
fn each_line_of_a_jobs_answers_says_what_it_used() {
    let used = |form: Form, line: &str| {
        let answered = form.answered(line.as_bytes())?;
        assert!(!answered.estimated, "{line}");
        Some((answered.usage.prompt.0, answered.usage.cached.0, answered.usage.completion.0))
    };
    let cases = [
        (
            Form::Bedrock,
            r#"{"recordId":"1","modelInput":{},"modelOutput":{"model":"c","usage":{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":2}}}"#,
            Some((7, 4, 2)),
        ),
        (
            Form::Bedrock,
            r#"{"recordId":"1","modelOutput":{"output":{},"usage":{"inputTokens":3,"outputTokens":2}}}"#,
            Some((3, 0, 2)),
        ),
        (
            Form::Bedrock,
            r#"{"modelOutput":{"generation":"x","prompt_token_count":5,"generation_token_count":6}}"#,
            Some((5, 0, 6)),
        ),
        (
            Form::Bedrock,
            r#"{"modelOutput":{"embedding":[1],"inputTextTokenCount":5}}"#,
            Some((5, 0, 0)),
        ),
        (Form::Bedrock, r#"{"recordId":"1","error":{"errorCode":400}}"#, None),
        (
            Form::Vertex,
            r#"{"status":"","request":{},"response":{"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":1}}}"#,
            Some((5, 0, 1)),
        ),
        (
            Form::Vertex,
            r#"{"custom_id":"1","response":{"model":"c","usage":{"input_tokens":3,"output_tokens":2}}}"#,
            Some((3, 0, 2)),
        ),
        (
            Form::Vertex,
            r#"{"predictions":[{"embeddings":{"statistics":{"token_count":8},"values":[1]}}]}"#,
            Some((8, 0, 0)),
        ),
        (Form::Vertex, r#"{"status":"Bad Request","request":{},"response":{}}"#, None),
    ];
    for (form, line, expected) in cases {
        assert_eq!(used(form, line), expected, "{line}");
    }
    let sum = br#"{"totalRecordCount":2,"inputTokenCount":10,"outputTokenCount":20}"#;
    let summed = Form::Bedrock.summed(sum).expect("it is there");
    assert_eq!((summed.prompt, summed.completion), (Tokens(10), Tokens(20)));
}

#[test]
fn what_a_job_leaves_beside_its_answers_is_not_read_as_answers() {
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let left = names(&["o/j/in.jsonl.out", "o/j/manifest.json.out", "o/j/x.log"]);
    let expected = Left { answers: vec![&*left[0]], sum: Some(&*left[1]) };
    assert_eq!(Form::Bedrock.left(&left), expected);
    let whole = names(&["p/predictions.jsonl", "p/incremental_predictions.jsonl", "p/errors"]);
    assert_eq!(Form::Vertex.left(&whole).answers, ["p/predictions.jsonl"]);
    let part = names(&["p/incremental_predictions.jsonl"]);
    assert_eq!(Form::Vertex.left(&part).answers, ["p/incremental_predictions.jsonl"]);
    let old = names(&["p/prediction.results-0", "p/prediction.errors_stats-0"]);
    assert_eq!(Form::Vertex.left(&old).answers, ["p/prediction.results-0"]);
}
