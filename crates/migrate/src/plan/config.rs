//! Settings that LiteLLM's pages wrote into the database, where they stand above the config file.

use serde_json::Value;

use super::world::World;
use super::{Finding, Item, Outcome};
use crate::dump::Row;
use crate::values;

const CONFIG: &str = "LiteLLM_Config";

pub(super) fn settings(world: &World<'_>) -> Vec<Item> {
    world.rows(CONFIG).map(|row| item(world, row)).collect()
}

fn item(world: &World<'_>, row: &Row) -> Item {
    let section = row.get("param_name").unwrap_or_default();
    let value = row.get("param_value").and_then(values::json).unwrap_or_default();
    let names: Vec<&str> = match &value {
        Value::Object(entries) => entries.keys().map(String::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Vec::new()
        }
    };
    let outcome = if names.is_empty() && !value.is_array() {
        Outcome::Needless("nothing is set in it".to_owned())
    } else {
        let reason = match section {
            "environment_variables" => "set them in the environment of the nodes",
            _ => "settings are not read from a database: write them into the config file",
        };
        let reason = format!("{reason}: {}", names.join(", "));
        let reason = reason.trim_end_matches(": ").to_owned();
        Outcome::Unsupported(vec![Finding { field: String::new(), reason }])
    };
    let place = world.place(row.file, row.line);
    Item { table: CONFIG, place, object: section.to_owned(), outcome, way: None }
}
