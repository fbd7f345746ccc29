//! What an entry changed goes into the audit log in the same step. The rows are found by comparing the
//! state before and after, whatever the command: nothing that is compared here can be changed by
//! someone without leaving a row.

mod mask;
mod shown;

use std::collections::BTreeSet;
use std::sync::Arc;

use dunlin_types::{ChainHash, EntityId, Line, PotId};
use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use crate::audit::{Action, AuditRow, Table};
use crate::command::{Command, Entry, Key, Kind, Member, Resource, ResourceKind};
use crate::payer::FIRST_ROW;
use crate::state::{Holder, Members, State};
use shown::Fields;

/// So many rows one entry leaves; what it changed beyond them is told by one more, as a number and a
/// hash. A team that goes with a hundred thousand keys must not drop all older rows.
const MAX_ROWS_OF_ENTRY: usize = 1_000;

/// What became of one thing. Without fields it was not there before, or is gone.
struct Found {
    table: Table,
    object: String,
    action: Action,
    before: Fields,
    after: Fields,
}

/// Notes in `after` what `entry` changed. What a node does by itself is noted if it is about the
/// config; the rest of that is the cluster's own doing.
pub(super) fn record(before: &State, after: &mut State, entry: &Entry) {
    let mut found = Vec::new();
    config(before, after, entry, &mut found);
    if entry.actor.is_some() {
        nodes(before, after, &mut found);
        resources(before, after, &mut found);
        holders(before, after, &mut found);
        reclaimed(before, after, entry, &mut found);
        drained(entry, &mut found);
        let (former, present) = (shown::format(before), shown::format(after));
        found.extend(Found::of(Table::Cluster, "log format", Some(former), Some(present)));
    }
    let (index, at, node) = (after.applied, after.at, entry.id.node);
    let mut actor = entry.actor.as_deref().cloned();
    if let Some(actor) = &mut actor {
        for said in [&mut actor.on_behalf_of, &mut actor.agent].into_iter().flatten() {
            *said = mask::without_keys(said);
        }
    }
    let row = |found: Found| {
        let Found { table, object, action, before, after } = found;
        let (before, after) = (before.text(), after.text());
        let (actor, number, object) = (actor.clone(), 0, mask::without_keys(&object));
        AuditRow { number, index, at, node, actor, action, table, object, before, after }
    };
    let more = found.split_off(found.len().min(MAX_ROWS_OF_ENTRY));
    found.into_iter().for_each(|found| after.audit.push(row(found)));
    if !more.is_empty() {
        let count = more.len();
        let hash = more
            .into_iter()
            .map(row)
            .fold(ChainHash::default(), |hash, row| hash.with(&row.text()));
        after.audit.push(row(Found {
            table: Table::More,
            object: format!("{count} more changes"),
            action: Action::Updated,
            before: Fields::default(),
            after: shown::more(count, hash),
        }));
    }
}

fn config(before: &State, after: &State, entry: &Entry, found: &mut Vec<Found>) {
    // By number: old revisions are forgotten, so that the length may stay.
    let known = before.config.last().map_or(0, |config| config.revision);
    for (at, revision) in after.config.iter().enumerate().filter(|(_, it)| it.revision > known) {
        let mut former = at.checked_sub(1).map(|former| shown::revision(&after.config[former]));
        let mut revision = shown::revision(revision);
        if let Command::EditConfig { changes, .. } = &entry.command {
            shown::settings(changes, former.get_or_insert_default(), &mut revision);
        }
        found.extend(Found::of(Table::Config, "config", former, Some(revision)));
    }
}

fn resources(before: &State, after: &State, found: &mut Vec<Found>) {
    for kind in ResourceKind::ALL {
        let of = |state: &State| state.resources.get(&kind).cloned().unwrap_or_default();
        for change in of(before).diff(&of(after)) {
            let (id, former, present) = sides(change);
            let shown = |resource: &Arc<Resource>| shown::resource(resource);
            let (former, present) = (former.map(shown), present.map(shown));
            found.extend(Found::of(Table::Resource(kind), id, former, present));
        }
    }
}

fn nodes(before: &State, after: &State, found: &mut Vec<Found>) {
    for change in before.nodes.diff(&after.nodes) {
        let (node, former, present) = sides(change);
        let (former, present) = (former.map(shown::node), present.map(shown::node));
        found.extend(Found::of(Table::Node, &node.to_string(), former, present));
    }
    // That it was removed is told above.
    for change in before.removed.diff(&after.removed) {
        let (node, Some(former), Some(present)) = sides(change) else { continue };
        let (former, present) = (shown::removed(former), shown::removed(present));
        found.extend(Found::of(Table::Node, &node.to_string(), Some(former), Some(present)));
    }
}

/// What a node was granted of someone's budgets and is free: no field of theirs shows it.
fn reclaimed(before: &State, after: &State, entry: &Entry, found: &mut Vec<Found>) {
    let Command::ReclaimOf { node, whose } = &entry.command else { return };
    let Ok(of) = super::money::number_of(before, whose) else { return };
    let Some(holder) = before.holders.get(&of) else { return };
    let (table, object) = named(holder);
    let shown = |state: &State| Some(shown::granted(*node, state.granted_of(of, *node)));
    found.extend(Found::of(table, &object, shown(before), shown(after)));
}

/// That a node drains is its own doing: no field of the state shows it.
fn drained(entry: &Entry, found: &mut Vec<Found>) {
    let Command::Drain { node, draining } = entry.command else { return };
    let (former, present) = (shown::draining(!draining), shown::draining(draining));
    found.extend(Found::of(Table::Node, &node.to_string(), Some(former), Some(present)));
}

/// Keys, teams, users and all others who spend, in the order in which they were made.
fn holders(before: &State, after: &State, found: &mut Vec<Found>) {
    for id in touched(before, after) {
        let holder = after.holders.get(&id).or_else(|| before.holders.get(&id));
        let Some(holder) = holder else { continue };
        let (table, object) = named(before.holders.get(&id).unwrap_or(holder));
        let (former, present) = (shown::holder(before, id), shown::holder(after, id));
        found.extend(Found::of(table, &object, former, present));
    }
}

fn named(holder: &Holder) -> (Table, String) {
    match holder {
        Holder::Key(token) => (Table::Key, token.to_string()),
        Holder::Entity(kind, name) => (Table::Entity(*kind), name.clone()),
        Holder::Member { kind, group, user } => (Table::Member(*kind), format!("{group}:{user}")),
    }
}

fn touched(before: &State, after: &State) -> BTreeSet<EntityId> {
    let mut ids = BTreeSet::new();
    let key = |key: &Arc<Key>| key.id;
    collect(&before.keys, &after.keys, &mut ids, key);
    for kind in Kind::ALL {
        let none = OrdMap::new();
        let of = |state: &State| state.entities.get(&kind).cloned().unwrap_or_default();
        collect(&of(before), &of(after), &mut ids, |entity| entity.id);
        let groups = |state: &State| state.members.get(&kind).cloned().unwrap_or_default();
        for change in groups(before).diff(&groups(after)) {
            let (_, former, present) = sides(change);
            let members = |members: Option<&Members>| members.unwrap_or(&none).clone();
            collect(&members(former), &members(present), &mut ids, |member: &Arc<Member>| {
                member.id
            });
        }
    }
    let spent = before.pots.diff(&after.pots).filter_map(|change| {
        let (PotId { of, line }, former, present) = sides(change);
        let settled = former.map(|pot| pot.settled) != present.map(|pot| pot.settled);
        (settled && *line == Line::Main && of.0 >= FIRST_ROW).then_some(*of)
    });
    ids.extend(spent);
    ids
}

fn collect<K: Ord + Clone, V: PartialEq + Clone>(
    before: &OrdMap<K, V>,
    after: &OrdMap<K, V>,
    ids: &mut BTreeSet<EntityId>,
    id: impl Fn(&V) -> EntityId,
) {
    for change in before.diff(after) {
        let (_, former, present) = sides(change);
        ids.extend(former.into_iter().chain(present).map(&id));
    }
}

fn sides<'a, K, V>(change: DiffItem<'a, 'a, K, V>) -> (&'a K, Option<&'a V>, Option<&'a V>) {
    match change {
        DiffItem::Add(key, present) => (key, None, Some(present)),
        DiffItem::Update { old: (key, former), new: (_, present) } => {
            (key, Some(former), Some(present))
        }
        DiffItem::Remove(key, former) => (key, Some(former), None),
    }
}

impl Found {
    /// None if nothing changed that is shown.
    fn of(
        table: Table,
        object: &str,
        former: Option<Fields>,
        present: Option<Fields>,
    ) -> Option<Self> {
        let object = object.to_owned();
        let (action, before, after) = match (former, present) {
            (None, None) => return None,
            (None, Some(after)) => (Action::Created, Fields::default(), after),
            (Some(before), None) => (Action::Deleted, before, Fields::default()),
            (Some(before), Some(after)) => {
                let (before, after) = before.unlike(after);
                if after.is_empty() {
                    return None;
                }
                (after.action(), before, after)
            }
        };
        Some(Self { table, object, action, before, after })
    }
}

#[cfg(test)]
mod tests;
