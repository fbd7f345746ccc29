//! What a request may cost before it is sent: held of every budget that it spends from.

use std::sync::Arc;

use dunlin_admission::Bounds;
use dunlin_ledger::{Ask, Context, Kind, Price, Pricing, Units};
use dunlin_llm::{
    Bound, ChatRequest, Media, MostMedia, Picture, Tier, Unseen, Uses, Word, tokens_in,
};
use dunlin_router::{Deployment, Group, context};
use dunlin_state::Key;
use dunlin_types::Tokens;

use crate::{Proxy, tool_models};

/// What an answer is taken to have that names no maximum, while too few are known.
const ASSUMED_OUTPUT: Tokens = Tokens(1_024);
/// The most that a model writes of which nobody knows better.
pub(crate) const LONGEST_OUTPUT: Tokens = Tokens(131_072);
/// The longest prompt that a model takes of which nobody knows better.
const LONGEST_PROMPT: Tokens = Tokens(1_048_576);
/// What bounds the cost of a request to whose prompt the provider adds something, in words.
const WHOLE_PROMPT: &str = "a prompt to which its provider adds nothing (no addresses, files, \
     earlier turns or tools that search), and a limit on the answer";
/// The same of one that has its provider's tools used, behind each of which its prompt is read again.
const FEW_USES: &str = "a limit on how often its provider's tools are used (`max_tool_calls`, or \
     `max_uses` of each of Anthropic's), and on the answer";
/// Whose models search by a tool where a request has `web_search_options`.
const SEARCH_BY_TOOL: [&str; 4] = ["anthropic", "azure_ai", "bedrock", "vertex_ai"];
/// Milliseconds of sound that are taken for a token, as OpenAI hears.
const MILLIS_A_TOKEN: u64 = 100;
/// A prompt may be written to the provider's cache, which can be dearer than to read it.
const KINDS: &[Kind] = &[Kind::CacheWrite];
/// The same, of a prompt that may be kept for hours.
const KINDS_OF_HOURS: &[Kind] = &[Kind::CacheWrite, Kind::CacheWrite1h, Kind::CacheWrite12h];
/// The same, where sounds and pictures may be sent or made.
const KINDS_OF_MEDIA: &[Kind] = &[
    Kind::CacheWrite,
    Kind::CacheWrite1h,
    Kind::CacheWrite12h,
    Kind::CacheReadAudio,
    Kind::CacheReadImage,
    Kind::InputAudio,
    Kind::InputImage,
    Kind::OutputAudio,
    Kind::OutputImage,
];

static MODALITIES: Word = Word::new(b"odalities\"");
static HOURS: [Word; 2] = [Word::new(b"\"1h\""), Word::new(b"\"12h\"")];

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
    let estimate = Estimate::new(chat, likely(proxy, key, chat));
    let own = priced.map(|deployment| estimate.at(deployment)).fold(Bounds::default(), larger);
    both(own, tool_models::bounds(proxy, chat, &group.deployments))
}

/// The two together.
pub(crate) fn both(one: Bounds, other: Bounds) -> Bounds {
    Bounds { likely: one.likely + other.likely, most: one.most + other.most }
}

/// Whichever is dearer.
pub(crate) fn larger(one: Bounds, other: Bounds) -> Bounds {
    Bounds { likely: one.likely.max(other.likely), most: one.most.max(other.most) }
}

/// What it may cost of which nobody can tell how much before: nothing of what is free.
pub(crate) fn unknown(price: &Pricing) -> Bounds {
    if *price == Pricing::Free { Bounds::default() } else { Bounds::UNKNOWN }
}

/// What an answer of a conversation may cost in which so many tokens are `heard`: if nobody says how
/// long it may be, as long as the model can make it.
pub(crate) fn of_answer(
    by: &Deployment,
    heard: Tokens,
    longest: Option<Tokens>,
    learned: Option<Tokens>,
) -> Bounds {
    if by.price.price().is_none() {
        return unknown(&by.price);
    }
    let longest = longest.or(by.target.max_output).unwrap_or(LONGEST_OUTPUT);
    let likely = learned.unwrap_or(ASSUMED_OUTPUT).min(longest);
    let ask = |prompt, output| {
        by.price.most(&Ask { prompt, output, kinds: KINDS_OF_MEDIA, ..Ask::default() })
    };
    // Most of what was heard before is cached.
    let bounds = Bounds { likely: ask(Tokens(0), likely), most: ask(heard, longest) };
    larger(Bounds::UNKNOWN, bounds)
}

/// What so many tokens may cost of which nobody knows how many are answers'. It is an estimate, as
/// their number is.
pub(crate) fn of_tokens(pricing: &Pricing, tokens: Tokens) -> Bounds {
    let ask =
        |prompt, output| pricing.most(&Ask { prompt, output, kinds: KINDS, ..Ask::default() });
    let dearest = ask(tokens, Tokens(0)).max(ask(Tokens(0), tokens));
    larger(unknown(pricing), Bounds { likely: dearest, most: dearest })
}

/// What is sent by a call that is not read further.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) bytes: u64,
    /// The most tokens of its prompt.
    pub(crate) most: Tokens,
    /// The pictures that are to be made.
    pub(crate) pictures: u64,
    /// How often its provider's tools may be used.
    pub(crate) uses: Uses,
}

impl Sent {
    /// So many bytes for a model of that name, which takes no more than `longest`, if that is known,
    /// and answers as that `bound` says.
    pub(crate) fn to(
        (model, longest): (&str, Option<Tokens>),
        bytes: u64,
        unseen: Unseen,
        bound: Bound,
    ) -> Self {
        let output = bound.tokens.unwrap_or(LONGEST_OUTPUT);
        let uses = unseen.uses.within(output, false);
        let most = most_prompt(Tokens(bytes), unseen, (model, longest));
        Self { bytes, most: read_again(most, (model, output), uses, unseen), pictures: 0, uses }
    }
}

/// The most tokens of a prompt of which so many are seen at most, for a model of that name, which takes
/// no more than `longest`, if that is known.
fn most_prompt(seen: Tokens, unseen: Unseen, (model, longest): (&str, Option<Tokens>)) -> Tokens {
    let a_picture = Unseen::most_a_picture(model).0;
    let seen = seen + Tokens(a_picture.saturating_mul(unseen.pictures));
    if unseen.added { seen.max(longest.unwrap_or(LONGEST_PROMPT)) } else { seen }
}

/// All that a model reads of such a prompt, which it does once more behind each use of a tool. Where
/// nothing is added to it but by those, it grows by what the model writes and makes.
fn read_again(
    prompt: Tokens,
    (model, output): (&str, Tokens),
    uses: Uses,
    unseen: Unseen,
) -> Tokens {
    let made = Unseen::most_a_picture(model).0.saturating_mul(uses.all).saturating_add(output.0);
    let grown = if unseen.added || uses.all == 0 { 0 } else { made };
    Tokens(prompt.0.saturating_add(grown).saturating_mul(uses.all.saturating_add(1)))
}

/// What so many uses of tools may come to beside tokens.
fn of_uses(uses: Uses, units: Units) -> Units {
    Units { web_searches: uses.searches, file_searches: uses.all, code_sessions: uses.all, ..units }
}

/// What bounds the cost of a request, in words: `answer` does that of the length of its answer.
pub(crate) fn bounded_by(unseen: Unseen, answer: &'static str) -> &'static str {
    match (unseen.uses.all > 0, unseen.added) {
        (true, _) => FEW_USES,
        (false, true) => WHOLE_PROMPT,
        (false, false) => answer,
    }
}

/// The tokens of so many milliseconds of sound.
pub(crate) fn tokens_of_sound(millis: u64) -> Tokens {
    Tokens(millis.div_ceil(MILLIS_A_TOKEN))
}

/// What it may cost to write down so much sound. Nobody speaks more tokens than are heard.
pub(crate) fn of_sound(pricing: &Pricing, millis: u64) -> Bounds {
    if pricing.price().is_none() {
        return unknown(pricing);
    }
    let tokens = tokens_of_sound(millis);
    let units = Units { millis_in: millis, ..Units::default() };
    let ask =
        Ask { prompt: tokens, output: tokens, kinds: KINDS_OF_MEDIA, units, ..Ask::default() };
    let most = pricing.most(&ask);
    larger(Bounds::UNKNOWN, Bounds { likely: most, most })
}

/// What a call may cost of which no more is known than how long its prompt and its answers may be: a
/// query, if that has a price, and something, if anything has.
pub(crate) fn of_call(pricing: &Pricing, sent: Sent, bound: Bound) -> Bounds {
    match pricing {
        Pricing::Free => return Bounds::default(),
        Pricing::Unpriced => return Bounds::UNKNOWN,
        Pricing::Priced(_) => {}
    }
    let units = Units { queries: 1, images_out: sent.pictures, ..Units::default() };
    let ask = |kinds, prompt, output, units| {
        let fast = bound.fast;
        pricing.most(&Ask { prompt, output, kinds, units, fast, ..Ask::default() })
    };
    let longest = bound.tokens.unwrap_or(LONGEST_OUTPUT);
    let all = |tokens: Tokens| Tokens(tokens.0.saturating_mul(bound.answers));
    let likely = ask(KINDS, tokens_in(sent.bytes), all(ASSUMED_OUTPUT.min(longest)), units);
    let most = ask(KINDS_OF_MEDIA, sent.most, all(longest), of_uses(sent.uses, units));
    larger(Bounds::UNKNOWN, Bounds { likely, most })
}

/// How long an answer may be that names no maximum, by what is known of others.
pub(crate) fn likely(proxy: &Proxy, key: Option<&Key>, chat: &ChatRequest) -> Option<Tokens> {
    let learned = || proxy.0.admission.expected_output(key?, chat.model());
    chat.max_output().or_else(learned)
}

/// How much a request may use, whoever answers it. What its body says of that is looked for once,
/// however many may answer.
pub(crate) struct Estimate<'a> {
    chat: &'a ChatRequest,
    /// How long its answer will be, as far as is known.
    likely: Option<Tokens>,
    kinds: &'static [Kind],
    tier: Option<Tier>,
    fast: bool,
    media: Media,
    most_media: MostMedia,
    unseen: Unseen,
    picture: Option<Picture>,
}

impl<'a> Estimate<'a> {
    pub(crate) fn new(chat: &'a ChatRequest, likely: Option<Tokens>) -> Self {
        Self {
            chat,
            likely,
            kinds: kinds(chat),
            tier: chat.service_tier(),
            fast: chat.is_fast(),
            media: Media::asked(chat),
            most_media: MostMedia::of(chat),
            unseen: Unseen::of(chat.text_as_bytes()),
            picture: Picture::asked(chat),
        }
    }

    /// What one deployment may charge. One that has a price charges something, whatever is known of it
    /// before: a budget refuses it once it is spent.
    pub(crate) fn at(&self, deployment: &Deployment) -> Bounds {
        if deployment.price.price().is_none() {
            return unknown(&deployment.price);
        }
        let by_picture = self.picture.as_ref().and_then(|picture| priced(deployment, picture));
        // Whether its tokens will be counted is not known.
        let all_is_pictures = deployment.price.price().is_some_and(Price::is_of_pictures);
        let by_tokens = self.priced(deployment, &deployment.price, all_is_pictures);
        let by_picture = by_picture.map(|price| self.priced(deployment, price, true));
        let bounds = match by_picture {
            Some(picture) => Bounds { likely: picture.likely, ..larger(by_tokens, picture) },
            None => by_tokens,
        };
        larger(Bounds::UNKNOWN, bounds)
    }

    fn priced(&self, deployment: &Deployment, price: &Pricing, by_picture: bool) -> Bounds {
        let Self { chat, likely, kinds, tier, fast, media, most_media, unseen, .. } = self;
        let longest = deployment.target.max_output.unwrap_or(LONGEST_OUTPUT);
        let times = |tokens: Tokens| Tokens(tokens.0.saturating_mul(chat.answers()));
        let (likely, most) = if chat.endpoint().is_chat() {
            let likely = likely.unwrap_or(ASSUMED_OUTPUT.min(longest));
            let bound = chat.max_output().filter(|_| !deployment.target.params.drops_bound());
            (times(likely), times(bound.unwrap_or(longest)))
        } else {
            (Tokens(0), most_media.made)
        };
        let pictures = self.picture.as_ref().map_or(0, |_| chat.answers());
        // What is added may be of any kind.
        let most_kinds = if *unseen == Unseen::default() { *kinds } else { KINDS_OF_MEDIA };
        let ask = |kinds, prompt, output, (millis, millis_made), uses| {
            let media = Media { pictures, millis, millis_made, ..*media };
            let Context { service, units } = context(media, *tier, by_picture);
            let units = of_uses(uses, units);
            price.most(&Ask { prompt, output, kinds, units, service, fast: *fast })
        };
        let MostMedia { sent, millis_sent, millis_made, .. } = *most_media;
        let by_tool = SEARCH_BY_TOOL.contains(&&*deployment.provider);
        let uses = unseen.uses.within(most, by_tool);
        // No token of text is shorter than a byte.
        let seen = Tokens(chat.text_bytes()) + sent;
        let prompt = most_prompt(seen, *unseen, (&deployment.target.model, deployment.max_input));
        let prompt = read_again(prompt, (&deployment.target.model, most), uses, *unseen);
        let millis = millis_sent.max(media.millis_sent);
        let (unsaid, likely_prompt) = (Uses::default(), chat.prompt_estimate());
        Bounds {
            likely: ask(*kinds, likely_prompt, likely, (media.millis_sent, 0), unsaid),
            most: ask(most_kinds, prompt, most, (millis, millis_made), uses),
        }
    }
}

/// The most tokens that any of them may read as the prompt of this request.
pub(crate) fn most_prompt_of(chat: &ChatRequest, to: &[Arc<Deployment>]) -> Tokens {
    let unseen = Unseen::of(chat.text_as_bytes());
    let seen = Tokens(chat.text_bytes());
    let each = to.iter();
    let each = each.map(|by| most_prompt(seen, unseen, (&by.target.model, by.max_input)));
    each.max().unwrap_or(seen)
}

/// The kinds of token that may be counted.
fn kinds(chat: &ChatRequest) -> &'static [Kind] {
    if !chat.endpoint().is_chat() || asks_for_media(chat) {
        KINDS_OF_MEDIA
    } else if asks_for_hours(chat) {
        KINDS_OF_HOURS
    } else {
        KINDS
    }
}

/// What a picture of that quality and size costs, where each has a price of its own.
pub(crate) fn priced<'a>(by: &'a Deployment, picture: &Picture) -> Option<&'a Pricing> {
    picture.names().find_map(|name| by.prices.get(&*name))
}

/// Whether it says in what its answer is to come: in OpenAI's words, or in Google's.
fn asks_for_media(chat: &ChatRequest) -> bool {
    MODALITIES.is_in(chat.text_as_bytes())
}

/// Whether its prompt may be kept for hours, which is dearer than for minutes.
fn asks_for_hours(chat: &ChatRequest) -> bool {
    HOURS.iter().any(|word| word.is_in(chat.text_as_bytes()))
}
