//! Virtual keys. Their clear texts are nowhere: their hashes move, so that they work unchanged.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_admin_api::values as api;
use dunlin_admin_api::{Former, ImportKind, Of};
use dunlin_types::KeyDigest;
use serde_json::{Value, json};

use super::Item;
use super::draft::Draft;
use super::world::World;
use crate::dump::Row;
use crate::values::{self, Moment};

const KEYS: &str = "LiteLLM_VerificationToken";
const FORMER: &str = "LiteLLM_DeprecatedVerificationToken";
/// The team of the keys by which LiteLLM's pages sign in.
const PAGES: &str = "litellm-dashboard";

pub(super) fn keys(world: &mut World<'_>) -> Vec<Item> {
    let mut former: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in world.rows(FORMER) {
        former.entry(row.get("active_token_id").unwrap_or_default()).or_default().push(row);
    }
    let (mut items, mut aliases, mut moved) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for row in world.rows(KEYS) {
        let token = row.get("token").unwrap_or_default();
        let older = former.get(token).map(Vec::as_slice).unwrap_or_default();
        let item = key(world, row, older, &mut aliases);
        if item.way.is_some() {
            moved.insert(token);
        }
        items.push(item);
    }
    items.extend(world.rows(FORMER).map(|row| former_text(world, row, &moved)));
    items
}

fn key(world: &World<'_>, row: &Row, older: &[&Row], aliases: &mut BTreeSet<String>) -> Item {
    let mut draft = Draft::new(world, row);
    let shown = draft.text("key_name").unwrap_or("sk-...").to_owned();
    let object = match draft.text("key_alias") {
        Some(alias) => format!("key {shown} ({alias})"),
        None => format!("key {shown}"),
    };
    if draft.text("team_id") == Some(PAGES) {
        return draft.needless(KEYS, object, "it signs in to LiteLLM's pages");
    }
    let Some(token) = draft.token() else { return draft.done(KEYS, ImportKind::Key, object) };
    let master = world.options.master.as_ref().map(|master| KeyDigest::of(master.expose()));
    if master == Some(token) {
        return draft.needless(KEYS, object, "it is the master key");
    }
    draft.put("token", token.to_string());
    draft.put("key_name", shown);
    if let Some(alias) = draft.text("key_alias") {
        if aliases.insert(alias.to_owned()) {
            draft.judged("key_alias", alias, api::name);
        } else {
            draft.changed("key_alias", format!("left out: another key is `{alias}`, too"));
        }
    }
    if let Some(Moment::At(ends)) = draft.moment("expires") {
        draft.put("expires", values::iso(ends));
    }
    draft.owners();
    draft.terms();
    draft.budget_id();
    draft.spend();
    draft.made();
    draft.access_groups();
    let aliases = draft.object("aliases");
    if !aliases.is_empty() {
        draft.judged("aliases", aliases, api::text_map);
    }
    let routes = draft.array("allowed_routes");
    if !routes.is_empty() {
        draft.put("allowed_routes", routes);
    }
    let mut metadata = draft.object("metadata");
    if let Some(asked) = metadata.remove("enforced_params").filter(|asked| !asked.is_null()) {
        draft.judged("enforced_params", asked, api::texts);
    }
    let more = (metadata.remove("temp_budget_increase"), metadata.remove("temp_budget_expiry"));
    if let (Some(more), Some(Value::String(until))) = more {
        draft.temporary(&more, &until);
    }
    draft.metadata(Of::Key, metadata);
    let texts = older.iter().filter_map(|row| running(world, row)).map(|former| json!(former));
    let texts: Vec<_> = texts.collect();
    if !texts.is_empty() {
        draft.put("former", texts);
    }
    draft.done(KEYS, ImportKind::Key, object)
}

impl Draft<'_, '_> {
    fn token(&mut self) -> Option<KeyDigest> {
        let token = self.text("token").unwrap_or_default();
        if token.starts_with("sk-") {
            self.changed("token", "it was stored in clear; only its hash moves");
            return Some(KeyDigest::of(token));
        }
        let digest = token.parse().ok();
        if digest.is_none() {
            self.blocked("token", "it is not the SHA-256 of a key");
        }
        digest
    }

    /// The team, the organization and the user must have moved before, and its membership; a user
    /// who has no row is a name.
    fn owners(&mut self) {
        self.name("user_id", "user_id");
        self.organization();
        let user = self.text("user_id").unwrap_or_default();
        if self.world.users_left.contains(user) {
            self.blocked("user_id", format!("its user `{user}` does not move"));
        }
        let pair = (self.text("team_id").unwrap_or_default().to_owned(), user.to_owned());
        if self.world.members_left.contains(&pair) {
            let reason = format!("what holds for `{user}` in team `{}` does not move", pair.0);
            self.blocked("team_id", reason);
        }
        if let Some(team) = self.text("team_id") {
            if self.world.teams.contains(team) {
                self.put("team_id", team);
            } else {
                self.blocked("team_id", format!("its team `{team}` does not move"));
            }
        }
    }
}

/// A former text of a key that works still.
fn running(world: &World<'_>, row: &Row) -> Option<Former> {
    let token: KeyDigest = row.get("token")?.parse().ok()?;
    match values::moment(row.get("revoke_at")?)? {
        Moment::At(until) if until > world.options.now => {
            Some(Former { token: token.to_string(), until: values::iso(until) })
        }
        Moment::At(_) | Moment::Never => None,
    }
}

fn former_text(world: &World<'_>, row: &Row, moved: &BTreeSet<&str>) -> Item {
    let object = "the former text of a key".to_owned();
    let mut draft = Draft::new(world, row);
    if running(world, row).is_none() {
        return draft.needless(FORMER, object, "its time is over");
    }
    if !moved.contains(row.get("active_token_id").unwrap_or_default()) {
        draft.blocked("active_token_id", "its key does not move");
    }
    // It is sent with its key.
    Item { way: None, ..draft.done(FORMER, ImportKind::Key, object) }
}
