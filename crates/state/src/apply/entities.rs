//! Teams, users, organizations and the like: created, changed, deleted; memberships.

use std::sync::Arc;

use dunlin_types::{EntityId, KeyDigest, UnixMillis};

use super::durations::Durations;
use super::{keys, met, promised, seen};
use crate::Format;
use crate::command::{Entity, EntityChanges, Kind, Member, MemberChanges, Rejected, Reply};
use crate::state::{Holder, State};

/// The most text in one entity, in bytes: every node holds whatever an admin hangs on it.
const MAX_ENTITY_BYTES: usize = 64 << 10;

pub(super) fn create(
    state: &mut State,
    entity: &Entity,
    members: &[Member],
) -> Result<Reply, Rejected> {
    let (kind, name) = (entity.kind, &entity.name);
    if state.entity(kind, name).is_some() {
        return Err(Rejected::EntityExists { kind, name: name.clone() });
    }
    let id = state.next_id();
    let reply = put(state, Entity { id, created_at: state.at, ..entity.clone() })?;
    state.holders.insert(id, Holder::Entity(kind, name.clone()));
    if !members.is_empty() {
        add_members(state, kind, name, members)?;
    }
    Ok(reply)
}

/// Puts an entity from elsewhere in the place of `over`, or of none.
pub(super) fn put_over(
    state: &mut State,
    entity: &Entity,
    over: Option<EntityId>,
) -> Result<Reply, Rejected> {
    let (kind, name) = (entity.kind, &entity.name);
    let known = state.entity(kind, name).map(|known| known.id);
    let id = match (known, over) {
        (None, None) => state.next_id(),
        (Some(known), Some(over)) if known == over => known,
        (Some(_), _) => return Err(Rejected::EntityExists { kind, name: name.clone() }),
        (None, Some(_)) => return Err(unknown(kind, name)),
    };
    let created_at = state.age(entity.created_at);
    let reply = put(state, Entity { id, created_at, ..entity.clone() })?;
    state.holders.insert(id, Holder::Entity(kind, name.clone()));
    Ok(reply)
}

pub(super) fn update(
    state: &mut State,
    kind: Kind,
    name: &str,
    changes: &EntityChanges,
) -> Result<Reply, Rejected> {
    let entity = Entity::clone(state.entity(kind, name).ok_or_else(|| unknown(kind, name))?);
    put(state, entity.changed(changes.clone()))
}

pub(super) fn delete(state: &mut State, kind: Kind, names: &[String]) -> Result<Reply, Rejected> {
    let (mut gone, mut tokens) = (Vec::new(), Vec::new());
    for name in names {
        let Some(entity) = state.entity(kind, name).cloned() else { continue };
        if let Some(by) = user_of(state, kind, name) {
            return Err(Rejected::InUse { kind, name: name.clone(), by });
        }
        let theirs = state.keys.values().filter(|key| match kind {
            Kind::Team => key.team.as_ref() == Some(name),
            Kind::User => key.user.as_ref() == Some(name),
            Kind::EndUser | Kind::Organization | Kind::Budget | Kind::Tag | Kind::AccessGroup => {
                false
            }
        });
        let theirs: Vec<_> = theirs.map(|key| key.token).collect();
        if !theirs.is_empty() {
            keys::delete(state, &theirs)?;
        }
        tokens.extend(theirs);
        leave_all(state, kind, name);
        met::leave(state, &entity);
        state.entities.entry(kind).or_default().remove(name);
        state.unique.remove(&entity);
        forget(state, entity.id);
        state.days.part_with(Some(kind), name, entity.alias.as_deref());
        gone.push(name.clone());
    }
    if gone.is_empty() {
        return Err(unknown(kind, names.first().map_or("", String::as_str)));
    }
    Ok(Reply::Gone { names: gone, keys: tokens })
}

/// Who would hang in the air without it; what goes with it does not count.
fn user_of(state: &State, kind: Kind, name: &str) -> Option<String> {
    let name = Some(name);
    let holds = |kind| {
        let mut all = state.entities(kind);
        all.find(|entity| entity.organization.as_deref() == name)
    };
    let shares = |kind| {
        let mut all = state.entities(kind);
        all.find(|e| e.terms.budget_id.as_deref() == name || e.member.budget_id.as_deref() == name)
    };
    let told = |entity: &Arc<Entity>| format!("{} `{}`", entity.kind.name(), entity.name);
    match kind {
        Kind::Organization => holds(Kind::Team).map(told).or_else(|| {
            let mut keys = state.keys.values();
            let key = keys.find(|key| key.organization.as_deref() == name)?;
            Some(format!("key {}", key.name))
        }),
        Kind::Budget => {
            let mut kinds = Kind::ALL.into_iter();
            let members = || {
                let groups = state.members.values().flat_map(|groups| groups.iter());
                let mut members =
                    groups.flat_map(|(group, of)| of.values().map(move |m| (group, m)));
                let found = members.find(|(_, of)| of.terms.budget_id.as_deref() == name);
                found.map(|(group, of)| format!("member `{}` of `{group}`", of.user))
            };
            kinds.find_map(shares).map(told).or_else(members).or_else(|| {
                let mut keys = state.keys.values();
                let key = keys.find(|key| key.terms.budget_id.as_deref() == name)?;
                Some(format!("key {}", key.name))
            })
        }
        Kind::Team | Kind::User | Kind::EndUser | Kind::Tag | Kind::AccessGroup => None,
    }
}

/// Nobody belongs to a group that is gone, nor does a user that is gone belong to any.
fn leave_all(state: &mut State, kind: Kind, name: &str) {
    let members: Vec<_> = state.members(kind, name).map(|member| member.id).collect();
    state.members.entry(kind).or_default().remove(name);
    members.into_iter().for_each(|id| forget(state, id));
    if kind == Kind::User {
        for group in [Kind::Team, Kind::Organization] {
            let of = state.memberships(group, name).map(|(name, _)| name.to_owned());
            for group_name in of.collect::<Vec<_>>() {
                let users = [name.to_owned()];
                remove_members(state, group, &group_name, &users).expect("it is a member");
            }
        }
    }
}

pub(super) fn add_members(
    state: &mut State,
    kind: Kind,
    name: &str,
    members: &[Member],
) -> Result<Reply, Rejected> {
    known(state, kind, Some(name))?;
    let mut added = Vec::new();
    for member in members {
        let user = &member.user;
        if state.member(kind, name, user).is_some() {
            return Err(Rejected::MemberExists { user: user.clone() });
        }
        let id = state.next_id();
        added.push(seat(state, kind, name, Member { id, ..member.clone() })?);
    }
    touch(state, kind, name);
    Ok(Reply::Members(added))
}

/// Puts a membership from elsewhere in the place of `over`, or of none.
pub(super) fn put_member(
    state: &mut State,
    kind: Kind,
    name: &str,
    member: &Member,
    over: Option<EntityId>,
) -> Result<Reply, Rejected> {
    known(state, kind, Some(name))?;
    let user = || member.user.clone();
    let id = match (state.member(kind, name, &member.user).map(|known| known.id), over) {
        (None, None) => state.next_id(),
        (Some(known), Some(over)) if known == over => known,
        (Some(_), _) => return Err(Rejected::MemberExists { user: user() }),
        (None, Some(_)) => return Err(Rejected::UnknownMember { user: user() }),
    };
    let member = seat(state, kind, name, Member { id, ..member.clone() })?;
    touch(state, kind, name);
    Ok(Reply::Members(vec![member]))
}

/// Puts a membership in the place of the user's, if there is one.
fn seat(
    state: &mut State,
    kind: Kind,
    name: &str,
    mut member: Member,
) -> Result<Arc<Member>, Rejected> {
    known(state, Kind::Budget, member.terms.budget_id.as_deref())?;
    member.terms.begin(state.at);
    let durations = Durations::of(state, member.id);
    let member = Arc::new(member);
    let (group, user) = (name.to_owned(), member.user.clone());
    let holder = Holder::Member { kind, group: group.clone(), user: user.clone() };
    state.holders.insert(member.id, holder);
    let groups = state.members.entry(kind).or_default();
    groups.entry(group).or_default().insert(user, Arc::clone(&member));
    durations.keep(state);
    Ok(member)
}

pub(super) fn update_member(
    state: &mut State,
    (kind, name, user): (Kind, &str, &str),
    changes: &MemberChanges,
) -> Result<Reply, Rejected> {
    known(state, kind, Some(name))?;
    let member = state.member(kind, name, user);
    let member = member.ok_or_else(|| Rejected::UnknownMember { user: user.to_owned() })?;
    let member = Member::clone(member).changed(changes.clone());
    let member = seat(state, kind, name, member)?;
    touch(state, kind, name);
    Ok(Reply::Members(vec![member]))
}

pub(super) fn remove_members(
    state: &mut State,
    kind: Kind,
    name: &str,
    users: &[String],
) -> Result<Reply, Rejected> {
    known(state, kind, Some(name))?;
    let members = state.members.entry(kind).or_default().entry(name.to_owned()).or_default();
    let gone: Vec<_> = users.iter().filter_map(|user| members.remove(user)).collect();
    if gone.is_empty() {
        let user = users.first().cloned().unwrap_or_default();
        return Err(Rejected::UnknownMember { user });
    }
    gone.iter().for_each(|member| forget(state, member.id));
    let tokens: Vec<_> = keys_of(state, kind, name, &gone).collect();
    if !tokens.is_empty() {
        keys::delete(state, &tokens)?;
    }
    touch(state, kind, name);
    Ok(Reply::Members(gone))
}

/// The keys of a group that are one of these members'.
fn keys_of<'s>(
    state: &'s State,
    kind: Kind,
    name: &'s str,
    members: &'s [Arc<Member>],
) -> impl Iterator<Item = KeyDigest> + 's {
    let theirs = state.keys.values().filter(move |key| {
        let owner = match kind {
            Kind::Team => &key.team,
            Kind::Organization => &key.organization,
            Kind::User | Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => &None,
        };
        owner.as_deref() == Some(name)
            && members.iter().any(|member| key.user.as_ref() == Some(&member.user))
    });
    theirs.map(|key| key.token)
}

/// Its terms are newer from here on, as far as its members' are concerned.
fn touch(state: &mut State, kind: Kind, name: &str) {
    let Some(before) = state.entity(kind, name).map(|entity| entity.updated_at) else { return };
    let at = seen::time(state, before);
    if let Some(entity) = state.entities.entry(kind).or_default().get_mut(name) {
        Arc::make_mut(entity).updated_at = at;
    }
}

/// Puts an entity in the place of the one with its name, if there is one.
fn put(state: &mut State, mut entity: Entity) -> Result<Reply, Rejected> {
    entity.terms.begin(state.at);
    entity.member.begin(state.at);
    let bytes = entity.text_bytes();
    if bytes > MAX_ENTITY_BYTES {
        return Err(Rejected::TooLarge {
            what: entity.kind.name().to_owned(),
            bytes: bytes as u64,
            most: MAX_ENTITY_BYTES as u64,
        });
    }
    known(state, Kind::Organization, entity.organization.as_deref())?;
    known(state, Kind::Budget, entity.terms.budget_id.as_deref())?;
    known(state, Kind::Budget, entity.member.budget_id.as_deref())?;
    state.unique.check(&entity, state.format)?;
    promised::to_entity(state, &entity)?;
    let durations = Durations::under(state, &entity);
    let before = state.entity(entity.kind, &entity.name);
    let updated_at = seen::time(state, before.map_or(UnixMillis(0), |before| before.updated_at));
    let entity = Arc::new(Entity { updated_at, met: None, ..entity });
    let named = state.entities.entry(entity.kind).or_default();
    if let Some(before) = named.insert(entity.name.clone(), Arc::clone(&entity)) {
        state.unique.remove(&before);
        met::leave(state, &before);
    }
    state.unique.add(&entity);
    durations.keep(state);
    Ok(Reply::Entity(entity))
}

/// Whether what is named exists. Naming nothing is fine.
pub(super) fn known(state: &State, kind: Kind, name: Option<&str>) -> Result<(), Rejected> {
    match name {
        Some(name) if state.entity(kind, name).is_none() => Err(unknown(kind, name)),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn unknown(kind: Kind, name: &str) -> Rejected {
    Rejected::UnknownEntity { kind, name: name.to_owned() }
}

/// Nothing is counted for a number any more. It is never used again. What its leases let nodes spend
/// may still be settled for others, and is in nobody's log before.
pub(super) fn forget(state: &mut State, id: EntityId) {
    state.holders.remove(&id);
    state.spent.remove(&id);
    for pot in state.pots_of(id).map(|(pot, _)| pot.clone()).collect::<Vec<_>>() {
        let gone = state.pots.remove(&pot).expect("it was there just now");
        if state.format >= Format::KEEPS_PASTS_OF_DELETED {
            gone.leases.iter().for_each(|lease| state.pasts.add(lease, state.at));
        }
    }
}
