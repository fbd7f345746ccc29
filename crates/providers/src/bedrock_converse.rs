//! Bedrock under the other name that LiteLLM has for it.

use crate::bedrock::Bedrock;

pub(crate) static PROVIDER: Bedrock =
    Bedrock { id: "bedrock_converse", speaker: "Bedrock_converseException" };
