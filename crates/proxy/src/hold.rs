//! What a request may cost before it is sent: held of every budget that it spends from.

use dunlin_admission::Bounds;
use dunlin_ledger::{Ask, Context, Kind, Pricing, Units};
use dunlin_llm::{Bound, ChatRequest, Media, Picture, tokens_in};
use dunlin_router::{Deployment, Group, context};
use dunlin_state::Key;
use dunlin_types::Tokens;

use crate::Proxy;

/// What an answer is taken to have that names no maximum, while too few are known.
const ASSUMED_OUTPUT: Tokens = Tokens(1_024);
/// The most that a model writes of which nobody knows better.
const LONGEST_OUTPUT: Tokens = Tokens(131_072);
/// A prompt may be written to the provider's cache, which can be dearer than to read it.
const KINDS: &[Kind] = &[Kind::CacheWrite];
/// The same, of a prompt that may be kept for an hour.
const KINDS_OF_AN_HOUR: &[Kind] = &[Kind::CacheWrite, Kind::CacheWrite1h];

/// What the dearest deployment of a group may charge. What can cost nothing is not reckoned.
pub(crate) fn bounds(
    proxy: &Proxy,
    key: Option<&Key>,
    chat: &ChatRequest,
    group: &Group,
) -> Bounds {
    let mut priced = group.deployments.iter().filter(|one| one.price != Pricing::Free).peekable();
    if priced.peek().is_none() {
        return Bounds::default();
    }
    let likely = likely(proxy, key, chat);
    let all = priced.map(|deployment| of_one(chat, likely, deployment));
    all.fold(Bounds::default(), larger)
}

/// Whichever is dearer.
pub(crate) fn larger(one: Bounds, other: Bounds) -> Bounds {
    Bounds { likely: one.likely.max(other.likely), most: one.most.max(other.most) }
}

/// What a call of so many bytes may cost of which no more is known than how long its answers may be: a
/// query, if that has a price, and something, if anything has.
pub(crate) fn of_bytes(pricing: &Pricing, bytes: u64, bound: Bound) -> Bounds {
    match pricing {
        Pricing::Free => return Bounds::default(),
        Pricing::Unpriced => return Bounds::UNKNOWN,
        Pricing::Priced(_) => {}
    }
    let units = Units { queries: 1, ..Units::default() };
    let ask = |prompt, output| {
        pricing.most(&Ask { prompt, output, kinds: KINDS, units, ..Ask::default() })
    };
    let longest = bound.tokens.unwrap_or(LONGEST_OUTPUT);
    let all = |tokens: Tokens| Tokens(tokens.0.saturating_mul(bound.answers));
    let likely = ask(tokens_in(bytes), all(ASSUMED_OUTPUT.min(longest)));
    larger(Bounds::UNKNOWN, Bounds { likely, most: ask(Tokens(bytes), all(longest)) })
}

/// How long an answer may be that names no maximum, by what is known of others.
pub(crate) fn likely(proxy: &Proxy, key: Option<&Key>, chat: &ChatRequest) -> Option<Tokens> {
    let learned = || proxy.0.admission.expected_output(key?, chat.model());
    chat.max_output().or_else(learned)
}

/// What one deployment may charge for an answer that is `likely` so long. One that has a price
/// charges something, whatever is known of it before: a budget refuses it once it is spent.
pub(crate) fn of_one(
    chat: &ChatRequest,
    likely: Option<Tokens>,
    deployment: &Deployment,
) -> Bounds {
    if deployment.price.price().is_none() {
        return Bounds::default();
    }
    let times = |tokens: Tokens| Tokens(tokens.0.saturating_mul(chat.answers()));
    let longest = deployment.target.max_output.unwrap_or(LONGEST_OUTPUT);
    let (likely, most) = if chat.endpoint().is_chat() {
        (likely.unwrap_or(ASSUMED_OUTPUT.min(longest)), chat.max_output().unwrap_or(longest))
    } else {
        (Tokens(0), Tokens(0))
    };
    let picture = Picture::asked(chat);
    let by_picture = picture.as_ref().and_then(|picture| priced(deployment, picture));
    let pictures = picture.as_ref().map_or(0, |_| chat.answers());
    let asked = Media::asked(chat);
    let media = Media { pictures, millis: asked.millis_sent, ..asked };
    let Context { service, units } = context(media, chat.service_tier(), by_picture.is_some());
    let kinds = if asks_for_an_hour(chat) { KINDS_OF_AN_HOUR } else { KINDS };
    let pricing = by_picture.unwrap_or(&deployment.price);
    let ask = |prompt, output| {
        pricing.most(&Ask { prompt, output: times(output), kinds, units, service })
    };
    // No token is shorter than a byte.
    let bytes = Tokens(chat.text_bytes());
    let bounds = Bounds { likely: ask(chat.prompt_estimate(), likely), most: ask(bytes, most) };
    larger(Bounds::UNKNOWN, bounds)
}

/// What a picture of that quality and size costs, where each has a price of its own.
pub(crate) fn priced<'a>(by: &'a Deployment, picture: &Picture) -> Option<&'a Pricing> {
    picture.names().find_map(|name| by.prices.get(&*name))
}

/// Whether its prompt may be kept for an hour, which is dearer than for five minutes.
fn asks_for_an_hour(chat: &ChatRequest) -> bool {
    memchr::memmem::find(chat.text().as_bytes(), b"\"1h\"").is_some()
}
