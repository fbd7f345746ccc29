//! What a prompt may have beyond its body, in the words of each dialect, and what is no more than that.

use super::*;

fn check(cases: &[(&str, bool, u64)]) {
    for (body, added, pictures) in cases {
        let unseen = Unseen::of(body.as_bytes());
        assert_eq!((unseen.added, unseen.pictures), (*added, *pictures), "{body}");
    }
}

#[test]
fn what_a_provider_adds_is_known_by_its_name_in_every_dialect() {
    let added: Vec<_> = [
        // Chats.
        r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x/a.png"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"image_url","image_url":"https://x/a.png"}]}]}"#,
        r#"{"messages":[{"content":[{"type":"file","file":{"file_id":"file-1"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"file","file":{"file_data":"https://x/a.pdf"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,JVB"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"video_url","video_url":{"url":"data:video/mp4;base64,AA"}}]}]}"#,
        r#"{"messages":[],"web_search_options":{}}"#,
        r#"{"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#,
        r#"{"messages":[],"plugins":[{"id":"web"}]}"#,
        // Messages.
        r#"{"messages":[{"content":[{"type":"image","source":{"type":"url","url":"https://x/a"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]}"#,
        r#"{"messages":[{"content":[{"source":{"media_type":"application/pdf","data":"J"}}]}]}"#,
        r#"{"messages":[],"tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]}"#,
        r#"{"messages":[],"thread":{"type":"continue","previous_message_id":"msg_1"}}"#,
        r#"{"messages":[],"container":"container_1"}"#,
        r#"{"messages":[],"mcp_servers":[{"type":"url","url":"https://x"}]}"#,
        // Responses.
        r#"{"input":"q","previous_response_id":"resp_1"}"#,
        r#"{"input":"q","conversation":{"id":"conv_1"}}"#,
        r#"{"prompt": {"id":"pmpt_1"}}"#,
        r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#,
        r#"{"input":[{"content":[{"type":"input_file","file_url":"https://x/a.pdf"}]}]}"#,
        r#"{"input":"q","tools":[{"type":"file_search","vector_store_ids":["v"]}]}"#,
        r#"{"input":"q","tools":[{"type":"web_search"}]}"#,
        // Google's and Bedrock's.
        r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://youtu.be/x"}}]}]}"#,
        r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"video/mp4","data":"AA"}}]}]}"#,
        r#"{"contents":[],"cachedContent":"cachedContents/x"}"#,
        r#"{"contents":[],"tools":[{"google_search":{}}]}"#,
        r#"{"messages":[{"content":[{"document":{"format":"pdf","source":{"s3Location":{"uri":"s3://b"}}}}]}]}"#,
        // However it is spelled, and what cannot be read.
        r#"{"input":"q","previous\u005fresponse_id":"resp_1"}"#,
        r#"{"input":"q","tools":[{"type":"web_\u0073earch"}]}"#,
        r#"{"file_id""#,
    ]
    .into_iter()
    .map(|body| (body, true, 0))
    .collect();
    check(&added);
    let packed =
        r#"{"messages":[{"content":[{"document":{"format":"pdf","source":{"bytes":"J"}}}]}]}"#;
    assert!(Unseen::of(packed.as_bytes()).added);
}

#[test]
fn what_is_in_the_body_is_no_more_than_that() {
    check(&[
        (
            r#"{"messages":[{"role":"user","content":"see https://x/a.png, \"file_id\": 1"}]}"#,
            false,
            0,
        ),
        (
            r#"{"input":"q","previous_response_id":null,"conversation":null,"prompt":null}"#,
            false,
            0,
        ),
        (r#"{"prompt":"a cat","file_id":null}"#, false, 0),
        // A tool's words and its schema.
        (
            r#"{"tools":[{"function":{"parameters":{"properties":{"url":{"type":"string"},
                "file_id":{"type":"string"}}}}}],"file_id":null}"#,
            false,
            0,
        ),
        (
            r#"{"messages":[{"content":[{"type":"tool_use","input":{"file_id":"a","url":"b"}}]}]}"#,
            false,
            0,
        ),
        (
            r#"{"contents":[{"parts":[{"functionCall":{"args":{"image_url":"https://x"}}}]}]}"#,
            false,
            0,
        ),
        (r#"{"messages":[{"annotations":[{"url_citation":{"url":"https://x"}}]}]}"#, false, 0),
        (
            r#"{"messages":[{"content":[{"type":"document","source":{"media_type":"text/plain","data":"a"}}]}]}"#,
            false,
            0,
        ),
        (
            r#"{"messages":[{"content":[{"input_audio":{"data":"aGk=","format":"wav"}}]}]}"#,
            false,
            0,
        ),
        (r#"{"messages":[],"thread":{"type":"create"}}"#, false, 0),
        (r#"{"messages":[{"audio":{"id":null,"data":"aGk="}}]}"#, false, 0),
        (r#"{"messages":[],"audio":{"voice":{"id":"voice_1"},"format":"mp3"}}"#, false, 0),
        (r#"{"input":"q","tools":[{"type":"image_generation"}]}"#, false, 0),
        ("--XX\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx\r\n--XX--", false, 0),
    ]);
}

#[test]
fn only_tools_of_this_request_have_its_prompt_read_again() {
    for (body, uses) in [
        (r#"{"input":"q","tools":[{"type":"web_search"}],"max_tool_calls":3}"#, 3),
        (r#"{"input":"q","tools":[{"type":"image_generation"}],"max_tool_calls":3}"#, 3),
        (r#"{"input":"q","tools":[{"type":"\u0077eb_search"}],"max_tool_calls":3}"#, 3),
        // Those of an earlier turn.
        (r#"{"input":[{"type":"web_search_call","id":"ws_1"}]}"#, 0),
        (r#"{"input":"q","previous_response_id":"resp_1"}"#, 0),
        ("[7", 0),
        (r#"{"file_id":NaN"#, u64::MAX),
    ] {
        assert_eq!(Unseen::of(body.as_bytes()).uses.all, uses, "{body}");
    }
}

#[test]
fn pictures_in_the_body_are_counted() {
    check(&[
        (
            r#"{"messages":[{"content":[{"image_url":{"url":"data:image/png;base64,AA"}},
                {"image_url":"data:image/png;base64,AA"}]}]}"#,
            false,
            2,
        ),
        (
            r#"{"messages":[{"content":[{"source":{"media_type":"image/png","data":"AA"}}]}]}"#,
            false,
            1,
        ),
        (r#"{"contents":[{"parts":[{"inline_data":{"mime_type":"image/png"}}]}]}"#, false, 1),
        (
            r#"{"messages":[{"content":[{"image":{"format":"png","source":{"bytes":"AA"}}}]}]}"#,
            false,
            1,
        ),
        (r#"{"messages":[{"content":"a","images":["AA","AA"]}]}"#, false, 2),
    ]);
    for (model, tokens) in [
        ("gpt-4o-mini-2024-07-18", 48_169),
        ("gpt-4o", 1_445),
        ("us.anthropic.claude-opus-4-7", 4_784),
        ("models/gemini-2.5-flash", 4_386),
        ("turbo1", 48_169),
        ("h-up", 48_169),
    ] {
        assert_eq!(Unseen::most_a_picture(model), Tokens(tokens), "{model}");
    }
}

#[test]
fn the_names_stand_in_the_order_of_their_letters() {
    let letters = MEMBERS.iter().map(|(name, _)| name.as_bytes()[0]);
    assert!(letters.is_sorted(), "each letter's are together");
}
