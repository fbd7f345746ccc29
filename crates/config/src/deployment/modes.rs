//! `model_info.mode`: LiteLLM's words for what a model is for.

use crate::deployment::Draft;
use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;
use crate::words;

const MODES: &[&str] = &[
    "audio_speech",
    "audio_transcription",
    "batch",
    "chat",
    "completion",
    "embedding",
    "image_edit",
    "image_generation",
    "moderation",
    "ocr",
    "realtime",
    "rerank",
    "responses",
    "search",
    "vector_store",
    "video_generation",
];

/// What providers have in LiteLLM and are not asked for by this version.
const ABSENT: &[(&str, &[&str])] = &[
    ("audio_speech", &["gemini"]),
    ("image_edit", &["bedrock", "gemini", "vertex_ai"]),
    ("image_generation", &["bedrock", "gemini", "vertex_ai"]),
    ("rerank", &["bedrock", "dashscope", "deepinfra", "huggingface", "nvidia_nim", "vertex_ai"]),
];

impl Draft<'_> {
    /// A word that is none is taken for a chat's.
    pub(super) fn check_mode(&self, provider: &str, report: &mut Report) {
        let Some(node) = self.info.get("mode").filter(|node| !node.is_idle()) else { return };
        let Some(mode) = node.as_text() else { return };
        if ABSENT.iter().any(|(absent, of)| *absent == mode && of.contains(&provider)) {
            let message = format!("provider `{provider}` is not asked for {mode} by this version");
            let label = "it can serve what else its model does";
            let problem = Diagnostic::warning(Code::WrongValue, message);
            report.push(problem.at(node.place, label));
        }
        if MODES.contains(&mode) {
            return;
        }
        let message = format!("model_info.mode `{mode}` is none that LiteLLM knows");
        let label = words::did_you_mean(mode, MODES.iter().copied());
        let problem = Diagnostic::warning(Code::WrongValue, message).at(node.place, label);
        report.lenient(problem.note(format!("modes: {}", MODES.join(", "))));
    }
}
