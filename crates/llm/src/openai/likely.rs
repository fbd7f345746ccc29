//! How likely each word of an answer was, as plain completions tell it: lists side by side, where chats
//! have one of objects.

use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use crate::form::Json;

#[derive(Deserialize)]
struct Wire {
    content: Option<Vec<Token>>,
}

/// A token that was written.
#[derive(Deserialize)]
struct Token {
    #[serde(flatten)]
    of: Likely,
    #[serde(default)]
    top_logprobs: Vec<Likely>,
}

/// One that was, or might have been.
#[derive(Deserialize)]
struct Likely {
    token: String,
    logprob: Number,
}

/// What `logprobs` says, in OpenAI's form for chats, of words that begin `offset` characters after the
/// beginning; that is where the next begin afterwards.
pub(super) fn of_texts(logprobs: &Json, offset: &mut usize) -> Value {
    let wire: Option<Wire> = serde_json::from_str(logprobs.text()).ok();
    let Some(said) = wire.and_then(|wire| wire.content) else { return Value::Null };
    let (mut tokens, mut likely, mut top, mut offsets) = (vec![], vec![], vec![], vec![]);
    for Token { of, top_logprobs } in said {
        let mut places = Map::new();
        for Likely { token, logprob } in top_logprobs {
            places.insert(token, logprob.into());
        }
        places.insert(of.token.clone(), of.logprob.clone().into());
        top.push(places);
        offsets.push(*offset);
        *offset += of.token.chars().count();
        tokens.push(of.token);
        likely.push(of.logprob);
    }
    json!({
        "text_offset": offsets,
        "token_logprobs": likely,
        "tokens": tokens,
        "top_logprobs": top,
    })
}
