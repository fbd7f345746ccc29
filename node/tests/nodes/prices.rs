//! What an answer costs beside its tokens, and in which tier.

use dunlin_cluster::Client;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, INPUT_COST, OUTPUT_COST, Scripted, Setup};

/// One model that is priced by all that is counted.
async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let model = harness::deployment("chat", "openai/upstream-name", &mock.api_base());
    let rates = "      input_cost_per_token_flex: 5.0e-7\n      output_cost_per_token_flex: 1.0e-6\n      \
                 output_cost_per_image: 0.02\n      input_cost_per_second: 0.0001\n      \
                 input_cost_per_character: 0.00001\n      input_cost_per_query: 0.002\n";
    harness::start_with(1, mock, format!("model_list:\n{model}{rates}")).await
}

async fn cost(setup: &Setup, path: &str, body: &Value) -> anyhow::Result<(f64, Value)> {
    let reply = setup.cluster.client().post(&setup.cluster.url(0, path), body).await?;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    let cost = reply.header("x-litellm-response-cost").unwrap_or("0").parse()?;
    Ok((cost, reply.json()?))
}

fn near(cost: f64, expected: f64) -> bool {
    (cost - expected).abs() < 1e-9
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_charged_in_the_tier_that_it_was_served_in() -> anyhow::Result<()> {
    let setup = start().await?;
    for (tier, share) in [("default", 1.0), ("auto", 1.0), ("flex", 0.5)] {
        let body = json!({"model": "chat", "messages": [{"role": "user", "content": "hi"}],
            "service_tier": tier});
        let (cost, answer) = cost(&setup, "/v1/chat/completions", &body).await?;
        let tokens = |name: &str| answer["usage"][name].as_f64().expect("a count");
        let expected =
            tokens("prompt_tokens") * INPUT_COST + tokens("completion_tokens") * OUTPUT_COST;
        assert!(near(cost, share * expected), "{tier}: {cost}, not {share} of {expected}");
    }
    Ok(())
}

/// By the factors that are published of the model; where none are, it is said that nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_costs_more_that_is_made_in_the_us_or_faster() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let root = mock.api_base().trim_end_matches("/v1").to_owned();
    let claude = harness::deployment("claude", "anthropic/claude-opus-5-5", &root);
    let slow = harness::deployment("slow", "anthropic/claude-sonnet-4-6", &root);
    let setup = harness::start_with(1, mock, format!("model_list:\n{claude}{slow}")).await?;
    let caller = setup.cluster.client();
    for (model, wish, factor, unpriced) in [
        ("claude", json!({}), 1.0, false),
        ("claude", json!({"inference_geo": "global", "speed": "standard"}), 1.0, false),
        ("claude", json!({"inference_geo": "us"}), 1.1, false),
        ("claude", json!({"inference_geo": "us", "speed": "fast"}), 2.2, false),
        ("slow", json!({"inference_geo": "us"}), 1.1, false),
        ("slow", json!({"inference_geo": "us", "speed": "fast"}), 1.1, true),
    ] {
        for (path, stream) in
            [("/v1/messages", false), ("/v1/messages", true), ("/anthropic/v1/messages", true)]
        {
            let mut body = wish.clone();
            body["model"] = json!(model);
            body["max_tokens"] = json!(9);
            body["stream"] = json!(stream);
            body["messages"] = json!([{"role": "user", "content": "hi"}]);
            let reply = caller.post(&setup.cluster.url(0, path), &body).await?;
            assert_eq!(reply.status, 200, "{path}: {}", reply.body);
            let record = setup.records(0)?.pop().expect("it is on record");
            let count = |name: &str| record[name].as_f64().expect("a count");
            let usual = count("prompt") * INPUT_COST + count("completion") * OUTPUT_COST;
            let cost = count("cost") / 1e9;
            assert!(near(cost, factor * usual), "{path} {body}: {cost} of {usual}");
            assert_eq!(record["unpriced"], unpriced, "{path} {body}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_queries_and_characters_are_charged() -> anyhow::Result<()> {
    let setup = start().await?;
    let body = json!({"model": "chat", "prompt": "a dot", "n": 3});
    let (pictures, _) = cost(&setup, "/v1/images/generations", &body).await?;
    assert!((0.06..0.0601).contains(&pictures), "three pictures and a few tokens: {pictures}");
    let body = json!({"model": "chat", "query": "a", "documents": ["a", "b"]});
    let (query, _) = cost(&setup, "/v1/rerank", &body).await?;
    assert!((0.002..0.0021).contains(&query), "a query and a few tokens: {query}");

    let speaker: Client = setup.make_key(0, json!({})).await?;
    let body = json!({"model": "chat", "voice": "alloy", "input": "a".repeat(100)});
    let spoken = speaker.post(&setup.cluster.url(0, "/v1/audio/speech"), &body).await?;
    assert_eq!(spoken.status, 200, "{}", spoken.body);
    dunlin_cluster::wait_until("the characters are charged", harness::SOON, async || {
        let info = setup.key_info(0, &speaker).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| (0.001..0.0011).contains(&spend))
    })
    .await
}

/// Models each of which has one price, and none for tokens.
async fn start_without_token_prices() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let rates = [
        ("speech", "input_cost_per_character", 0.001),
        ("rank", "input_cost_per_query", 0.002),
        ("painted", "output_cost_per_image", 0.04),
    ];
    let models = rates.map(|(name, rate, price)| {
        let target = format!("openai/{name}");
        let model = harness::deployment(name, &target, &mock.api_base());
        let is_of_tokens = |line: &&str| !line.contains("cost_per_token");
        let lines: Vec<&str> = model.lines().filter(is_of_tokens).collect();
        format!("{}\n      {rate}: {price}\n", lines.join("\n"))
    });
    harness::start_with(1, mock, format!("model_list:\n{}", models.concat())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_refuses_what_is_not_priced_by_tokens_too() -> anyhow::Result<()> {
    let setup = start_without_token_prices().await?;
    let calls = [
        ("/v1/audio/speech", json!({"model": "speech", "voice": "alloy", "input": "hello"})),
        ("/v1/rerank", json!({"model": "rank", "query": "a", "documents": ["a"]})),
        ("/v1/images/generations", json!({"model": "painted", "prompt": "a dot"})),
    ];
    for fields in [json!({"max_budget": 0}), json!({"max_budget": 0, "strict_budget": true})] {
        let caller = setup.make_key(0, fields).await?;
        for (path, body) in &calls {
            let reply = caller.post(&setup.cluster.url(0, path), body).await?;
            assert_eq!(reply.status, 422, "{path}: {}", reply.body);
        }
    }
    // What is left is enough for none of them.
    let strict = setup.make_key(0, json!({"max_budget": 0.0019, "strict_budget": true})).await?;
    for (path, body) in &calls {
        let reply = strict.post(&setup.cluster.url(0, path), body).await?;
        assert_eq!(reply.status, 422, "{path}: {}", reply.body);
    }
    Ok(())
}

/// OpenRouter tells what each answer cost; most of its models are on no price list.
#[tokio::test(flavor = "multi_thread")]
async fn what_openrouter_says_an_answer_cost_is_spent() -> anyhow::Result<()> {
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 3, "cost": 0.0123});
    let answer = json!({"id": "a", "model": "nobody/knows", "choices": [{"index": 0,
        "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": usage});
    let router = Scripted::start("application/json", vec![answer.to_string()]).await?;
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "model_list:\n  - model_name: routed\n    litellm_params: {{model: openrouter/nobody/knows, \
         api_base: '{}', api_key: k}}\n",
        router.api_base()
    );
    let setup = harness::start_with(1, mock, config).await?;
    let caller = setup.make_key(0, json!({"max_budget": 0.001})).await?;
    let url = setup.cluster.url(0, "/v1/chat/completions");
    let body = json!({"model": "routed", "messages": [{"role": "user", "content": "hi"}]});
    let reply = caller.post(&url, &body).await?;
    assert_eq!(reply.header("x-litellm-response-cost"), Some("0.0123"), "{}", reply.body);
    assert_eq!(reply.header("x-dunlin-unpriced"), None);
    assert_eq!(caller.post(&url, &body).await?.status, 422, "it has spent more than it may");
    Ok(())
}

/// Three seconds of silence: one channel, 16,000 samples a second of two bytes each.
fn wave() -> Vec<u8> {
    let mut wave =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data"
            .to_vec();
    wave.extend(96_000_u32.to_le_bytes());
    wave.resize(wave.len() + 96_000, 0);
    wave
}

fn form(fields: &[(&str, &str)], (name, content): (&str, &[u8])) -> Vec<u8> {
    let head = "--B\r\nContent-Disposition: form-data; name=";
    let fields = fields.iter().map(|(name, value)| format!("{head}\"{name}\"\r\n\r\n{value}\r\n"));
    let file = format!("{head}\"{name}\"; filename=\"a\"\r\n\r\n");
    [fields.collect::<String>().as_bytes(), file.as_bytes(), content, b"\r\n--B--\r\n"].concat()
}

async fn upload(
    setup: &Setup,
    caller: &Client,
    path: &str,
    form: Vec<u8>,
) -> anyhow::Result<(u16, String)> {
    let (status, _, answer) = upload_costing(setup, caller, path, form).await?;
    Ok((status, answer))
}

/// The same, and what its head says that it cost.
async fn upload_costing(
    setup: &Setup,
    caller: &Client,
    path: &str,
    form: Vec<u8>,
) -> anyhow::Result<(u16, Option<f64>, String)> {
    let sent = dunlin_cluster::http_client()?
        .post(setup.cluster.url(0, path))
        .bearer_auth(caller.key())
        .header("content-type", "multipart/form-data; boundary=B")
        .body(form);
    let answer = sent.send().await?;
    let cost = answer.headers().get("x-litellm-response-cost");
    let cost = cost.and_then(|cost| cost.to_str().ok()?.parse().ok());
    Ok((answer.status().as_u16(), cost, answer.text().await?))
}

/// One model with a price of its own.
fn model(mock: &MockUpstream, name: &str, upstream: &str, price: &str) -> String {
    format!(
        "  - model_name: {name}\n    litellm_params:\n      model: openai/{upstream}\n      \
         api_base: {}\n      api_key: sk-upstream\n      {price}\n",
        mock.api_base()
    )
}

async fn charged(setup: &Setup, whom: &Client, what: &str, expected: f64) -> anyhow::Result<()> {
    let what = format!("{what} is charged {expected}");
    dunlin_cluster::wait_until(&what, harness::SOON, async || {
        let info = setup.key_info(0, whom).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| near(spend, expected))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sounds_that_nobody_counts_are_measured_on_every_way() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = [
        "model_list:\n".to_owned(),
        model(&mock, "heard", "heard-up", "input_cost_per_second: 0.0001"),
        model(&mock, "spoken", "spoken-up", "input_cost_per_character: 0.00001"),
        model(&mock, "voiced", "voiced-up", "output_cost_per_second: 0.001"),
    ];
    let setup = harness::start_with(1, mock, config.concat()).await?;
    for (path, model, format) in [
        ("/v1/audio/transcriptions", "heard", "text"),
        ("/v1/audio/transcriptions", "heard", "srt"),
        // Tokens are counted, and only seconds have a price.
        ("/v1/audio/transcriptions", "heard", "json"),
        ("/openai/v1/audio/transcriptions", "heard-up", "text"),
        ("/openai/v1/audio/transcriptions", "heard-up", "json"),
    ] {
        let caller = setup.make_key(0, json!({})).await?;
        let form = form(&[("model", model), ("response_format", format)], ("file", &wave()));
        let (status, cost, heard) = upload_costing(&setup, &caller, path, form).await?;
        assert_eq!(status, 200, "{path}: {heard}");
        let expected = path.starts_with("/v1").then_some(0.0003);
        assert_eq!(cost, expected, "{path} as {format}");
        charged(&setup, &caller, &format!("{path} as {format}"), 0.0003).await?;
    }
    for (path, model, expected) in [
        ("/v1/audio/speech", "spoken", 0.001),
        ("/openai/v1/audio/speech", "spoken-up", 0.001),
        // A tenth of a second.
        ("/v1/audio/speech", "voiced", 0.0001),
        ("/openai/v1/audio/speech", "voiced-up", 0.0001),
    ] {
        let caller = setup.make_key(0, json!({})).await?;
        let body = json!({"model": model, "voice": "alloy", "input": "a".repeat(100),
            "response_format": "wav"});
        let spoken = caller.post(&setup.cluster.url(0, path), &body).await?;
        assert_eq!(spoken.status, 200, "{path}: {}", spoken.body);
        // How long it is is known at its end.
        let known = (!model.starts_with("voiced")).then(|| expected.to_string());
        assert_eq!(spoken.header("x-litellm-response-cost"), known.as_deref(), "{path} of {model}");
        charged(&setup, &caller, &format!("{path} of {model}"), expected).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_prefix_who_serves_is_paid_or_what_is_published() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = [
        "model_list:\n".to_owned(),
        model(&mock, "cheap", "same-up", "input_cost_per_token: 1.0e-6"),
        model(&mock, "dear", "same-up", "input_cost_per_token: 1.0e-3"),
    ];
    let setup = harness::start_with(1, mock, config.concat()).await?;
    let url = setup.cluster.url(0, "/openai/v1/chat/completions");
    // The last one is nobody's here.
    for (model, input, output) in
        [("cheap", 1e-6, 0.0), ("dear", 1e-3, 0.0), ("gpt-4.1", 2e-6, 8e-6)]
    {
        let caller = setup.make_key(0, json!({})).await?;
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        let reply = caller.post(&url, &body).await?;
        let answer: Value = reply.json()?;
        let tokens = |name: &str| answer["usage"][name].as_f64().expect("a count");
        let expected = tokens("prompt_tokens") * input + tokens("completion_tokens") * output;
        charged(&setup, &caller, model, expected).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_budget_lets_no_picture_or_sound_through_that_may_cost_more() -> anyhow::Result<()>
{
    let mock = MockUpstream::start(Settings::default()).await?;
    let tokens = "input_cost_per_token: 1.0e-5\n      output_cost_per_token: 4.0e-5";
    let config = [
        "model_list:\n".to_owned(),
        model(&mock, "heard", "heard-up", "input_cost_per_second: 0.0001"),
        model(&mock, "drawn", "gpt-image-1-up", tokens),
        model(&mock, "painted", "painted-up", "output_cost_per_image: 0.04"),
        model(&mock, "sent", "sent-up", "input_cost_per_image: 0.04"),
    ];
    let setup = harness::start_with(1, mock, config.concat()).await?;
    let strict = json!({"max_budget": 0.03, "strict_budget": true});
    let unknown = vec![7; 96_000];
    for prefix in ["/v1", "/openai/v1"] {
        let caller = setup.make_key(0, strict.clone()).await?;
        let before = setup.mock.stats().requests;
        for (path, model, file, why) in [
            ("/images/edits", "drawn", ("image", &unknown), "send n, size and quality"),
            ("/images/edits", "painted", ("image", &unknown), "send n, size and quality"),
            ("/images/edits", "sent", ("image", &unknown), "send n, size and quality"),
            ("/audio/transcriptions", "heard", ("file", &unknown), "a sound whose file says its"),
        ] {
            let path = format!("{prefix}{path}");
            let form = form(&[("model", model), ("prompt", "a dot")], (file.0, file.1));
            let (status, refused) = upload(&setup, &caller, &path, form).await?;
            assert!(status == 422 && refused.contains(why), "{path} of {model}: {refused}");
        }
        assert_eq!(setup.mock.stats().requests, before, "nobody was asked");
        let low =
            [("model", "drawn"), ("prompt", "a dot"), ("quality", "low"), ("size", "1024x1024")];
        let (status, answer) =
            upload(&setup, &caller, &format!("{prefix}/images/edits"), form(&low, ("image", b"x")))
                .await?;
        assert_eq!(status, 422, "a picture that is sent may be looked at closely: {answer}");
        let form = form(&[("model", "heard")], ("file", &wave()));
        let path = format!("{prefix}/audio/transcriptions");
        let (status, heard) = upload(&setup, &caller, &path, form).await?;
        assert_eq!(status, 200, "three seconds can be paid: {heard}");
        charged(&setup, &caller, &path, 0.0003).await?;
    }
    let caller = setup.make_key(0, strict).await?;
    for (quality, expected) in [("low", 200), ("high", 422)] {
        let body =
            json!({"model": "drawn", "prompt": "a dot", "quality": quality, "size": "1024x1024"});
        let drawn = caller.post(&setup.cluster.url(0, "/v1/images/generations"), &body).await?;
        assert_eq!(drawn.status, expected, "{quality}: {}", drawn.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_margin_is_told_with_its_amount_and_its_share() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let model = harness::deployment("chat", "openai/chat", &mock.api_base());
    let margin = "litellm_settings:\n  cost_margin_config: {global: 0.1}\n";
    let setup = harness::start_with(1, mock, format!("model_list:\n{model}{margin}")).await?;
    let reply = setup.chat(0, &setup.make_key(0, json!({})).await?).await?;
    let part = |name: &str| {
        let name = format!("x-litellm-response-cost{name}");
        reply.header(&name).and_then(|part| part.parse::<f64>().ok())
    };
    let (original, margin, total) = (part("-original"), part("-margin-amount"), part(""));
    let close =
        |a: Option<f64>, b: Option<f64>| a.zip(b).is_some_and(|(a, b)| (a - b).abs() < 2e-9);
    assert!(close(margin, original.map(|cost| cost * 0.1)), "{margin:?} of {original:?}");
    assert!(close(total, original.map(|cost| cost * 1.1)), "{total:?}");
    assert_eq!(part("-margin-percent"), Some(0.1));
    Ok(())
}

/// Google's own way to Imagen counts nothing; what is in its answer is seen.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_googles_own_api_are_charged_one_by_one() -> anyhow::Result<()> {
    let picture = json!({"bytesBase64Encoded": "aGk=", "mimeType": "image/png"});
    let answer = json!({"predictions": [picture, picture, {"raiFilteredReason": "blood"}]});
    let google = Scripted::start("application/json", vec![answer.to_string()]).await?;
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "model_list:\n  - model_name: painter\n    litellm_params: {{model: gemini/imagen-up, \
         api_base: '{}', api_key: k, output_cost_per_image: 0.04}}\n",
        google.api_base()
    );
    let setup = harness::start_with(1, mock, config).await?;
    let url = setup.cluster.url(0, "/gemini/v1beta/models/painter:predict");
    let ask = json!({"instances": [{"prompt": "a dot"}], "parameters": {"sampleCount": 3}});
    let caller = setup.make_key(0, json!({"max_budget": 0.12, "strict_budget": true})).await?;
    let reply = caller.post(&url, &ask).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    charged(&setup, &caller, "two pictures", 0.08).await?;
    let record = setup.records(0)?.pop().expect("it is on record");
    assert_eq!((&record["estimated"], &record["unpriced"]), (&json!(false), &json!(false)));
    let strict = setup.make_key(0, json!({"max_budget": 0.11, "strict_budget": true})).await?;
    assert_eq!(strict.post(&url, &ask).await?.status, 422, "three might come");
    Ok(())
}

/// A film is finished later, and nobody says what it cost.
#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_on_record_as_unpriced_and_not_made_under_a_budget() -> anyhow::Result<()> {
    let answer = json!({"id": "video_1", "object": "video", "model": "film-up", "prompt": "a dot"});
    let openai = Scripted::start("application/json", vec![answer.to_string()]).await?;
    let mock = MockUpstream::start(Settings::default()).await?;
    let model = harness::deployment("film", "openai/film-up", &openai.api_base());
    let setup = harness::start_with(1, mock, format!("model_list:\n{model}")).await?;
    let url = setup.cluster.url(0, "/openai_passthrough/v1/videos");
    let ask = json!({"model": "film", "prompt": "a dot", "seconds": "12"});
    let reply = setup.make_key(0, json!({})).await?.post(&url, &ask).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let record = setup.records(0)?.pop().expect("it is on record");
    assert_eq!((&record["unpriced"], &record["cost"]), (&json!(true), &json!(0)), "{record}");
    for fields in [json!({"max_budget": 9}), json!({"max_budget": 9, "strict_budget": true})] {
        let refused = setup.make_key(0, fields).await?.post(&url, &ask).await?;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(refused.body.contains("finished later"), "{}", refused.body);
    }
    Ok(())
}
