//! What no two users have alike: an address, whatever its case, and the id by which a user signs in
//! elsewhere.

use imbl::{OrdMap, OrdSet};

use crate::Format;
use crate::command::{Entity, Rejected};

/// Whose they are, by name. Below [`Format::UNIQUE_SSO_IDS`] several may have one id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unique {
    emails: OrdMap<String, String>,
    sso_ids: OrdSet<(String, String)>,
}

impl Unique {
    /// The user with that address.
    pub(crate) fn by_email(&self, email: &str) -> Option<&String> {
        self.emails.get(&email.to_lowercase())
    }

    /// Refuses what another user has, as far as the log's format forbids it.
    pub(crate) fn check(&self, user: &Entity, format: Format) -> Result<(), Rejected> {
        let is_others = |holder: &String| *holder != user.name;
        if let Some(email) = &user.email
            && self.by_email(email).is_some_and(is_others)
        {
            return Err(Rejected::DuplicateEmail { email: email.clone() });
        }
        match user.sso_id().filter(|_| format >= Format::UNIQUE_SSO_IDS) {
            Some(id) if self.with_sso_id(id).any(is_others) => {
                Err(Rejected::DuplicateSsoId { id: id.to_owned() })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn with_sso_id<'u>(&'u self, id: &'u str) -> impl Iterator<Item = &'u String> {
        let from = self.sso_ids.range((id.to_owned(), String::new())..);
        from.take_while(move |(known, _)| known == id).map(|(_, name)| name)
    }

    pub(crate) fn add(&mut self, user: &Entity) {
        let name = || user.name.clone();
        self.emails.extend(user.email.as_ref().map(|email| (email.to_lowercase(), name())));
        self.sso_ids.extend(user.sso_id().map(|id| (id.to_owned(), name())));
    }

    pub(crate) fn remove(&mut self, user: &Entity) {
        if let Some(email) = &user.email {
            self.emails.remove(&email.to_lowercase());
        }
        if let Some(id) = user.sso_id() {
            self.sso_ids.remove(&(id.to_owned(), user.name.clone()));
        }
    }
}
