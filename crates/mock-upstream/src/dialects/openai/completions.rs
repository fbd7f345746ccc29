//! `/v1/completions`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::chat::{check_stream, n};
use super::{CREATED, KEYS, error_frame, refuse, usage, with_usage};
use crate::answer::{Answer, Part};
use crate::ask::{Ask, Last};
use crate::dialects::azure;
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::script::{Framing, Script, event};

const FINISHES: [&str; 4] = ["stop", "length", "stop", "content_filter"];

#[derive(Clone, Copy)]
pub(in crate::dialects) struct Completions {
    pub(in crate::dialects) azure: bool,
}

impl Route for Completions {
    fn keys(&self) -> Keys {
        if self.azure { azure::KEYS } else { KEYS }
    }

    fn read(&self, mock: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let mut ask = azure::model(self.azure, request)?;
        check_stream(mock, &ask)?;
        if ask.body.get("prompt").is_none() {
            return Err(Failure::missing("prompt"));
        }
        ask.last = Last::User(prompts(&ask).pop().unwrap_or_default());
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if ask.stream {
            Reply::Stream(script(ask, answer))
        } else {
            Reply::Said(whole(ask, answer))
        }
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        if self.azure { azure::refuse(failure) } else { refuse(mock, failure) }
    }
}

/// The prompts as text; a list of token numbers is one prompt, without a text that is known.
fn prompts(ask: &Ask) -> Vec<String> {
    let prompt = &ask.body["prompt"];
    let many = prompt.as_array().filter(|many| many.iter().any(|one| !one.is_number()));
    let each = many.map_or(std::slice::from_ref(prompt), Vec::as_slice);
    each.iter().map(|one| one.as_str().unwrap_or_default().to_owned()).collect()
}

/// What each choice begins with: its prompt, where it is to be said again.
fn openings(ask: &Ask) -> Vec<String> {
    let echo = ask.flag("echo");
    let each = |prompt: String| vec![if echo { prompt } else { String::new() }; n(ask) as usize];
    prompts(ask).into_iter().flat_map(each).collect()
}

fn whole(ask: &Ask, answer: &Answer) -> Value {
    let openings = openings(ask);
    let text = answer.text();
    let choices: Vec<Value> = openings
        .iter()
        .enumerate()
        .map(|(index, opening)| choice(index, &format!("{opening}{text}"), Some(answer)))
        .collect();
    let usage = answer.usage.map(|some| usage(some, choices.len() as u64));
    with_usage(object(ask, answer, &choices), usage)
}

fn script(ask: &Ask, answer: &Answer) -> Script {
    let mut script = Script::new(Framing::Events, error_frame());
    let openings = openings(ask);
    let all = |text: &dyn Fn(usize) -> String, end: Option<&Answer>| {
        let frames = (0..openings.len())
            .map(|index| event(&object(ask, answer, &[choice(index, &text(index), end)])));
        Bytes::from(frames.collect::<Vec<_>>().concat())
    };
    if ask.flag("echo") {
        script.note(all(&|index| openings[index].clone(), None));
    }
    for part in &answer.parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => {
                script.say(text, |token| all(&|_| token.to_owned(), None));
            }
            Part::Thought(_) | Part::Call(_) => {}
        }
    }
    script.note(all(&|_| String::new(), Some(answer)));
    let wanted = ask.body["stream_options"]["include_usage"] == true;
    if let Some(used) = answer.usage.filter(|_| wanted) {
        let last = object(ask, answer, &[]);
        script.note(event(&with_usage(last, Some(usage(used, openings.len() as u64)))));
    }
    script.note(Bytes::from_static(b"data: [DONE]\n\n"));
    script
}

fn choice(index: usize, text: &str, end: Option<&Answer>) -> Value {
    let finish = end.map(|answer| answer.finish.word(FINISHES));
    json!({"index": index, "text": text, "logprobs": null, "finish_reason": finish})
}

fn object(ask: &Ask, answer: &Answer, choices: &[Value]) -> Value {
    json!({"id": format!("cmpl-{}", answer.id), "object": "text_completion", "created": CREATED,
        "model": ask.model, "system_fingerprint": "fp_mock", "choices": choices})
}
