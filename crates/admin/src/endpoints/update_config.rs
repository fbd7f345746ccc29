//! `POST /config/update`: changes the settings that are sent, on all nodes, as a new config revision.

use axum::response::Response;
use dunlin_config::Edit;
use serde_json::{Map, Value, json};

use super::ok;
use crate::Admin;
use crate::changes::config_change::section_edits;
use crate::error::Error;
use crate::request::body::Body;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/config/update", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let (edits, nulls) = parse(&asked.bytes)?;
    let changed = admin.change_config(&asked, |_| Ok(edits.clone())).await?;
    let changed = changed.warning(nulls);
    Ok(ok(&changed.told(json!({"message": "Config updated successfully"}))))
}

/// The edits, and what is to be said of sections that are null.
fn parse(bytes: &[u8]) -> Result<(Vec<Edit>, Option<String>), Error> {
    Body::parse(bytes)?;
    let sections: Map<String, Value> =
        serde_json::from_slice(bytes).expect("it was read as an object");
    let nulls = sections.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| &**name);
    let nulls = nulls.collect::<Vec<_>>().join(", ");
    let nulls = (!nulls.is_empty()).then(|| {
        format!("{nulls}: null changes nothing; to clear a setting, send it as null in its section")
    });
    let edits = section_edits(sections)?;
    if edits.is_empty() {
        let reason = "no setting is sent: send sections, as in {\"router_settings\": \
                      {\"num_retries\": 2}}";
        return Err(Error::BadField { name: "router_settings", reason: reason.to_owned() });
    }
    Ok((edits, nulls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_settings_by_their_sections() {
        let edits = parse(br#"{"router_settings": {"num_retries": 2, "timeout": null}}"#);
        let (edits, nulls) = edits.expect("edits");
        assert_eq!((edits.len(), nulls), (2, None));
        let some = parse(br#"{"router_settings": {"a": 2}, "general_settings": null}"#);
        let (_, nulls) = some.expect("an edit");
        assert!(nulls.is_some_and(|it| it.starts_with("general_settings: null changes nothing")));
        for text in ["{}", r#"{"router_settings": null}"#, r#"{"router_settings": {}}"#] {
            let refused = parse(text.as_bytes()).expect_err(text);
            assert!(refused.told().starts_with("no setting is sent"), "{refused}");
        }
        for text in ["", "[]", "{"] {
            assert!(matches!(parse(text.as_bytes()), Err(Error::Invalid(_))), "{text}");
        }
    }
}
