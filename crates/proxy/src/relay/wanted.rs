//! What a call of a provider's own API asks for, as far as anybody here understands it: which models,
//! and how much of them at most.

use axum::http::Method;
use axum::http::request::Parts;
use bytes::Bytes;
use dunlin_admission::{Bounds, Demand, has_budget};
use dunlin_journal::Origin;
use dunlin_ledger::Pricing;
use dunlin_llm::{Bound, ChatRequest, Media, Named, Tier, Unseen, Uses, edit, tokens_in};
use dunlin_router::relay::Lenders;
use dunlin_types::{Tokens, UnixMillis};

use super::batches::Batch;
use super::{Way, price, understood};
use crate::attempts::hold::{self, Sent};
use crate::bill::About;
use crate::request::body;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::error::Refused;
use crate::{Proxy, Serving, tool_models};

const BACKGROUND: &str = "background";
const IN_BACKGROUND: &str = "a response in the background is made at `/v1/responses` alone, which knows what it \
     cost when it is finished: send it there, or leave `background` out";

const UNTOLD: &str = "what this makes is finished later, and its provider does not say what it costs: \
     it is not made for a key that a budget binds";

/// What a call asks for.
pub(super) struct Wanted {
    pub(super) named: Named,
    /// It is read as those of our own routes are.
    pub(super) read: Option<ChatRequest>,
    /// It makes a batch.
    pub(super) batch: Option<Batch>,
    /// Whether a model may be at work.
    makes: bool,
    /// Whether what it makes is finished later, and nobody says what that costs.
    pub(super) later: bool,
    /// The service tier that is asked for, and what beside tokens.
    tier: Option<Tier>,
    media: Media,
    bytes: u64,
    /// What its body does not show of its prompt.
    unseen: Unseen,
    bound: Bound,
}

impl Wanted {
    pub(super) fn read(way: Way, head: &Parts, path: &str, body: &Bytes) -> Result<Self, Refused> {
        let named = Named::read(path, body::kind(&head.headers), body);
        let named = named.map_err(Refused::UnclearModel)?;
        let makes = head.method == Method::POST;
        if makes && is_of_responses(path) && edit::is_set(body, BACKGROUND) {
            let message = IN_BACKGROUND.to_owned();
            return Err(Refused::Unfit { param: BACKGROUND, message });
        }
        let batch = if makes { Batch::asked(way.prefix, path, body) } else { None };
        let model = named.models().next().unwrap_or_default();
        let read = understood::read(head, path, body, model);
        let bound = Bound::of_call(way.prefix, path, body);
        let tier = std::str::from_utf8(body).ok().and_then(Tier::asked);
        let unseen = if makes { Unseen::of(body) } else { Unseen::default() };
        let media = read.as_ref().map_or_else(|| Media::asked_at(path, body), Media::asked);
        let later = makes && understood::is_later(path, body);
        let bytes = body.len() as u64;
        Ok(Self { read, later, batch, makes, tier, media, bytes, unseen, bound, named })
    }

    /// All models that it names, the one that answers first.
    pub(super) fn models(&self) -> Vec<&str> {
        let in_batch = self.batch.iter().flat_map(|batch| batch.models.keys());
        self.named.models().chain(in_batch.map(String::as_str)).collect()
    }

    /// The model that answers; nothing where none is named.
    pub(super) fn model(&self) -> &str {
        self.models().first().copied().unwrap_or_default()
    }

    /// Tokens of its prompt. Those of a batch are not of this minute.
    pub(super) fn prompt(&self) -> Tokens {
        match (&self.read, &self.batch) {
            (_, Some(_)) => Tokens(0),
            (Some(chat), None) => chat.prompt_estimate(),
            (None, None) => tokens_in(self.bytes),
        }
    }

    /// The most tokens that it may be answered with. `None`: it does not say.
    fn output(&self) -> Option<Tokens> {
        if !self.makes || self.read.is_some() || self.batch.is_some() {
            return Some(Tokens(0));
        }
        let Bound { tokens, answers, .. } = self.bound;
        tokens.map(|most| Tokens(most.0.saturating_mul(answers)))
    }

    pub(super) fn demand(
        &self,
        (proxy, call): (&Proxy, &Call),
        serving: &Serving,
        way: Way,
        lenders: &Lenders,
    ) -> Demand {
        let lending = &lenders.group.deployments;
        // By the prices of all who may be asked, where it is named by a name of ours.
        let prices = |model: &str| match lenders.renamed.as_deref() == Some(model) {
            true => lending.iter().map(|by| by.price.clone()).collect(),
            false => {
                let whose = (way.providers, &lending[..]);
                price::of_model(&serving.catalog, &proxy.0.published, whose, model)
            }
        };
        let longest = |model: &str| {
            let is_renamed = lenders.renamed.as_deref() == Some(model);
            let published = &proxy.0.published;
            price::longest_prompt(published, (way.providers, lending), (model, is_renamed))
        };
        let sent = |model: &str, bytes, bound| {
            let sent = Sent::to((model, longest(model)), bytes, self.unseen, bound);
            Sent { pictures: self.media.pictures, ..sent }
        };
        let cost = match (&self.read, &self.batch) {
            // What makes nothing costs nothing.
            _ if !self.makes => Bounds::default(),
            (Some(chat), _) => understood::bounds(chat, lenders),
            (None, Some(batch)) => batch.cost(self.model(), prices, sent),
            (None, None) => {
                let model = self.model();
                let own = dearest(&prices(model), sent(model, self.bytes, self.bound), self.bound);
                // What such a tool is shown is read for each of its uses once.
                let unseen = Unseen { uses: Uses::default(), ..self.unseen };
                let asked = tool_models::Asked {
                    likely: self.prompt(),
                    most: Sent::to((model, longest(model)), self.bytes, unseen, self.bound).most,
                    output: self.bound.tokens.unwrap_or(hold::LONGEST_OUTPUT),
                    falls_back: true,
                };
                let tool = |tool: &str| prices(if tool.is_empty() { model } else { tool });
                let tools = tool_models::bounds_at(tool, &self.named.tool_models, asked);
                hold::both(own, tools)
            }
        };
        let counted = serving.settings.counted;
        let free = Demand::free(call.id, lenders.served.clone(), self.prompt(), counted);
        Demand { cost, output: self.output(), ..free }
    }

    /// Refuses what costs nobody knows what, to whom a budget binds.
    pub(super) fn check_known(
        &self,
        caller: &Caller,
        to: &Demand,
        now: UnixMillis,
    ) -> Result<(), Refused> {
        let is_bound = |key| has_budget(key, &to.served, now);
        if !self.later || to.cost == Bounds::default() || !caller.key().is_some_and(is_bound) {
            return Ok(());
        }
        Err(Refused::Unfit { param: "model", message: UNTOLD.to_owned() })
    }

    /// What would bound its cost, in words.
    pub(super) fn bounded_by(&self) -> &'static str {
        let answer = match (&self.read, &self.batch) {
            (_, Some(batch)) => batch.bound_field(),
            (Some(chat), None) => Bound::field_of(chat.endpoint()),
            (None, None) => self.bound.field,
        };
        hold::bounded_by(self.unseen, answer)
    }

    pub(super) fn about(&self, origin: Origin) -> About<'_> {
        About {
            tier: self.tier,
            media: self.media,
            tool_model: self.named.tool_models.names().last(),
            ..About::relayed(self.model(), self.prompt(), origin)
        }
    }
}

fn is_of_responses(path: &str) -> bool {
    path.trim_end_matches('/').ends_with("/responses")
}

/// What a request may cost at the dearest of these prices.
pub(super) fn dearest(prices: &[Pricing], sent: Sent, bound: Bound) -> Bounds {
    let all = prices.iter().map(|price| hold::of_call(price, sent, bound));
    all.reduce(hold::larger).unwrap_or_default()
}
