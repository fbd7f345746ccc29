//! What LiteLLM's users write and mean: catch-alls, addresses as portals show them, keys in headers.

use std::sync::Arc;

use dunlin_types::Secret;

use super::{RELAYED, document, loaded, options, outcome, said};
use crate::{Environment, Loaded, Options, Provider, load};

/// Loads a text with these providers, each of whose keys is in the variable `KEY_OF_` and its name.
fn with(text: &str, variables: &[&str]) -> Loaded {
    let provider = |id, key_variables| Provider {
        id,
        default_base: Some("https://cloud.example"),
        key_variables,
        base_variables: &[],
        needs_key: true,
    };
    let providers = vec![
        provider("anthropic", &["KEY_OF_ANTHROPIC"]),
        provider("azure_ai", &["KEY_OF_AZURE"]),
        provider("groq", &["KEY_OF_GROQ"]),
        provider("openai", &["KEY_OF_OPENAI"]),
    ];
    let options = Options { providers, unserved: &[], ..options() };
    let pairs = variables.iter().map(|name| ((*name).to_owned(), format!("value of {name}")));
    let outcome = load(&document(text), &Environment::new(pairs.collect()), &options);
    let said = format!("{:?}", outcome.diagnostics);
    outcome.loaded.unwrap_or_else(|| panic!("{said}"))
}

/// Each pattern, and where it leads with which key.
fn patterns(loaded: &Loaded) -> Vec<String> {
    let told = |(name, group): (&Arc<str>, &dunlin_router::Group)| {
        let [known] = &group.deployments[..] else { panic!("{name}: one deployment") };
        let key = known.target.api_key.as_ref().map(Secret::expose).unwrap_or_default();
        format!("{name} {}/{} {key}", known.provider, known.target.model)
    };
    loaded.catalog.groups.iter().map(told).collect()
}

const CATCH_ALL: &str = "model_list:
  - {model_name: groq/*, litellm_params: {model: groq/*, api_key: own}}
  - {model_name: '*', litellm_params: {model: '*'}, model_info: {id: all}}
";

#[test]
fn a_catch_all_leads_to_the_provider_that_the_name_begins_with() {
    let loaded = with(CATCH_ALL, &["KEY_OF_ANTHROPIC", "KEY_OF_OPENAI", "KEY_OF_GROQ"]);
    let found = patterns(&loaded);
    for expected in [
        "anthropic/* anthropic/* value of KEY_OF_ANTHROPIC",
        "claude-* anthropic/claude-* value of KEY_OF_ANTHROPIC",
        "groq/* groq/* own",
        "gpt-* openai/gpt-* value of KEY_OF_OPENAI",
        "openai/* openai/* value of KEY_OF_OPENAI",
    ] {
        assert!(found.iter().any(|known| known == expected), "{expected}: {found:?}");
    }
    let strange = |known: &&String| known.starts_with("* ") || known.contains("azure_ai");
    assert_eq!(found.iter().find(strange), None, "no key of OpenAI's goes with any name");
    let ids: Vec<_> = loaded.catalog.deployments().map(|known| known.id.0.to_string()).collect();
    assert!(ids.contains(&"all-anthropic".to_owned()), "{ids:?}");
}

#[test]
fn a_key_beside_a_catch_all_goes_to_openai_alone() {
    let text = "model_list: [{model_name: 'x/*', litellm_params: {model: '*', api_key: k}}]\n";
    let found = patterns(&with(text, &["KEY_OF_ANTHROPIC"]));
    assert!(found.contains(&"x/openai/* openai/* k".to_owned()), "{found:?}");
    assert!(found.iter().all(|known| known.contains(" openai/")), "{found:?}");
}

#[test]
fn a_star_without_a_provider_for_one_name_is_refused() {
    let said = said("model_list: [{model_name: all, litellm_params: {model: '*'}}]\n");
    assert!(said.contains("it is not clear which provider serves `*`"), "{said}");
}

#[test]
fn an_address_may_be_the_one_that_a_portal_shows() {
    let uri =
        "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview";
    let text = format!(
        "model_list: [{{model_name: m, litellm_params: {{model: azure_ai/x, api_base: '{uri}', \
         api_key: k, api_version: other}}}}]\n"
    );
    let loaded = with(&text, &[]);
    let target = &loaded.catalog.groups["m"].deployments[0].target;
    assert_eq!(&*target.api_base, "https://r.services.ai.azure.com/models");
    assert_eq!(target.api_version.as_deref(), Some("2024-05-01-preview"));
}

#[test]
fn a_key_may_stand_inside_a_header_of_an_endpoint() {
    let text = RELAYED.to_owned()
        + "    - {path: /a, target: 'http://t', headers: {Authorization: bearer \
           os.environ/OPENAI_API_KEY}}\n"
        + "    - {path: /b, target: 'http://t', headers: {Authorization: bearer os.environ/NONE}}\n"
        + "    - {path: /c, target: 'http://t', headers: {LANGFUSE_PUBLIC_KEY: pk, \
           LANGFUSE_SECRET_KEY: sk}}\n";
    assert!(!said(&text).contains("DL0112"), "{}", said(&text));
    let catalog = loaded(&text).catalog;
    let [key, unset, langfuse] = &catalog.endpoints[..] else { panic!("three endpoints") };
    let header = |value| vec![("Authorization".into(), Secret::new(value))];
    assert_eq!(key.headers, header("bearer value of OPENAI_API_KEY"));
    assert!(unset.parked.as_deref().is_some_and(|why| why.contains("`NONE`")));
    assert_eq!(langfuse.headers, header("Basic cGs6c2s="));
    let half = format!(
        "{RELAYED}    - {{path: /c, target: 'http://t', headers: {{LANGFUSE_PUBLIC_KEY: p}}}}\n"
    );
    assert!(outcome(&half).loaded.is_none(), "it would be refused there");
}

#[test]
fn slips_in_what_a_model_is_for_are_told() {
    let with = |more: &str| {
        said(&format!(
            "model_list: [{{model_name: m, litellm_params: {{model: openai/gpt-4o{more}}}]\n"
        ))
    };
    let mode = with("}, model_info: {mode: chatt}");
    assert!(
        mode.contains("model_info.mode `chatt`") && mode.contains("did you mean `chat`?"),
        "{mode}"
    );
    assert!(!with("}, model_info: {mode: responses}").contains("model_info.mode"));
    let absent = "model_list: [{model_name: m, litellm_params: {model: bedrock/x}, model_info: \
                  {mode: rerank}}]\n";
    let told = said(absent);
    assert!(told.contains("`bedrock` is not asked for rerank by this version"), "{told}");
    let retries = with(", max_retries: 2.5}");
    assert!(retries.contains("litellm_params.max_retries must be a whole number"), "{retries}");
}
