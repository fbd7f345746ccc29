//! Money: each stretch of each node's journal counts exactly once, and what a node may spend it was
//! granted from what is free.

use std::sync::Arc;

use dunlin_ledger::{Length, Pot, Want};
use dunlin_types::{EntityId, Epoch, Line, NanoUsd, NodeId, PotId, RequestId, UnixMillis};

use super::entities;
use crate::command::{Charge, DaySums, Grant, Kind, Rejected, Reply, Return, Spender};
use crate::format::Format;
use crate::payer::{is_of_config, is_rolling};
use crate::snapshot::Spent;
use crate::state::{Holder, State};

/// Counts records `after.1 + 1 ..= to` of life `after.0` of `node`'s journal, if they are the next.
pub(super) fn settle(
    state: &mut State,
    node: NodeId,
    after: (Epoch, u64),
    to: u64,
    (charges, days, claimed): (&[Charge], &DaySums, &[RequestId]),
) -> Result<Reply, Rejected> {
    let known = state.settled(node);
    let next_of_this_life = after == known;
    let first_of_a_newer_life = after.0 > known.0 && after.1 == 0;
    if !(next_of_this_life || first_of_a_newer_life) || to <= after.1 {
        return Ok(Reply::Unchanged);
    }
    claimed.iter().for_each(|request| state.claims.settle(*request));
    let mut reached = Vec::new();
    for charge in charges {
        let Charge { pot, period, cost, requests } = charge;
        // Spend of a deleted entity still counts for the other entities it was spent for, and in
        // the total.
        if !is_of_config(pot) && !state.holders.contains_key(&pot.of) {
            continue;
        }
        if pot.line == Line::Main {
            let spent = Spent { cost: *cost, requests: *requests };
            state.spent.entry(pot.of).or_default().add(spent);
        }
        if *cost == NanoUsd::ZERO {
            continue;
        }
        // A period that begins with a first use begins with its first grant. Who saw it end before
        // it did, or had nothing to hold, spent in the one that is running.
        let turn = if is_rolling(pot) { UnixMillis(0) } else { *period };
        let charged = of_period(state, pot, turn);
        let period = if is_rolling(pot) { charged.period.min(*period) } else { *period };
        let before = charged.settled;
        charged.settle((node, after.0), period, *cost);
        let spent = charged.settled;
        let soft = state.soft_budget_of(pot);
        reached.extend(soft.filter(|soft| before < *soft && *soft <= spent).map(|_| pot.clone()));
    }
    let entities = &state.entities;
    let row = |kind, name: &str| entities.get(&kind)?.get(name);
    // Clients have a hand in those that were only met.
    let is_made = |kind, name: &str| row(kind, name).is_some_and(|row| row.met.is_none());
    state.days.add(days, state.at, is_made);
    let at = state.at;
    Arc::make_mut(state.settled.entry(node).or_default()).add((after.0, to), at);
    state.pasts.settled(node, after.0, at);
    Ok(if reached.is_empty() { Reply::Done } else { Reply::SoftBudgetsReached(reached) })
}

/// Takes back and grants what a node's present life asks for, the `number`th time it does.
pub(super) fn lease(
    state: &mut State,
    node: NodeId,
    (epoch, number): (Epoch, u64),
    returns: &[Return],
    grants: &[Grant],
) -> Result<Reply, Rejected> {
    if !state.nodes.contains_key(&node) {
        return Err(Rejected::UnknownNode { node });
    }
    if (epoch, number) <= state.leased(node) {
        return Ok(Reply::Unchanged);
    }
    state.leased.insert(node, (epoch, number));
    let holder = (node, epoch);
    for Return { pot, period, amount } in returns {
        if let Some(pot) = state.pots.get_mut(pot) {
            Arc::make_mut(pot).give_back(holder, *period, *amount);
        }
    }
    for grant in grants {
        let Grant { pot, period, least, amount, limit, window, carries } = grant;
        let (limit, window) = if is_of_config(pot) {
            (*limit, window.clone())
        } else {
            // What holds by default the config says.
            (state.limit_of(pot).or(*limit), state.window_of(pot))
        };
        let period = window.map_or(*period, |window| running(state, pot, &window));
        // Without a limit nothing needs to be granted; with one, a period of the future is a slip of
        // the node's clock.
        if limit.is_none() || period > state.at {
            continue;
        }
        let want = Want { period, least: *least, amount: *amount };
        let over = carried(state, pot, *carries, period, limit);
        let pot = of_period(state, pot, period);
        pot.settled += over;
        pot.grant(holder, limit, &want);
    }
    Ok(Reply::Done)
}

/// Lives of a node are over: what they were granted and did not spend is free, and nothing more is
/// granted to them.
pub(super) fn close(state: &mut State, node: NodeId, through: Epoch) -> Reply {
    let asked = state.leased(node).max((through, u64::MAX));
    state.leased.insert(node, asked);
    free(state, node, through);
    Reply::Done
}

/// Whatever lives of a node were granted and did not spend is free.
pub(super) fn free(state: &mut State, node: NodeId, through: Epoch) {
    state.pasts.close(node, through);
    let ours = |pot: &Pot| pot.leases.iter().any(|l| l.node == node && l.epoch <= through);
    let leased = state.pots.iter().filter(|(_, pot)| ours(pot)).map(|(id, _)| id.clone());
    for id in leased.collect::<Vec<_>>() {
        let pot = state.pots.get_mut(&id).expect("it was there just now");
        Arc::make_mut(pot).close(node, through);
    }
}

/// A period that the leader's clock has not seen begin is a slip of the node's: the pot's own counts.
pub(super) fn set_spend(
    state: &mut State,
    pot: &PotId,
    period: UnixMillis,
    to: NanoUsd,
) -> Result<Reply, Rejected> {
    if !is_of_config(pot) && !state.holders.contains_key(&pot.of) {
        return Ok(Reply::Unchanged);
    }
    let own = state.pots.get(pot).map_or(UnixMillis(0), |pot| pot.period);
    let period = if (UnixMillis(1)..=state.at).contains(&period) { period } else { own };
    if period < own {
        return Ok(Reply::Unchanged);
    }
    of_period(state, pot, period).settled = to;
    Ok(Reply::Done)
}

/// Nothing is spent from the main pots of keys and teams.
pub(super) fn reset(state: &mut State) -> Reply {
    let is_reset = |pot: &PotId| {
        let whose = state.holders.get(&pot.of);
        pot.line == Line::Main
            && matches!(whose, Some(Holder::Key(_) | Holder::Entity(Kind::Team, _)))
    };
    let spent =
        state.pots.iter().filter(|(pot, held)| held.settled > NanoUsd::ZERO && is_reset(pot));
    for pot in spent.map(|(pot, _)| pot.clone()).collect::<Vec<_>>() {
        let pot = state.pots.get_mut(&pot).expect("it was there just now");
        Arc::make_mut(pot).settled = NanoUsd::ZERO;
    }
    Reply::Done
}

pub(super) fn set_spend_of(
    state: &mut State,
    whose: &Spender,
    period: UnixMillis,
    to: NanoUsd,
) -> Result<Reply, Rejected> {
    let of = number_of(state, whose)?;
    set_spend(state, &PotId { of, line: Line::Main }, period, to)
}

/// What a node that does not serve was granted of someone's budgets and did not spend is free. Its
/// spend is settled as ever, if it comes back.
pub(super) fn reclaim_of(
    state: &mut State,
    node: NodeId,
    whose: &Spender,
) -> Result<Reply, Rejected> {
    match state.nodes.get(&node) {
        Some(member) if member.down.is_none() => return Err(Rejected::NodeIsUp { node }),
        None if !state.removed.contains_key(&node) => return Err(Rejected::UnknownNode { node }),
        Some(_) | None => {}
    }
    let of = number_of(state, whose)?;
    let pots: Vec<_> = state.pots_of(of).map(|(id, _)| id.clone()).collect();
    for id in pots {
        let pot = state.pots.get_mut(&id).expect("it was there just now");
        Arc::make_mut(pot).close(node, Epoch(u64::MAX));
    }
    Ok(Reply::Done)
}

/// Whose number it is.
pub(super) fn number_of(state: &State, whose: &Spender) -> Result<EntityId, Rejected> {
    Ok(match whose {
        Spender::Key(token) => state.key(token).ok_or(Rejected::UnknownKey)?.id,
        Spender::Entity(kind, name) => {
            let entity = state.entity(*kind, name);
            entity.ok_or_else(|| entities::unknown(*kind, name))?.id
        }
        Spender::Member(kind, name, user) => {
            let member = state.member(*kind, name, user);
            member.ok_or_else(|| Rejected::UnknownMember { user: user.clone() })?.id
        }
    })
}

/// What was spent beyond its limit in the period before the one that begins with this grant, and
/// counts for it.
fn carried(
    state: &State,
    pot: &PotId,
    from: Option<UnixMillis>,
    period: UnixMillis,
    limit: Option<NanoUsd>,
) -> NanoUsd {
    let before = state.pots.get(pot).filter(|pot| Some(pot.period) == from && pot.period < period);
    let over = before.zip(limit).map(|(pot, limit)| pot.settled.0.saturating_sub(limit.0));
    NanoUsd(over.unwrap_or_default())
}

/// The start of the period of a pot that is running, if periods of such a length begin with a first
/// use: nobody but the log knows which use was the first.
fn running(state: &State, pot: &PotId, window: &str) -> UnixMillis {
    let begun = state.pots.get(pot).map_or(UnixMillis(0), |pot| pot.period);
    let period = Length::parse(window).and_then(|window| window.rolling(begun, state.at));
    period.map_or(begun, |period| period.start)
}

/// The pot, in the period that starts at `period` if that is later than its own and has begun. A pot
/// that had no periods takes what was spent of it into its first one, and what is held of it then is
/// held of no lease: leases begin anew.
pub(super) fn of_period<'s>(state: &'s mut State, id: &PotId, period: UnixMillis) -> &'s mut Pot {
    let pot = Arc::make_mut(state.pots.entry(id.clone()).or_default());
    if period > state.at {
        return pot;
    }
    let into_first = pot.settled;
    let had_none = pot.period == UnixMillis(0);
    let ended = pot.turn(period);
    if had_none {
        pot.settled = into_first;
    }
    if state.format >= Format::KEEPS_PASTS {
        ended.iter().for_each(|lease| state.pasts.add(lease, state.at));
    }
    pot
}
