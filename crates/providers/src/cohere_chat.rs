//! Cohere under the other name that LiteLLM has for it.

use crate::cohere::Cohere;

pub(crate) static PROVIDER: Cohere = Cohere { id: "cohere_chat", speaker: "Cohere_chatException" };
