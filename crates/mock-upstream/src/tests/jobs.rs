//! Jobs of Bedrock and Vertex AI, and the buckets with their requests and answers.

use serde_json::{Value, json};

use super::client::{ask, post};
use super::start;

const BEARER: [&str; 1] = ["authorization: Bearer k"];

#[tokio::test]
async fn a_job_of_bedrocks_answers_each_record_and_sums_what_they_used() {
    let mock = start().await;
    let record = json!({"recordId": "1", "modelInput":
        {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}});
    let bad = json!({"recordId": "2", "modelInput": {}});
    mock.put_object("s3://in/a.jsonl", format!("{record}\n{bad}\n"));
    let job = json!({"jobName": "j", "roleArn": "r", "modelId": "amazon.nova-pro-v1:0",
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://in/"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://out/x/"}}});
    let made = post(&mock, "/model-invocation-job", &BEARER, &job).await.json();
    let id = made["jobArn"].as_str().and_then(|arn| arn.rsplit('/').next()).expect("an ARN");
    assert!(mock.objects("s3://out/").is_empty(), "it has not run");
    let shown = ask(&mock, &format!("GET /model-invocation-job/{id}"), &BEARER, "").await.json();
    assert_eq!(shown["status"], "Completed");

    let [answers, sum] = &mock.objects(&format!("s3://out/x/{id}/"))[..] else { panic!("two") };
    let answers: Vec<Value> =
        answers.split(|byte| *byte == b'\n').flat_map(serde_json::from_slice).collect();
    let usage = &answers[0]["modelOutput"]["usage"];
    assert_eq!(answers[1]["error"]["errorCode"], 400, "{answers:?}");
    let sum: Value = serde_json::from_slice(sum).expect("JSON");
    assert_eq!((&sum["successRecordCount"], &sum["errorRecordCount"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&sum["inputTokenCount"], &sum["outputTokenCount"]),
        (&usage["inputTokens"], &usage["outputTokens"])
    );
    for path in ["/s3/out?list-type=2", "/s3/out/x"] {
        let unsigned = ask(&mock, &format!("GET {path}"), &BEARER, "").await;
        assert_eq!(unsigned.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_job_of_vertex_ais_writes_to_a_bucket_or_to_a_table() {
    let mock = start().await;
    let jobs = "/v1/projects/p/locations/l/batchPredictionJobs";
    let request = json!({"request": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}});
    mock.put_object("gs://in/a.jsonl", request.to_string());
    let job = |output: Value| {
        json!({"model": "publishers/google/models/g", "outputConfig": output,
            "inputConfig": {"gcsSource": {"uris": ["gs://in/a.jsonl"]}}})
    };
    let bucket = job(json!({"gcsDestination": {"outputUriPrefix": "gs://out/x"}}));
    let table = job(json!({"bigqueryDestination": {"outputUri": "bq://t"}}));
    for (job, place) in [(bucket, "gcsOutputDirectory"), (table, "bigqueryOutputTable")] {
        let made = post(&mock, jobs, &BEARER, &job).await.json();
        let id = made["name"].as_str().and_then(|name| name.rsplit('/').next()).expect("a name");
        let shown = ask(&mock, &format!("GET {jobs}/{id}"), &BEARER, "").await.json();
        assert_eq!(shown["state"], "JOB_STATE_SUCCEEDED");
        assert!(shown["outputInfo"][place].is_string(), "{shown}");
    }
    let list = "GET /storage/v1/b/out/o?prefix=x%2F";
    let listed = ask(&mock, list, &BEARER, "").await.json();
    let name = listed["items"][0]["name"].as_str().expect("one").replace('/', "%2F");
    let read = ask(&mock, &format!("GET /storage/v1/b/out/o/{name}?alt=media"), &BEARER, "").await;
    assert!(read.json()["response"]["usageMetadata"].is_object());
    assert_eq!(ask(&mock, list, &[], "").await.status, 401);
    let locked = ask(&mock, "GET /storage/v1/b/locked/o", &BEARER, "").await;
    assert_eq!(locked.status, 403);
    let token = post(&mock, "/token", &[], &json!({})).await.json();
    assert_eq!(token["token_type"], "Bearer");
}
