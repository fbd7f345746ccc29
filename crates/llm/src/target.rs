//! Where a deployment's calls go and by which rules: filled in by the configuration, read by
//! providers.

use std::collections::BTreeSet;
use std::sync::Arc;

use dunlin_types::{Networks, Secret, Source, Tls, Tokens};

use crate::client_auth::ClientAuth;
use crate::form::CachePoint;
use crate::parse::bounds::is_of_bound;

/// One deployment, as a provider needs to know it.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Base URL without a trailing slash, such as `http://vllm:8000/v1`.
    pub api_base: Arc<str>,
    /// The model's name upstream, with what LiteLLM's users put before it: see [`Target::sent_model`].
    pub model: Arc<str>,
    /// `model_id`, of Bedrock: what is called instead, such as the ARN of a provisioned throughput.
    pub model_id: Option<Arc<str>>,
    /// The provider's key, if it is one that does not change.
    pub api_key: Option<Secret>,
    /// Where its credential comes from, if it is one that changes. Asked only without `api_key`.
    pub identity: Option<Source>,
    /// What requests may bring in its place.
    pub clients: ClientAuth,
    /// `api_key` is a client's own: how its calls go says nothing of the deployment.
    pub is_clients: bool,
    /// How its server is trusted.
    pub tls: Tls,
    /// Where its calls may go.
    pub networks: Networks,
    /// Headers added to each request, such as `OpenAI-Organization`.
    pub headers: Vec<(Arc<str>, Secret)>,
    /// Top-level body fields the client may override: name, JSON text.
    pub body_defaults: Vec<(Arc<str>, Arc<str>)>,
    /// `api_version`, of Azure.
    pub api_version: Option<Arc<str>>,
    /// `aws_region_name`, `vertex_location` and the like.
    pub region: Option<Arc<str>>,
    /// The buckets of jobs of Bedrock's or Vertex AI's.
    pub buckets: Option<Buckets>,
    /// `vertex_project`.
    pub project: Option<Arc<str>>,
    /// The most tokens the model answers with, if that is known.
    pub max_output: Option<Tokens>,
    /// What becomes of parameters the provider does not have.
    pub params: ParamRules,
    /// `cache_control_injection_points`: where chats that are translated are marked for the provider's
    /// cache.
    pub cache_points: Vec<CachePoint>,
    /// `forward_client_headers_to_llm_api`, for its model: the client's own `x-` headers go along.
    pub forwards_headers: bool,
    /// `use_chat_completions_api`: other chat endpoints are bridged even if the provider has them.
    pub chat_only: bool,
    /// `merge_reasoning_content_in_choices`: thoughts go into the content of OpenAI's chats.
    pub merges_thoughts: bool,
    /// `model_info.mode: responses`: its server has OpenAI's responses, wherever it is, and every chat
    /// is asked there.
    pub responses: bool,
    /// Of a model with stars in it, those it stands for of which the same is published.
    pub responses_of: Arc<BTreeSet<Arc<str>>>,
}

/// Where jobs of Bedrock's or Vertex AI's take their requests from, and leave their answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// The address of the store, without a trailing slash.
    pub store: Arc<str>,
    /// `s3_region_name`, if it is not the deployment's.
    pub region: Option<Arc<str>>,
    /// `gcs_bucket_name` or `s3_bucket_name`: where the files of clients are put. Behind a slash the
    /// name of a folder may follow.
    pub files: Option<Arc<str>>,
    /// `s3_output_bucket_name`, if answers do not belong beside the files.
    pub answers: Option<Arc<str>>,
    /// `s3_encryption_key_id`: what answers are encrypted with.
    pub encryption_key: Option<Arc<str>>,
    /// `aws_batch_role_arn`: in which role Bedrock reads and writes there.
    pub role: Option<Arc<str>>,
}

/// What tells a deployment of Azure's that has a name of its own to be of models that think.
const SERIES: [&str; 2] = ["gpt5_series/", "o_series/"];

impl Target {
    /// The same where `model` stands for the stars.
    #[must_use]
    pub fn filled(&self, model: &str) -> Self {
        let responses = self.responses || self.responses_of.contains(model);
        Self { model: model.into(), responses, ..self.clone() }
    }

    /// True if its model is asked for responses and for nothing else.
    #[must_use]
    pub fn has_only_responses(&self) -> bool {
        self.responses && !self.chat_only
    }

    /// The model as its server knows it: without `o_series/` or `gpt5_series/`, which only say how it
    /// is to be asked.
    #[must_use]
    pub fn sent_model(&self) -> &str {
        let mut series = SERIES.iter();
        series.find_map(|word| self.model.strip_prefix(word)).unwrap_or(&self.model)
    }
}

/// What becomes of parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamRules {
    /// `drop_params`: those the provider does not have are left out; else the request is refused.
    pub drop_unsupported: bool,
    /// `additional_drop_params`: always left out, by path, such as `tools[*].strict`.
    pub always_drop: Vec<Arc<str>>,
    /// `allowed_openai_params`: passed whatever the provider is known to have.
    pub allow: Vec<Arc<str>>,
    /// `modify_params`: what a strict provider refuses is mended.
    pub mend: bool,
}

impl ParamRules {
    /// Whether the bound on an answer is left out, whatever the client says.
    #[must_use]
    pub fn drops_bound(&self) -> bool {
        self.always_drop.iter().any(|path| is_of_bound(path))
    }
}
