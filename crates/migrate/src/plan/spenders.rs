//! Tags and end users: named in requests, and rows of their own where something holds for them.

use dunlin_admin_api::{ImportKind, Of};
use serde_json::{Map, Value};

use super::Item;
use super::draft::Draft;
use super::world::World;

const TAGS: &str = "LiteLLM_TagTable";
const END_USERS: &str = "LiteLLM_EndUserTable";

pub(super) fn tags(world: &mut World<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    for row in world.rows(TAGS) {
        let mut draft = Draft::new(world, row);
        draft.must_move = true;
        let name = draft.text("tag_name").unwrap_or_default().to_owned();
        let models = draft.array("models");
        if !models.is_empty() {
            draft.keep_idle("models", true, Value::from(models));
        }
        draft.name("tag_name", "name");
        draft.budget_id();
        draft.spend();
        draft.made();
        draft.idle(Of::Tag, &mut Map::new());
        items.push(draft.done(TAGS, ImportKind::Tag, format!("tag `{name}`")));
    }
    items
}

pub(super) fn end_users(world: &mut World<'_>) -> Vec<Item> {
    /// What makes an end user more than a name that was seen in a request.
    const SAID: &[&str] =
        &["alias", "allowed_model_region", "budget_id", "default_model", "object_permission_id"];
    let mut items = Vec::new();
    for row in world.rows(END_USERS) {
        let mut draft = Draft::new(world, row);
        let name = draft.text("user_id").unwrap_or_default().to_owned();
        let object = format!("customer `{name}`");
        let blocked = draft.flag("blocked") == Some(true);
        let models = draft.array("models");
        let says = SAID.iter().any(|column| draft.text(column).is_some());
        if !blocked && !says && models.is_empty() && row.strange.is_empty() {
            let why = "seen in requests, with no limit, budget or name of its own";
            items.push(draft.needless(END_USERS, object, why));
            continue;
        }
        draft.must_move = true;
        draft.copy("user_id", "user_id");
        draft.copy("alias", "alias");
        if blocked {
            draft.put("blocked", true);
        }
        if !models.is_empty() {
            draft.put("models", models);
        }
        draft.budget_id();
        draft.spend();
        draft.idle(Of::EndUser, &mut Map::new());
        items.push(draft.done(END_USERS, ImportKind::EndUser, object));
    }
    items
}
