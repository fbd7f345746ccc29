//! One request, as it is shown.

use serde::Deserialize;
use serde_json::Value;

use crate::failure::Result;
use crate::session::{Answer, Object};
use crate::table::{dollars, moment, plain, table};

/// A request as it was answered.
pub(super) struct Row {
    row: Facts,
    pub(super) json: Object,
}

/// What of it is shown to people.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    #[serde(rename = "request_id")]
    request_id: String,
    start_time: String,
    #[serde(rename = "request_duration_ms")]
    duration_ms: u64,
    status: String,
    #[serde(rename = "model_group")]
    model_group: String,
    model: String,
    #[serde(rename = "api_key")]
    api_key: String,
    #[serde(rename = "prompt_tokens")]
    prompt_tokens: u64,
    #[serde(rename = "completion_tokens")]
    completion_tokens: u64,
    spend: f64,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    user_api_key_alias: Option<String>,
    error_information: Option<Fault>,
    dunlin: Own,
}

#[derive(Deserialize)]
struct Fault {
    error_code: String,
    error_message: String,
}

#[derive(Deserialize)]
struct Own {
    node: String,
    epoch: u64,
    number: u64,
}

const HEAD: [&str; 9] =
    ["TIME", "REQUEST", "KEY", "MODEL", "STATUS", " MS", " IN", " OUT", " SPEND"];

impl Row {
    pub(super) fn of(answer: &Answer, json: Object) -> Result<Self> {
        match serde_json::from_value(Value::Object(json.clone())) {
            Ok(row) => Ok(Self { row, json }),
            Err(error) => Err(answer.strange(&error.to_string())),
        }
    }

    /// No two requests have the same.
    pub(super) fn place(&self) -> (String, u64, u64) {
        let Own { node, epoch, number } = &self.row.metadata.dunlin;
        (node.clone(), *epoch, *number)
    }

    fn cells(&self) -> [String; 9] {
        let row = &self.row;
        let key = row.metadata.user_api_key_alias.clone();
        let key = key.unwrap_or_else(|| row.api_key.chars().take(12).collect());
        [
            moment(&row.start_time),
            row.request_id.clone(),
            if row.api_key == "litellm_proxy_master_key" { "master".to_owned() } else { key },
            row.model_group.clone(),
            self.status(),
            row.duration_ms.to_string(),
            row.prompt_tokens.to_string(),
            row.completion_tokens.to_string(),
            dollars(row.spend),
        ]
    }

    /// `ok`, or the status that the client was told.
    fn status(&self) -> String {
        match &self.row.metadata.error_information {
            Some(fault) => fault.error_code.clone(),
            None if self.row.status == "success" => "ok".to_owned(),
            None => self.row.status.clone(),
        }
    }

    /// All of it but what was said, a line each.
    pub(super) fn facts(&self) -> String {
        let row = &self.row;
        let text = |name: &str| match self.json.get(name) {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            Some(Value::String(_) | Value::Null) | None => "-".to_owned(),
            Some(other) => other.to_string(),
        };
        let status = match &row.metadata.error_information {
            Some(fault) => format!("{}: {}", fault.error_code, fault.error_message),
            None => self.status(),
        };
        let Own { node, .. } = &row.metadata.dunlin;
        let tokens = format!("{} in, {} out", row.prompt_tokens, row.completion_tokens);
        let model = format!("{} ({})", row.model_group, row.model);
        let facts = [
            ("request", row.request_id.clone()),
            ("call", text("litellm_call_id")),
            ("started", moment(&row.start_time)),
            ("took", format!("{} ms", row.duration_ms)),
            ("status", status),
            ("kind", text("call_type")),
            ("model", model),
            ("provider", text("custom_llm_provider")),
            ("address", text("api_base")),
            ("key", text("api_key")),
            ("user", text("user")),
            ("team", text("team_id")),
            ("end user", text("end_user")),
            ("tags", text("request_tags")),
            ("client", text("requester_ip_address")),
            ("tokens", tokens),
            ("spend", dollars(row.spend)),
            ("node", node.clone()),
        ];
        facts.iter().map(|(name, value)| format!("{name:8}  {}\n", folded(value))).collect()
    }
}

/// A text of several lines stands in its column.
fn folded(text: &str) -> String {
    text.lines()
        .map(|line| plain(&line.replace('\t', " ")))
        .collect::<Vec<_>>()
        .join("\n          ")
}

/// The rows under a head.
pub(super) fn lines(rows: &[Row]) -> String {
    table(HEAD, &rows.iter().map(Row::cells).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_text_stand_in_its_column() {
        assert_eq!(folded("500: a\n\tb\u{1b}[2J"), "500: a\n           b\u{fffd}[2J");
        assert_eq!(folded("-"), "-");
    }
}
