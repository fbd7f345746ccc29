//! Ollama under the other name that LiteLLM has for it.

use crate::ollama::Ollama;

pub(crate) static PROVIDER: Ollama = Ollama::named("ollama_chat", "Ollama_chatException");
