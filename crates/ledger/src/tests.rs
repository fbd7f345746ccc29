//! What the crate promises at its border: each unit is charged once and at its rate, parts sum to
//! totals, and more never costs less.

use dunlin_types::{NanoUsd, PicoUsd, Tokens, Usage};
use proptest::prelude::*;

use crate::{Adjustment, Context, Cost, Kind, Price, Pricing, Rate, Service, Sheet, Tier, Units};

/// A sheet from LiteLLM's keys, in US dollars a million units.
fn sheet(rates: &[(&str, u64)]) -> Sheet {
    let mut sheet = Sheet::default();
    for (key, usd_a_million) in rates {
        let rate = Rate::from_key(key).expect("a price key");
        sheet.set(rate, PicoUsd(usd_a_million * 1_000_000));
    }
    sheet
}

fn price(rates: &[(&str, u64)]) -> Price {
    sheet(rates).price(Adjustment::default())
}

fn served(service: Service) -> Context {
    Context { service, ..Context::default() }
}

fn tokens(prompt: u64, completion: u64) -> Usage {
    Usage { prompt: Tokens(prompt), completion: Tokens(completion), ..Usage::default() }
}

fn total(price: &Price, usage: &Usage, service: Service) -> u64 {
    price.cost(usage, &served(service)).total.0
}

#[test]
fn the_recorded_request_costs_what_litellm_charged() {
    // Recorded from litellm 1.106.2: 9 and 3 tokens at 1e-06 and 2e-06 gave 1.5e-05.
    let price = price(&[("input_cost_per_token", 1), ("output_cost_per_token", 2)]);
    let cost = price.cost(&tokens(9, 3), &Context::default());
    let nano = [cost.input, cost.output, cost.original, cost.total].map(|amount| amount.0);
    assert_eq!(nano, [9_000, 6_000, 15_000, 15_000]);
}

#[test]
fn a_cost_is_rounded_once_after_its_parts_are_summed() {
    let mut sheet = Sheet::default();
    sheet.set(Rate::of(Kind::Input), PicoUsd(500));
    sheet.set(Rate::of(Kind::Output), PicoUsd(500));
    let cost = sheet.price(Adjustment::default()).cost(&tokens(1, 1), &Context::default());
    assert_eq!(cost.total, NanoUsd(1), "0.5 + 0.5 is 1, not 1 + 1");
}

#[test]
fn every_kind_of_token_has_its_rate_and_is_charged_once() {
    let usage = Usage {
        prompt: Tokens(1000),
        cached: Tokens(100),
        cache_write: Tokens(200),
        cache_write_1h: Tokens(50),
        cache_write_12h: Tokens(30),
        prompt_audio: Tokens(10),
        prompt_image: Tokens(20),
        completion: Tokens(500),
        reasoning: Tokens(300),
        completion_audio: Tokens(30),
        completion_image: Tokens(40),
        ..Usage::default()
    };
    let all = price(&[
        ("input_cost_per_token", 1),
        ("cache_read_input_token_cost", 2),
        ("cache_creation_input_token_cost", 3),
        ("cache_creation_input_token_cost_above_1hr", 4),
        ("cache_creation_input_token_cost_above_12hr", 7),
        ("input_cost_per_audio_token", 5),
        ("input_cost_per_image_token", 6),
        ("output_cost_per_token", 10),
        ("output_cost_per_reasoning_token", 11),
        ("output_cost_per_audio_token", 12),
        ("output_cost_per_image_token", 13),
    ]);
    let cost = all.cost(&usage, &Context::default());
    let micro = |amount: NanoUsd| amount.0 / 1000;
    assert_eq!(micro(cost.cache_read), 100 * 2);
    assert_eq!(micro(cost.cache_creation), 120 * 3 + 50 * 4 + 30 * 7);
    assert_eq!(micro(cost.input), 200 + 770 + 10 * 5 + 20 * 6 + 670);
    assert_eq!(micro(cost.reasoning), 300 * 11);
    assert_eq!(micro(cost.output), 3300 + 30 * 12 + 40 * 13 + 130 * 10);

    let plain = price(&[("input_cost_per_token", 1), ("output_cost_per_token", 10)]);
    assert_eq!(
        total(&plain, &usage, Service::Standard) / 1000,
        1000 + 5000,
        "text's rates stand in"
    );
    // What was cached of a kind is not charged again as one of it.
    let heard = Usage {
        cached: Tokens(400),
        cached_audio: Tokens(300),
        cached_image: Tokens(60),
        prompt_audio: Tokens(700),
        prompt_image: Tokens(80),
        ..tokens(1000, 0)
    };
    let cached = price(&[
        ("input_cost_per_token", 1),
        ("cache_read_input_token_cost", 2),
        ("cache_read_input_audio_token_cost", 3),
        ("cache_read_input_image_token_cost", 4),
        ("input_cost_per_audio_token", 5),
        ("input_cost_per_image_token", 6),
    ]);
    let read = 40 * 2 + 300 * 3 + 60 * 4;
    let cost = cached.cost(&heard, &Context::default());
    assert_eq!(micro(cost.cache_read), read);
    assert_eq!(micro(cost.total), read + 400 * 5 + 20 * 6 + 180);
    let too_many = Usage { cached: Tokens(5000), reasoning: Tokens(5000), ..usage };
    assert_eq!(total(&all, &too_many, Service::Standard) / 1000, 1000 * 2 + 500 * 11);
}

#[test]
fn long_prompts_and_services_have_rates_of_their_own() {
    // Documented rates of gemini-2.5-pro and gpt-4o, times eight.
    let long = price(&[
        ("input_cost_per_token", 10),
        ("input_cost_per_token_above_200k_tokens", 20),
        ("input_cost_per_token_priority", 18),
        ("input_cost_per_token_above_200k_tokens_priority", 36),
        ("input_cost_per_token_batches", 5),
    ]);
    let cases = [
        (200_000, Service::Standard, 10),
        (200_001, Service::Standard, 20),
        (200_000, Service::Priority, 18),
        (200_001, Service::Priority, 36),
        (200_000, Service::Batch, 5),
        (200_001, Service::Batch, 20),
        (200_000, Service::Flex, 10),
        (200_001, Service::Flex, 20),
    ];
    for (prompt, service, rate) in cases {
        let micro = total(&long, &tokens(prompt, 0), service) / 1000;
        assert_eq!(micro, prompt * rate, "{prompt} tokens, {service:?}");
    }
    let reasoning = price(&[
        ("output_cost_per_token", 2),
        ("output_cost_per_reasoning_token", 3),
        ("output_cost_per_token_flex", 1),
    ]);
    let thought = Usage { reasoning: Tokens(10), ..tokens(0, 10) };
    assert_eq!(total(&reasoning, &thought, Service::Standard), 30_000);
    assert_eq!(total(&reasoning, &thought, Service::Flex), 10_000, "flex thinks at flex's rate");
}

#[test]
fn a_tier_prices_the_whole_request() {
    let mut sheet = Sheet::default();
    let rate = |usd_a_million: u64| PicoUsd(usd_a_million * 1_000_000);
    let tier = |above, input, output, cached: Option<u64>| {
        let mut rates = vec![(Kind::Input, rate(input)), (Kind::Output, rate(output))];
        rates.extend(cached.map(|cached| (Kind::CacheRead, rate(cached))));
        Tier { above, rates }
    };
    sheet.set_tier(&tier(0, 2, 20, Some(1)));
    sheet.set_tier(&tier(256_000, 6, 60, None));
    let price = sheet.price(Adjustment::default());
    let cached = |prompt| Usage { cached: Tokens(1000), ..tokens(prompt, 10) };
    let micro = |usage| total(&price, &usage, Service::Standard) / 1000;
    assert_eq!(micro(cached(256_000)), 255_000 * 2 + 1000 + 200);
    assert_eq!(micro(cached(256_001)), 256_001 * 6 + 600, "the dearer tier has no cache rate");
}

#[test]
fn an_operators_rate_replaces_all_published_ones_of_its_tokens() {
    let published = sheet(&[
        ("input_cost_per_token", 10),
        ("input_cost_per_token_above_200k_tokens", 20),
        ("cache_read_input_token_cost", 5),
        ("output_cost_per_token", 40),
        ("output_cost_per_token_flex", 20),
    ]);
    let own_input = published.clone().overridden_by(&sheet(&[("input_cost_per_token", 1)]));
    let expected = sheet(&[
        ("input_cost_per_token", 1),
        ("output_cost_per_token", 40),
        ("output_cost_per_token_flex", 20),
    ]);
    assert_eq!(own_input, expected);
    let own_cache = published.clone().overridden_by(&sheet(&[("cache_read_input_token_cost", 1)]));
    assert_eq!(own_cache.rates().count(), published.rates().count(), "all else stands");
}

#[test]
fn what_is_not_counted_in_tokens_is_charged_by_its_unit() {
    let price = price(&[
        ("input_cost_per_second", 100),
        ("output_cost_per_character", 15),
        ("output_cost_per_image", 40_000),
        ("output_cost_per_image_token", 30),
        ("input_cost_per_query", 2000),
        ("ocr_cost_per_page", 4000),
    ]);
    let of = |units, usage: &Usage| {
        price.cost(usage, &Context { units, ..Context::default() }).total.0 / 1000
    };
    let none = Usage::default();
    assert_eq!(of(Units { millis_in: 1500, ..Units::default() }, &none), 150);
    assert_eq!(of(Units { characters_out: 4, ..Units::default() }, &none), 60);
    assert_eq!(of(Units { queries: 1, pages: 2, ..Units::default() }, &none), 10_000);
    let told = Usage { queries: 1, pages: 2, ..none.clone() };
    assert_eq!(of(Units::default(), &told), 10_000, "the provider's own counts");
    assert_eq!(of(Units { queries: 1, ..Units::default() }, &told), 10_000, "counted once");
    let image = Units { images_out: 1, ..Units::default() };
    assert_eq!(of(image, &none), 40_000);
    let counted = Usage { completion_image: Tokens(10), ..tokens(0, 10) };
    assert_eq!(of(image, &counted), 300, "an image whose tokens are charged is not charged again");
}

#[test]
fn discounts_come_off_before_margins_go_on() {
    let adjustment = Adjustment::default()
        .with_discount(0.05)
        .and_then(|adjustment| adjustment.with_margin(0.1))
        .expect("shares")
        .with_fixed_margin(PicoUsd::from_usd(0.0005).expect("an amount"));
    let price = sheet(&[("input_cost_per_token", 1)]).price(adjustment);
    let cost = price.cost(&tokens(1000, 0), &Context::default());
    let nano = [cost.original, cost.discount, cost.margin, cost.total].map(|amount| amount.0);
    assert_eq!(nano, [1_000_000, 50_000, 595_000, 1_545_000]);
    for wrong in [-0.1, 1.1, f64::NAN] {
        assert!(Adjustment::default().with_discount(wrong).is_err(), "{wrong}");
    }
    assert!(Adjustment::default().with_margin(101.0).is_err(), "a percentage, not a share");
}

#[test]
fn a_price_of_nothing_is_free_and_an_unknown_one_is_not() {
    assert_eq!(Pricing::from(price(&[("input_cost_per_token", 0)])), Pricing::Free);
    let unpriced = Pricing::default();
    assert_eq!(unpriced, Pricing::Unpriced);
    assert_eq!(unpriced.cost(&tokens(1, 1), &Context::default()), Cost::default());
}

#[test]
fn what_a_provider_says_it_cost_holds_where_nobody_set_a_price() {
    let adjustment = Adjustment::default().with_margin(0.1).expect("a share");
    let usage = Usage { reported: Some(PicoUsd(12_300_000_000)), ..tokens(1, 1) };
    let of = |pricing: &Pricing, usage: &Usage| pricing.cost(usage, &Context::default()).total.0;
    let own = Pricing::from(sheet(&[("input_cost_per_token", 1)]).price(adjustment));
    assert_eq!(of(&own, &usage), 1_100, "an operator's own price goes before it");
    let published = own.or_as_reported();
    assert_eq!(of(&published, &usage), 13_530_000);
    assert_eq!(of(&published, &tokens(1, 1)), 1_100);
    assert_eq!(of(&Pricing::Unpriced, &usage), 12_300_000);
    assert_eq!(of(&Pricing::Free, &usage), 0);
    assert!(!Pricing::Unpriced.is_unknown(&usage) && Pricing::Unpriced.is_unknown(&tokens(1, 1)));
}

#[test]
fn searches_are_charged_each_or_all_at_once() {
    let mut sheet = Sheet::default();
    sheet.set(Rate::of(Kind::WebSearch), PicoUsd(35_000_000_000));
    let of = |sheet: &Sheet, web_searches| {
        let usage = Usage { web_searches, ..Usage::default() };
        sheet.price(Adjustment::default()).cost(&usage, &Context::default()).tools.0
    };
    assert_eq!([0, 1, 3].map(|n| of(&sheet, n)), [0, 35_000_000, 105_000_000]);
    sheet.charge_searches_once();
    assert_eq!([0, 1, 3].map(|n| of(&sheet, n)), [0, 35_000_000, 35_000_000]);
    sheet.set(Rate::of(Kind::MapSearch), PicoUsd(25_000_000_000));
    let both = Usage { web_searches: 3, map_searches: 2, ..Usage::default() };
    let cost = sheet.price(Adjustment::default()).cost(&both, &Context::default());
    assert_eq!(cost.tools.0, 35_000_000 + 25_000_000);
    let own = sheet.clone().overridden_by(&Sheet::default());
    assert_eq!(of(&own, 3), 35_000_000, "an operator's sheet says nothing of it");
}

fn any_usage() -> impl Strategy<Value = Usage> {
    proptest::array::uniform10(prop_oneof![0..3u64, 0..400_000u64, any::<u64>()]).prop_map(|n| {
        let [prompt, cached, cache_write, cache_write_1h, prompt_audio, ..] = n.map(Tokens);
        let [.., prompt_image, completion, reasoning, completion_audio, completion_image] =
            n.map(Tokens);
        Usage {
            prompt,
            cached,
            cached_audio: reasoning,
            cached_image: prompt_image,
            cache_write,
            cache_write_1h,
            prompt_audio,
            prompt_image,
            completion,
            reasoning,
            completion_audio,
            completion_image,
            ..Usage::default()
        }
    })
}

fn any_service() -> impl Strategy<Value = Service> {
    proptest::sample::select(&Service::ALL)
}

fn any_sheet() -> impl Strategy<Value = Sheet> {
    let price = prop_oneof![0..2000u64, 0..50_000_000u64, any::<u64>()].prop_map(PicoUsd);
    let above = proptest::sample::select(vec![0, 128_000, 200_000, 272_000]);
    let rate = (proptest::sample::select(&Kind::ALL), above, any_service())
        .prop_map(|(kind, above, service)| Rate { kind, above, service });
    proptest::collection::vec((rate, price), 0..24).prop_map(|rates| {
        let mut sheet = Sheet::default();
        rates.into_iter().for_each(|(rate, price)| sheet.set(rate, price));
        sheet
    })
}

fn any_adjustment() -> impl Strategy<Value = Adjustment> {
    (0.0..=1.0f64, 0.0..=2.0f64, any::<u64>()).prop_map(|(discount, margin, fixed)| {
        let adjustment = Adjustment::default().with_discount(discount).expect("a share");
        let adjustment = adjustment.with_margin(margin).expect("a share");
        adjustment.with_fixed_margin(PicoUsd(fixed))
    })
}

fn any_units() -> impl Strategy<Value = Units> {
    (any::<[u64; 4]>(), 0..9u64).prop_map(|([a, b, c, d], few)| Units {
        millis_in: a,
        millis_out: b,
        characters_in: c,
        pixels_out: d,
        images_in: few,
        images_out: few,
        queries: few,
        web_searches: few,
        ..Units::default()
    })
}

proptest! {
    #[test]
    fn the_parts_sum_to_the_total_and_nothing_overflows(
        sheet in any_sheet(),
        adjustment in any_adjustment(),
        usage in any_usage(),
        service in any_service(),
        units in any_units(),
    ) {
        let cost = sheet.price(adjustment).cost(&usage, &Context { service, units });
        let sum = |parts: &[NanoUsd]| parts.iter().map(|part| u128::from(part.0)).sum::<u128>();
        let whole = |amount: NanoUsd| u128::from(amount.0);
        prop_assert_eq!(sum(&[cost.input, cost.output, cost.tools]), whole(cost.original));
        let charged = whole(cost.original) - whole(cost.discount) + whole(cost.margin);
        prop_assert_eq!(charged, whole(cost.total));
        prop_assert!(sum(&[cost.cache_read, cost.cache_creation]) <= whole(cost.input));
        prop_assert!(cost.reasoning <= cost.output);
    }

    #[test]
    fn more_of_anything_never_costs_less(
        sheet in any_sheet(),
        adjustment in any_adjustment(),
        usage in any_usage(),
        service in any_service(),
        more in 0..1000u64,
    ) {
        let price = sheet.price(adjustment);
        let cost = |usage: &Usage| price.cost(usage, &served(service)).total;
        let longer = Usage { completion: usage.completion + Tokens(more), ..usage.clone() };
        prop_assert!(cost(&longer) >= cost(&usage) || usage.completion < usage.reasoning
            + usage.completion_audio + usage.completion_image, "completion");
        let short = Usage { prompt: Tokens(usage.prompt.0 % 100_000), ..Usage::default() };
        let prompted = Usage { prompt: short.prompt + Tokens(more), ..short.clone() };
        prop_assert!(cost(&prompted) >= cost(&short), "prompt");
    }
}
