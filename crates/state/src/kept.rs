//! What end users and users have beside terms. It is kept as text, since few have it.

use dunlin_router::Region;

use crate::caller::Caller;
use crate::command::{Entity, Kind};
use crate::payer::Rank;

impl Entity {
    /// Where the requests of an end user must stay: `allowed_model_region`.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.kept("allowed_model_region").and_then(Region::named)
    }

    /// The model of an end user's requests that name none, or one that is not where they must stay.
    #[must_use]
    pub fn default_model(&self) -> Option<&str> {
        self.kept("default_model").filter(|model| !model.is_empty())
    }

    /// The id by which a user signs in elsewhere: `sso_user_id`.
    pub(crate) fn sso_id(&self) -> Option<&str> {
        let id = if self.kind == Kind::User { self.kept("sso_user_id") } else { None };
        id.filter(|id| !id.is_empty())
    }

    fn kept(&self, field: &str) -> Option<&str> {
        serde_json::from_str(self.terms.other.get(field)?).ok()
    }
}

impl Caller {
    /// Whom the request names as its user, if there is a row.
    #[must_use]
    pub fn end_user(&self) -> Option<&Entity> {
        let payer = self.payers.iter().find(|payer| payer.rank == Rank::EndUser)?;
        payer.entity().map(AsRef::as_ref)
    }
}
