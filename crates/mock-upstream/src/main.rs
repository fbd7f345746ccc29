//! The mock upstream as a program: serves until it is killed.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use dunlin_mock_upstream::{Habit, MockUpstream, Settings};

/// A fake provider on loopback, which speaks the dialects of OpenAI, Azure, Anthropic, Gemini,
/// Vertex, Bedrock, Cohere and Ollama
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
struct Args {
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A model it has (repeatable); without any, every name is a model
    #[arg(long)]
    model: Vec<String>,
    /// Milliseconds before the first byte of an answer
    #[arg(long, default_value_t = 0)]
    first_byte_ms: u64,
    /// How fast answers are written; without it, at once
    #[arg(long)]
    tokens_per_second: Option<f64>,
    /// Tokens of an answer
    #[arg(long, default_value_t = 16)]
    tokens: u32,
    /// How much the first wait varies, as a share of itself from 0 to 1
    #[arg(long, default_value_t = 0.0)]
    jitter: f64,
    /// Decides how waits vary
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The one key it takes; without it, any
    #[arg(long)]
    key: Option<String>,
    /// The secret that the signatures of Bedrock's clients are checked against
    #[arg(long, default_value = "mock-secret")]
    aws_secret: String,
    /// The longest prompt it takes, in tokens
    #[arg(long)]
    context: Option<u64>,
    /// How many requests it answers at a time; the others wait
    #[arg(long)]
    slots: Option<usize>,
    /// A way of some other server (repeatable)
    #[arg(long, value_enum)]
    habit: Vec<Named>,
}

const EXAMPLES: &str = "\
What to configure in a client, for port 9000:
  OpenAI, Cohere's SDK aside   http://127.0.0.1:9000/v1
  Azure, Anthropic, Gemini, Vertex, Bedrock, Cohere, Ollama   http://127.0.0.1:9000

An answer is \"tok \" so many times, unless the last message wishes for something else:
  curl -s 127.0.0.1:9000/v1/chat/completions -d '{\"model\":\"m\",\"messages\":
    [{\"role\":\"user\",\"content\":\"[[say:good day]]\"}]}'
Others are [[tool:name {\"argument\":1}]] [[think]] [[echo]] [[refuse]] [[finish:length]]
[[status:429]] [[retry-after:7]] [[tokens:9]] [[delay:200]] [[cached:9]] [[fault:reset 3]].
As a header, a wish is `x-mock-say: good day`.";

/// A habit by its name on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum Named {
    /// 400 on `stream_options`
    NoStreamOptions,
    /// 400 on `"encoding_format": null`
    NoNullEncoding,
    /// No usage in any answer
    NoUsage,
    /// Lines of event streams end in CR LF
    CrLf,
    /// Errors and `/health` of vLLM
    Vllm,
    /// Errors of text-generation-inference
    Tgi,
    /// Errors of llama.cpp's server
    LlamaCpp,
}

impl From<Named> for Habit {
    fn from(named: Named) -> Self {
        match named {
            Named::NoStreamOptions => Self::NoStreamOptions,
            Named::NoNullEncoding => Self::NoNullEncoding,
            Named::NoUsage => Self::NoUsage,
            Named::CrLf => Self::CrLf,
            Named::Vllm => Self::Vllm,
            Named::Tgi => Self::Tgi,
            Named::LlamaCpp => Self::LlamaCpp,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mock = MockUpstream::start(Settings {
        port: args.port,
        models: (!args.model.is_empty()).then_some(args.model),
        first_byte: Duration::from_millis(args.first_byte_ms),
        tokens_per_second: args.tokens_per_second,
        tokens: args.tokens,
        jitter: args.jitter,
        seed: args.seed,
        key: args.key,
        aws_secret: args.aws_secret,
        context: args.context,
        slots: args.slots,
        habits: args.habit.into_iter().map(Habit::from).collect(),
        ..Settings::default()
    })
    .await
    .context("cannot listen")?;
    writeln!(std::io::stdout(), "{}", mock.api_base()).context("cannot say where it listens")?;
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")
}
