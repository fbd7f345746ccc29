//! What names a secret: the one list by which all that is shown, logged or kept for the audit log is
//! rid of secrets.

/// Parts of names behind which secrets stand, however their words are put together.
const SECRET_PARTS: &[&str] = &[
    "accesskey",
    "apikey",
    "authorization",
    "bearer",
    "credential",
    "environmentvariables",
    "headers",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "webhook",
];
const SECRET_ENDS: &[&str] = &["-key", "_key", "database_url", "redis_url", "token"];
/// Names that look like secrets' and are names of things, or lists of such.
const NAMES_ONLY: &[&str] = &[
    "credential_info",
    "credential_list",
    "credential_name",
    "extra_spend_tag_headers",
    "litellm_credential_name",
    "litellm_key_header_name",
    "redact_user_api_key_info",
];

/// True for names of fields, settings and keys whose values are credentials, or carry them as URLs and
/// headers do. Everything that hides secrets by their names asks here.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let plain = name.replace(['_', '-', ' '], "");
    // `input_cost_per_token` is a price.
    let is_price = name.contains("per_");
    let ends = SECRET_ENDS.iter().any(|end| name.ends_with(end)) && !is_price;
    !NAMES_ONLY.contains(&&*name) && (ends || SECRET_PARTS.iter().any(|part| plain.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_name() {
        for name in [
            "api_key",
            "aws_access_key_id",
            "X-Api-Key",
            "GCS-Credential",
            "vertex_credentials",
            "token",
            "drain_endpoint_token",
            "langfuse_secret",
            "Private Key",
            "master_key",
            "slack_webhook",
            "extra_headers",
            "database_url",
            "my_token",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "model",
            "max_tokens",
            "input_cost_per_token",
            "output_cost_per_image_token",
            "token_rate_limit_type",
            "litellm_credential_name",
            "credential_list",
            "user_header_name",
            "litellm_key_header_name",
            "redact_user_api_key_info",
            "turn_off_message_logging",
            "key_alias",
            "tpm_limit",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
