//! `GET /budget/settings`: the fields of a budget that can be set, what they are for, and what they
//! are.

use axum::response::Response;
use dunlin_admin_api::Row;
use dunlin_state::Kind;
use serde_json::{Value, json};

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::request::fault::Fault;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::{find, row};

/// A field of a budget, as it is told.
struct Field {
    name: &'static str,
    kind: &'static str,
    purpose: &'static str,
}

/// Name, type and purpose.
const FIELDS: &[Field] = &[
    Field {
        name: "max_budget",
        kind: "Float",
        purpose: "The most that may be spent in a period, in US dollars.",
    },
    Field {
        name: "soft_budget",
        kind: "Float",
        purpose: "Spending more than this is told, and not refused.",
    },
    Field {
        name: "max_parallel_requests",
        kind: "Integer",
        purpose: "The most requests at the same time.",
    },
    Field { name: "tpm_limit", kind: "Integer", purpose: "The most tokens in any minute." },
    Field { name: "rpm_limit", kind: "Integer", purpose: "The most requests in any minute." },
    Field {
        name: "budget_duration",
        kind: "String",
        purpose: "How long a period is: 1h, 1d, 30d, 1mo.",
    },
];

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/budget/settings", Who::Viewers, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let Some(name) = asked.param("budget_id") else {
        let fault = Fault::of("query", "budget_id", "missing", "Field required");
        return Err(Error::Invalid(vec![fault]));
    };
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let budget = row(&view, &*find(&view.state, Kind::Budget, name)?);
    Ok(ok_as_of(&read, &settings(&budget)))
}

fn settings(budget: &Row) -> Vec<Value> {
    let setting = |&Field { name, kind, purpose }: &Field| {
        let value = budget.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok());
        let value: Value = value.unwrap_or_default();
        json!({
            "field_name": name,
            "field_type": kind,
            "field_description": purpose,
            "stored_in_db": !value.is_null(),
            "field_value": value,
            "field_default_value": null,
        })
    };
    FIELDS.iter().map(setting).collect()
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Entity, Terms};

    use super::*;
    use crate::rows::row::tests::{state_after, view_of};

    #[test]
    fn every_field_is_there_with_its_value_or_null() {
        let terms = Terms { rpm: Some(7), ..Terms::default() };
        let (kind, name) = (Kind::Budget, "free".to_owned());
        let budget = Entity { kind, name, terms, ..Entity::default() };
        let told = settings(&row(&view_of(state_after([])), &budget));
        let of = |name: &str| {
            let field = told.iter().find(|field| field["field_name"] == name);
            let field = field.expect("a field");
            (field["field_value"].clone(), field["stored_in_db"].clone())
        };
        assert_eq!(of("rpm_limit"), (json!(7), json!(true)));
        assert_eq!(of("max_budget"), (Value::Null, json!(false)));
        assert_eq!(told.len(), FIELDS.len());
    }
}
