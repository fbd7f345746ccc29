//! Providers that LiteLLM knows and that are not served: a deployment of theirs is parked with the
//! reason.

const NO_CHAT: &str = "it serves no chats, texts or vectors, and nothing else is served yet";
const SDK: &str = "LiteLLM reaches it through a library of its own, not over a documented API";
const AGENT: &str = "it runs agents, not models; call it directly";
const LOGIN: &str = "it takes the login of a person in a browser, not a key";
const OWN_DIALECT: &str = "it has a dialect of its own, which this version does not speak";
const SIGNING: &str = "its calls are signed in a way that this version does not know";
const STORE: &str = "it is a store of vectors, not a model";

/// Names, each with its reason, sorted.
pub static UNSERVED: &[(&str, &str)] = &[
    ("a2a", AGENT),
    ("a2a_agent", AGENT),
    ("aleph_alpha", "its API has been shut down"),
    ("anthropic_text", "Anthropic has retired its text completions; use anthropic/"),
    ("auto_router", "routers that choose a model by the prompt are not there yet"),
    ("aws_polly", NO_CHAT),
    ("aws_textract", NO_CHAT),
    ("azure_speech", NO_CHAT),
    ("bedrock_mantle", SIGNING),
    ("black_forest_labs", NO_CHAT),
    ("bytez", OWN_DIALECT),
    ("chatgpt", LOGIN),
    ("clarifai", "its models are named by user and app; use openai/ with its own OpenAI address"),
    ("cloudflare", OWN_DIALECT),
    ("cursor", AGENT),
    ("custom", OWN_DIALECT),
    ("datarobot", OWN_DIALECT),
    ("deepgram", NO_CHAT),
    ("dotprompt", "prompts kept in files are not there yet"),
    ("elevenlabs", NO_CHAT),
    ("fal_ai", NO_CHAT),
    ("gdc", OWN_DIALECT),
    ("gigachat", LOGIN),
    ("github_copilot", LOGIN),
    ("humanloop", "prompts kept elsewhere are not there yet"),
    ("langflow", AGENT),
    ("langfuse", "prompts kept elsewhere are not there yet"),
    ("langgraph", AGENT),
    ("litellm_agent", AGENT),
    ("manus", AGENT),
    ("milvus", STORE),
    ("mongodb", STORE),
    ("nlp_cloud", OWN_DIALECT),
    ("nvidia_riva", NO_CHAT),
    ("oci", SIGNING),
    ("petals", SDK),
    ("pg_vector", STORE),
    ("predibase", OWN_DIALECT),
    ("ragflow", AGENT),
    ("recraft", NO_CHAT),
    ("reducto", NO_CHAT),
    ("replicate", OWN_DIALECT),
    ("runwayml", NO_CHAT),
    ("s3_vectors", STORE),
    ("sagemaker", OWN_DIALECT),
    ("sagemaker_chat", SIGNING),
    ("sagemaker_nova", SIGNING),
    ("sap", LOGIN),
    (
        "snowflake",
        "its tokens need a header that LiteLLM finds out; use openai/ with extra_headers",
    ),
    ("soniox", NO_CHAT),
    ("stability", NO_CHAT),
    ("strands_decider", SDK),
    ("text-completion-codestral", OWN_DIALECT),
    ("text-completion-inception", OWN_DIALECT),
    ("topaz", NO_CHAT),
    ("transcribe", NO_CHAT),
    ("triton", OWN_DIALECT),
    ("typesafe", SDK),
    ("valkey", STORE),
    ("watsonx", LOGIN),
    ("watsonx_text", OWN_DIALECT),
];
