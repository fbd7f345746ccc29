//! Models and credentials that were made through the API. Their texts are encrypted one by one.

use serde_json::{Map, Value};

use super::Item;
use super::draft::Draft;
use super::world::World;
use crate::dump::Row;
use crate::secrets;

const MODELS: &str = "LiteLLM_ProxyModelTable";
const CREDENTIALS: &str = "LiteLLM_CredentialsTable";
const NO_SALT: &str = "it is encrypted: set LITELLM_SALT_KEY, or name a file that holds it: \
     --salt-key-file";

pub(super) fn credentials(world: &World<'_>) -> Vec<Item> {
    let item = |row: &Row| {
        let mut draft = Draft::new(world, row);
        let object = format!("credential `{}`", draft.text("credential_name").unwrap_or_default());
        draft.copy("credential_name", "credential_name");
        let values = draft.opened("credential_values");
        draft.put("credential_values", values);
        let info = draft.object("credential_info");
        draft.put("credential_info", info);
        draft.posted(CREDENTIALS, "/credentials", object)
    };
    world.rows(CREDENTIALS).map(item).collect()
}

pub(super) fn models(world: &World<'_>) -> Vec<Item> {
    world.rows(MODELS).map(|row| model(world, row)).collect()
}

fn model(world: &World<'_>, row: &Row) -> Item {
    let mut draft = Draft::new(world, row);
    let object = format!("model `{}`", draft.text("model_name").unwrap_or_default());
    if draft.flag("blocked") == Some(true) {
        return draft.needless(MODELS, object, "it is blocked: nobody calls it");
    }
    draft.copy("model_name", "model_name");
    let params = draft.opened("litellm_params");
    draft.put("litellm_params", params);
    let mut info = draft.object("model_info");
    if let Some(id) = draft.text("model_id") {
        info.insert("id".to_owned(), id.into());
    }
    draft.put("model_info", info);
    draft.posted(MODELS, "/model/new", object)
}

impl Draft<'_, '_> {
    /// An object with its encrypted texts in clear; one that cannot be opened is in the way.
    fn opened(&mut self, column: &str) -> Map<String, Value> {
        let mut values = self.object(column);
        for (name, value) in &mut values {
            let Value::String(stored) = value else { continue };
            let opened = match &self.world.options.salt {
                Some(salt) => secrets::open(stored, salt).map_err(|sealed| sealed.to_string()),
                None => Err(NO_SALT.to_owned()),
            };
            match opened {
                Ok(clear) => *value = Value::String(clear),
                // Early versions stored some texts as they were.
                Err(_) if !secrets::is_sealed(stored) => {}
                Err(reason) => self.blocked(&format!("{column}.{name}"), reason),
            }
        }
        values
    }
}
