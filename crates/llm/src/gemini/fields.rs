//! Fields without a word in the common form: Google's own, in whatever dialect the client sends
//! them, and those of OpenAI's that mean something to Google.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::Dialect;
use crate::fields::camel;
use crate::form::{Chat, Json};
use crate::json::{members, string};

/// Members of the body; sorted.
const BODY: &[&str] = &["cachedContent", "labels", "safetySettings", "toolConfig"];

/// Members of `generationConfig`; sorted.
const CONFIG: &[&str] = &[
    "audioTimestamp",
    "audioTranscriptionConfig",
    "enableAffectiveDialog",
    "enableEnhancedCivicAnswers",
    "imageConfig",
    "mediaResolution",
    "modelSelectionConfig",
    "responseModalities",
    "routingConfig",
    "speechConfig",
    "thinkingConfig",
    "translationConfig",
];

/// Google's tools; sorted.
const TOOLS: &[&str] = &[
    "codeExecution",
    "computerUse",
    "enterpriseWebSearch",
    "exaAiSearch",
    "fileSearch",
    "googleMaps",
    "googleSearch",
    "googleSearchRetrieval",
    "mcpServers",
    "parallelAiSearch",
    "retrieval",
    "urlContext",
];

/// True for the name of a tool that Google runs.
pub(super) fn is_hosted_tool(name: &str) -> bool {
    TOOLS.binary_search(&name).is_ok()
}

/// Members of an object to be written; the later of two of one name wins.
#[derive(Default)]
pub(super) struct Members(Vec<(String, Json)>);

impl Members {
    /// The members of an object; none of anything else.
    pub(super) fn of(json: &Json) -> Self {
        let members = members(json.text()).unwrap_or_default();
        let parsed = members
            .iter()
            .filter_map(|member| Some((member.name.to_string(), Json::parse(member.value).ok()?)));
        Self(parsed.collect())
    }

    pub(super) fn put(&mut self, name: &str, value: &impl Serialize) {
        let value = Json::of(value);
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The fields of a chat that go to Google as they are, or nearly so.
pub(super) struct Natives<'c>(Vec<(String, &'c Json)>, Dialect);

impl<'c> Natives<'c> {
    pub(super) fn of(chat: &'c Chat) -> Self {
        // Where both speak, the client is behind the deployment: the later of two wins.
        let all = chat.extra.iter().chain(&chat.other);
        Self(all.map(|(name, value)| (camel(name), value)).collect(), chat.from)
    }

    /// `web_search_options`: the answer may be searched for.
    pub(super) fn searches(&self) -> bool {
        self.1 == Dialect::OpenAi && self.0.iter().any(|(name, _)| name == "webSearchOptions")
    }

    pub(super) fn put_into_config(&self, config: &mut Members) {
        for (name, value) in &self.0 {
            match name.as_str() {
                "generationConfig" => {
                    for (name, value) in Members::of(value).0 {
                        config.put(&camel(&name), &value);
                    }
                }
                "modalities" if self.1 == Dialect::OpenAi => {
                    let words: Vec<String> = serde_json::from_str(value.text()).unwrap_or_default();
                    let words: Vec<String> = words.iter().map(|w| w.to_uppercase()).collect();
                    config.put("responseModalities", &words);
                }
                "audio" if self.1 == Dialect::OpenAi => {
                    if let Some(voice) = voice(value) {
                        config.put("speechConfig", &voice);
                    }
                }
                name if CONFIG.binary_search(&name).is_ok() => config.put(name, value),
                _ => {}
            }
        }
    }

    pub(super) fn put_into_body(&self, body: &mut Members) {
        for (name, value) in &self.0 {
            let is_known = BODY.binary_search(&name.as_str()).is_ok();
            let is_googles = self.1 == Dialect::Gemini && name != "generationConfig";
            if is_known || (is_googles && CONFIG.binary_search(&name.as_str()).is_err()) {
                body.put(name, value);
            }
        }
    }
}

/// OpenAI's `audio`, which names a voice.
fn voice(audio: &Json) -> Option<Value> {
    let members = members(audio.text()).ok()?;
    let voice = members.iter().find(|member| member.name == "voice")?;
    let voice = string(voice.value)?;
    Some(json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_can_be_searched() {
        assert!(BODY.is_sorted() && CONFIG.is_sorted() && TOOLS.is_sorted());
    }
}
