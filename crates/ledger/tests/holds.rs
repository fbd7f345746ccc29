//! What requests hold: never less than they come to cost, if they keep to what was asked.

use dunlin_ledger::{
    Adjustment, Ask, Context, Kind, MAX_LEARNED, Outputs, Price, Pricing, Rate, Service, Sheet,
    Units,
};
use dunlin_types::{EntityId, NanoUsd, PicoUsd, Tokens, Usage};
use proptest::prelude::*;

/// A price from LiteLLM's keys, in US dollars a million units.
fn price(rates: &[(&str, u64)]) -> Price {
    let mut sheet = Sheet::default();
    for (key, usd_a_million) in rates {
        let rate = Rate::from_key(key).expect("a price key");
        sheet.set(rate, PicoUsd(usd_a_million * 1_000_000));
    }
    sheet.price(Adjustment::default())
}

#[test]
fn a_hold_is_every_token_at_the_dearest_rate_that_may_apply() {
    let price = price(&[
        ("input_cost_per_token", 3),
        ("input_cost_per_token_above_200k_tokens", 6),
        ("input_cost_per_token_priority", 9),
        ("cache_creation_input_token_cost", 4),
        ("cache_creation_input_token_cost_above_1hr", 8),
        ("input_cost_per_audio_token", 40),
        ("output_cost_per_token", 15),
        ("output_cost_per_token_above_200k_tokens", 20),
        ("output_cost_per_reasoning_token", 16),
        ("output_cost_per_image", 50_000),
    ]);
    let ask =
        |prompt, output| Ask { prompt: Tokens(prompt), output: Tokens(output), ..Ask::default() };
    let (cached, heard) = ([Kind::CacheWrite1h, Kind::CacheWrite], [Kind::InputAudio]);
    let images = Units { images_out: 2, ..Units::default() };
    let cases = [
        ("plain, and it may think", ask(100, 10), 300 + 160),
        ("a cache for an hour", Ask { kinds: &cached, ..ask(100, 10) }, 800 + 160),
        ("with audio", Ask { kinds: &heard, ..ask(100, 10) }, 4_000 + 160),
        ("sooner", Ask { service: Service::Priority, ..ask(100, 10) }, 900 + 160),
        ("long", ask(200_001, 10), 1_200_006 + 200),
        ("just not long", ask(200_000, 10), 600_000 + 160),
        ("two images", Ask { units: images, ..ask(100, 0) }, 300 + 100_000),
    ];
    for (name, ask, micro) in cases {
        assert_eq!(price.most(&ask), NanoUsd(micro * 1_000), "{name}");
    }
    assert_eq!(Pricing::Free.most(&ask(100, 10)), NanoUsd::ZERO);
    assert_eq!(Pricing::Unpriced.most(&ask(100, 10)), NanoUsd::ZERO);
}

fn usages() -> impl Strategy<Value = (Usage, Context)> {
    let tokens = || (0u64..300_000).prop_map(Tokens);
    let services = prop::sample::select(Service::ALL.to_vec());
    let units = (0u64..5, 0u64..5, 0u64..100_000);
    let prompts = (tokens(), tokens(), tokens(), tokens(), tokens(), tokens());
    let completions = (tokens(), tokens(), tokens(), tokens());
    (prompts, completions, services, units).prop_map(|(prompts, completions, service, units)| {
        let (prompt, cached, cache_write, cache_write_1h, prompt_audio, prompt_image) = prompts;
        let (completion, reasoning, completion_audio, completion_image) = completions;
        let usage = Usage {
            prompt,
            cached,
            cached_audio: reasoning,
            cached_image: prompt_image,
            cache_write,
            cache_write_1h,
            cache_write_12h: prompt_audio,
            prompt_audio,
            prompt_image,
            completion,
            reasoning,
            completion_audio,
            completion_image,
            ..Usage::default()
        };
        let (images_in, web_searches, millis_in) = units;
        let units = Units { images_in, web_searches, millis_in, ..Units::default() };
        (usage, Context { service, units })
    })
}

proptest! {
    #[test]
    fn no_use_within_what_was_asked_costs_more_than_was_held(
        rates in prop::collection::btree_map(
            (prop::sample::select(Kind::ALL.to_vec()), prop::sample::select(vec![0u64, 128_000, 200_000]),
             prop::sample::select(Service::ALL.to_vec())),
            0u64..50_000_000,
            1..20,
        ),
        (usage, context) in usages(),
        margin in 0.0f64..2.0,
    ) {
        let mut sheet = Sheet::default();
        for ((kind, above, service), price) in rates {
            sheet.set(Rate { kind, above, service }, PicoUsd(price));
        }
        let adjustment = Adjustment::default().with_margin(margin).expect("a margin");
        let price = sheet.price(adjustment);
        let ask = Ask {
            prompt: usage.prompt,
            output: usage.completion,
            kinds: &Kind::ALL,
            units: context.units,
            service: context.service,
            fast: usage.premium.fast,
        };
        prop_assert!(price.cost(&usage, &context).total <= price.most(&ask));
        let more = Ask { prompt: ask.prompt + Tokens(1), output: ask.output + Tokens(1), ..ask };
        prop_assert!(price.most(&ask) <= price.most(&more), "more never holds less");
    }

    /// At most a quarter above the true 99th of 100, and never below it.
    #[test]
    fn the_usual_length_of_answers_is_learned(
        lengths in prop::collection::vec(1u64..200_000, 20..400),
    ) {
        let mut outputs = Outputs::default();
        for length in &lengths {
            outputs.learn(EntityId(1), "gpt", Tokens(*length));
        }
        let mut sorted = lengths;
        sorted.sort_unstable();
        let p99 = sorted[sorted.len() - 1 - sorted.len() / 100];
        let Tokens(learned) = outputs.expected(EntityId(1), "gpt").expect("enough answers");
        prop_assert!(p99 <= learned && learned <= p99 + p99 / 4, "{p99}: {learned}");
    }
}

#[test]
fn a_new_key_is_expected_to_be_like_the_others_and_the_latest_answers_weigh_most() {
    let mut outputs = Outputs::default();
    let (old, new) = (EntityId(1), EntityId(2));
    assert_eq!(outputs.expected(new, "gpt"), None);
    (0..1_000).for_each(|_| outputs.learn(old, "gpt", Tokens(1)));
    assert_eq!(outputs.expected(new, "gpt"), Some(Tokens(1)));
    assert_eq!(outputs.expected(new, "claude"), None);
    (0..1_000).for_each(|_| outputs.learn(old, "gpt", Tokens(0)));
    (0..20).for_each(|_| outputs.learn(new, "gpt", Tokens(1_000_000)));
    assert_eq!(
        outputs.expected(new, "gpt"),
        Some(Tokens(262_143)),
        "as long as there is a length for"
    );
    assert_eq!(outputs.expected(old, "gpt"), Some(Tokens(1)));
}

#[test]
fn what_is_learned_is_bounded_and_the_longest_unused_is_forgotten() {
    let mut outputs = Outputs::default();
    let of = |key| EntityId(key);
    for _ in 0..20 {
        outputs.learn(of(0), "gpt", Tokens(7));
    }
    for key in 1..120_000 {
        outputs.learn(of(key), "gpt", Tokens(1_000));
        if key % 10_000 == 0 {
            outputs.learn(of(0), "gpt", Tokens(7));
        }
        assert!(outputs.len() <= MAX_LEARNED);
    }
    assert_eq!(outputs.expected(of(0), "gpt"), Some(Tokens(7)), "in use all the time");
}
