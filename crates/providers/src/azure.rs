//! Azure: OpenAI's models by deployment, and all models of its AI Foundry. Bodies are OpenAI's; what
//! differs is where a call goes and how it is authorised.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use dunlin_llm::openai::ChatStyle;
use dunlin_llm::{ChatReply, ChatRequest, Dialect, Endpoint, Target};
use dunlin_types::{Credential, Secret, UnixMillis};
use http::{HeaderName, Request, StatusCode};

use crate::anthropic;
use crate::encode::{post, post_without_credential, secret_value};
use crate::openai_compatible::{Base, OpenAiCompatible, Quirks, with_kind_of};
use crate::relay;
use crate::sigv4::path_segment;
use crate::{EncodeError, Params, Provider, ProviderError, StreamDecoder, Variables};

/// What LiteLLM asks Azure OpenAI for when a deployment names no version.
const OPENAI_VERSION: &str = "2025-02-01-preview";
/// Likewise of AI Foundry.
const FOUNDRY_VERSION: &str = "2024-05-01-preview";
/// The first dated version that has responses, and what is asked for them where an older one is named,
/// as in LiteLLM.
const FIRST_WITH_RESPONSES: &str = "2025-03-01";
const RESPONSES_VERSION: &str = "preview";
/// Versions that mean the API without versions, where the deployment is the body's model.
const UNVERSIONED: [&str; 3] = ["v1", "latest", "preview"];

/// One of Azure's two ways to models.
pub(crate) struct Azure {
    openai: OpenAiCompatible,
    place: fn(&Target, Endpoint) -> String,
}

/// What both have of OpenAI.
const fn openai(id: &'static str, speaker: &'static str, variables: Variables) -> OpenAiCompatible {
    OpenAiCompatible {
        id,
        speaker,
        default_base: None,
        variables,
        needs_key: false,
        base: Base::AsGiven,
        style: ChatStyle::OPENAI,
        completions: true,
        lacks: &[],
        quirks: Quirks::OPENAI,
    }
}

const OPENAI_VARIABLES: Variables = Variables {
    keys: &["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"],
    bases: &["AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"],
};

pub(crate) static PROVIDER: Azure =
    Azure { openai: openai("azure", "AzureException", OPENAI_VARIABLES), place: deployment };

/// LiteLLM's other name for it, of old for plain completions.
pub(crate) static TEXT: Azure =
    Azure { openai: openai("azure_text", "AzureException", OPENAI_VARIABLES), place: deployment };

pub(crate) static FOUNDRY: Azure = Azure {
    openai: openai(
        "azure_ai",
        "Azure_aiException",
        Variables { keys: &["AZURE_AI_API_KEY"], bases: &["AZURE_AI_API_BASE"] },
    ),
    place: foundry,
};

/// Where a deployment of Azure OpenAI is asked. An `api_base` may name the deployment already, or
/// the API without versions.
fn deployment(to: &Target, asked: Endpoint) -> String {
    let base = to.api_base.trim_end_matches('/');
    let route = asked.route();
    let version = to.api_version.as_deref().unwrap_or(OPENAI_VERSION);
    // There the body names the deployment.
    if is_unversioned(base, version) || asked == Endpoint::Responses {
        return resource(to, route);
    }
    if base.contains("/openai/deployments/") {
        return format!("{}{route}?api-version={version}", base.trim_end_matches(route));
    }
    let root = base.trim_end_matches("/openai");
    format!("{root}/openai/deployments/{}{route}?api-version={version}", to.sent_model())
}

/// What belongs to all deployments of a resource of Azure OpenAI: responses, files, batches.
fn resource(to: &Target, route: &str) -> String {
    let base = to.api_base.trim_end_matches('/');
    let mut version = to.api_version.as_deref().unwrap_or(OPENAI_VERSION);
    if route.starts_with("/responses")
        && version < FIRST_WITH_RESPONSES
        && !is_unversioned(base, version)
    {
        version = RESPONSES_VERSION;
    }
    let root = base.split("/openai").next().unwrap_or(base);
    // They came with the API that has no versions.
    if route.starts_with("/realtime/") || route.starts_with("/conversations") {
        return format!("{root}/openai/v1{route}");
    }
    match version {
        "preview" => format!("{root}/openai/v1{route}?api-version=preview"),
        version if is_unversioned(base, version) => format!("{root}/openai/v1{route}"),
        version => format!("{root}/openai{route}?api-version={version}"),
    }
}

fn is_unversioned(base: &str, version: &str) -> bool {
    UNVERSIONED.contains(&version) || base.ends_with("/openai/v1")
}

/// Where a model of AI Foundry is asked: a project's models share an address, a model that is served
/// alone has one of its own. A resource has the API of Azure OpenAI for all of its models.
fn foundry(to: &Target, asked: Endpoint) -> String {
    let base = to.api_base.trim_end_matches('/');
    if asked == Endpoint::Rerank {
        return ranking(base);
    }
    let version = to.api_version.as_deref().unwrap_or(FOUNDRY_VERSION);
    match host(base) {
        Some(_) if is_resource(to) => deployment(to, asked),
        Some(host) if host.ends_with(".services.ai.azure.com") => {
            let root = base.trim_end_matches("/models");
            if asked == Endpoint::Responses {
                return format!("{root}/openai/v1/responses");
            }
            format!("{root}/models{}?api-version={version}", asked.route())
        }
        Some(_) | None => format!("{base}{}", asked.route()),
    }
}

/// Where Cohere's ranking models are asked: at the address that names their path, or its version, else
/// at their first.
fn ranking(base: &str) -> String {
    let named = |ends: [&str; 2]| ends.iter().any(|end| base.ends_with(end));
    if named(["/v1/rerank", "/v2/rerank"]) {
        base.to_owned()
    } else if named(["/v1", "/v2"]) {
        format!("{base}/rerank")
    } else {
        format!("{}/v1/rerank", base.trim_end_matches("/models"))
    }
}

/// True if an address of AI Foundry's is one of Azure OpenAI's API: by its host, or by its path.
fn is_resource(to: &Target) -> bool {
    let base = to.api_base.trim_end_matches('/');
    let is_path = base.ends_with("/openai") || base.contains("/openai/");
    host(base).is_some_and(|host| {
        host.ends_with(".openai.azure.com") || host.ends_with(".azure.com") && is_path
    })
}

fn host(base: &str) -> Option<&str> {
    let (_, rest) = base.split_once("://")?;
    rest.split(['/', ':']).next()
}

/// AI Foundry's Claude, which is asked in Anthropic's dialect, as who speaks it and where. A project
/// has it beside its other models.
fn claude<'t>(azure: &Azure, to: &'t Target) -> Option<Cow<'t, Target>> {
    if !azure.speaks_anthropic(&to.model) {
        return None;
    }
    let base = to.api_base.trim_end_matches('/');
    if base.contains("/anthropic") {
        return Some(Cow::Borrowed(to));
    }
    let root = base.trim_end_matches("/models").trim_end_matches("/openai/v1");
    let api_base = format!("{root}/anthropic").into();
    Some(Cow::Owned(Target { api_base, ..to.clone() }))
}

impl Azure {
    fn speaks_anthropic(&self, model: &str) -> bool {
        self.openai.id == "azure_ai" && model.contains("claude")
    }

    fn authorised(
        &self,
        url: String,
        body: Bytes,
        to: &Target,
        credential: &Credential,
    ) -> Result<Request<Bytes>, EncodeError> {
        let is_azures = |host: &str| host.ends_with(".azure.com");
        match credential {
            Credential::Key(key)
                if self.openai.id != "azure_ai" || host(&to.api_base).is_some_and(is_azures) =>
            {
                let mut call = post_without_credential(url, body, to)?;
                insert_key(&mut call, key)?;
                Ok(call)
            }
            Credential::Key(_) | Credential::Token(_) => post(url, body, to, credential),
            Credential::None => post_without_credential(url, body, to),
            Credential::Aws { .. } => {
                let needed = "a key or a token of Entra ID";
                Err(EncodeError::WrongCredential { provider: self.openai.id, needed })
            }
        }
    }
}

fn insert_key(call: &mut Request<Bytes>, key: &Secret) -> Result<(), EncodeError> {
    const API_KEY: HeaderName = HeaderName::from_static("api-key");
    let value = secret_value(API_KEY.as_str(), key.expose())?;
    // A header of the operator's own wins.
    call.headers_mut().entry(API_KEY).or_insert(value);
    Ok(())
}

impl Provider for Azure {
    fn id(&self) -> &'static str {
        self.openai.id
    }

    fn default_base(&self) -> Option<&'static str> {
        None
    }

    fn realtime_url(&self, to: &Target, query: &str) -> Option<String> {
        let base = to.api_base.trim_end_matches('/');
        let root = base.split("/openai").next().unwrap_or(base);
        let version = to.api_version.as_deref().unwrap_or(OPENAI_VERSION);
        if query.starts_with("call_id=") {
            return Some(format!("{root}/openai/v1/realtime?{query}"));
        }
        let model = path_segment(to.sent_model());
        let url = if UNVERSIONED.contains(&version) || base.ends_with("/openai/v1") {
            format!("{root}/openai/v1/realtime?model={model}")
        } else {
            format!("{root}/openai/realtime?api-version={version}&deployment={model}")
        };
        Some(if query.is_empty() { url } else { format!("{url}&{query}") })
    }

    fn speaker(&self) -> &'static str {
        self.openai.speaker
    }

    fn variables(&self) -> Variables {
        self.openai.variables
    }

    fn params(&self, to: &Target) -> Params {
        if self.speaks_anthropic(&to.model) {
            return anthropic::PROVIDER.params(to);
        }
        self.openai.params(to)
    }

    fn is_strict(&self, model: &str) -> bool {
        self.speaks_anthropic(model)
    }

    fn keeps_responses(&self, to: &Target) -> bool {
        !self.speaks_anthropic(&to.model) && self.openai.keeps_responses(to)
    }

    fn hosts(&self, tool: &str, to: &Target) -> bool {
        if self.speaks_anthropic(&to.model) {
            return anthropic::PROVIDER.hosts(tool, to);
        }
        self.openai.hosts(tool, to)
    }

    fn dialect(&self, to: &Target) -> Option<Dialect> {
        let is_claude = self.speaks_anthropic(&to.model);
        if is_claude { Some(Dialect::Anthropic) } else { self.openai.dialect(to) }
    }

    fn passes(&self, request: &ChatRequest, to: &Target) -> bool {
        if self.speaks_anthropic(&to.model) {
            return anthropic::PROVIDER.passes(request, to);
        }
        self.openai.passes(request, to)
    }

    fn kept_url(&self, to: &Target, route: &str) -> Option<String> {
        // A model of AI Foundry that is served alone has no resource.
        let has_one = self.openai.id != "azure_ai" || is_resource(to);
        has_one.then(|| resource(to, route))
    }

    fn encode(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
        now: UnixMillis,
    ) -> Result<Request<Bytes>, EncodeError> {
        if let Some(to) = claude(self, to) {
            return anthropic::PROVIDER.encode(request, &to, credential, now);
        }
        let asked = self.openai.asked(request, to);
        if matches!(asked, Endpoint::CountTokens | Endpoint::Moderations) {
            let (provider, route) = (self.id(), asked.route());
            return Err(EncodeError::UnsupportedEndpoint { provider, route });
        }
        // The client's version wins as LiteLLM has it, but over the API without versions: that is
        // another one.
        let said = request
            .api_version()
            .filter(|_| !to.api_version.as_deref().is_some_and(|own| UNVERSIONED.contains(&own)));
        let asking = said.map(|said| Target { api_version: Some(Arc::clone(said)), ..to.clone() });
        let url = (self.place)(asking.as_ref().unwrap_or(to), asked);
        let call = self.authorised(url, self.openai.body(request, to)?, to, credential)?;
        Ok(with_kind_of(request, call))
    }

    fn decode(
        &self,
        request: &ChatRequest,
        to: &Target,
        status: StatusCode,
        body: Bytes,
    ) -> Result<ChatReply, ProviderError> {
        if self.speaks_anthropic(&to.model) {
            return anthropic::PROVIDER.decode(request, to, status, body);
        }
        self.openai.decode(request, to, status, body)
    }

    fn stream(&self, request: &ChatRequest, to: &Target) -> Box<dyn StreamDecoder> {
        if self.speaks_anthropic(&to.model) {
            return anthropic::PROVIDER.stream(request, to);
        }
        self.openai.stream(request, to)
    }

    fn authorize(
        &self,
        call: &mut Request<Bytes>,
        to: &Target,
        credential: &Credential,
        now: UnixMillis,
    ) -> Result<(), EncodeError> {
        if self.speaks_anthropic(&to.model) {
            return anthropic::PROVIDER.authorize(call, to, credential, now);
        }
        relay::authorize(self.id(), call, to, credential, now)
    }
}

#[cfg(test)]
mod tests;
