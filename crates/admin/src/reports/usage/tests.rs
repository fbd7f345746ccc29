//! Daily totals as far as each caller may see them.

use dunlin_state::{Command, DaySums};
use dunlin_types::{Epoch, NodeId, Tokens};

use super::*;
use crate::rights::tests::{bearer, world_and};

pub(crate) const SPAN: Span = Span { from: Day(0), to: Day(3) };

/// Day, label (`#tag` or `@end user`), key, team, user, model, cost.
type Line = (u32, &'static str, &'static str, &'static str, &'static str, &'static str, u64);

const USED: &[Line] = &[
    (0, "", "sk-dev", "", "dev", "gpt", 100),
    (0, "#prod", "sk-dev", "", "", "gpt", 100),
    (0, "", "sk-team", "t", "", "gpt", 50),
    (0, "@cust", "sk-team", "", "", "gpt", 50),
    (0, "", "sk-gone", "t", "dev", "claude", 7),
    (0, "", "sk-elsewhere", "other", "", "claude", 3_000),
    (0, "", "", "", "", "gpt", 1),
];

/// The keys, teams and users of [`crate::rights::tests::world`], some of which used something on
/// the first day: it lasts for all commands.
pub(crate) fn used_world() -> State {
    settled(USED.iter().map(|(day, label, key, team, user, model, cost)| {
        let named = |name: &str| Some(name.to_owned());
        let of = Facets {
            tag: label.strip_prefix('#').and_then(named),
            end_user: label.strip_prefix('@').and_then(named),
            key: Some(token(key)),
            team: named(team),
            user: named(user),
            organization: named(if *team == "t" { "o" } else { "" }),
            group: named(model),
            model: named(model),
            provider: named(if *model == "gpt" { "openai" } else { "anthropic" }),
            call: named("acompletion"),
        };
        let totals = Totals {
            cost: NanoUsd(cost * 1_000_000),
            prompt: Tokens(*cost),
            completion: Tokens(10),
            successful: 1,
            ..Totals::default()
        };
        (Day(*day), of, totals)
    }))
}

/// The world after something was used.
pub(crate) fn settled(used: impl Iterator<Item = (Day, Facets<Option<String>>, Totals)>) -> State {
    let used: Vec<_> = used.collect();
    let days = DaySums::of(
        used.iter()
            .map(|(day, of, totals)| (*day, of.as_ref().map(|name| name.as_deref()), *totals)),
    );
    let (node, epoch, charges) = (NodeId(1), Epoch(1), Vec::new());
    world_and([Command::Settle { node, epoch, from: 0, to: 1, charges, days, claimed: Vec::new() }])
}

fn token(clear: &str) -> String {
    if clear.is_empty() { String::new() } else { KeyDigest::of(clear).to_string() }
}

#[test]
fn each_sees_its_own_and_what_it_leads() {
    let state = used_world();
    for (who, keys, tags, end_users) in [
        ("sk-root", 3_158, 100, 50),
        ("sk-auditor", 3_158, 100, 50),
        ("sk-boss", 57, 0, 50),
        ("sk-lead", 57, 0, 50),
        ("sk-dev", 107, 100, 0),
        ("sk-reader", 0, 0, 0),
        ("sk-team", 50, 0, 50),
        ("sk-bare", 0, 0, 0),
        ("sk-master-made", 0, 0, 0),
    ] {
        let caller = bearer(&state, who);
        let seen = [Book::Keys, Book::Tags, Book::EndUsers].map(|book| {
            let rows = rows(&state, &caller, book, SPAN);
            rows.map(|(_, _, totals)| totals.cost.0 / 1_000_000).sum::<u64>()
        });
        assert_eq!(seen, [keys, tags, end_users], "{who}");
    }
    let later = Span { from: Day(1), to: Day(3) };
    assert_eq!(rows(&state, &Caller::Master, Book::Keys, later).count(), 0);
}

#[test]
fn keys_are_named_in_clear_or_by_hash_and_the_master_key_by_litellms_word() {
    let state = used_world();
    let days = state.days();
    let dev = days.symbol(&token("sk-dev"));
    assert!(dev.is_some());
    assert_eq!(key_symbol(days, "sk-dev"), dev);
    assert_eq!(key_symbol(days, &token("sk-dev")), dev);
    assert_eq!(key_symbol(days, MASTER), Some(Symbol::NONE));
    assert_eq!(key_symbol(days, "sk-nobody"), None);
}
