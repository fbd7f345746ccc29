//! The names of the headers that LiteLLM's users and SDKs read. Constants, for a name that is read from
//! text costs more than what it carries.

use axum::http::HeaderName;

pub(crate) const CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");
pub(crate) const KEY_SPEND: HeaderName = HeaderName::from_static("x-litellm-key-spend");
pub(crate) const RESPONSE_COST: HeaderName = HeaderName::from_static("x-litellm-response-cost");
pub(crate) const MAX_RETRIES: HeaderName = HeaderName::from_static("x-litellm-max-retries");
pub(crate) const MODEL_GROUP: HeaderName = HeaderName::from_static("x-litellm-model-group");
pub(crate) const ATTEMPTED_RETRIES: HeaderName =
    HeaderName::from_static("x-litellm-attempted-retries");
pub(crate) const ATTEMPTED_FALLBACKS: HeaderName =
    HeaderName::from_static("x-litellm-attempted-fallbacks");
pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-timeout");
pub(crate) const MODEL_ID: HeaderName = HeaderName::from_static("x-litellm-model-id");
pub(crate) const MODEL_NAME: HeaderName = HeaderName::from_static("x-litellm-model-name");
pub(crate) const MODEL_REGION: HeaderName = HeaderName::from_static("x-litellm-model-region");
pub(crate) const MODEL_API_BASE: HeaderName = HeaderName::from_static("x-litellm-model-api-base");
pub(crate) const VERSION: HeaderName = HeaderName::from_static("x-litellm-version");
pub(crate) const RESPONSE_DURATION_MS: HeaderName =
    HeaderName::from_static("x-litellm-response-duration-ms");
pub(crate) const OVERHEAD_DURATION_MS: HeaderName =
    HeaderName::from_static("x-litellm-overhead-duration-ms");
pub(crate) const RESPONSE_COST_ORIGINAL: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-original");
pub(crate) const RESPONSE_COST_INPUT: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-input");
pub(crate) const RESPONSE_COST_OUTPUT: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-output");
pub(crate) const RESPONSE_COST_TOOL_USAGE: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-tool-usage");
pub(crate) const RESPONSE_COST_CACHE_READ: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-cache-read");
pub(crate) const RESPONSE_COST_CACHE_CREATION: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-cache-creation");
pub(crate) const RESPONSE_COST_REASONING: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-reasoning");
pub(crate) const RESPONSE_COST_DISCOUNT_AMOUNT: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-discount-amount");
pub(crate) const RESPONSE_COST_MARGIN_AMOUNT: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-margin-amount");
pub(crate) const RESPONSE_COST_MARGIN_PERCENT: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-margin-percent");
pub(crate) const LEFT_OUT_TOOLS: HeaderName = HeaderName::from_static("x-dunlin-left-out-tools");
pub(crate) const LEFT_OUT_BETAS: HeaderName = HeaderName::from_static("x-dunlin-left-out-betas");
pub(crate) const FASTEST_RESPONSE: HeaderName =
    HeaderName::from_static("x-litellm-fastest_response_batch_completion");
pub(crate) const COMPLETE: HeaderName = HeaderName::from_static("x-dunlin-complete");
pub(crate) const MISSING_DEPLOYMENTS: HeaderName =
    HeaderName::from_static("x-dunlin-missing-deployments");
pub(crate) const UNPRICED: HeaderName = HeaderName::from_static("x-dunlin-unpriced");
pub(crate) const KEY_MAX_BUDGET: HeaderName = HeaderName::from_static("x-litellm-key-max-budget");
pub(crate) const KEY_RPM_LIMIT: HeaderName = HeaderName::from_static("x-litellm-key-rpm-limit");
pub(crate) const KEY_TPM_LIMIT: HeaderName = HeaderName::from_static("x-litellm-key-tpm-limit");
pub(crate) const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
