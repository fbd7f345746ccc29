//! Users.

use dunlin_admin_api::{ImportKind, Of, is_address};

use super::Item;
use super::draft::Draft;
use super::world::World;

const USERS: &str = "LiteLLM_UserTable";
/// LiteLLM's name for the holder of the master key.
pub(super) const MASTER: &str = "default_user_id";
const ROLES: &[&str] = &[
    "customer",
    "internal_user",
    "internal_user_viewer",
    "org_admin",
    "proxy_admin",
    "proxy_admin_viewer",
    "team",
];
/// The role that may look and nothing else.
const VIEWER: &str = "internal_user_viewer";

pub(super) fn users(world: &mut World<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    for row in world.rows(USERS) {
        let mut draft = Draft::new(world, row);
        let name = draft.text("user_id").unwrap_or_default().to_owned();
        let object = match draft.text("user_email") {
            Some(email) => format!("user `{name}` ({email})"),
            None => format!("user `{name}`"),
        };
        if name == MASTER {
            items.push(draft.needless(USERS, object, "it stands for the master key"));
            continue;
        }
        draft.name("user_id", "user_id");
        draft.copy("user_alias", "user_alias");
        let email = draft.email(&name);
        match draft.text("user_role") {
            Some(role) if ROLES.contains(&role) => draft.put("user_role", role),
            Some(role) => {
                draft
                    .changed("user_role", format!("`{role}` is no role: {VIEWER}, which may look"));
                draft.put("user_role", VIEWER);
            }
            None => {}
        }
        if draft.text("password").is_some() {
            draft.changed("password", "left out: it opens LiteLLM's own pages only");
            draft.taken.push("password");
        }
        let sso_id = draft.sso_id(&name);
        draft.terms();
        draft.spend();
        draft.made();
        let metadata = draft.object("metadata");
        draft.metadata(Of::User, metadata);
        let item = draft.done(USERS, ImportKind::User, object);
        if item.way.is_some() {
            world.emails.extend(email.map(|email| (email, name.clone())));
            world.sso_ids.extend(sso_id.map(|id| (id, name)));
        } else {
            world.users_left.insert(name);
        }
        items.push(item);
    }
    items
}

impl Draft<'_, '_> {
    /// An address, which is one user's.
    fn email(&mut self, name: &str) -> Option<String> {
        let email = self.text("user_email")?;
        if !is_address(email) {
            self.changed("user_email", format!("left out: `{email}` is no address"));
            return None;
        }
        let key = email.to_lowercase();
        if let Some(holder) = self.world.emails.get(&key) {
            let reason =
                format!("left out: user `{holder}` has it, and `{name}` would be the second");
            self.changed("user_email", reason);
            return None;
        }
        self.put("user_email", email);
        Some(key)
    }

    /// The id by which it signs in elsewhere, which is one user's, too.
    fn sso_id(&mut self, name: &str) -> Option<String> {
        let id = self.text("sso_user_id")?;
        if let Some(holder) = self.world.sso_ids.get(id) {
            let reason =
                format!("left out: user `{holder}` has it, and `{name}` would be the second");
            self.changed("sso_user_id", reason);
            self.taken.push("sso_user_id");
            return None;
        }
        Some(id.to_owned())
    }
}
