//! OpenAI's conversations over a WebSocket.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client::strings;
use super::{start, within_10_s};
use crate::{Fault, MockUpstream};

/// Sends events, and collects what comes until the response is done or the other side ends.
async fn talk(mock: &MockUpstream, events: &[Value]) -> Vec<Value> {
    let url = format!("ws://{}/v1/realtime?model=m", mock.address());
    let (mut socket, _) = connect_async(url).await.expect("it upgrades");
    for event in events {
        socket.send(Message::text(event.to_string())).await.expect("it reads");
    }
    let mut heard: Vec<Value> = Vec::new();
    while let Some(Ok(Message::Text(text))) = within_10_s(socket.next()).await {
        let event: Value = serde_json::from_str(&text).expect("JSON");
        let last = event["type"] == "response.done";
        heard.push(event);
        if last {
            socket.close(None).await.expect("it closes");
            break;
        }
    }
    heard
}

fn says(text: &str) -> [Value; 2] {
    let content = json!([{"type": "input_text", "text": text}]);
    let item = json!({"type": "message", "role": "user", "content": content});
    [json!({"type": "conversation.item.create", "item": item}), json!({"type": "response.create"})]
}

#[tokio::test]
async fn what_is_said_is_answered() {
    let mock = start().await;
    let events = talk(&mock, &says("[[say:good day]]")).await;
    let expected = [
        "session.created",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ];
    let mut kinds = strings(&events, "/type");
    kinds.dedup();
    assert_eq!(kinds, expected);
    assert_eq!(strings(&events, "/delta").concat(), "good day");
    assert_eq!(events[10 + 1]["response"]["usage"]["output_tokens"], 2);
    within_10_s(mock.until(|stats| stats.in_flight == 0)).await;
    assert_eq!(mock.stats().cancelled, 0);
}

#[tokio::test]
async fn a_function_is_called() {
    let mock = start().await;
    let tools = json!([{"type": "function", "name": "f", "parameters": {}}]);
    let update = json!({"type": "session.update", "session": {"tools": tools}});
    let [item, create] = says(r#"[[tool:f {"city":"Paris"}]]"#);
    let events = talk(&mock, &[update, item, create]).await;
    assert_eq!(strings(&events, "/delta").concat(), r#"{"city":"Paris"}"#);
    let output = &events.last().expect("events")["response"]["output"][0];
    assert_eq!((&output["type"], &output["name"]), (&json!("function_call"), &json!("f")));
}

#[tokio::test]
async fn it_refuses_and_breaks_as_ordered() {
    let mock = start().await;
    let [item, create] = says("hi");
    let events = talk(&mock, &[json!({"type": "nonsense"}), item, create]).await;
    assert_eq!(events[1]["error"]["type"], "invalid_request_error");
    mock.set_faults(vec![Fault::CutMidStream(1), Fault::ErrorMidStream(2)]).await;
    for (tokens, last) in [(1, "response.output_text.delta"), (2, "error")] {
        let events = talk(&mock, &says("hi")).await;
        assert_eq!(strings(&events, "/delta").len(), tokens);
        assert_eq!(events.last().expect("events")["type"], last);
    }
    mock.set_faults(vec![Fault::Status { code: 429, retry_after: None }]).await;
    let url = format!("ws://{}/v1/realtime?model=m", mock.address());
    let Err(Error::Http(refused)) = connect_async(url).await else { panic!("it upgrades") };
    assert_eq!(refused.status().as_u16(), 429);
}
