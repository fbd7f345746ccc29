//! The models that tools of a provider's ask for a request: whether its caller may have them asked,
//! what they may cost, and what they did.

use std::slice;
use std::sync::Arc;

use dunlin_admission::Bounds;
use dunlin_ledger::{Ask, Context, Cost, Kind, Pricing};
use dunlin_llm::{ChatRequest, DEFAULT_PAINTER, Extras, ToolModel, ToolModels, Usage};
use dunlin_providers::find;
use dunlin_router::tool_models::take_in;
use dunlin_router::{Access, Catalog, Deployment, Group, NoRoute, group, served};
use dunlin_types::{Premium, Served, Tokens};

use crate::Proxy;
use crate::attempts::hold;
use crate::questions::published::Published;
use crate::relay::price::of_model;

/// Whose price a model has that its own server has no price for.
const MAKERS: [&str; 2] = ["anthropic", "openai"];
/// The kinds of token that may be counted: pictures are seen and made, and prompts kept.
const KINDS: &[Kind] = &[Kind::CacheWrite, Kind::CacheWrite1h, Kind::InputImage, Kind::OutputImage];

/// Whose requests may name others that answer.
const OPENROUTER: &str = "openrouter";

/// The models by which the provider of one of these answers where the one that is asked declines. In
/// another dialect nobody does.
fn fallbacks<'c>(
    chat: &'c ChatRequest,
    to: &[Arc<Deployment>],
) -> impl Iterator<Item = &'c ToolModel> {
    let passes = |by: &Arc<Deployment>| {
        find(&by.provider).is_some_and(|provider| provider.passes(chat, &by.target))
    };
    let all = || chat.tool_models().fallbacks();
    let is_passed = all().next().is_some() && to.iter().any(passes);
    all().filter(move |_| is_passed)
}

/// Leaves it to the provider whom `chat` falls back on, if that is for it to carry out.
pub(crate) fn leave_fallbacks(
    catalog: &Catalog,
    access: Option<Access<'_>>,
    chat: &ChatRequest,
    extras: &mut Extras,
) {
    if chat.tool_models().is_empty() {
        return;
    }
    let group = group(catalog, access, chat.model());
    if group.is_ok_and(|group| fallbacks(chat, &group.deployments).next().is_some()) {
        extras.fallbacks = None;
    }
}

/// What other models came to than the one that answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Others {
    pub(crate) cost: Cost,
    /// Nobody knows what one of them costs.
    pub(crate) unpriced: bool,
}

/// What serves a request that goes to `group`, with what its tools ask there.
///
/// # Errors
/// The caller may not have one of them asked.
pub(crate) fn served_with(
    catalog: &Catalog,
    access: Option<Access<'_>>,
    group: &Group,
    chat: &ChatRequest,
) -> Result<Served, NoRoute> {
    let mut served = served(catalog, group);
    let tools = chat.tool_models();
    if !tools.is_empty() {
        let providers: Vec<&str> = group.deployments.iter().map(|by| &*by.provider).collect();
        let others = tools.others().filter(|_| providers.contains(&OPENROUTER));
        let others = others.chain(fallbacks(chat, &group.deployments).map(|one| &*one.model));
        take_in(catalog, access, &providers, tools.names().chain(others), &mut served)?;
    }
    Ok(served)
}

/// What is known of the request whose tools ask.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Its prompt, guessed and at most.
    pub(crate) likely: Tokens,
    pub(crate) most: Tokens,
    /// The most that it is answered with.
    pub(crate) output: Tokens,
    /// Whether its provider carries out its fallbacks.
    pub(crate) falls_back: bool,
}

/// What the tools of a request may cost that goes to any of these.
pub(crate) fn bounds(proxy: &Proxy, chat: &ChatRequest, to: &[Arc<Deployment>]) -> Bounds {
    if chat.tool_models().is_empty() {
        return Bounds::default();
    }
    let serving = proxy.0.serving.load();
    let longest = to.iter().filter_map(|by| by.target.max_output).max();
    let longest = longest.unwrap_or(hold::LONGEST_OUTPUT);
    let asked = Asked {
        likely: chat.prompt_estimate(),
        most: hold::most_prompt_of(chat, to),
        output: chat.max_output().unwrap_or(longest),
        falls_back: fallbacks(chat, to).next().is_some(),
    };
    let prices = |model: &str| {
        let each = to.iter();
        each.map(|by| pricing(&serving.catalog, &proxy.0.published, by, model)).collect()
    };
    bounds_at(prices, chat.tool_models(), asked)
}

/// What they may cost at the dearest of their prices.
pub(crate) fn bounds_at(
    prices: impl Fn(&str) -> Vec<Pricing>,
    tools: &ToolModels,
    asked: Asked,
) -> Bounds {
    let one = |price: &Pricing, (prompt, output): (u64, u64)| {
        let (prompt, output) = (Tokens(prompt), Tokens(output));
        price.most(&Ask { prompt, output, kinds: KINDS, ..Ask::default() })
    };
    let fallbacks = tools.fallbacks().filter(|_| asked.falls_back);
    let fallbacks = fallbacks.map(|one| (one, asked.output));
    let each = tools.iter().map(|tool| (tool, hold::LONGEST_OUTPUT)).chain(fallbacks);
    each.fold(Bounds::default(), |all, (tool, longest)| {
        let calls = tools.most_calls(tool, asked.output);
        let most = tool.most.unwrap_or(longest);
        let shown = asked.most.0.saturating_add(asked.output.0).saturating_add(tool.shown.0);
        let most = (shown.saturating_mul(calls), most.0.saturating_mul(calls));
        let of = |price: &Pricing| {
            let likely = one(price, (asked.likely.0, tool.likely.0));
            hold::larger(hold::unknown(price), Bounds { likely, most: one(price, most) })
        };
        let dearest = prices(&tool.model).iter().map(of).fold(Bounds::default(), hold::larger);
        hold::both(all, dearest)
    })
}

/// What others came to that were asked where `by` answered; `named` is the one that the request names.
pub(crate) fn others(
    (catalog, published): (&Catalog, &Published),
    by: &Arc<Deployment>,
    used: &Usage,
    named: Option<&str>,
    context: Context,
) -> Others {
    let mut others = Others::default();
    // What the provider says of all of it includes them.
    for part in used.parts.iter().filter(|_| used.reported.is_none()) {
        let told = Some(part.model.as_str()).filter(|model| !model.is_empty());
        let model = told.or(named).unwrap_or(DEFAULT_PAINTER);
        let pricing = pricing(catalog, published, by, model);
        // All of it is made in one place.
        let premium = Premium { us: used.premium.us, fast: false };
        let used = Usage { premium, ..part.usage() };
        others.cost = others.cost.plus(pricing.cost(&used, &context));
        others.unpriced |= pricing.is_unknown(&used);
    }
    others
}

/// What a model costs that is asked where `by` is. Where that costs nothing, nothing does there.
fn pricing(catalog: &Catalog, published: &Published, by: &Arc<Deployment>, model: &str) -> Pricing {
    if model.is_empty() || by.price == Pricing::Free {
        return by.price.clone();
    }
    let whose = [&*by.provider].into_iter().chain(MAKERS);
    let prices = whose.map(|provider| {
        of_model(catalog, published, (&[provider], slice::from_ref(by)), model).swap_remove(0)
    });
    let mut known = prices.filter(|price| *price != Pricing::Unpriced);
    known.next().unwrap_or_default()
}
