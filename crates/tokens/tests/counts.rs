//! What the crate promises at its border: counts as the providers', estimates that say so.

use std::time::Duration;

use dunlin_tokens::{Count, MAX_COUNTED_BYTES, NoText, Tokenizer};
use tokio_util::task::TaskTracker;

/// A tokenizer that has loaded the encodings of today's models.
async fn loaded() -> Tokenizer {
    let tasks = TaskTracker::new();
    let tokenizer = Tokenizer::new(&tasks);
    for model in ["gpt-4o", "gpt-4"] {
        assert!(!tokenizer.count_text(model, "asked for just now").exact);
    }
    finished(&tasks).await;
    tokenizer
}

async fn finished(tasks: &TaskTracker) {
    tasks.close();
    let loading = tokio::time::timeout(Duration::from_secs(60), tasks.wait());
    loading.await.expect("encodings load within a minute");
}

fn told(count: Count) -> (u64, &'static str, bool) {
    (count.tokens.0, count.tokenizer, count.exact)
}

#[tokio::test]
async fn texts_are_counted_as_openai_counts_them() {
    let tokenizer = loaded().await;
    // Documented: OpenAI's cookbook, "How to count tokens with tiktoken", encodings compared.
    let cases = [
        ("gpt-4o", "antidisestablishmentarianism", (6, "o200k_base", true)),
        ("gpt-4", "antidisestablishmentarianism", (6, "cl100k_base", true)),
        ("gpt-4o", "2 + 2 = 4", (7, "o200k_base", true)),
        ("gpt-4", "お誕生日おめでとう", (9, "cl100k_base", true)),
        ("gpt-4o", "お誕生日おめでとう", (8, "o200k_base", true)),
        // Recorded from litellm 1.106.2: the answer "Hello world".
        ("fake-up", "Hello world", (2, "cl100k_base", false)),
        ("claude-opus-5-5", "Hello world", (3, "cl100k_base*8/7", false)),
        ("gpt-4o", "", (0, "o200k_base", true)),
    ];
    for (model, text, expected) in cases {
        assert_eq!(told(tokenizer.count_text(model, text)), expected, "{model}: {text}");
    }
}

#[tokio::test]
async fn chats_are_framed_as_documented() {
    let tokenizer = loaded().await;
    let count = |model, body: &str| told(tokenizer.count_chat(model, body.as_bytes()).expect(body));
    // Recorded from litellm 1.106.2: a prompt of 8.
    let hi = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(count("fake-up", hi), (8, "cl100k_base", false));
    assert_eq!(count("gpt-4o", hi), (8, "o200k_base", true));
    // Documented: the cookbook's example messages, 129 tokens for gpt-4 and 124 for gpt-4o.
    let cookbook = include_str!("../testdata/cookbook.json");
    assert_eq!(count("gpt-4-0613", cookbook), (129, "cl100k_base", true));
    assert_eq!(count("gpt-4o", cookbook), (124, "o200k_base", true));
    // Documented: the cookbook's example tool, 105 tokens for gpt-4 and 101 for gpt-4o.
    let tool = include_str!("../testdata/cookbook_tool.json");
    assert_eq!(count("gpt-4", tool), (105, "cl100k_base", false));
    assert_eq!(count("gpt-4o", tool), (101, "o200k_base", false));
    let image = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"},
        {"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}}]}]}"#;
    assert_eq!(count("gpt-4o", image), (8 + 85, "o200k_base", false));
    let high = image.replace("low", "high");
    assert_eq!(count("gpt-4o", &high), (8 + 765, "o200k_base", false));
    for body in ["", "[]", "{}", r#"{"messages":[{}]}"#] {
        assert!(tokenizer.count_chat("gpt-4o", body.as_bytes()).is_err(), "{body}");
    }
}

#[tokio::test]
async fn what_takes_long_is_estimated_and_says_so() {
    let tokenizer = loaded().await;
    let long = "word ".repeat(MAX_COUNTED_BYTES / 5 + 1);
    assert_eq!(tokenizer.count_text("gpt-4o", &long).tokenizer, "bytes/4");
    for unbroken in ["a".repeat(60_000), " ".repeat(60_000), "あ".repeat(20_000)] {
        let count = told(tokenizer.count_text("gpt-4o", &unbroken));
        assert_eq!(count, (15_000, "bytes/4", false));
    }
    assert!(tokenizer.count_text("gpt-4o", &long[..60_000]).exact);
}

#[tokio::test]
async fn nothing_waits_for_an_encoding() {
    let tasks = TaskTracker::new();
    let tokenizer = Tokenizer::new(&tasks);
    let retired = told(tokenizer.count_text("text-davinci-003", "Hello world"));
    assert_eq!(retired, (3, "bytes/4", false), "asked for just now");
    finished(&tasks).await;
    let retired = told(tokenizer.count_text("text-davinci-003", "Hello world"));
    assert_eq!(retired, (2, "p50k_base", true));
}

#[tokio::test]
async fn token_ids_become_the_texts_they_were_made_of() {
    let tokenizer = Tokenizer::new(&TaskTracker::new());
    // Documented: OpenAI's cookbook, cl100k_base's tokens of two of its examples.
    let texts = tokenizer.texts_of(vec![
        vec![83, 1609, 5963, 374, 2294, 0],
        vec![33334, 45918, 243, 21990, 9080, 33334, 62004, 16556, 78699],
        vec![45918],
        vec![],
    ]);
    let texts = texts.await.expect("known tokens");
    assert_eq!(texts[..2], ["tiktoken is great!", "お誕生日おめでとう"]);
    assert!(texts[2].ends_with('\u{fffd}'), "half a character: {:?}", texts[2]);
    assert_eq!(texts[3], "");
    let unknown = tokenizer.texts_of(vec![vec![1, 4_000_000_000]]).await;
    assert_eq!(unknown, Err(NoText::Unknown(4_000_000_000)));
}
