//! `POST /config/update`: changes the settings that are sent, on all nodes, as a new config revision.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::ok;
use crate::Admin;
use crate::body::Body;
use crate::config_change::section_edits;
use crate::error::Error;
use crate::routes::{Asked, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/config/update", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Asked) -> Result<Response, Error> {
    asked.body().map(drop::<Body>)?;
    let sections: Map<String, Value> =
        serde_json::from_slice(&asked.bytes).expect("it was read as an object");
    let edits = section_edits(sections)?;
    if edits.is_empty() {
        let reason =
            "no setting is sent: send sections, as in {\"router_settings\": {\"num_retries\": 2}}";
        return Err(Error::BadField { name: "router_settings", reason: reason.to_owned() });
    }
    let changed = admin.change_config(&asked, |_| Ok(edits.clone())).await?;
    Ok(ok(&changed.told(json!({"message": "Config updated successfully"}))))
}
