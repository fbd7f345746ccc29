//! What a deployment is asked, to see whether it lives: by its mode, as little as can be asked.

use std::sync::Arc;

use bytes::Bytes;
use dunlin_llm::{ChatRequest, Endpoint, parse, parse_upload};
use dunlin_router::Deployment;
use serde_json::{Value, json};

/// Says little, and is answered with little.
const PROMPT: &str = "test from dunlin";
/// The modes that can be checked, in LiteLLM's words.
const MODES: &str = "audio_speech, audio_transcription, batch, chat, completion, embedding, \
     image_generation, moderation, realtime, rerank, responses";
const BOUNDARY: &str = "dunlin-health-check";
/// Of a silent sound: OpenAI takes no shorter one than a tenth of a second.
const SAMPLES_PER_SECOND: u32 = 8_000;
const SAMPLES: u32 = SAMPLES_PER_SECOND / 4;

/// What is asked of whom.
pub(super) struct Asking {
    pub(super) whom: Arc<Deployment>,
    pub(super) what: What,
}

pub(super) enum What {
    /// A request that names a model.
    Call(Box<ChatRequest>),
    /// A conversation, which is opened and left.
    Handshake,
    /// Its batches.
    Batches,
}

/// What is asked. Or why nothing can be.
pub(super) fn of(deployment: &Arc<Deployment>) -> Result<Asking, String> {
    let check = &deployment.about.check;
    let mut whom = Arc::clone(deployment);
    if let Some(model) = &check.model {
        let changed = Arc::make_mut(&mut whom);
        changed.price = changed.price_of(model).clone();
        changed.target = changed.target.filled(model);
    }
    if whom.target.model.contains('*') {
        let why = "a pattern cannot be called: name a model in model_info.health_check_model";
        return Err(why.to_owned());
    }
    let most = check.max_output;
    let chat = || {
        let mut body =
            json!({"messages": [{"role": "user", "content": PROMPT}], "max_tokens": most});
        if let Some(effort) = &check.effort {
            body["reasoning_effort"] = (&**effort).into();
        }
        body
    };
    let (endpoint, body) = match &*whom.about.mode {
        "chat" => (Endpoint::ChatCompletions, chat()),
        "completion" => (Endpoint::Completions, json!({"prompt": PROMPT, "max_tokens": most})),
        "responses" => (Endpoint::Responses, json!({"input": PROMPT, "max_output_tokens": most})),
        "embedding" => (Endpoint::Embeddings, json!({"input": [PROMPT]})),
        "moderation" => (Endpoint::Moderations, json!({"input": PROMPT})),
        "rerank" => (Endpoint::Rerank, json!({"query": PROMPT, "documents": [PROMPT]})),
        "image_generation" => (Endpoint::ImageGenerations, json!({"prompt": PROMPT, "n": 1})),
        "audio_speech" => (Endpoint::Speech, json!({"input": PROMPT, "voice": check.voice})),
        "audio_transcription" => {
            let what = What::Call(Box::new(upload(&whom)));
            return Ok(Asking { whom, what });
        }
        "realtime" => return Ok(Asking { whom, what: What::Handshake }),
        "batch" => return Ok(Asking { whom, what: What::Batches }),
        other => {
            return Err(format!(
                "a model of mode `{other}` cannot be checked; model_info.mode may be one of: {MODES}"
            ));
        }
    };
    let what = What::Call(Box::new(request(endpoint, &whom, body)));
    Ok(Asking { whom, what })
}

fn request(endpoint: Endpoint, whom: &Deployment, mut body: Value) -> ChatRequest {
    body["model"] = (&*whom.group).into();
    parse(endpoint, body.to_string().into(), None).expect("it is a request")
}

/// A quarter of a second of silence to be written down.
fn upload(whom: &Deployment) -> ChatRequest {
    let mut body = Vec::new();
    let part = |body: &mut Vec<u8>, about: &str, content: &[u8]| {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {about}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    part(&mut body, "name=\"model\"", whom.group.as_bytes());
    part(&mut body, "name=\"file\"; filename=\"silence.wav\"", &silence());
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let asked = parse_upload(Endpoint::Transcriptions, Bytes::from(body), &kind, None);
    asked.expect("it is an upload")
}

/// A WAV file: one channel of 16 bits.
fn silence() -> Vec<u8> {
    let data = SAMPLES * 2;
    let mut wav = Vec::new();
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + data).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    let format: [(u32, usize); 7] = [
        (16, 4),
        (1, 2),
        (1, 2),
        (SAMPLES_PER_SECOND, 4),
        (SAMPLES_PER_SECOND * 2, 4),
        (2, 2),
        (16, 2),
    ];
    for (number, bytes) in format {
        wav.extend_from_slice(&number.to_le_bytes()[..bytes]);
    }
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&data.to_le_bytes());
    wav.resize(wav.len() + data as usize, 0);
    wav
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use dunlin_config::{Document, Environment, Options, Provider, SourceFile};

    use super::*;

    /// The one deployment of a config with that `model_info`.
    pub(crate) fn deployment(model: &str, info: &str) -> Arc<Deployment> {
        let text = format!(
            "model_list:\n  - model_name: m\n    litellm_params: {{model: {model}, api_base: \
             \"http://name:word@h/v1\", api_key: sk-secret, rpm: 7}}\n    model_info: {{id: d, \
             {info}}}\ngeneral_settings: {{master_key: sk-0123456789abcdef}}\n"
        );
        let files = vec![SourceFile { path: "config.yaml".to_owned(), text }];
        let openai = Provider { id: "openai", ..Provider::default() };
        let options = Options { providers: vec![openai], ..Options::default() };
        let environment = Environment::new(BTreeMap::new());
        let outcome = dunlin_config::load(&Document { files }, &environment, &options);
        let loaded = outcome.loaded.unwrap_or_else(|| panic!("{:?}", outcome.diagnostics));
        Arc::clone(&loaded.catalog.groups["m"].deployments[0])
    }

    #[test]
    fn each_mode_is_asked_as_little_as_can_be() {
        for (info, endpoint, part) in [
            ("", Endpoint::ChatCompletions, r#""max_tokens":5"#),
            ("mode: chat", Endpoint::ChatCompletions, r#""role":"user""#),
            (
                "health_check_reasoning_effort: low",
                Endpoint::ChatCompletions,
                r#""reasoning_effort":"low""#,
            ),
            ("mode: completion", Endpoint::Completions, r#""prompt":"test"#),
            ("mode: responses", Endpoint::Responses, r#""max_output_tokens":16"#),
            ("mode: embedding", Endpoint::Embeddings, r#""input":["test"#),
            ("mode: moderation", Endpoint::Moderations, r#""input":"test"#),
            ("mode: rerank", Endpoint::Rerank, r#""documents":["test"#),
            ("mode: image_generation", Endpoint::ImageGenerations, r#""n":1"#),
            ("mode: audio_speech", Endpoint::Speech, r#""voice":"alloy""#),
        ] {
            let asking = of(&deployment("openai/x", info)).unwrap_or_else(|why| panic!("{why}"));
            let What::Call(asked) = asking.what else { panic!("{info}: a call") };
            assert_eq!(asked.endpoint(), endpoint, "{info}");
            assert!(asked.text().contains(part), "{info}: {}", asked.text());
        }
        let of = |info| of(&deployment("openai/x", info)).map(|asking| asking.what);
        let Ok(What::Call(heard)) = of("mode: audio_transcription") else { panic!("a call") };
        assert_eq!((heard.endpoint(), heard.model()), (Endpoint::Transcriptions, "m"));
        assert!(matches!(of("mode: realtime"), Ok(What::Handshake)));
        assert!(matches!(of("mode: batch"), Ok(What::Batches)));
        assert!(of("mode: ocr").is_err_and(|why| why.contains("`ocr`") && why.contains("chat")));
    }

    #[test]
    fn a_pattern_is_checked_by_the_model_that_is_named_for_it() {
        let pattern = |info| of(&deployment("openai/*", info));
        assert!(pattern("").is_err_and(|why| why.contains("health_check_model")));
        let asking =
            pattern("health_check_model: openai/small").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(&*asking.whom.target.model, "small");
    }
}
