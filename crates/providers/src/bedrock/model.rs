//! Names of models as LiteLLM's users write them: with a route and a region before the id, or an
//! ARN behind the name of what it imports.

use dunlin_llm::Target;
use dunlin_llm::anthropic::Abilities;

/// LiteLLM's where nothing names one.
const DEFAULT_REGION: &str = "us-west-2";
const ROUTES: &[&str] = &["converse", "converse_like", "invoke"];

/// The id that Bedrock knows.
pub(super) fn id(model: &str) -> &str {
    if let Some(at) = model.find("arn:") {
        return &model[at..];
    }
    let mut id = model;
    while let Some((first, rest)) = id.split_once('/') {
        let is_commitment = first.ends_with("-month-commitment");
        if !(ROUTES.contains(&first) || is_commitment || is_region(first)) {
            break;
        }
        id = rest;
    }
    id
}

/// The id that is called.
pub(crate) fn sent_id(to: &Target) -> &str {
    to.model_id.as_deref().unwrap_or_else(|| id(&to.model))
}

/// The region that a call is signed for: the one that is configured or in the address, in the ARN
/// or in the name.
pub(crate) fn region(to: &Target) -> &str {
    let host = to.api_base.split_once("://").map_or(&*to.api_base, |(_, rest)| rest);
    let configured = to.region.as_deref();
    let called = to.model_id.as_deref().unwrap_or(&to.model);
    let in_arn = called.find("arn:").and_then(|at| called[at..].split(':').nth(3));
    let in_name = || to.model.split('/').find(|part| is_region(part));
    let in_host = || host.split(['.', '/', ':']).find(|part| is_region(part));
    let in_arn = in_arn.filter(|region| is_region(region));
    configured.or(in_arn).or_else(in_name).or_else(in_host).unwrap_or(DEFAULT_REGION)
}

/// `eu-west-1`, `us-gov-east-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let is_word =
        |part: &&str| part.bytes().all(|byte| byte.is_ascii_lowercase()) && part.len() > 1;
    (3..=4).contains(&parts.len())
        && first.len() == 2
        && parts[..parts.len() - 1].iter().all(is_word)
        && last.len() == 1
        && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// The maker's name in the id, without a prefix for several regions.
pub(super) fn is_of(maker: &str, id: &str) -> bool {
    id.split(['.', '/', ':']).any(|part| part == maker)
}

/// True for the family whose own words are passed to it.
pub(super) fn is_claude(id: &str) -> bool {
    is_of("anthropic", id) || id.contains("claude")
}

/// True for a Claude whose tools can be strict here, by what AWS and those who call it say of each:
/// later than at Anthropic, and of the largest models not of all.
pub(super) fn is_strict(id: &str, abilities: Abilities) -> bool {
    let is_named = ["sonnet", "haiku", "opus-4-8"].iter().any(|name| id.contains(name));
    abilities.schemas && (abilities.samples || is_named)
}

/// Beginnings of the names of models that take tools, but none where a stream is asked for: from AWS's
/// table of what Converse's models support.
const STREAM_NO_TOOLS: &[&str] = &[
    "meta.llama",
    "mistral.mistral-large-24",
    "mistral.mistral-small-24",
    "mistral.pixtral-large-25",
    "writer.palmyra-x",
];

/// True if a stream is to be made of a whole answer where tools are given.
pub(super) fn streams_no_tools(id: &str) -> bool {
    // Before the name there may be a region, or the words of an ARN.
    STREAM_NO_TOOLS.iter().any(|name| id.contains(name))
}
