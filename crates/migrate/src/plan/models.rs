//! Models and credentials that were made through the API. Their texts are encrypted one by one.

use serde_json::{Map, Value};

use super::draft::Draft;
use super::world::World;
use super::{Finding, Item, Outcome};
use crate::dump::Row;
use crate::secrets;

const MODELS: &str = "LiteLLM_ProxyModelTable";
const CREDENTIALS: &str = "LiteLLM_CredentialsTable";
const NO_SALT: &str = "it is encrypted: set LITELLM_SALT_KEY, or name a file that holds it: \
     --salt-key-file";

pub(super) fn models(world: &World<'_>) -> Vec<Item> {
    let item = |row: &Row| {
        let name = row.get("model_name").unwrap_or_default();
        let reason = format!(
            "models are not taken over into the cluster by this version: write `{name}` into \
             model_list"
        );
        sealed(world, (MODELS, row), "litellm_params", format!("model `{name}`"), reason)
    };
    world.rows(MODELS).map(item).collect()
}

pub(super) fn credentials(world: &World<'_>) -> Vec<Item> {
    let item = |row: &Row| {
        let name = row.get("credential_name").unwrap_or_default();
        let reason = format!(
            "credentials are not taken over into the cluster by this version: write `{name}` into \
             credential_list"
        );
        sealed(
            world,
            (CREDENTIALS, row),
            "credential_values",
            format!("credential `{name}`"),
            reason,
        )
    };
    world.rows(CREDENTIALS).map(item).collect()
}

fn sealed(
    world: &World<'_>,
    (table, row): (&'static str, &Row),
    column: &str,
    object: String,
    reason: String,
) -> Item {
    let mut draft = Draft::new(world, row);
    let mut values = draft.object(column);
    let mut findings = open(world, column, &mut values);
    findings.push(Finding { field: String::new(), reason });
    let place = world.place(row.file, row.line);
    Item { table, place, object, outcome: Outcome::Unsupported(findings), row: None }
}

/// Puts the clear texts in the place of the encrypted ones; says which the salt key does not open.
fn open(world: &World<'_>, column: &str, values: &mut Map<String, Value>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, value) in values {
        let Value::String(stored) = value else { continue };
        let opened = match &world.options.salt {
            Some(salt) => secrets::open(stored, salt).map_err(|sealed| sealed.to_string()),
            None if secrets::is_sealed(stored) => Err(NO_SALT.to_owned()),
            None => continue,
        };
        match opened {
            Ok(clear) => *value = Value::String(clear),
            // Early versions stored some texts as they were.
            Err(_) if !secrets::is_sealed(stored) => {}
            Err(reason) => findings.push(Finding { field: format!("{column}.{name}"), reason }),
        }
    }
    findings
}
